"""
The end of a pool.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.application.service import IService, MultiService
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from zope.interface import implementer
from zope.interface.verify import verifyObject

from wsmultipool import (
    IPoolLogger,
    NotConnected,
    PoolClosed,
    PoolExhausted,
    PoolService,
    ReconnectingPoolFactory,
    noop_logger,
)
from wsmultipool.testing import MemoryPool


def outcome(deferred: Deferred[Any]) -> list[Any]:
    """Collect what a Deferred comes to; empty as long as it is pending."""
    results: list[Any] = []
    deferred.addCallbacks(results.append, lambda failure: results.append(failure.value))
    return results


def types(*results: list[Any]) -> list[type]:
    """The types of what Deferreds came to, each of which has fired."""
    assert all(len(result) == 1 for result in results)
    return [type(result[0]) for result in results]


# close()


def test_close_does_the_closing_handshake_on_all() -> None:
    """Every peer gets the code and reason; then the Deferred fires."""
    memory = MemoryPool(pool_size=3)
    memory.open()
    closed = outcome(memory.pool.close(4100, "good bye, übrigens"))
    assert closed == []
    assert memory.pool.open_connections == 0
    memory.settle()
    memory.settle()
    assert closed == [None]
    assert [peer.close_received for peer in memory.server.peers] == [
        (4100, "good bye, übrigens")
    ] * 3
    assert not any(peer.connected for peer in memory.server.peers)
    memory.close()


def test_close_says_1000_by_default() -> None:
    """Without arguments the code is 1000 and there is no reason."""
    memory = MemoryPool(pool_size=1)
    memory.open()
    memory.close()
    assert memory.server.peers[0].close_received == (1000, "")


def test_close_waits_for_all_connections_in_parallel() -> None:
    """One peer that does not answer costs close_timeout, and so do ten."""
    memory = MemoryPool(pool_size=10, close_timeout=2, logger=noop_logger)
    memory.open()
    for peer in memory.server.peers[1:]:
        peer.answers_close = False
    closed = outcome(memory.pool.close())
    memory.advance(1.9)
    assert closed == []
    assert [c.state for c in memory.pool.get_stats().connections].count("closing") == 9
    memory.advance(0.1)
    assert closed == [None]
    memory.close()


def test_close_aborts_peers_that_keep_tcp() -> None:
    """A peer that answers the Close frame and keeps TCP open does not hold up the end."""
    memory = MemoryPool(pool_size=1, close_timeout=2, logger=noop_logger)
    memory.open()
    memory.server.peers[0].drops_tcp = False
    closed = outcome(memory.pool.close())
    memory.advance(1.9)
    assert closed == []
    memory.advance(0.1)
    assert closed == [None]
    memory.settle()
    assert not memory.server.peers[0].connected
    memory.close()


def test_close_twice_fires_twice_and_changes_nothing() -> None:
    """Each call has its own Deferred; the first call's code counts; afterwards it is at once."""
    memory = MemoryPool(pool_size=1)
    memory.open()
    first, second = outcome(memory.pool.close(4001)), outcome(memory.pool.close(4002, drain=9))
    memory.settle()
    memory.settle()
    assert (first, second) == ([None], [None])
    assert memory.server.peers[0].close_received == (4001, "")
    assert outcome(memory.pool.close()) == [None]
    memory.close()


def test_close_may_be_cancelled_which_stops_only_the_waiting() -> None:
    """Cancelling the Deferred of close() does not undo the close."""
    memory = MemoryPool(pool_size=1)
    memory.open()
    waiting = memory.pool.close()
    other = outcome(memory.pool.close())
    result = outcome(waiting)
    waiting.cancel()
    assert types(result) == [CancelledError]
    memory.settle()
    memory.settle()
    assert other == [None]
    memory.close()


@pytest.mark.parametrize("which", ["close", "when_open", "when_ready"])
def test_close_waiters_may_cancel_each_other(which: str) -> None:
    """In the callback of one Deferred, another of the same call may be cancelled."""
    memory = MemoryPool(pool_size=1)
    if which == "close":
        memory.open()
    wait = getattr(memory.pool, which)
    first, second = wait(), wait()
    raised: list[Exception] = []

    def cancel(_: object) -> None:
        try:
            second.cancel()
        except Exception as error:
            raised.append(error)

    first.addCallback(cancel)
    results = [outcome(first), outcome(second)]
    if which != "close":
        memory.open()
    memory.settle()
    memory.settle()
    assert raised == []
    assert [len(result) for result in results] == [1, 1]
    memory.close()


