"""
What a relay does about clients that begin messages and do not finish them, that send so much that
others would have to wait, and that go in the middle of something.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wsmultipool.service._reading_wire import _SLICE

from .local_client import LocalClient, RelayScene, masked

MIB = 1024 * 1024
Scene = Callable[..., RelayScene]


@pytest.fixture
def scene() -> Iterator[Scene]:
    """Makes relays that are stopped, and checked for what they leave, at the end."""
    made: list[RelayScene] = []

    def make(**options: Any) -> RelayScene:
        made.append(RelayScene(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def begun(size: int) -> bytes:
    """
    Return the header of a frame with so long a payload, masked with nothing.
    """
    return b"\x82\xff" + size.to_bytes(8, "big") + bytes(4)


def begin(relay: RelayScene, size: int, sent: int) -> LocalClient:
    """
    Connect a client that begins a message and sends so much of it.
    """
    client = relay.connect()
    client.transport.write(begun(size) + bytes(sent))
    relay.settle()
    return client


def held(relay: RelayScene) -> int:
    return relay.relay.unfinished.total


def test_together_clients_hold_no_more_than_they_may(scene: Scene) -> None:
    """Two reads more for each of those that wait; the rest of what they send is not read."""
    relay = scene(max_unfinished_bytes=8 * MIB)
    for _ in range(20):
        begin(relay, 10 * MIB, 3 * MIB)
    assert 8 * MIB < held(relay) < 8 * MIB + 20 * 2 * 65536


def test_one_after_the_other_gets_through(scene: Scene) -> None:
    """Those that wait lose nothing, however many they are and however little room there is."""
    relay = scene(max_unfinished_bytes=MIB)
    clients = [begin(relay, 3 * MIB, 2 * MIB) for _ in range(5)]
    for client in clients:
        client.transport.write(bytes([1]) * MIB)
    relay.memory.advance(1)
    assert [message for message, _ in relay.upstream] == [bytes(2 * MIB) + b"\1" * MIB] * 5
    assert held(relay) == 0
    assert [client.close_frame for client in clients] == [None] * 5


def test_short_messages_get_through_whatever_others_hold(scene: Scene) -> None:
    """Also in pieces: up to 64 KiB of each client do not count."""
    relay = scene(max_unfinished_bytes=MIB)
    for _ in range(3):
        begin(relay, 10 * MIB, 2 * MIB)
    client = begin(relay, 66_000, 60_000)
    client.transport.write(bytes(6000))
    client.transport.write(masked(0x01, b"a") + masked(0x80, b"b"))
    relay.settle()
    assert [len(message) for message, _ in relay.upstream] == [66_000, 2]


def test_a_message_that_is_not_finished_in_time_closes_its_client(scene: Scene) -> None:
    """With 1008 and a reason; what it held is let go at once, and others go on."""
    relay = scene(max_unfinished_bytes=MIB, unfinished_timeout=10.0)
    stuck = begin(relay, 3 * MIB, 2 * MIB)
    waiting = begin(relay, 3 * MIB, 2 * MIB)
    relay.memory.advance(9)
    assert not stuck.is_told_to_go
    relay.memory.advance(1)
    reason = "a message was begun and not finished: 10 s for each MiB of it"
    assert stuck.close_frame == (1008, reason)
    waiting.transport.write(bytes(MIB))
    relay.settle()
    assert [len(message) for message, _ in relay.upstream] == [3 * MIB]
    assert held(relay) == 0
    assert relay.relay.get_stats().closed == {"unfinished": 1}
    assert waiting.close_frame is None


def test_each_mib_has_its_time(scene: Scene) -> None:
    """A slow client that goes on is not cut off, and one that sends octet by octet is."""
    relay = scene(unfinished_timeout=10.0)
    slow, dripping = begin(relay, 10 * MIB, MIB), begin(relay, 10 * MIB, MIB)
    for _ in range(8):
        relay.memory.advance(8)
        slow.transport.write(bytes(MIB))
        dripping.transport.write(b"x")
        relay.settle()
    assert [slow.is_told_to_go, dripping.is_told_to_go] == [False, True]
    slow.transport.write(bytes(MIB))
    relay.settle()
    assert [len(message) for message, _ in relay.upstream] == [10 * MIB]
    relay.memory.advance(60)
    assert not slow.is_told_to_go


def test_while_upstream_takes_nothing_no_time_runs(scene: Scene) -> None:
    """What is not read can't be finished."""
    relay = scene(unfinished_timeout=10.0, send_timeout=None, is_open=False)
    client = relay.connect()
    client.transport.write(masked(0x82, b"first") + begun(MIB) + bytes(300_000))
    relay.memory.advance(60)
    assert client.close_frame is None
    relay.memory.open()
    client.transport.write(bytes(MIB - 300_000))
    relay.memory.advance(1)
    assert [len(message) for message, _ in relay.upstream] == [5, MIB]


