"""
What the Node original gets wrong, one test each that fails if this library does the same.
"""

from __future__ import annotations

import gc
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from wsmultipool import (
    BufferFull,
    FragmentLost,
    GaveUp,
    HeartbeatTimeout,
    OpenTimeout,
    PoolClosed,
    PoolExhausted,
    ReconnectingPoolFactory,
    UpgradeRejected,
    noop_logger,
)
from wsmultipool.testing import MemoryPool, MemoryServer

KIB = 1024


def outcome(deferred: Deferred[Any]) -> list[Any]:
    """Collect what a Deferred comes to; empty as long as it is pending."""
    results: list[Any] = []
    deferred.addCallbacks(results.append, lambda failure: results.append(failure.value))
    return results


def test_audit_counts_stay_true_while_one_connection_fails() -> None:
    """A connection that never opens changes neither the open count nor makes the pool empty."""
    memory = MemoryPool(pool_size=3, logger=noop_logger)
    empty: list[bool] = []
    memory.pool.on("pool:empty", lambda: empty.append(True))
    memory.open()
    memory.server.refuse()
    memory.server.peers[0].drop()
    for _ in range(20):
        memory.advance(10)
        stats = memory.pool.get_stats()
        assert (stats.total, stats.open) == (3, 2)
        assert stats.open + stats.connecting + stats.closed == stats.total
        assert memory.pool.open_connections == 2
    assert empty == []
    memory.close()
    assert empty == [True]


@pytest.mark.parametrize("status", [401, 503])
def test_audit_a_rejected_upgrade_is_tried_again(status: int) -> None:
    """A server that rejects the upgrade does not leave a connection connecting for ever."""
    memory = MemoryPool(pool_size=1, logger=noop_logger)
    memory.server.reject(status, "No", body=b"go away")
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.pool.start()
    memory.settle()
    assert memory.pool.get_stats().connecting == 0
    assert isinstance(errors[0], UpgradeRejected)
    assert errors[0].status == status
    memory.server.accept()
    memory.advance(1)
    assert memory.pool.open_connections == 1
    memory.close()


def test_audit_a_silent_server_is_tried_again() -> None:
    """A server that accepts TCP and says nothing is given up after open_timeout."""
    memory = MemoryPool(pool_size=1, open_timeout=10, logger=noop_logger)
    memory.server.be_silent()
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.pool.start()
    memory.advance(9.9)
    assert memory.pool.get_stats().connecting == 1
    memory.advance(0.1)
    assert [type(error) for error in errors] == [OpenTimeout]
    memory.server.accept()
    memory.advance(1)
    assert memory.pool.open_connections == 1
    memory.close()


def test_audit_an_old_heartbeat_does_not_kill_the_successor() -> None:
    """A connection lost with a heartbeat ping under way leaves no timer that strikes later."""
    memory = MemoryPool(pool_size=1, heartbeat_interval=10, heartbeat_timeout=5, logger=noop_logger)
    memory.open()
    memory.server.peers[0].stop_reading()
    memory.advance(12)  # pinged at 10; without a pong it would be aborted at 15
    memory.server.peers[0].drop()
    memory.advance(1)
    successor = memory.server.peers[1]
    assert successor.is_open
    memory.advance(300)
    assert successor.is_open
    assert len(memory.server.peers) == 2
    memory.close()


def test_audit_any_byte_is_a_sign_of_life() -> None:
    """A connection on which messages arrive is not killed, though its pings are not answered."""
    memory = MemoryPool(pool_size=1, heartbeat_interval=10, heartbeat_timeout=5, logger=noop_logger)
    memory.open()
    peer = memory.server.peers[0]
    peer.stop_reading()  # so no pong will come
    for _ in range(30):
        memory.advance(4)
        peer.send("still here")
    memory.settle()
    assert peer.is_open
    assert len(memory.server.peers) == 1
    memory.close()


def test_audit_a_silent_peer_is_found_out() -> None:
    """A connection that went dead without notice is aborted after interval and timeout."""
    memory = MemoryPool(pool_size=1, heartbeat_interval=10, heartbeat_timeout=5, logger=noop_logger)
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.open()
    memory.server.peers[0].fall_silent()
    memory.advance(14.9)
    assert errors == []
    memory.advance(0.1)
    assert [type(error) for error in errors] == [HeartbeatTimeout]
    memory.advance(1)
    assert memory.pool.open_connections == 1
    memory.close()


@pytest.mark.parametrize("end", ["close", "destroy"])
def test_audit_the_end_settles_every_queued_send(end: str) -> None:
    """close() and destroy() fail what is still queued instead of forgetting it."""
    memory = MemoryPool(pool_size=1)
    queued = [outcome(memory.pool.send(f"{i}")) for i in range(3)]
    getattr(memory.pool, end)()
    assert [[type(error) for error in result] for result in queued] == [[PoolClosed]] * 3
    assert isinstance(outcome(memory.pool.send("late"))[0], PoolClosed)
    memory.close()


