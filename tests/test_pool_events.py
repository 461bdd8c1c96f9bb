"""
Which events a pool emits, in which order, and what handlers may do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
from twisted.internet.defer import Deferred, fail

from wsmultipool import (
    ConnectionDropped,
    EventName,
    GaveUp,
    PooledConnection,
    TransportFailed,
    noop_logger,
)
from wsmultipool.testing import MemoryPool

from .leftovers import LoggedFailures

Told = list[tuple[Any, ...]]


def told_by(memory: MemoryPool) -> Told:
    """
    Collect all events of a pool, each as its name and arguments.
    """
    told: Told = []

    def listen(event: Any) -> None:
        memory.pool.on(event, lambda *args: told.append((event, *args)))

    for event in get_args(EventName):
        listen(event)
    return told


def names(told: Told) -> list[str]:
    """The names of the events, in order."""
    return [event[0] for event in told]


def quiet(size: int, **options: Any) -> tuple[MemoryPool, Told]:
    """
    Build a pool that logs nothing, and collect its events.
    """
    memory = MemoryPool(pool_size=size, logger=noop_logger, **options)
    return memory, told_by(memory)


def test_events_of_a_whole_life() -> None:
    """upgrade, open, ready, error, close, empty; and again after a reconnect."""
    memory, told = quiet(1)
    memory.open()
    assert names(told) == ["upgrade", "open", "pool:ready"]
    assert ("open", 0) in told
    told.clear()
    memory.server.peers[0].drop()
    memory.settle()
    assert names(told) == ["error", "close", "pool:empty"]
    assert isinstance(told[0][1], ConnectionDropped)
    assert told[0][2] == 0
    assert ("close", 0, 1006, "") in told
    told.clear()
    memory.advance(1)
    assert names(told) == ["upgrade", "open", "pool:ready"]
    told.clear()
    memory.close()
    assert told == [("close", 0, 1000, ""), ("pool:empty",)]


def test_events_ready_comes_with_the_last_connection_each_time() -> None:
    """pool:ready once when all are open, and again only after it had ceased to be true."""
    memory, told = quiet(3)
    memory.open()
    assert names(told).count("pool:ready") == 1
    assert names(told)[-1] == "pool:ready"
    told.clear()
    memory.server.peers[1].drop()
    memory.advance(1)
    assert names(told) == ["error", "close", "upgrade", "open", "pool:ready"]
    told.clear()
    memory.server.peers[0].drop()
    memory.server.peers[2].drop()
    memory.advance(1)
    assert names(told).count("pool:ready") == 1
    memory.close()


def test_events_empty_comes_after_the_last_close_each_time() -> None:
    """pool:empty when the last open connection closed; not while another is open."""
    memory, told = quiet(2)
    memory.open()
    told.clear()
    memory.server.refuse()
    memory.server.peers[0].drop()
    memory.advance(5)
    assert "pool:empty" not in names(told)
    memory.server.peers[1].drop()
    memory.settle()
    assert names(told)[-2:] == ["close", "pool:empty"]
    memory.advance(20)
    assert names(told).count("pool:empty") == 1
    memory.server.accept()
    memory.advance(30)
    memory.close()
    assert names(told).count("pool:empty") == 2
    assert names(told)[-1] == "pool:empty"


def test_events_of_connections_lost_together() -> None:
    """Two connections lost in one turn: each closes, and the pool is empty after the second."""
    memory, told = quiet(2)
    memory.open()
    told.clear()
    for peer in memory.server.peers:
        peer.drop()
    memory.settle()
    assert names(told) == ["error", "close", "error", "close", "pool:empty"]
    memory.close()


@pytest.mark.parametrize("trouble", ["refuse", "reject", "silent", "garbage", "hook"])
def test_events_a_connection_that_never_opened_closes_nothing(trouble: str) -> None:
    """A failed attempt is an error, never a close, and never makes a pool empty."""

    def on_connect(connection: PooledConnection) -> None:
        if trouble == "hook":
            raise ValueError

    memory, told = quiet(2, open_timeout=1, on_connect=on_connect)
    if trouble == "refuse":
        memory.server.refuse()
    elif trouble == "reject":
        memory.server.reject(500)
    elif trouble == "silent":
        memory.server.be_silent()
    elif trouble == "garbage":
        memory.server.answer(b"what?")
    memory.pool.start()
    memory.advance(30)
    memory.close()
    assert names(told).count("error") >= 4
    assert set(names(told)) <= {"error", "upgrade", "unexpected-response"}


def test_events_of_a_close_by_the_peer() -> None:
    """close has the peer's code and reason; a clean close is no error."""
    memory, told = quiet(1)
    memory.open()
    told.clear()
    memory.server.peers[0].close(1012, "rébooting")
    memory.settle()
    assert told == [("close", 0, 1012, "rébooting"), ("pool:empty",)]
    memory.close()


