"""
C{pool.ping()}: one round trip on one open connection.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock

from wsmultipool.errors import (
    CloseTimeout,
    ConnectionDropped,
    NotConnected,
    PingTimeout,
    PoolClosed,
)
from wsmultipool.testing import MemoryPool, MemoryServer

from .test_sending import fate, kinds, stall, texts


def slow(size: int = 1, latency: float = 0.5) -> MemoryPool:
    """
    Make a pool of open connections on which everything takes a while to arrive.
    """
    clock = Clock()
    memory = MemoryPool(server=MemoryServer(clock, latency=latency), clock=clock, pool_size=size)
    memory.pool.start()
    memory.advance(4)
    assert memory.pool.open_connections == size
    return memory


def close(memory: MemoryPool) -> None:
    """
    Close a pool for which that takes some time.
    """
    closed = fate(memory.pool.close())
    memory.advance(5)
    assert closed == [None]
    memory.close()


def test_ping_fires_with_the_seconds_of_the_round_trip() -> None:
    """
    The Deferred fires when the pong arrives, and the stats of that connection know it, too.
    """
    memory = slow()
    pinged = fate(memory.pool.ping(b"are you there?"))
    memory.advance(0.75)
    assert pinged == []
    memory.advance(0.25)
    assert pinged == [pytest.approx(1)]
    assert memory.server.peers[0].pings == [b"are you there?"]
    assert memory.pool.get_stats().connections[0].latency == pytest.approx(1)
    close(memory)


def test_connections_are_pinged_in_turn() -> None:
    """
    Without a choice of its own, the caller pings one connection after the other.
    """
    memory = MemoryPool(pool_size=3)
    memory.open()
    for number in range(4):
        memory.result(memory.pool.ping(f"{number}"))
    assert [peer.pings for peer in memory.server.peers] == [[b"0", b"3"], [b"1"], [b"2"]]
    memory.close()


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        (b"", b""),
        ("Grüße", "Grüße".encode()),
        (b"x" * 125, b"x" * 125),
        (bytearray(b"array"), b"array"),
        (memoryview(b"view"), b"view"),
    ],
)
def test_a_ping_carries_up_to_125_bytes(data: Any, payload: bytes) -> None:
    """
    The peer gets exactly these bytes, and its pong repeats them.
    """
    memory = MemoryPool(pool_size=1)
    pongs: list[bytes] = []
    memory.pool.on("pong", lambda data, connection_id: pongs.append(data))
    memory.open()
    assert memory.result(memory.pool.ping(data)) == 0.0
    assert memory.server.peers[0].pings == [payload]
    assert pongs == [payload]
    memory.close()


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize(
    ("data", "timeout", "error"),
    [
        (b"x" * 126, None, ValueError),
        ("ü" * 63, None, ValueError),
        ("\ud800", None, ValueError),
        (12, None, TypeError),
        (None, None, TypeError),
        (b"", 0, ValueError),
        (b"", -1.0, ValueError),
        (b"", float("nan"), ValueError),
        (b"", "1", TypeError),
    ],
)
def test_a_mistake_of_the_caller_is_raised_at_once(
    data: Any, timeout: Any, error: type[Exception], is_open: bool
) -> None:
    """
    A ping of 126 bytes, or with a bad C{timeout}, raises; nothing is sent.
    """
    memory = MemoryPool(pool_size=1)
    if is_open:
        memory.open()
    with pytest.raises(error):
        memory.pool.ping(data, timeout=timeout)
    memory.settle()
    assert [peer.pings for peer in memory.server.peers] == [[]] * is_open
    memory.close()


def test_a_ping_needs_a_connection() -> None:
    """
    With no connection open, it fails with L{NotConnected} at once; nothing is queued.
    """
    memory = MemoryPool(pool_size=1)
    assert kinds(fate(memory.pool.ping())) == [NotConnected]
    memory.open()
    assert memory.server.peers[0].pings == []
    memory.server.peers[0].drop()
    memory.settle()
    assert kinds(fate(memory.pool.ping(timeout=1))) == [NotConnected]
    memory.close()


def test_a_ping_without_a_pong_times_out() -> None:
    """
    After C{timeout} it fails with L{PingTimeout}; a pong that comes later does no harm.
    """
    memory = slow(latency=2)
    late, patient = fate(memory.pool.ping(b"1", timeout=1.5)), fate(memory.pool.ping(b"2"))
    memory.advance(1.4)
    assert late == []
    memory.advance(0.1)
    (error,) = late
    assert isinstance(error, PingTimeout)
    assert isinstance(error, TimeoutError)
    assert error.timeout == 1.5
    assert str(error) == "no pong within 1.5 s"
    memory.advance(3)
    assert patient == [pytest.approx(4)]
    assert memory.pool.open_connections == 1
    closed = fate(memory.pool.close())
    memory.advance(30)
    assert closed == [None]


def test_a_pong_in_time_leaves_no_timer() -> None:
    """
    Once answered, C{timeout} means nothing any more.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    assert memory.result(memory.pool.ping(timeout=60)) == 0.0
    assert memory.clock.getDelayedCalls() == []
    memory.close()


