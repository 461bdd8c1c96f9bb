"""
One message, or one ping, to every connection that is open.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from wsmultipool import PooledConnection
from wsmultipool.errors import (
    BufferFull,
    ConnectionDropped,
    NotConnected,
    PingTimeout,
    PoolClosed,
    SendTimeout,
)
from wsmultipool.messages import SendData
from wsmultipool.testing import MemoryPool, MemoryServer

from .test_sending import (
    BIG,
    ErrorLog,
    everything,
    fate,
    keys_by_connection,
    kinds,
    stall,
    tapped_pool,
    texts,
)


def opened(size: int = 3, **options: Any) -> MemoryPool:
    """
    Make a pool of open connections.
    """
    memory = MemoryPool(pool_size=size, **options)
    memory.open()
    return memory


def entries(followed: list[Any]) -> list[tuple[bool, object]]:
    """
    Return what a broadcast fired with, failures as the type of their exception.
    """
    (result,) = followed
    return [
        (success, type(what.value) if isinstance(what, Failure) else what)
        for success, what in result
    ]


# Messages


def test_a_broadcast_reaches_every_open_connection() -> None:
    """
    Every connection gets the message, and the result has an entry for each, ordered by id.
    """
    memory = opened()
    sent = fate(memory.pool.broadcast("to all"))
    memory.settle()
    assert sent == [[(True, 0), (True, 1), (True, 2)]]
    assert [texts(peer) for peer in memory.server.peers] == [["to all"]] * 3
    assert memory.pool.get_stats().sent_messages == 3
    memory.close()


def test_a_broadcast_fires_when_every_connection_has_taken_it() -> None:
    """
    Like that of a send, its Deferred does not wait for the end of the turn, so that who awaits one
    broadcast after the other has them written together.
    """
    memory, server = tapped_pool()
    assert fate(memory.pool.broadcast("one")) == [[(True, 0)]]
    assert fate(memory.pool.broadcast("two")) == [[(True, 0)]]
    assert server.written == []
    memory.settle()
    assert len(server.written) == 1
    memory.close()


def test_a_broadcast_to_nobody_is_empty() -> None:
    """
    With no connection open the result is C{[]}, at once; nothing waits for one.
    """
    memory = MemoryPool(pool_size=2)
    assert fate(memory.pool.broadcast("to nobody")) == [[]]
    memory.open()
    assert everything(memory) == []
    memory.close()
    assert fate(memory.pool.broadcast("to nobody")) == [[]]


def test_a_broadcast_leaves_out_connections_that_are_not_open() -> None:
    """
    Only connections open at the call count: not one that is being made, or that opens later.
    """
    memory = opened()
    memory.server.peers[1].drop()
    memory.settle()
    sent = fate(memory.pool.broadcast("to some"))
    memory.advance(5)
    assert memory.pool.open_connections == 3
    assert sent == [[(True, 0), (True, 2)]]
    assert [len(peer.received) for peer in memory.server.peers] == [1, 0, 1, 0]
    memory.close()


def test_a_broadcast_is_in_order_with_what_was_sent_before() -> None:
    """
    Each connection sends the broadcast after what it took before, and before what it takes later.
    """
    memory = opened(2)
    for data in ("a", "b"):
        memory.pool.send(data)
    memory.pool.broadcast("all")
    for data in ("c", "d"):
        memory.pool.send(data)
    memory.settle()
    assert [texts(peer) for peer in memory.server.peers] == [["a", "all", "c"], ["b", "all", "d"]]
    memory.close()


@pytest.mark.parametrize(
    ("data", "options", "received"),
    [
        ("text", {}, (b"text", False)),
        (b"bytes", {}, (b"bytes", True)),
        (bytearray(b"bytes"), {"binary": False}, (b"bytes", False)),
        ("text", {"binary": True}, (b"text", True)),
        ("text", {"mask": False}, (b"text", False)),
        ("", {"timeout": 5}, (b"", False)),
    ],
)
def test_a_broadcast_takes_the_options_of_a_message(
    data: SendData, options: dict[str, Any], received: tuple[bytes, bool]
) -> None:
    """
    Types, C{binary}, C{mask} and C{timeout} mean what they mean for C{send}.
    """
    memory = opened(2)
    memory.result(memory.pool.broadcast(data, **options))
    assert [peer.received for peer in memory.server.peers] == [[received]] * 2
    assert memory.clock.getDelayedCalls() == []
    memory.close()


def test_mask_and_compression_of_a_broadcast() -> None:
    """
    C{mask=False} and C{compress=True} show on the wire.
    """
    memory, server = tapped_pool(True)
    memory.result(memory.pool.broadcast("text", mask=False))
    memory.result(memory.pool.broadcast("text", compress=True))
    assert server.written[0] == b"\x81\x04text"
    assert server.written[1][0] == 0xC1
    assert texts(server.peers[0]) == ["text", "text"]
    memory.close()


@pytest.mark.parametrize(
    ("data", "options", "error"),
    [
        (None, {}, TypeError),
        ("text", {"binary": 0}, TypeError),
        ("text", {"timeout": "1"}, TypeError),
        ("text", {"timeout": 0}, ValueError),
        ("\ud800", {}, ValueError),
        (b"\xff", {"binary": False}, ValueError),
    ],
)
@pytest.mark.parametrize("size", [0, 2])
def test_a_mistake_of_the_caller_is_raised_once_for_all(
    data: Any, options: dict[str, Any], error: type[Exception], size: int
) -> None:
    """
    What can't be sent raises, even if nobody would get it, and nobody gets any of it.
    """
    memory = MemoryPool(pool_size=2)
    if size:
        memory.open()
    before = memory.pool.get_stats()
    with pytest.raises(error, match=r"data|binary|timeout"):
        memory.pool.broadcast(data, **options)
    assert memory.pool.get_stats() == before
    memory.close()
    assert everything(memory) == []


def test_a_buffer_may_be_changed_once_it_is_broadcast() -> None:
    """
    Every connection sends what the buffer held at the call.
    """
    memory = opened(2)
    stall(memory)
    buffer = bytearray(b"before")
    fate(memory.pool.broadcast(buffer))
    buffer[:] = b"after!"
    for peer in memory.server.peers:
        peer.resume_reading()
    memory.settle()
    assert everything(memory) == ["before", "before"]
    memory.close()


def test_a_full_connection_does_not_delay_the_others() -> None:
    """
    The others send at once; the result waits for the last, which sends when its peer reads.
    """
    memory = opened()
    key = keys_by_connection(memory)[1]
    memory.server.peers[1].stop_reading()
    memory.pool.send(BIG, key=key)
    sent = fate(memory.pool.broadcast("to all"))
    memory.settle()
    assert [texts(peer) for peer in memory.server.peers] == [["to all"], [], ["to all"]]
    assert sent == []
    assert fate(memory.pool.send("goes on")) in ([0], [2])
    memory.server.peers[1].resume_reading()
    memory.settle()
    assert sent == [[(True, 0), (True, 1), (True, 2)]]
    assert texts(memory.server.peers[1]) == ["to all"]
    memory.close()


def test_a_connection_lost_before_it_had_room_gets_nothing_later() -> None:
    """
    The entry of a connection that is lost first is C{(False, NotConnected)}; no other connection
    gets the message in its place.
    """
    memory = opened()
    keys = keys_by_connection(memory)
    memory.server.peers[1].stop_reading()
    memory.pool.send(BIG, key=keys[1])
    sent = fate(memory.pool.broadcast("to all"))
    memory.settle()
    assert sent == []
    memory.server.peers[1].drop()
    memory.advance(5)
    assert entries(sent) == [(True, 0), (False, NotConnected), (True, 2)]
    assert [texts(peer) for peer in memory.server.peers] == [["to all"], [], ["to all"], []]
    assert memory.pool.get_stats().requeued_messages == 0
    memory.close()


@pytest.mark.parametrize("code", [None, 1012])
def test_a_connection_lost_before_it_has_written_loses_the_broadcast(code: int | None) -> None:
    """
    What one connection has taken, and not written, goes to no other one, which has it already.  It
    counts as dropped, and the pool reports it.
    """
    log = ErrorLog()
    memory = opened(logger=log)
    memory.pool.on("error", lambda error, connection_id: None)
    peer = memory.server.peers[1]
    if code is None:
        peer.drop()
    else:
        peer.close(code)
    assert entries(fate(memory.pool.broadcast("to all"))) == [(True, 0), (True, 1), (True, 2)]
    memory.advance(5)
    assert [texts(peer) for peer in memory.server.peers] == [["to all"], [], ["to all"], []]
    stats = memory.pool.get_stats()
    assert (stats.requeued_messages, stats.dropped_messages) == (0, 1)
    memory.close()
    assert log.errors == [
        "memory.test: 1 message was taken by a connection that could not write it any more"
    ]


def test_a_broadcast_that_is_not_taken_in_time() -> None:
    """
    C{timeout} gives each connection so long; the entry then is C{(False, SendTimeout)}.
    """
    memory = opened()
    stall(memory)
    memory.server.peers[0].resume_reading()
    memory.settle()
    sent = fate(memory.pool.broadcast("to all", timeout=2))
    memory.advance(1)
    memory.server.peers[2].resume_reading()
    memory.advance(1)
    assert entries(sent) == [(True, 0), (False, SendTimeout), (True, 2)]
    memory.server.peers[1].resume_reading()
    memory.settle()
    assert texts(memory.server.peers[1]) == []
    memory.close()


def test_cancelling_a_broadcast_withdraws_what_was_not_taken() -> None:
    """
    The result then fires with what became of each.
    """
    memory = opened(2)
    key = keys_by_connection(memory)[0]
    memory.server.peers[0].stop_reading()
    memory.pool.send(BIG, key=key)
    broadcast = memory.pool.broadcast("to all")
    sent = fate(broadcast)
    memory.settle()
    broadcast.cancel()
    assert entries(sent) == [(False, CancelledError), (True, 1)]
    memory.server.peers[0].resume_reading()
    memory.settle()
    assert everything(memory) == ["to all"]
    memory.close()


def test_a_broadcast_beyond_the_bound() -> None:
    """
    C{max_buffered_bytes} holds for every entry.
    """
    memory = opened(2, max_buffered_bytes=200_000)
    stall(memory)
    sent = fate(memory.pool.broadcast(b"x" * 50_000))
    too_large = fate(memory.pool.broadcast(b"x" * 200_001))
    assert entries(too_large) == [(False, BufferFull)] * 2
    memory.server.peers[0].resume_reading()
    memory.settle()
    assert entries(sent) == [(True, 0), (False, BufferFull)]
    memory.close()


@pytest.mark.parametrize("end", ["close", "destroy"])
def test_a_broadcast_hears_of_the_end_of_the_pool(end: str) -> None:
    """
    Entries that still wait when the pool ends are C{(False, PoolClosed)}.
    """
    memory = opened(2)
    stall(memory)
    sent = fate(memory.pool.broadcast("to all"))
    if end == "close":
        fate(memory.pool.close())
    else:
        memory.pool.destroy()
    assert entries(sent) in ([(False, PoolClosed)] * 2, [(False, NotConnected)] * 2)
    for peer in memory.server.peers:
        peer.resume_reading()
    memory.close()
    assert everything(memory) == []


def test_a_broadcast_while_the_pool_drains_is_refused() -> None:
    """
    After C{close(drain=...)} nothing new is accepted, though connections are still open.
    """
    memory = opened(2)
    stall(memory)
    waiting = fate(memory.pool.send("waits"))
    fate(memory.pool.close(drain=5))
    assert entries(fate(memory.pool.broadcast("late"))) == [(False, PoolClosed)] * 2
    for peer in memory.server.peers:
        peer.resume_reading()
    memory.settle()
    assert kinds(waiting) == [int]
    memory.close()
    assert everything(memory) == ["waits"]


@pytest.mark.parametrize("how", ["close", "drop"])
@pytest.mark.parametrize("confirm", [False, True])
def test_a_connection_that_closes_meanwhile_is_not_connected(confirm: bool, how: str) -> None:
    """
    Taking the message on one connection may write what it had before, whose sender then closes
    another one.  What takes its place gets nothing: it was not open at the call.
    """
    connections: dict[int, PooledConnection] = {}
    memory = MemoryPool(
        pool_size=2, on_connect=lambda connection: connections.update({connection.id: connection})
    )
    memory.open()
    pool = memory.pool
    key = next(key for key in range(100) if pool.connection_of(key) == 0)
    pool.send(b"a", key=key, fin=False)

    def others_end(_: object) -> None:
        if how == "close":
            connections[1].close()
        else:
            connections[1]._life._wire.abort()  # type: ignore[union-attr]

    pool.send(b"b", key=key).addCallback(others_end)
    entries = pool.broadcast(b"x" * 70_000, confirm=confirm)
    memory.advance(0.5)
    first, (succeeded, failure) = memory.result(entries)
    assert first == (True, 0)
    assert not succeeded
    assert isinstance(failure, Failure)
    assert failure.check(NotConnected)
    memory.advance(5)
    assert pool.open_connections == 2
    assert [len(peer.received) for peer in memory.server.peers] == [2, 0, 0]
    memory.close()


# One connection


def test_a_connection_sends_for_itself_while_it_is_made_ready() -> None:
    """
    In C{on_connect} a connection can send; the pool's messages come after that.
    """
    sent: list[list[int | BaseException]] = []

    def greet(connection: PooledConnection) -> None:
        sent.append(fate(connection.send(f"hello from {connection.id}")))

    memory = MemoryPool(pool_size=2, on_connect=greet)
    memory.pool.send("early")
    memory.open()
    assert sent == [[0], [1]]
    assert texts(memory.server.peers[0]) == ["hello from 0", "early"]
    assert texts(memory.server.peers[1]) == ["hello from 1"]
    memory.close()


def test_a_connection_can_not_send_while_it_is_not_up() -> None:
    """
    Outside of its time, a connection's C{send} and C{ping} fail with L{NotConnected}.
    """
    connections: list[PooledConnection] = []
    memory = MemoryPool(pool_size=1, on_connect=connections.append)
    memory.open()
    (connection,) = connections
    assert connection.is_open
    assert repr(connection) == "<PooledConnection 0 open ws://memory.test/>"
    assert connection.protocol is None
    assert memory.result(connection.send(b"bytes", binary=False)) == 0
    assert memory.result(connection.ping("now")) == 0
    with pytest.raises(TypeError):
        connection.send(12)  # type: ignore[arg-type]
    memory.server.peers[0].drop()
    memory.settle()
    assert kinds(fate(connection.send("late"))) == [NotConnected]
    assert kinds(fate(connection.ping())) == [NotConnected]
    memory.close()
    assert everything(memory) == ["bytes"]


# Pings


def slow(size: int = 2) -> MemoryPool:
    """
    Make a pool of open connections with a round trip of a second.
    """
    clock = Clock()
    memory = MemoryPool(server=MemoryServer(clock, latency=0.5), clock=clock, pool_size=size)
    memory.pool.start()
    memory.advance(2)
    assert memory.pool.open_connections == size
    return memory


def test_broadcast_ping_measures_every_open_connection() -> None:
    """
    The result has a round trip for each connection, ordered by id.
    """
    memory = slow()
    pinged = fate(memory.pool.broadcast_ping(b"all"))
    memory.advance(0.9)
    assert pinged == []
    memory.advance(0.1)
    assert entries(pinged) == [(True, pytest.approx(1)), (True, pytest.approx(1))]
    assert [peer.pings for peer in memory.server.peers] == [[b"all"]] * 2
    memory.close()


def test_broadcast_ping_with_nobody_to_ping() -> None:
    """
    With no connection open the result is C{[]}, at once.
    """
    memory = MemoryPool(pool_size=1)
    assert fate(memory.pool.broadcast_ping()) == [[]]
    memory.close()
    assert fate(memory.pool.broadcast_ping()) == [[]]


def test_broadcast_ping_tells_what_became_of_each() -> None:
    """
    A connection that does not answer in time, or is lost, has a failure as its entry.
    """
    memory = opened()
    memory.server.peers[1].fall_silent()
    memory.server.peers[2].drop()
    pinged = fate(memory.pool.broadcast_ping(timeout=3))
    memory.advance(3)
    assert entries(pinged) == [(True, 0.0), (False, PingTimeout), (False, ConnectionDropped)]
    memory.pool.destroy()
    memory.close()


def test_cancelling_broadcast_ping_forgets_the_pings() -> None:
    """
    The result then fires with what became of each, and nothing is left.
    """
    memory = slow(1)
    pinging = memory.pool.broadcast_ping(timeout=60)
    pinged = fate(pinging)
    pinging.cancel()
    assert entries(pinged) == [(False, CancelledError)]
    memory.advance(2)
    assert memory.clock.getDelayedCalls() == []
    closed = fate(memory.pool.close())
    memory.advance(3)
    assert closed == [None]


@pytest.mark.parametrize(
    ("data", "timeout", "error"),
    [
        (b"x" * 126, None, ValueError),
        (12, None, TypeError),
        (b"", 0, ValueError),
        (b"", "1", TypeError),
    ],
)
def test_broadcast_ping_checks_its_arguments_once(
    data: Any, timeout: Any, error: type[Exception]
) -> None:
    """
    What can't be sent raises, even if nobody would be pinged.
    """
    memory = MemoryPool(pool_size=1)
    with pytest.raises(error):
        memory.pool.broadcast_ping(data, timeout=timeout)
    memory.close()