def test_close_before_start() -> None:
    """A pool that never started is closed at once, and can't be started any more."""
    memory = MemoryPool(pool_size=2)
    assert outcome(memory.pool.close()) == [None]
    memory.pool.start()
    memory.advance(10)
    assert memory.server.attempts == []
    assert [c.state for c in memory.pool.get_stats().connections] == ["closed"] * 2
    memory.close()


def test_close_fails_what_waits_and_what_comes() -> None:
    """Queued sends, when_open() and when_ready() fail with PoolClosed; so do later calls."""
    memory = MemoryPool(pool_size=1, logger=noop_logger)
    memory.server.be_silent()
    memory.pool.start()
    pool = memory.pool
    waiting = [outcome(pool.send("x")), outcome(pool.when_open()), outcome(pool.when_ready())]
    waiting.append(outcome(pool.send("x", timeout=100)))
    pool.close()
    assert types(*waiting) == [PoolClosed] * 4
    late: list[Deferred[Any]] = [pool.send("x"), pool.when_open(), pool.when_ready()]
    late += [pool.ping(), pool.resize(3)]
    assert types(*map(outcome, late)) == [PoolClosed] * 5
    assert outcome(pool.broadcast("x")) == [[]]
    assert outcome(pool.broadcast_ping()) == [[]]
    memory.close()


def test_close_writes_what_was_taken() -> None:
    """Messages that a connection had taken leave before the Close frame."""
    memory = MemoryPool(pool_size=2)
    memory.open()
    for number in range(10):
        memory.pool.send(f"{number}")
    memory.pool.close()
    memory.settle()
    memory.settle()
    assert sum(len(peer.received) for peer in memory.server.peers) == 10
    memory.close()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"code": 999}, ValueError, "code"),
        ({"code": 1004}, ValueError, "code: 1004"),
        ({"code": 1005}, ValueError, "code: 1005"),
        ({"code": 1006}, ValueError, "code: 1006"),
        ({"code": 1015}, ValueError, "code: 1015"),
        ({"code": 2999}, ValueError, "code: 2999"),
        ({"code": 5000}, ValueError, "code"),
        ({"code": "1000"}, TypeError, "code"),
        ({"code": True}, TypeError, "code"),
        ({"code": None}, TypeError, "code"),
        ({"reason": "ü" * 62}, ValueError, "123 bytes"),
        ({"reason": b"bytes"}, TypeError, "reason"),
        ({"reason": None}, TypeError, "reason"),
        ({"reason": "\ud800"}, ValueError, "UTF-8"),
        ({"drain": -1}, ValueError, "drain"),
        ({"drain": float("nan")}, ValueError, "drain"),
        ({"drain": "1"}, TypeError, "drain"),
    ],
)
def test_close_refuses_what_cannot_be_sent(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    """Codes that may not be on the wire, too long reasons, nonsense: refused, nothing happens."""
    memory = MemoryPool(pool_size=1)
    memory.open()
    with pytest.raises(error, match=text):
        memory.pool.close(**arguments)
    assert memory.pool.open_connections == 1
    memory.close()


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 4999])
def test_close_sends_every_code_that_may_be_sent(code: int) -> None:
    """All codes that RFC 6455 and its registry let an endpoint send arrive, with the reason."""
    memory = MemoryPool(pool_size=1)
    memory.open()
    memory.pool.close(code, "ü" * 61)
    memory.settle()
    assert memory.server.peers[0].close_received == (code, "ü" * 61)
    memory.close()


# drain


def test_close_drains_the_queue_first() -> None:
    """With drain, what is queued is delivered when a connection comes, and then all is closed."""
    memory = MemoryPool(pool_size=2, logger=noop_logger)
    memory.server.refuse()
    memory.pool.start()
    sent = [outcome(memory.pool.send(f"{number}")) for number in range(5)]
    closed = outcome(memory.pool.close(4000, drain=10))
    assert types(outcome(memory.pool.send("new"))) == [PoolClosed]
    assert types(outcome(memory.pool.when_open())) == [PoolClosed]
    memory.server.accept()
    memory.advance(2)
    assert all(isinstance(result[0], int) for result in sent)
    assert closed == [None]
    received = sorted(data for peer in memory.server.peers for data, _ in peer.received)
    assert received == [b"0", b"1", b"2", b"3", b"4"]
    assert memory.server.peers[0].close_received == (4000, "")
    memory.close()


def test_close_drains_under_backpressure() -> None:
    """What waits because the peer does not read is delivered when it does."""
    memory = MemoryPool(pool_size=1)
    memory.open()
    peer = memory.server.peers[0]
    peer.stop_reading()
    sent = [outcome(memory.pool.send(bytes(70_000))) for _ in range(3)]
    assert sent[1:] == [[], []]
    closed = outcome(memory.pool.close(drain=60))
    memory.advance(30)
    assert closed == []
    peer.resume_reading()
    memory.advance(1)
    assert sent == [[0], [0], [0]]
    assert closed == [None]
    assert len(peer.received) == 3
    memory.close()


