"""
What is promised of messages, while everything between the pool and the server breaks.

Each test sends some thousand numbered messages while a fault of one kind strikes every 25 ms, and
compares what the pool says with what the server has written down.  One that fails says with which
seed.  C{python -m tests.faults.table} does the same with 100,000 messages.
"""

from __future__ import annotations

from typing import Any

import pytest

from ..integration.certificates import Authority
from ..integration.deadline import within
from ..integration.processes import PeerProcess
from .churn import Churn, Outcome, run, seed_of
from .plan import KINDS

# Bits that change on the way are WebSocket's to notice in headers, and TLS's in payloads.
CORRUPTED = ("corrupt to server",)
GRACEFUL = ("close 1001", "close 1012")
# These only make it slow.
HARMLESS = ("delay", "throttle", "stall")
# What the server has a part in is tried with both servers.
SERVERS = [
    *(("node", kind) for kind in KINDS),
    *(("websockets", kind) for kind in ("reset", "terminate", *GRACEFUL, "stall")),
]


def on_servers(*without: str) -> list[Any]:
    """Return parameters: every kind of fault but these, and the servers to try it with."""
    return [
        pytest.param(server, kind, id=f"{kind}-{server}".replace(" ", "-"))
        for server, kind in SERVERS
        if kind not in without
    ]


async def churned(fault_proxy: PeerProcess, *kinds: str, **options: Any) -> Outcome:
    """
    Send 5,000 messages while such faults strike, and return what came of it.
    """
    # A server takes some time to come back.
    pace = {"rate": 8000, "period": 0.02} if "restart" in kinds else {"rate": 16_000}
    churn = Churn(kinds, seed_of(), **{"messages": 5000, "period": 0.025, **pace, **options})
    outcome = await run(churn, fault_proxy)
    assert outcome.faults, outcome
    assert outcome.account.sent == churn.messages
    return outcome


@pytest.mark.parametrize(("server", "kind"), on_servers(*CORRUPTED))
@within(120)
async def test_confirmed_messages_are_delivered(
    fault_proxy: PeerProcess, server: str, kind: str
) -> None:
    """Every confirmed message arrives at least once, intact, whatever happens to connections."""
    outcome = await churned(fault_proxy, kind, server=server, confirm=True)

    account = outcome.account
    assert account.never_settled == 0, outcome
    assert account.not_delivered == 0, outcome
    assert account.damaged == 0, outcome
    assert account.succeeded == account.sent, outcome


@pytest.mark.parametrize(("server", "kind"), on_servers(*CORRUPTED))
@within(120)
async def test_confirmed_at_most_once(fault_proxy: PeerProcess, server: str, kind: str) -> None:
    """With C{max_deliveries=1}, nothing arrives twice, and what does not arrive is reported."""
    outcome = await churned(fault_proxy, kind, server=server, confirm=True, max_deliveries=1)

    account = outcome.account
    assert account.never_settled == 0, outcome
    assert account.duplicates == 0, outcome
    assert account.silently_lost == 0, outcome
    assert account.damaged == 0, outcome
    assert set(account.failures) <= {"DeliveryUnknown"}, outcome
    if kind in (*GRACEFUL, *HARMLESS):
        assert account.not_delivered == 0, outcome
    if kind in HARMLESS:
        assert account.failed == 0, outcome


@pytest.mark.parametrize(("server", "kind"), on_servers(*CORRUPTED))
@within(120)
async def test_plain_messages(fault_proxy: PeerProcess, server: str, kind: str) -> None:
    """A plain message is settled, arrives once at most, and never if it was reported failed."""
    outcome = await churned(fault_proxy, kind, server=server)

    account = outcome.account
    assert account.never_settled == 0, outcome
    assert account.duplicates == 0, outcome
    assert account.failed_but_delivered == 0, outcome
    assert account.damaged == 0, outcome
    if kind in (*GRACEFUL, *HARMLESS):
        assert account.not_delivered == 0, outcome