def test_events_of_a_close_by_us_have_the_peers_code() -> None:
    """A peer echoes our code; that is what close tells."""
    memory, told = quiet(1)
    memory.open()
    told.clear()
    memory.pool.close(4002, "done")
    memory.settle()
    assert names(told) == ["close", "pool:empty"]
    assert told[0][1] == 0
    memory.close()


def test_events_giving_up_is_an_error_after_the_last_failure() -> None:
    """GaveUp follows the error of the last attempt."""
    memory, told = quiet(1, max_reconnect_attempts=2)
    memory.server.refuse()
    memory.pool.start()
    memory.advance(100)
    assert [type(event[1]) for event in told] == [TransportFailed, TransportFailed, GaveUp]
    memory.close()


def test_events_drain_tells_how_many_had_waited() -> None:
    """drain comes when the queue of an outage was worked off, with the number of messages."""
    memory, told = quiet(2)
    for number in range(5):
        memory.pool.send(f"{number}")
    memory.open()
    drained = [event for event in told if event[0] == "drain"]
    assert drained == [("drain", 5)]
    told.clear()
    memory.result(memory.pool.send("at once"))
    assert "drain" not in names(told)
    memory.close()


def test_events_open_is_told_when_traffic_may_flow() -> None:
    """In an open handler the connection is open, counted, and can be sent on."""
    memory = MemoryPool(pool_size=2)
    counts: list[int] = []
    sent: list[int] = []

    def handler(connection_id: int) -> None:
        counts.append(memory.pool.open_connections)
        memory.pool.send(f"{connection_id}").addCallback(sent.append)

    memory.pool.on("open", handler)
    memory.open()
    assert counts == [1, 2]
    assert len(sent) == 2
    memory.close()


def test_events_close_is_told_when_it_is_closed() -> None:
    """In a close handler the connection is not open any more, in count and state."""
    memory, _ = quiet(2)
    seen: list[tuple[int, str]] = []
    memory.pool.on(
        "close",
        lambda connection_id, code, reason: seen.append(
            (
                memory.pool.open_connections,
                memory.pool.get_stats().connections[connection_id].state,
            )
        ),
    )
    memory.open()
    memory.server.peers[0].drop()
    memory.settle()
    assert seen == [(1, "closed")]
    memory.close()


# Handlers


EVENTS = ["message", "open", "close", "error", "drain", "pool:ready", "pool:empty", "upgrade"]
EVENTS += ["ping", "pong", "unexpected-response"]


def everything_happens(memory: MemoryPool) -> None:
    """Bring about each event at least once; the pool is open afterwards."""
    memory.server.reject(503)
    memory.pool.start()
    memory.settle()
    memory.server.accept()
    memory.pool.send("queued")
    memory.advance(2)
    peer = memory.server.open_peers[0]
    peer.send("hello")
    peer.ping(b"?")
    peer.pong(b"!")
    memory.settle()
    peer.drop()
    memory.advance(4)


def raise_value_error(*_: object) -> None:
    raise ValueError("broken handler")


async def raise_in_coroutine(*_: object) -> None:
    raise ValueError("broken handler")


def failed_deferred(*_: object) -> Deferred[None]:
    return fail(ValueError("broken handler"))


@pytest.mark.parametrize("handler", [raise_value_error, raise_in_coroutine, failed_deferred])
@pytest.mark.parametrize("event", EVENTS)
def test_events_broken_handlers_disturb_nothing(
    event: Any, handler: Callable[..., object], logged_failures: LoggedFailures
) -> None:
    """A handler that raises or fails is logged; other handlers, and the pool, do not notice."""
    memory = MemoryPool(pool_size=1, logger=noop_logger)
    memory.pool.on(event, handler)
    told = told_by(memory)
    everything_happens(memory)
    assert memory.pool.open_connections == 1
    happened = names(told).count(event)
    assert happened
    failures = logged_failures.flush(ValueError)
    assert len(failures) == happened
    memory.close()
    logged_failures.flush(ValueError)