def test_a_ping_without_a_timeout_waits_as_long_as_the_connection_lasts() -> None:
    """
    It fails with the reason for which the connection was lost.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    memory.server.peers[0].stop_reading()
    pinged = fate(memory.pool.ping())
    memory.advance(1000)
    assert pinged == []
    memory.server.peers[0].drop()
    memory.settle()
    assert kinds(pinged) == [ConnectionDropped]
    memory.close()


def test_cancelling_forgets_a_ping() -> None:
    """
    The Deferred fails with C{CancelledError}, its timer is gone, and the pong is nobody's.
    """
    memory = slow()
    ping = memory.pool.ping(b"1", timeout=60)
    cancelled, other = fate(ping), fate(memory.pool.ping(b"2", timeout=60))
    ping.cancel()
    assert kinds(cancelled) == [CancelledError]
    memory.advance(1)
    assert other == [pytest.approx(1)]
    assert memory.clock.getDelayedCalls() == []
    close(memory)


def test_a_pong_answers_its_own_ping_and_those_before() -> None:
    """
    A peer may answer only the latest of several pings (RFC 6455, section 5.5.3); a pong that
    nobody asked for answers none.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    peer = memory.server.peers[0]
    peer.stop_reading()
    pinged = [fate(memory.pool.ping(f"{number}")) for number in range(3)]
    peer.pong(b"unsolicited")
    memory.settle()
    assert pinged == [[], [], []]
    memory.advance(2)
    peer.pong(b"1")
    memory.settle()
    assert pinged == [[2.0], [2.0], []]
    peer.pong(b"0")
    memory.settle()
    assert pinged[2] == []
    peer.resume_reading()
    memory.settle()
    assert pinged[2] == [2.0]
    memory.close()


def test_pings_with_the_same_data_are_answered_one_by_one() -> None:
    """
    Of several pings that look the same, each pong answers the oldest.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    peer = memory.server.peers[0]
    peer.stop_reading()
    pinged = [fate(memory.pool.ping()) for _ in range(2)]
    peer.pong(b"")
    memory.settle()
    assert pinged == [[0.0], []]
    peer.resume_reading()
    memory.settle()
    assert pinged == [[0.0], [0.0]]
    memory.close()


def test_a_full_connection_can_be_pinged() -> None:
    """
    Backpressure does not refuse pings: with every connection full, the first one is pinged.
    """
    memory = MemoryPool(pool_size=2)
    memory.open()
    stall(memory)
    pinged = fate(memory.pool.ping())
    memory.settle()
    assert pinged == []
    for peer in memory.server.peers:
        peer.resume_reading()
    memory.settle()
    assert pinged == [0.0]
    assert [peer.pings for peer in memory.server.peers] == [[b""], []]
    memory.close()


def test_a_connection_that_is_not_full_is_pinged_rather() -> None:
    """
    A ping does not queue behind much data where it need not.
    """
    memory = MemoryPool(pool_size=2)
    memory.open()
    stall(memory)
    memory.server.peers[1].resume_reading()
    memory.settle()
    assert [memory.result(memory.pool.ping()) for _ in range(3)] == [0.0] * 3
    assert len(memory.server.peers[1].pings) == 3
    memory.close()


def test_a_ping_comes_after_the_messages_sent_before_it() -> None:
    """
    Frames are sent in order, so a pong means that earlier messages on that connection arrived.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    received: list[list[str]] = []
    memory.pool.send("before")
    memory.pool.ping().addCallback(lambda _: received.append(texts(memory.server.peers[0])))
    memory.settle()
    assert received == [["before"]]
    memory.close()


@pytest.mark.parametrize("end", ["close", "destroy"])
def test_after_the_end_a_ping_fails(end: str) -> None:
    """
    Pings under way fail when their connection ends; later ones with L{PoolClosed} at once.
    """
    memory = MemoryPool(pool_size=2)
    memory.open()
    for peer in memory.server.peers:
        peer.stop_reading()
    pinged = [fate(memory.pool.ping(timeout=60)), fate(memory.pool.ping())]
    if end == "close":
        fate(memory.pool.close())
    else:
        memory.pool.destroy()
    assert kinds(fate(memory.pool.ping())) == [PoolClosed]
    memory.close()
    error = CloseTimeout if end == "close" else ConnectionDropped
    assert [kinds(each) for each in pinged] == [[error], [error]]
    assert kinds(fate(memory.pool.ping())) == [PoolClosed]


def test_a_pool_that_drains_is_not_pinged() -> None:
    """
    After C{close(drain=...)} no new ping is accepted, though connections are still open.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    stall(memory)
    fate(memory.pool.send("waits"))
    fate(memory.pool.close(drain=5))
    assert kinds(fate(memory.pool.ping())) == [PoolClosed]
    memory.server.peers[0].resume_reading()
    memory.close()
    assert texts(memory.server.peers[0]) == ["waits"]