def test_audit_giving_up_settles_every_queued_send() -> None:
    """When the last connection gives up, what waits fails, and so does each later send at once."""
    memory = MemoryPool(pool_size=2, max_reconnect_attempts=3, logger=noop_logger)
    memory.server.refuse()
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    queued = outcome(memory.pool.send("never"))
    ready = outcome(memory.pool.when_ready())
    memory.pool.start()
    memory.advance(60)
    assert len(memory.server.attempts) == 6
    assert [type(error) for error in errors].count(GaveUp) == 2
    assert isinstance(queued[0], PoolExhausted)
    assert isinstance(ready[0], PoolExhausted)
    later = [outcome(memory.pool.send("never")) for _ in range(1000)]
    assert all(isinstance(result[0], PoolExhausted) for result in later)
    assert memory.pool.get_stats().queued_messages == 0
    memory.close()


def test_audit_close_does_not_wait_for_a_silent_peer() -> None:
    """close() is done within close_timeout although the peer never answers."""
    memory = MemoryPool(pool_size=2, close_timeout=5, logger=noop_logger)
    memory.open()
    memory.server.peers[0].answers_close = False
    memory.server.peers[1].fall_silent()
    closed = outcome(memory.pool.close())
    memory.advance(4.9)
    assert closed == []
    memory.advance(0.1)
    assert closed == [None]
    memory.close()


def test_audit_close_inside_a_close_listener_leaves_nothing_behind() -> None:
    """A pool closed by its own close listener does not connect again."""
    memory = MemoryPool(pool_size=2, logger=noop_logger)
    closed: list[Any] = []
    memory.pool.on("close", lambda *args: memory.pool.close().addCallback(closed.append))
    memory.open()
    memory.server.peers[0].drop()
    memory.advance(100)
    assert closed == [None, None]
    assert len(memory.server.attempts) == 2
    memory.close()


def test_audit_an_error_without_a_listener_is_only_logged() -> None:
    """Nobody needs to listen to errors to stay alive."""
    lines: list[str] = []

    from zope.interface import implementer

    from wsmultipool import IPoolLogger

    @implementer(IPoolLogger)
    class Recorder:
        def debug(self, message: str, *args: object) -> None: ...

        info = warn = debug

        def error(self, message: str, *args: object) -> None:
            lines.append(message % args)

    memory = MemoryPool(pool_size=1, logger=Recorder(), name="quotes")
    memory.server.refuse()
    memory.pool.start()
    memory.settle()
    assert len(lines) == 1
    assert "quotes: connection 0: no connection could be made" in lines[0]
    memory.close()


def test_audit_a_server_that_drops_at_once_is_not_hammered() -> None:
    """Opening does not reset the backoff; staying open for min_uptime does."""
    memory = MemoryPool(pool_size=1, logger=noop_logger)
    memory.server.drop_when_open()
    memory.pool.start()
    memory.advance(10)
    # After 0, 1, 3 and 7 seconds: the delays are 1, 2, 4, 8 ...
    assert memory.server.attempts == [0, 1, 3, 7]
    memory.server.accept()
    memory.advance(10)
    assert memory.pool.open_connections == 1
    memory.server.peers[-1].drop()
    before = len(memory.server.attempts)
    memory.advance(8)
    assert len(memory.server.attempts) == before + 1, "no min_uptime yet: 16 s, or reset: 1 s"
    memory.close()


def test_audit_drops_at_once_count_as_attempts() -> None:
    """The attempt limit holds for connections that open and are dropped before min_uptime."""
    memory = MemoryPool(pool_size=1, max_reconnect_attempts=4, logger=noop_logger)
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.server.drop_when_open()
    memory.pool.start()
    memory.advance(1000)
    assert len(memory.server.attempts) == 4
    assert isinstance(errors[-1], GaveUp)
    memory.close()


def test_audit_fragments_stay_on_one_connection() -> None:
    """The fragments of a message are neither sprayed over connections nor mixed with others."""
    memory = MemoryPool(pool_size=3)
    memory.open()
    sent = [memory.pool.send("a", fin=False, key="m")]
    sent += [memory.pool.send(f"other {i}") for i in range(6)]
    sent += [memory.pool.send("b", fin=False, key="m"), memory.pool.send("c", key="m")]
    memory.settle()
    ids = [memory.result(deferred) for deferred in sent]
    assert ids[0] == ids[7] == ids[8]
    received = [message for peer in memory.server.peers for message in peer.received]
    assert sorted(received) == sorted(
        [(b"abc", False), *((f"other {i}".encode(), False) for i in range(6))]
    )
    assert not any(peer.close_received for peer in memory.server.peers)
    memory.close()


