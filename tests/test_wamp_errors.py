"""
The errors of the procedures: stable URIs, and the same exceptions at both ends.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wsmultipool import (
    BufferFull,
    DeliveryUnknown,
    NotConnected,
    PoolClosed,
    PoolError,
    PoolExhausted,
    ProxyRefused,
    QueueOverflow,
    SendTimeout,
)
from wsmultipool.wamp import RemoteFailure
from wsmultipool.wamp import errors as wamp_errors
from wsmultipool.wamp._error_uris import ERRORS, from_wire, to_wire

from .support import error_of, outcome
from .wamp_support import Scene

HOWTO = Path(__file__).resolve().parent.parent / "docs" / "howto" / "crossbar.rst"

# A value for each fact, of the right type.
FACTS = {"reason": "because", "timeout": 2.5, "code": 1002}


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_every_error_survives_the_way_to_the_caller(name: str) -> None:
    """What the caller gets is of the same class, with the same facts and the same text."""
    exception, facts, _ = ERRORS[name]
    error = exception(*(FACTS.get(fact, 17) for fact in facts))
    wire = to_wire(error)
    assert wire.name == name
    arrived = from_wire(wire.name, wire.facts)
    assert type(arrived) is type(error)
    assert str(arrived) == str(error) == wire.text
    assert vars(arrived) == vars(error)


def test_the_documentation_has_the_same_table() -> None:
    """URIs are promised: the page and the code name the same, with the same facts."""
    text = HOWTO.read_text(encoding="utf-8")
    table = re.findall(r"^   \* - ``(\w+)``\n     - ``(\w+)``\n     - (.*)$", text, re.MULTILINE)
    documented = {
        name: (exception, tuple(re.findall(r"``(\w+)``", facts)))
        for name, exception, facts in table
    }
    assert documented == {
        name: (kind.exception.__name__, kind.facts) for name, kind in ERRORS.items()
    }


def test_another_failure_of_a_connection_is_told_in_words() -> None:
    """A kind of failure that has no URI of its own keeps its text."""
    wire = to_wire(ProxyRefused(407, "no"))
    assert wire.name == "connection_dropped"
    assert "407 no" in str(from_wire(wire.name, wire.facts))


def test_an_error_of_a_later_version_is_still_an_error() -> None:
    """An unknown name, or missing facts, are told as a failure of the component."""
    assert isinstance(from_wire("made_up", {}), RemoteFailure)
    assert isinstance(from_wire("queue_overflow", {}), RemoteFailure)


def test_an_error_of_an_earlier_version_may_lack_a_fact() -> None:
    """Where a fact was added later, a component of the version before is understood as well."""
    error = from_wire("pool_exhausted", {})
    assert isinstance(error, PoolExhausted)
    assert error.reason is None


def test_the_payload_is_not_sent_back() -> None:
    """The error about a message does not carry it: the caller has it."""
    assert to_wire(DeliveryUnknown(1, 2, b"secret")).facts == {"messages": 1, "deliveries": 2}


def test_every_error_is_a_pool_error() -> None:
    """One base class catches what goes wrong anywhere between a caller and a server."""
    for name in wamp_errors.__all__:
        assert issubclass(getattr(wamp_errors, name), PoolError)


def test_the_pools_errors_reach_the_caller() -> None:
    """A full queue, a deadline, a closed pool: the client raises what the pool would."""
    scene = Scene(pool={"message_queue_size": 1, "overflow": "drop_newest"})
    scene.memory.server.refuse()
    for peer in scene.memory.server.open_peers:
        peer.drop()
    scene.memory.settle()
    waiting = outcome(scene.client.send("x"))
    overflow = error_of(scene.client.send("y"))
    assert isinstance(overflow, QueueOverflow)
    assert overflow.limit == 1
    assert isinstance(error_of(scene.client.ping()), NotConnected)
    ((ok, failure),) = scene.result(scene.client.send_many(["z"]))
    assert not ok
    assert failure.check(QueueOverflow)
    scene.close()
    (failure,) = waiting
    assert failure.check(PoolClosed)
    assert isinstance(error_of(scene.client.send("x")), PoolClosed)


def test_more_of_the_pools_errors() -> None:
    """A message that does not fit, one that waits too long, and a pool that has given up."""
    scene = Scene(
        pool={"max_buffered_bytes": 10, "max_reconnect_attempts": 2, "reconnect_interval": 5}
    )
    full = error_of(scene.client.send("x" * 11))
    assert isinstance(full, BufferFull)
    assert (full.size, full.limit) == (11, 10)
    scene.memory.server.refuse()
    for peer in scene.memory.server.open_peers:
        peer.drop()
    scene.memory.settle()
    late = outcome(scene.client.send("x", timeout=1))
    scene.memory.advance(2)
    assert late[0].check(SendTimeout)
    scene.memory.advance(60)
    assert isinstance(error_of(scene.client.send("x")), PoolExhausted)
    scene.close()


def test_an_unknown_delivery_is_told() -> None:
    """A confirmed message whose connections were lost too often is neither lost nor sent."""
    scene = Scene(pool={"max_deliveries": 1, "pool_size": 1})
    scene.memory.server.peers[0].stop_reading()
    sent = outcome(scene.client.send("x", confirm=True))
    scene.memory.settle()
    scene.memory.server.peers[0].drop()
    scene.memory.settle()
    (failure,) = sent
    assert failure.check(DeliveryUnknown)
    assert (failure.value.messages, failure.value.deliveries) == (1, 1)
    scene.close()