def test_events_what_handlers_return_is_waited_for_by_nobody() -> None:
    """A handler that never ends holds nothing up."""
    memory, told = quiet(1)
    for event in EVENTS:
        memory.pool.on(event, lambda *args: Deferred())  # type: ignore[call-overload]
    everything_happens(memory)
    assert set(names(told)) >= set(EVENTS)
    memory.close()


def test_events_handlers_may_leave_in_the_middle() -> None:
    """off() inside a handler changes who is called next time, not this time."""
    memory = MemoryPool(pool_size=2)
    calls: list[str] = []

    def first(connection_id: int) -> None:
        calls.append("first")
        memory.pool.off("open", second)

    def second(connection_id: int) -> None:
        calls.append("second")

    memory.pool.on("open", first)
    memory.pool.on("open", second)
    memory.open()
    assert calls == ["first", "second", "first"]
    memory.close()


def test_events_once_is_once() -> None:
    """once() hears the first event only."""
    memory = MemoryPool(pool_size=3)
    opened: list[int] = []
    memory.pool.once("open", opened.append)
    memory.open()
    assert opened == [0]
    memory.close()


def test_events_listener_added_by_a_handler_hears_the_next() -> None:
    """A handler added inside a handler of the same event is called from the next one on."""
    memory = MemoryPool(pool_size=2)
    heard: list[int] = []
    memory.pool.once("open", lambda connection_id: memory.pool.on("open", heard.append))
    memory.open()
    assert heard == [1]
    memory.close()


@pytest.mark.parametrize("end", ["close", "destroy"])
@pytest.mark.parametrize("event", ["upgrade", "open", "pool:ready", "message"])
def test_events_handlers_may_end_the_pool(event: Any, end: str) -> None:
    """close() and destroy() in a handler end everything; open and close stay in balance."""
    memory, told = quiet(3)
    memory.pool.on(event, lambda *args: getattr(memory.pool, end)())
    memory.pool.start()
    memory.settle()
    for peer in memory.server.open_peers:
        peer.send("x")
    memory.advance(1)
    assert memory.pool.open_connections == 0
    assert names(told).count("open") == names(told).count("close")
    assert len(memory.server.attempts) == 3
    memory.advance(100)
    assert len(memory.server.attempts) == 3
    memory.close()


@pytest.mark.parametrize("end", ["close", "destroy"])
@pytest.mark.parametrize("event", ["error", "close", "pool:empty"])
def test_events_handlers_of_a_loss_may_end_the_pool(event: Any, end: str) -> None:
    """close() and destroy() in a handler of a lost connection: no other attempt is made."""
    memory, told = quiet(1)
    memory.open()
    memory.pool.on(event, lambda *args: getattr(memory.pool, end)())
    memory.server.peers[0].drop()
    memory.advance(100)
    assert names(told).count("close") == names(told).count("pool:empty") == 1
    assert len(memory.server.attempts) == 1
    memory.close()


def test_events_handlers_may_send_when_the_pool_is_empty() -> None:
    """What is sent in pool:empty waits for the next connection."""
    memory, _ = quiet(1)
    sent: list[int] = []
    memory.open()
    memory.pool.once("pool:empty", lambda: memory.pool.send("later").addCallback(sent.append))
    memory.server.peers[0].drop()
    memory.settle()
    assert sent == []
    memory.advance(1)
    assert sent == [0]
    assert memory.server.peers[1].received == [(b"later", False)]
    memory.close()


def test_events_resize_in_a_close_handler() -> None:
    """A connection that is let go while it tells of its end is not made again."""
    memory, told = quiet(2)
    memory.open()
    gone: list[object] = []
    memory.pool.once(
        "close", lambda *args: memory.pool.resize(1).addCallback(lambda _: gone.append(args))
    )
    memory.server.peers[0].drop()
    memory.advance(100)
    assert len(gone) == 1
    assert memory.pool.total_connections == memory.pool.open_connections == 1
    assert len(memory.server.attempts) == 2
    assert names(told).count("close") == 1
    memory.close()


def test_events_empty_is_told_although_another_connection_lingers() -> None:
    """A connection that hangs in its closing handshake is not open: the pool is empty."""
    connections: list[PooledConnection] = []
    memory, told = quiet(2, on_connect=connections.append, close_timeout=5)
    memory.open()
    told.clear()
    memory.server.peers[0].answers_close = False
    connections[0].close()
    memory.settle()
    memory.server.peers[1].drop()
    memory.settle()
    assert memory.pool.open_connections == 0
    memory.advance(6)
    assert names(told).count("pool:empty") == 1
    memory.close()