def test_close_gives_up_draining_in_time() -> None:
    """After so many seconds what is still queued fails with PoolClosed."""
    memory = MemoryPool(pool_size=1, logger=noop_logger)
    memory.server.refuse()
    memory.pool.start()
    sent = outcome(memory.pool.send("x"))
    closed = outcome(memory.pool.close(drain=7))
    memory.advance(6.9)
    assert (sent, closed) == ([], [])
    memory.advance(0.1)
    assert types(sent) == [PoolClosed]
    assert closed == [None]
    memory.close()


def test_close_reconnects_while_draining() -> None:
    """A connection lost while draining is made again, and the rest delivered on that."""
    memory = MemoryPool(pool_size=1, logger=noop_logger)
    memory.open()
    memory.server.peers[0].stop_reading()
    memory.pool.send(bytes(70_000))
    sent = outcome(memory.pool.send("the rest"))
    closed = outcome(memory.pool.close(drain=60))
    memory.settle()
    memory.server.peers[0].drop()
    memory.settle()
    assert (sent, closed) == ([], [])
    memory.advance(2)
    assert sent == [0]
    assert closed == [None]
    assert memory.server.peers[1].received == [(b"the rest", False)]
    memory.close()


@pytest.mark.parametrize("drain", [None, 0, 0.0])
def test_close_without_drain_fails_the_queue_at_once(drain: float | None) -> None:
    """None and 0 mean not to wait."""
    memory = MemoryPool(pool_size=1, logger=noop_logger)
    memory.server.refuse()
    memory.pool.start()
    sent = outcome(memory.pool.send("x"))
    closed = outcome(memory.pool.close(drain=drain))
    assert types(sent) == [PoolClosed]
    assert closed == [None]
    memory.close()


def test_close_has_nothing_to_drain() -> None:
    """With an empty queue, drain does not delay the end."""
    memory = MemoryPool(pool_size=1)
    memory.open()
    closed = outcome(memory.pool.close(drain=60))
    memory.settle()
    memory.settle()
    assert closed == [None]
    memory.close()


def test_close_does_not_drain_a_pool_that_gave_up() -> None:
    """When every connection has given up, there is nothing to wait for."""
    memory = MemoryPool(pool_size=1, max_reconnect_attempts=1, logger=noop_logger)
    memory.server.refuse()
    memory.pool.start()
    assert types(outcome(memory.pool.send("x"))) == [PoolExhausted]
    assert outcome(memory.pool.close(drain=60)) == [None]
    memory.close()


def test_close_stops_draining_when_the_pool_gives_up() -> None:
    """When the last connection gives up while draining, the end is not put off any longer."""
    memory = MemoryPool(pool_size=1, max_reconnect_attempts=2, logger=noop_logger)
    memory.server.refuse()
    memory.pool.start()
    sent = outcome(memory.pool.send("x"))
    closed = outcome(memory.pool.close(drain=60))
    memory.advance(5)
    assert len(sent) == 1
    assert closed == [None]
    memory.close()


def test_close_again_while_draining_changes_nothing() -> None:
    """A second close() while draining waits for the same end; destroy() does not."""
    memory = MemoryPool(pool_size=1, logger=noop_logger)
    memory.server.refuse()
    memory.pool.start()
    sent = outcome(memory.pool.send("x"))
    closed = [outcome(memory.pool.close(drain=60)), outcome(memory.pool.close())]
    memory.advance(1)
    assert (sent, closed) == ([], [[], []])
    memory.pool.destroy()
    memory.settle()
    assert types(sent) == [PoolClosed]
    assert closed == [[None], [None]]
    memory.close()


# destroy()


def test_destroy_aborts_everything_now() -> None:
    """No closing handshake: peers are cut off, the queue and pings fail, nothing is left."""
    memory = MemoryPool(pool_size=3, logger=noop_logger)
    memory.open()
    memory.server.peers[0].stop_reading()
    ping = outcome(memory.pool.ping())
    ping_all = outcome(memory.pool.broadcast_ping())
    memory.pool.destroy()
    assert [c.state for c in memory.pool.get_stats().connections] == ["destroyed"] * 3
    assert memory.pool.open_connections == 0
    memory.settle()
    memory.settle()
    assert len(ping) == len(ping_all) == 1
    assert isinstance(ping[0], Exception)
    assert [peer.close_received for peer in memory.server.peers] == [None] * 3
    assert not any(peer.connected for peer in memory.server.peers)
    assert memory.clock.getDelayedCalls() == []
    memory.close()