@pytest.mark.parametrize(
    "kind", ["reset", "terminate", *GRACEFUL, "cut and close", "black hole", "delay", "restart"]
)
@within(120)
async def test_order_of_confirmed_messages_of_one_key(fault_proxy: PeerProcess, kind: str) -> None:
    """Confirmed messages of one key arrive in order; one that is sent again, before later ones."""
    outcome = await churned(fault_proxy, kind, confirm=True, keys=8)

    assert outcome.account.not_delivered == 0, outcome
    assert outcome.account.out_of_order == 0, outcome


@pytest.mark.parametrize("kind", [*GRACEFUL, "stall", "delay", "terminate"])
@within(120)
async def test_order_of_plain_messages_of_one_key(fault_proxy: PeerProcess, kind: str) -> None:
    """What arrives of the plain messages of one key arrives in order."""
    outcome = await churned(fault_proxy, kind, keys=8)

    assert outcome.account.never_settled == 0, outcome
    assert outcome.account.out_of_order == 0, outcome


@pytest.mark.parametrize(
    "kind",
    ["reset", "cut and reset", "corrupt to server", "corrupt to client", "close 1001", "terminate"],
)
@within(120)
async def test_confirmed_messages_over_tls(
    fault_proxy: PeerProcess, authority: Authority, kind: str
) -> None:
    """Over TLS every confirmed message arrives intact, even if bits change on the way."""
    outcome = await churned(fault_proxy, kind, confirm=True, authority=authority, chatter=20)

    account = outcome.account
    assert account.never_settled == 0, outcome
    assert account.not_delivered == 0, outcome
    assert account.damaged == 0, outcome


@pytest.mark.parametrize("kind", ["corrupt to server", "corrupt to client"])
@within(120)
async def test_bits_that_change_over_tls(
    fault_proxy: PeerProcess, authority: Authority, kind: str
) -> None:
    """Over TLS no plain message arrives damaged: it arrives intact, or not at all."""
    outcome = await churned(fault_proxy, kind, authority=authority, chatter=20)

    account = outcome.account
    assert account.never_settled == 0, outcome
    assert account.damaged == 0, outcome
    assert account.duplicates == 0, outcome


@pytest.mark.parametrize("confirm", [False, True])
@pytest.mark.parametrize("kind", ["corrupt to server", "corrupt to client"])
@within(120)
async def test_bits_that_change_without_tls(
    fault_proxy: PeerProcess, kind: str, confirm: bool
) -> None:
    """Without TLS a message may arrive damaged, but every message is settled, and nothing hangs."""
    outcome = await churned(fault_proxy, kind, confirm=confirm, chatter=20)

    account = outcome.account
    assert account.never_settled == 0, outcome
    assert account.failed == 0, outcome
    if confirm:
        # The peer has received it, as far as its WebSocket layer can tell.
        assert account.silently_lost <= sum(outcome.faults.values()), outcome
    if kind == "corrupt to client":
        assert account.damaged == 0, outcome
        assert not confirm or account.not_delivered == 0, outcome


@pytest.mark.parametrize("kind", ["reset", "close 1001", "terminate", "black hole"])
@within(120)
async def test_draining_under_faults(fault_proxy: PeerProcess, kind: str) -> None:
    """C{close(drain=)} right behind the last message delivers all of them while faults go on."""
    # Not as often as elsewhere: each message has to be on a connection that lives long enough.
    outcome = await churned(fault_proxy, kind, confirm=True, drain=30, period=0.1)

    account = outcome.account
    assert account.never_settled == 0, outcome
    assert account.not_delivered == 0, outcome
    assert account.succeeded == account.sent, outcome


@within(120)
async def test_everything_at_once(fault_proxy: PeerProcess) -> None:
    """Faults of all kinds in one run: every confirmed message arrives."""
    kinds = [kind for kind in KINDS if kind not in CORRUPTED]
    outcome = await churned(fault_proxy, *kinds, confirm=True, messages=20_000)

    account = outcome.account
    assert account.never_settled == 0, outcome
    assert account.not_delivered == 0, outcome
    assert account.damaged == 0, outcome