def test_fragments_count_as_well(scene: Scene) -> None:
    """However small they are; what follows the Close frame is not kept."""
    relay = scene(unfinished_timeout=10.0)
    client = relay.connect()
    client.transport.write(masked(0x02, b""))
    for _ in range(100):
        client.transport.write(masked(0x00, b"x" * 1000) * 10)
    relay.settle()
    assert held(relay) == 1_000_000
    relay.memory.advance(10)
    assert client.is_told_to_go
    client.transport.write(masked(0x00, b"x" * 100_000) * 10)
    relay.settle()
    assert held(relay) == 0


def test_what_a_lost_client_held_goes_with_it(scene: Scene) -> None:
    """At once, and not when Python looks for garbage: nothing refers to its connection."""
    relay = scene()
    client = begin(relay, 16 * MIB, 15 * MIB)
    (wire,) = relay.relay._wires
    message, connection = wire.message_data, weakref.ref(wire)
    transport = wire.transport
    del wire
    gc.collect()
    gc.disable()
    try:
        client.transport.abortConnection()
        relay.settle()
        del transport.protocol  # as transports do
        assert (held(relay), message.size) == (0, 0)
        assert connection() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("first", "frame"),
    [
        (b"", masked(0x89, b"?")),
        (masked(0x02, b""), masked(0x00, b"")),
        (masked(0x02, b""), masked(0x00, b"x")),
        (b"", masked(0x81, b"x") + masked(0x82, b"x")),
    ],
)
def test_who_sends_a_flood_has_a_share_of_each_turn(
    scene: Scene, first: bytes, frame: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile nothing more is read from it, and it waits until its turn; nothing is lost."""
    relay = scene()
    flooding = relay.connect()
    (wire,) = relay.relay._wires
    clock, steps = relay.memory.clock, 0
    step = wire._consume_some

    def slow_step() -> bool:
        nonlocal steps
        steps += 1
        clock.rightNow += _SLICE / 10
        return step()

    monkeypatch.setattr(wire, "_consume_some", slow_step)
    received = wire.dataReceived
    received(first + frame * 1000 + masked(0x89, b"last"))
    assert 10 < steps < 100
    assert not wire.transport._reading
    relay.memory.advance(10)
    assert wire.transport._reading
    assert flooding.frames[-1] == (10, b"last")
    assert flooding.close_frame is None


def test_a_flood_that_waits_for_its_turn_can_be_closed_and_lost(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither upsets the others."""
    relay = scene()
    lost, closed = relay.connect(), relay.connect()
    clock = relay.memory.clock
    for wire in tuple(relay.relay._wires):

        def slow_step(step: Callable[[], bool] = wire._consume_some) -> bool:
            clock.rightNow += _SLICE
            return step()

        monkeypatch.setattr(wire, "_consume_some", slow_step)
        wire.dataReceived(masked(0x89, b"?") * 1000)
        assert not wire.transport._reading
    lost.transport.abortConnection()
    closing = next(wire for wire in relay.relay._wires if wire.transport.peer.protocol is closed)
    closing.close(1001, "go")
    closed.close(1001)
    relay.memory.advance(10)
    assert [lost.is_lost, closed.close_frame, closed.is_lost] == [True, (1001, "go"), True]