def test_destroy_returns_nothing_and_may_be_repeated() -> None:
    """destroy() twice, or after close(), is a no-op; close() after it fires when all is gone."""
    memory = MemoryPool(pool_size=1, logger=noop_logger)
    memory.open()
    memory.pool.destroy()
    closed = outcome(memory.pool.close())
    memory.pool.destroy()
    assert closed == []
    memory.settle()
    assert closed == [None]
    memory.pool.destroy()
    memory.close()


def test_destroy_before_start() -> None:
    """A pool that never started is over at once."""
    memory = MemoryPool(pool_size=1)
    sent = outcome(memory.pool.send("x"))
    memory.pool.destroy()
    assert types(sent) == [PoolClosed]
    memory.pool.start()
    memory.advance(10)
    assert memory.server.attempts == []
    memory.close()


def test_destroy_hurries_a_close_on() -> None:
    """destroy() during a closing handshake that hangs ends it now."""
    memory = MemoryPool(pool_size=2, logger=noop_logger)
    memory.open()
    memory.server.peers[0].answers_close = False
    closed = outcome(memory.pool.close())
    memory.advance(1)
    assert closed == []
    memory.pool.destroy()
    memory.settle()
    assert closed == [None]
    assert memory.clock.getDelayedCalls() == []
    memory.close()


def test_destroy_takes_connections_that_were_let_go_along() -> None:
    """A connection that leaves after resize() is aborted as well."""
    memory = MemoryPool(pool_size=2, logger=noop_logger)
    memory.open()
    memory.server.peers[1].answers_close = False
    gone = outcome(memory.pool.resize(1))
    memory.settle()
    assert gone == []
    memory.pool.destroy()
    memory.settle()
    memory.settle()
    assert gone == [None]
    assert not any(peer.connected for peer in memory.server.peers)
    memory.close()


def test_close_waits_for_connections_that_were_let_go() -> None:
    """close() fires when those that leave after resize() are gone, too."""
    memory = MemoryPool(pool_size=2, close_timeout=3, logger=noop_logger)
    memory.open()
    memory.server.peers[1].answers_close = False
    memory.pool.resize(1)
    memory.advance(1)
    closed = outcome(memory.pool.close())
    memory.settle()
    assert closed == []
    memory.advance(2)
    assert closed == [None]
    memory.close()


def test_destroy_tells_the_close_of_what_was_open() -> None:
    """Open connections are told as closed with 1006, and the pool as empty, once."""
    memory = MemoryPool(pool_size=2, logger=noop_logger)
    events: list[object] = []
    memory.pool.on("close", lambda *args: events.append(args))
    memory.pool.on("pool:empty", lambda: events.append("empty"))
    memory.open()
    memory.pool.destroy()
    memory.settle()
    assert events == [(0, 1006, ""), (1, 1006, ""), "empty"]
    memory.close()


def test_destroy_does_not_lose_messages_silently() -> None:
    """What was taken and not written is reported: its senders were told that it was taken."""
    lines: list[str] = []

    @implementer(IPoolLogger)
    class Recorder:
        def debug(self, message: str, *args: object) -> None: ...

        info = warn = debug

        def error(self, message: str, *args: object) -> None:
            lines.append(message % args)

    memory = MemoryPool(pool_size=1, logger=Recorder(), name="pool")
    memory.pool.on("error", lambda error, connection_id: None)
    memory.open()
    sent = [outcome(memory.pool.send("taken, not written")), outcome(memory.pool.send("nor this"))]
    memory.pool.destroy()
    memory.settle()
    memory.close()
    assert sent == [[0], [0]]
    assert lines == [
        "pool: 2 messages were taken by connections that could not write them any more"
    ]


# Waiting for the beginning


def test_when_open_fires_with_the_first_connection() -> None:
    """when_open() needs one connection, when_ready() all of them; both are immediate then."""
    memory = MemoryPool(pool_size=2, max_connecting=1)
    pool = memory.pool
    opened: list[int] = []
    pool.when_open().addCallback(lambda _: opened.append(pool.open_connections))
    pool.when_ready().addCallback(lambda _: opened.append(pool.open_connections))
    memory.open()
    assert opened == [1, 2]
    assert outcome(pool.when_open()) == outcome(pool.when_ready()) == [None]
    memory.close()


