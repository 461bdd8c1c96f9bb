"""
More connections, or fewer, while the pool runs.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from wsmultipool import GaveUp, PoolExhausted, noop_logger
from wsmultipool.testing import MemoryPool


def outcome(deferred: Deferred[Any]) -> list[Any]:
    """Collect what a Deferred comes to; empty as long as it is pending."""
    results: list[Any] = []
    deferred.addCallbacks(results.append, lambda failure: results.append(failure.value))
    return results


def opened(size: int, **options: Any) -> tuple[MemoryPool, list[str]]:
    """
    Open a pool; returns it, and the names of the events from then on.
    """
    memory = MemoryPool(pool_size=size, logger=noop_logger, **options)
    memory.open()
    events: list[str] = []
    memory.pool.on("open", lambda connection_id: events.append(f"open {connection_id}"))
    memory.pool.on("close", lambda connection_id, code, _: events.append(f"close {connection_id}"))
    memory.pool.on("pool:ready", lambda: events.append("ready"))
    memory.pool.on("pool:empty", lambda: events.append("empty"))
    return memory, events


def ids(memory: MemoryPool) -> list[int]:
    """The ids of the connections that the pool keeps."""
    return [connection.id for connection in memory.pool.get_stats().connections]


def test_resize_grows() -> None:
    """New connections are made at once; the pool is ready again when they are open."""
    memory, events = opened(2)
    assert outcome(memory.pool.resize(4)) == [None]
    assert memory.pool.total_connections == 4
    assert memory.pool.open_connections == 2
    ready = outcome(memory.pool.when_ready())
    assert ready == []
    memory.settle()
    memory.settle()
    assert events == ["open 2", "open 3", "ready"]
    assert ready == [None]
    assert ids(memory) == [0, 1, 2, 3]
    memory.close()


def test_resize_shrinks_by_closing_with_1000() -> None:
    """The youngest connections leave with a closing handshake; the Deferred fires when gone."""
    memory, _ = opened(4)
    gone = outcome(memory.pool.resize(2))
    assert gone == []
    assert memory.pool.total_connections == memory.pool.open_connections == 2
    memory.settle()
    memory.settle()
    assert gone == [None]
    assert ids(memory) == [0, 1]
    assert [peer.close_received for peer in memory.server.peers] == [
        None,
        None,
        (1000, ""),
        (1000, ""),
    ]
    memory.advance(100)
    assert len(memory.server.attempts) == 4
    memory.close()


def test_resize_shrinking_a_ready_pool_is_no_news() -> None:
    """A pool that was ready all the time does not become ready by losing a surplus connection."""
    memory, events = opened(3)
    memory.pool.resize(2)
    memory.settle()
    memory.settle()
    assert events == ["close 2"]
    assert outcome(memory.pool.when_ready()) == [None]
    memory.close()


def test_resize_shrinking_may_make_ready() -> None:
    """Without the connection that was missing, all are open."""
    memory, events = opened(2)
    memory.server.refuse()
    memory.server.peers[0].drop()
    memory.settle()
    events.clear()
    ready = outcome(memory.pool.when_ready())
    assert outcome(memory.pool.resize(1)) == [None]
    assert ids(memory) == [1], "the open one stays"
    assert events == ["ready"]
    assert ready == [None]
    memory.close()


def test_resize_lets_connections_go_that_are_not_open_first() -> None:
    """Whatever their age, those that are waiting or connecting leave before open ones."""
    memory, _ = opened(3)
    memory.server.be_silent()
    memory.server.peers[1].drop()
    memory.advance(1)
    memory.pool.resize(2)
    assert ids(memory) == [0, 2]
    memory.close()


def test_resize_keeps_those_that_still_try() -> None:
    """Between one that gave up and one that is still trying, the former leaves."""
    memory, _ = opened(2, max_reconnect_attempts=2)
    memory.server.refuse()
    memory.server.peers[0].drop()
    memory.advance(5)  # the first has given up
    memory.server.peers[1].drop()
    memory.settle()
    memory.pool.resize(1)
    memory.server.accept()
    memory.advance(5)
    assert ids(memory) == [1]
    assert memory.pool.open_connections == 1
    memory.close()


def test_resize_with_connections_that_gave_up_leaves_nothing_hanging() -> None:
    """Whichever connection leaves, what is sent afterwards is delivered, or fails."""
    memory, _ = opened(2, max_reconnect_attempts=2)
    memory.server.refuse()
    memory.server.peers[0].drop()
    memory.advance(5)  # the first has given up
    memory.server.peers[1].drop()
    memory.settle()
    ready = outcome(memory.pool.when_ready())
    memory.pool.resize(1)
    sent = outcome(memory.pool.send("x"))
    memory.server.accept()
    memory.advance(100)
    assert len(ready) == 1
    assert len(sent) == 1
    memory.close()


def test_resize_delivers_what_leaving_connections_had_taken() -> None:
    """Shrinking loses no message: what was taken is written before the Close frame."""
    memory, _ = opened(3)
    for number in range(9):
        memory.pool.send(f"{number}")
    memory.pool.resize(1)
    memory.settle()
    memory.settle()
    received = sorted(data for peer in memory.server.peers for data, _ in peer.received)
    assert received == [b"%d" % number for number in range(9)]
    memory.close()


def test_resize_cancelled_leaves_nothing_but_the_new_size() -> None:
    """Its Deferred fails, and only that: the connections close all the same."""
    memory, _ = opened(3)
    for peer in memory.server.peers:
        peer.answers_close = False
    resized = memory.pool.resize(1)
    results = outcome(resized)
    memory.settle()
    assert results == []
    resized.cancel()
    assert [type(result) for result in results] == [CancelledError]
    memory.advance(memory.pool.options.close_timeout)
    assert ids(memory) == [0]
    assert not any(peer.connected for peer in memory.server.peers[1:])
    memory.close()


def test_resize_counters_survive_the_connections() -> None:
    """Counters of the pool go on counting what connections did that have left."""
    memory, _ = opened(3)
    for number in range(9):
        memory.pool.send(f"{number}")
    for peer in memory.server.peers:
        peer.send("abc")
    memory.settle()
    memory.server.peers[2].drop()
    memory.advance(1)
    before = memory.pool.get_stats()
    memory.pool.resize(1)
    during = memory.pool.get_stats()
    memory.settle()
    memory.settle()
    after = memory.pool.get_stats()
    for stats in (before, during, after):
        assert (stats.sent_messages, stats.sent_bytes) == (9, 9)
        assert (stats.received_messages, stats.received_bytes) == (3, 9)
        assert stats.reconnects == 1
    assert len(after.connections) == 1
    memory.close()


def test_resize_before_start() -> None:
    """A pool may change its size before it starts; then it connects that many."""
    memory = MemoryPool(pool_size=2)
    assert outcome(memory.pool.resize(5)) == [None]
    assert outcome(memory.pool.resize(3)) == [None]
    assert memory.server.attempts == []
    memory.open()
    assert len(memory.server.attempts) == 3
    memory.close()


def test_resize_to_the_same_size_does_nothing() -> None:
    """Nothing happens if nothing is to change."""
    memory, events = opened(2)
    assert outcome(memory.pool.resize(2)) == [None]
    memory.settle()
    assert events == []
    memory.close()


def test_resize_never_uses_an_id_twice() -> None:
    """Connections that are added later have new ids, so that events cannot be confused."""
    memory, _ = opened(3)
    memory.pool.resize(1)
    memory.pool.resize(3)
    memory.settle()
    memory.settle()
    assert ids(memory) == [0, 3, 4]
    memory.close()


def test_resize_revives_a_pool_that_gave_up() -> None:
    """New connections are new hope: sends are accepted again."""
    memory = MemoryPool(pool_size=1, max_reconnect_attempts=1, logger=noop_logger)
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.server.refuse()
    memory.pool.start()
    memory.settle()
    assert isinstance(outcome(memory.pool.send("x"))[0], PoolExhausted)
    memory.server.accept()
    memory.pool.resize(2)
    sent = outcome(memory.pool.send("y"))
    memory.settle()
    memory.settle()
    assert sent == [1]
    memory.server.refuse()
    memory.server.peers[0].drop()
    memory.advance(10)
    assert [type(error) for error in errors].count(GaveUp) == 2
    assert isinstance(outcome(memory.pool.send("z"))[0], PoolExhausted)
    memory.close()


def test_resize_while_leaving_connections_linger() -> None:
    """A peer that does not answer the Close frame is cut off after close_timeout."""
    memory, events = opened(2, close_timeout=3)
    memory.server.peers[1].answers_close = False
    gone = outcome(memory.pool.resize(1))
    memory.advance(2.9)
    assert gone == []
    memory.advance(0.1)
    assert gone == [None]
    assert "empty" not in events
    memory.close()


@pytest.mark.parametrize(
    ("size", "error"),
    [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError), (True, TypeError)],
)
def test_resize_refuses_nonsense(size: Any, error: type[Exception]) -> None:
    """A pool has at least one connection, and a whole number of them."""
    memory, _ = opened(2)
    with pytest.raises(error, match="size"):
        memory.pool.resize(size)
    assert memory.pool.total_connections == 2
    memory.close()