def test_audit_lost_fragments_are_reported() -> None:
    """A fragmented message whose connection is lost fails; no torso of it is sent."""
    memory = MemoryPool(pool_size=2, logger=noop_logger)
    memory.open()
    first = memory.result(memory.pool.send("a", fin=False, key="m"))
    memory.server.peers[first].drop()
    memory.settle()
    assert isinstance(outcome(memory.pool.send("b", fin=False, key="m"))[0], FragmentLost)
    assert isinstance(outcome(memory.pool.send("c", key="m"))[0], FragmentLost)
    assert memory.result(memory.pool.send("whole again", key="m")) != first
    memory.close()


def test_audit_a_reader_that_does_not_read_costs_bounded_memory() -> None:
    """What a stalled peer does not take is refused at max_buffered_bytes."""
    memory = MemoryPool(pool_size=2, max_buffered_bytes=1024 * KIB)
    memory.open()
    for peer in memory.server.peers:
        peer.stop_reading()
    results = [outcome(memory.pool.send(bytes(64 * KIB))) for _ in range(100)]
    refused = [result for result in results if result and isinstance(result[0], BufferFull)]
    stats = memory.pool.get_stats()
    held = stats.queued_bytes + sum(c.buffered_bytes for c in stats.connections)
    assert len(refused) >= 80
    # Frame headers, and one message of tolerance.
    assert held <= 1024 * KIB + 64 * KIB + 100
    memory.close()


def test_audit_a_stalled_connection_is_not_fed() -> None:
    """Round robin skips a connection that does not take more; its share goes to the others."""
    memory = MemoryPool(pool_size=4)
    memory.open()
    memory.server.peers[0].stop_reading()
    stuck = 0
    for number in range(200):
        sent = memory.pool.send(bytes(16 * KIB))
        memory.settle()
        stuck += not outcome(sent)
        assert stuck == 0, f"message {number} is stuck"
    delivered = sum(len(peer.received) for peer in memory.server.peers[1:])
    assert delivered >= 200 - 6
    memory.close()


def test_audit_a_closing_connection_is_not_chosen() -> None:
    """From the moment a Close frame is seen, the connection gets no more messages."""
    memory = MemoryPool(pool_size=2)
    memory.open()
    closing = memory.server.peers[0]
    closing.drops_tcp = False
    closing.close(1012, "restart")
    memory.settle()
    assert memory.pool.open_connections == 1
    assert {memory.result(memory.pool.send("x")) for _ in range(10)} == {1}
    assert closing.received == []
    memory.advance(5)
    memory.close()


def test_audit_the_queue_is_shared_by_the_connections_that_open() -> None:
    """The first connection to open takes what it can; the rest of the queue is the others'."""
    memory = MemoryPool(pool_size=3)
    queued = [outcome(memory.pool.send(bytes(16 * KIB))) for _ in range(15)]
    memory.open()
    assert all(queued)
    shares = [len(peer.received) for peer in memory.server.peers]
    assert sum(shares) == 15
    assert min(shares) >= 4
    memory.close()


def test_audit_a_send_inside_open_does_not_overtake_the_queue() -> None:
    """What waited is sent before what an open listener sends."""
    memory = MemoryPool(pool_size=1)
    memory.pool.on("open", lambda connection_id: memory.pool.send("new"))
    for number in range(5):
        memory.pool.send(f"old {number}")
    memory.open()
    received = [data for data, _ in memory.server.peers[0].received]
    assert received == [b"old 0", b"old 1", b"old 2", b"old 3", b"old 4", b"new"]
    memory.close()


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"pool_size": 0}, ValueError, "pool_size"),
        ({"reconnect_interval": float("nan")}, ValueError, "reconnect_interval"),
        ({"pool_sise": 4}, TypeError, "pool_size"),
    ],
)
def test_audit_nonsense_is_refused(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    """A pool of size 0, NaN, and a misspelt option are refused by name."""
    with pytest.raises(error, match=text):
        MemoryPool(**options)


def test_audit_loss_under_graceful_churn() -> None:
    """With a connection closed every 50 ms by the server, no message is lost or doubled."""
    memory = MemoryPool(pool_size=4, reconnect_interval=0.05, message_queue_size=100_000)
    memory.open()
    sent = []
    for number in range(2_000):
        sent.append(outcome(memory.pool.send(f"{number}")))
        if number % 50 == 0:
            open_peers = memory.server.open_peers
            if open_peers:
                open_peers[number % len(open_peers)].close(1012, "restart")
            memory.advance(0.05)
    memory.advance(60)
    assert all(sent)
    received = [int(data) for peer in memory.server.peers for data, _ in peer.received]
    assert sorted(received) == list(range(2_000))
    memory.close()


def test_audit_no_garbage_is_left_that_holds_the_pool() -> None:
    """A pool that was closed and let go leaves no reference cycle with a timer or transport."""
    memory = MemoryPool(pool_size=3)
    memory.open()
    memory.close()
    clock = memory.clock
    del memory
    gc.collect()
    pools = [o for o in gc.get_objects() if isinstance(o, ReconnectingPoolFactory)]
    servers = [o for o in gc.get_objects() if isinstance(o, MemoryServer)]
    assert clock.getDelayedCalls() == []
    assert pools == []
    assert servers == []
