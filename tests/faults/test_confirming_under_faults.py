"""
What else waits for the peer's word, while connections break: C{flush}, C{broadcast}, fragments; and
messages that break connections themselves.
"""

from __future__ import annotations

from collections import Counter

import pytest
from twisted.internet.defer import Deferred, gatherResults
from twisted.python.failure import Failure

from wsmultipool import ReconnectingPoolFactory
from wsmultipool.errors import DeliveryUnknown, FragmentLost, NotConnected

from ..integration.deadline import within
from ..integration.processes import PeerProcess
from .breaker import breaking
from .churn import SEED, seed_of
from .ledger import Ledger
from .numbered import number_of, payload_of
from .scene import scene
from .sender import Sender

PERIOD = 0.03
AGAIN = f"to run it again, set {SEED}={seed_of()} in the environment"


@pytest.mark.parametrize("kind", ["reset", "terminate", "close 1001", "cut and close"])
@within(120)
async def test_flush(fault_proxy: PeerProcess, kind: str) -> None:
    """
    When C{flush()} fires, everything before it has arrived; when it fails, it says how many
    messages may have not, and only so many have not.
    """
    ledger = Ledger(5000)
    unsure: set[int] = set()
    unknown = 0
    async with scene(fault_proxy, [kind]) as here:
        sender = Sender(here.pool, ledger)
        async with breaking(here, [kind], seed_of(), PERIOD) as breaker:
            while ledger.sent < 4990 and (ledger.sent < 200 or breaker.commands < 10):
                batch = [sender.send_one() for _ in range(10)]
                try:
                    await here.pool.flush(timeout=30)
                except DeliveryUnknown as error:
                    unsure.update(batch)
                    unknown += error.messages
        await here.quiet()
        arrived = Counter(map(number_of, here.record.news()))

    lost = set(range(ledger.sent)) - set(arrived)
    assert breaker.faults, AGAIN
    assert ledger.settled == ledger.sent, AGAIN
    assert lost <= unsure, AGAIN
    assert len(lost) <= unknown, AGAIN
    # What is at risk is what nobody has answered yet: the messages since the last flush.
    assert unknown <= 10 * breaker.faults.total(), AGAIN
    assert set(arrived.values()) == {1}, AGAIN


@pytest.mark.parametrize("kind", ["reset", "terminate", "close 1012", "black hole to client"])
@within(120)
async def test_confirmed_broadcast(fault_proxy: PeerProcess, kind: str) -> None:
    """
    Each connection's entry is true if the message arrived there, and false if that is not known.
    """
    entries: Counter[int] = Counter()
    confirmed: Counter[int] = Counter()
    async with scene(fault_proxy, [kind]) as here:
        async with breaking(here, [kind], seed_of(), PERIOD) as breaker:
            number = 0
            while number < 3000 and (number < 100 or breaker.commands < 10):
                outcomes = await gatherResults(
                    [
                        here.pool.broadcast(payload_of(n), confirm=True)
                        for n in range(number, number + 10)
                    ]
                )
                for n, outcome in enumerate(outcomes, number):
                    entries[n] = len(outcome)
                    confirmed[n] = sum(success for success, _ in outcome)
                    failures = [result for _, result in outcome if isinstance(result, Failure)]
                    assert all(f.check(DeliveryUnknown, NotConnected) for f in failures)
                    assert len(failures) == entries[n] - confirmed[n]
                number += 10
        await here.quiet()
        arrived = Counter(map(number_of, here.record.news()))

    assert breaker.faults, AGAIN
    assert any(confirmed[n] < entries[n] for n in entries), AGAIN
    assert [n for n in entries if not confirmed[n] <= arrived[n] <= entries[n]] == [], AGAIN


@pytest.mark.parametrize("kind", ["reset", "terminate", "close 1001", "cut and reset"])
@within(120)
async def test_confirmed_fragments(fault_proxy: PeerProcess, kind: str) -> None:
    """A message whose fragments are all confirmed arrived whole; none arrives mixed up."""
    size = 96
    ledger = Ledger(4000)

    async def send_in_pieces(pool: ReconnectingPoolFactory, key: str) -> None:
        number = ledger.begin()
        payload = payload_of(number, size)
        pieces = [
            pool.send(payload[at : at + 32], key=key, fin=at + 32 == size, confirm=True)
            for at in range(0, size, 32)
        ]
        errors = []
        for piece in pieces:
            try:
                await piece
            except (DeliveryUnknown, FragmentLost) as error:
                errors.append(error)
        if errors:
            ledger.failed(number, errors[0])
        else:
            ledger.succeeded(number)

    async with scene(fault_proxy, [kind], pool_options={"max_deliveries": 1000}) as here:
        async with breaking(here, [kind], seed_of(), PERIOD) as breaker:
            while ledger.sent < 3900 and (ledger.sent < 200 or breaker.commands < 10):
                for key in "abc":
                    await send_in_pieces(here.pool, key)
                await gatherResults(
                    [Deferred.fromCoroutine(send_in_pieces(here.pool, key)) for key in "abcde"]
                )
        await here.quiet()
        for payload in here.record.news():
            ledger.arrived(number_of(payload, size))

    account = ledger.account()
    assert breaker.faults, AGAIN
    assert account.never_settled == 0, AGAIN
    assert account.silently_lost == 0, AGAIN
    assert account.damaged == 0, AGAIN


@pytest.mark.parametrize("pool_size", [1, 4])
@pytest.mark.parametrize("server", ["node", "websockets"])
@within(120)
async def test_poison(fault_proxy: PeerProcess, server: str, pool_size: int) -> None:
    """
    A message for which the server drops the connection fails after C{max_deliveries}, and the rest
    is delivered.
    """
    ledger = Ledger(1000)
    poison = []
    async with scene(
        fault_proxy,
        [],
        server=server,
        server_options={"maxPayload": 1000},
        pool_options={"pool_size": pool_size},
    ) as here:
        sender = Sender(here.pool, ledger, confirm=True)
        for number in range(1000):
            if number in (0, 500):
                poison.append(here.pool.send(bytes(5000), confirm=True))
            sender.send_one()
        for poisoned in poison:
            with pytest.raises(DeliveryUnknown) as caught:
                await poisoned
            assert caught.value.deliveries == 3
        await sender.all_settled()
        await here.quiet()
        for payload in here.record.news():
            ledger.arrived(number_of(payload))

    account = ledger.account()
    assert account.succeeded == 1000
    assert account.not_delivered == 0
    assert account.damaged == 0