def test_when_ready_is_pending_while_one_is_missing() -> None:
    """After a loss when_ready() waits again; when_open() does not as long as one is open."""
    memory = MemoryPool(pool_size=2, logger=noop_logger)
    memory.open()
    memory.server.peers[0].drop()
    memory.settle()
    ready = outcome(memory.pool.when_ready())
    assert outcome(memory.pool.when_open()) == [None]
    assert ready == []
    memory.advance(1)
    assert ready == [None]
    memory.close()


def test_when_open_may_be_cancelled() -> None:
    """Cancelling one Deferred concerns only that one."""
    memory = MemoryPool(pool_size=1)
    first, second = memory.pool.when_open(), memory.pool.when_open()
    results = [outcome(first), outcome(second)]
    first.cancel()
    memory.open()
    assert types(results[0]) == [CancelledError]
    assert results[1] == [None]
    memory.close()


def test_when_ready_fails_if_a_ready_handler_closes_the_pool() -> None:
    """Who waits for a pool that is closed by its own pool:ready is not told that it is ready."""
    memory = MemoryPool(pool_size=1)
    memory.pool.on("pool:ready", lambda: memory.pool.close())
    ready = outcome(memory.pool.when_ready())
    memory.pool.start()
    memory.settle()
    assert types(ready) == [PoolClosed]
    memory.close()


def test_when_open_fails_if_an_open_handler_closes_the_pool() -> None:
    """The same for when_open()."""
    memory = MemoryPool(pool_size=1)
    memory.pool.on("open", lambda connection_id: memory.pool.close())
    is_open = outcome(memory.pool.when_open())
    memory.pool.start()
    memory.settle()
    assert types(is_open) == [PoolClosed]
    memory.close()


# async with, and the service


def test_async_with_starts_and_closes() -> None:
    """Inside `async with` the pool runs; leaving it waits for the close."""
    memory = MemoryPool(pool_size=2)
    steps: list[object] = []

    async def use() -> None:
        async with memory.pool as pool:
            assert isinstance(pool, ReconnectingPoolFactory)
            await pool.when_ready()
            steps.append(await pool.send("x"))
        steps.append(memory.pool.open_connections)

    result = outcome(ensureDeferred(use()))
    for _ in range(3):
        memory.settle()
    assert result == [None]
    assert steps == [0, 0]
    assert [peer.close_received for peer in memory.server.peers] == [(1000, "")] * 2
    memory.close()


def test_async_with_lets_exceptions_out() -> None:
    """An exception inside `async with` closes the pool and goes on."""
    memory = MemoryPool(pool_size=1)

    async def use() -> None:
        async with memory.pool:
            raise LookupError

    result = outcome(ensureDeferred(use()))
    for _ in range(3):
        memory.settle()
    assert types(result) == [LookupError]
    memory.close()


def test_service_starts_and_stops_its_pool() -> None:
    """PoolService is an IService: its pool connects with it, and is closed with it."""
    memory = MemoryPool(pool_size=2)
    service = PoolService(memory.pool)
    verifyObject(IService, service)
    of_service: object = service.pool
    assert of_service is memory.pool
    parent = MultiService()
    parent.addService(service)
    memory.settle()
    assert memory.server.attempts == []
    parent.startService()
    memory.settle()
    assert service.running
    assert memory.pool.open_connections == 2
    stopped = outcome(parent.stopService())
    assert stopped == []
    memory.settle()
    memory.settle()
    assert len(stopped) == 1
    assert not service.running
    memory.close()


def test_service_may_drain() -> None:
    """With drain, a service that stops goes on delivering for so long."""
    memory = MemoryPool(pool_size=1, logger=noop_logger)
    memory.server.refuse()
    service = PoolService(memory.pool, drain=10)
    service.startService()
    sent = outcome(memory.pool.send("x"))
    stopped = outcome(service.stopService())
    assert (sent, stopped) == ([], [])
    memory.server.accept()
    memory.advance(2)
    assert sent == [0]
    assert stopped == [None]
    memory.close()


def test_ping_without_a_connection_fails() -> None:
    """ping() on a pool of which no connection is open fails with NotConnected."""
    memory = MemoryPool(pool_size=1)
    assert types(outcome(memory.pool.ping())) == [NotConnected]
    memory.close()


def test_ping_uses_a_full_connection_if_there_is_no_other() -> None:
    """A connection that takes no messages now can still be pinged."""
    memory = MemoryPool(pool_size=1)
    memory.open()
    peer = memory.server.peers[0]
    peer.stop_reading()
    memory.pool.send(bytes(100_000))
    memory.settle()
    ping = outcome(memory.pool.ping())
    memory.settle()
    assert ping == []
    peer.resume_reading()
    for _ in range(5):
        memory.settle()
    assert ping == [0.0]
    memory.close()
