"""
What runs on each new connection before the pool's traffic does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import deferLater

from wsmultipool import (
    ConnectionClosed,
    ConnectionDropped,
    NotConnected,
    OnConnectFailed,
    OpenTimeout,
    PoolClosed,
    PooledConnection,
    PoolOptions,
    noop_logger,
)
from wsmultipool.testing import MemoryPool

Hook = Callable[[PooledConnection], object]


def outcome(deferred: Deferred[Any]) -> list[Any]:
    """Collect what a Deferred comes to; empty as long as it is pending."""
    results: list[Any] = []
    deferred.addCallbacks(results.append, lambda failure: results.append(failure.value))
    return results


def started(hook: Hook, size: int = 1, **options: Any) -> tuple[MemoryPool, list[Exception]]:
    """
    Start a pool with this hook; returns it, and the errors it emits.
    """
    memory = MemoryPool(pool_size=size, on_connect=hook, logger=noop_logger, **options)
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.pool.start()
    memory.settle()
    return memory, errors


def test_on_connect_gates_the_traffic() -> None:
    """Until the hook is done the connection counts as connecting and gets no pool traffic."""
    hooks: list[Deferred[None]] = []
    opened: list[int] = []

    def hook(connection: PooledConnection) -> Deferred[None]:
        hooks.append(Deferred())
        return hooks[-1]

    memory, _ = started(hook, size=2)
    memory.pool.on("open", opened.append)
    sent = outcome(memory.pool.send("for whoever is open"))
    keyed = outcome(memory.pool.send("keyed", key="k"))
    ready, is_open = outcome(memory.pool.when_ready()), outcome(memory.pool.when_open())
    memory.settle()
    stats = memory.pool.get_stats()
    assert (stats.open, stats.connecting, stats.closed) == (0, 2, 0)
    assert memory.result(memory.pool.broadcast("nobody")) == []
    assert isinstance(outcome(memory.pool.ping())[0], NotConnected)
    assert [sent, keyed, ready, is_open, opened] == [[], [], [], [], []]
    assert all(peer.received == [] for peer in memory.server.peers)
    hooks[1].callback(None)
    memory.settle()
    assert opened == [1]
    assert (sent, keyed, is_open, ready) == ([1], [1], [None], [])
    assert memory.server.peers[0].received == []
    assert [data for data, _ in memory.server.peers[1].received] == [
        b"for whoever is open",
        b"keyed",
    ]
    hooks[0].callback(None)
    assert ready == [None]
    memory.close()


def test_on_connect_may_send_and_receive() -> None:
    """The hook can log in on its connection: send, wait for the answer, ping; all in order."""
    memory: MemoryPool

    async def log_in(connection: PooledConnection) -> None:
        assert connection.state == "connecting"
        assert not connection.is_open
        answer: Deferred[bytes] = Deferred()
        memory.pool.once("message", lambda data, is_binary, connection_id: answer.callback(data))
        assert await connection.send("login") == connection.id
        assert await answer == b"welcome"
        await connection.ping(b"there?")
        await connection.send(b"subscribe", compress=False)

    memory = MemoryPool(pool_size=1, on_connect=log_in, logger=noop_logger)
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.pool.send("traffic")
    memory.pool.start()
    memory.settle()
    memory.settle()
    peer = memory.server.peers[0]
    assert peer.received == [(b"login", False)]
    peer.send("welcome")
    memory.settle()
    assert memory.pool.open_connections == 1
    assert peer.received == [(b"login", False), (b"subscribe", True), (b"traffic", False)]
    assert peer.pings == [b"there?"]
    assert errors == []
    memory.close()


def test_on_connect_receives_what_came_with_the_handshake() -> None:
    """A greeting that the server sends right after its response is not lost to the hook."""
    greetings: list[bytes] = []
    memory = MemoryPool(pool_size=1, on_connect=lambda connection: Deferred(), logger=noop_logger)
    memory.pool.on("message", lambda data, is_binary, connection_id: greetings.append(data))
    memory.pool.start()
    memory.clock.advance(0)
    while not memory.server.open_peers:
        memory.settle()
    memory.server.peers[0].send("hello")
    memory.settle()
    assert greetings == [b"hello"]
    memory.close()


def test_on_connect_messages_are_counted_and_in_stats() -> None:
    """What the hook sends and receives is in the statistics."""
    memory, _ = started(lambda connection: connection.send("12345"))
    memory.settle()
    stats = memory.pool.get_stats()
    assert (stats.sent_messages, stats.sent_bytes) == (1, 5)
    memory.close()


def test_on_connect_runs_after_every_reconnect() -> None:
    """Each new connection is prepared anew, with the same object for the same place."""
    prepared: list[PooledConnection] = []
    memory, _ = started(prepared.append, size=2)
    assert [connection.id for connection in prepared] == [0, 1]
    memory.server.peers[1].drop()
    memory.advance(1)
    assert [connection.id for connection in prepared] == [0, 1, 1]
    assert prepared[2] is prepared[1]
    memory.close()


def plain(error: Exception | None) -> Hook:
    def hook(connection: PooledConnection) -> None:
        if error:
            raise error

    return hook


def deferred(error: Exception | None) -> Hook:
    return lambda connection: fail(error) if error else succeed("anything")


def coroutine(error: Exception | None) -> Hook:
    async def hook(connection: PooledConnection) -> str:
        if error:
            raise error
        return "anything"

    return hook


def awaitable(error: Exception | None) -> Hook:
    class Later:
        def __await__(self) -> Any:
            return coroutine(error)(None).__await__()  # type: ignore[arg-type, attr-defined]

    return lambda connection: Later()


KINDS = [plain, deferred, coroutine, awaitable]


@pytest.mark.parametrize("kind", KINDS)
def test_on_connect_may_be_of_any_kind(kind: Callable[[Exception | None], Hook]) -> None:
    """A function, one that returns a Deferred or an awaitable, and a coroutine all do."""
    memory, errors = started(kind(None))
    assert memory.pool.open_connections == 1
    assert errors == []
    memory.close()


@pytest.mark.parametrize("kind", KINDS)
def test_on_connect_that_fails_fails_the_attempt(
    kind: Callable[[Exception | None], Hook],
) -> None:
    """A failing hook is an error with its cause; the peer gets a Close; backoff goes on."""
    cause = PermissionError("bad password")
    memory, errors = started(kind(cause))
    closed: list[object] = []
    memory.pool.on("close", lambda *args: closed.append(args))
    memory.pool.on("pool:empty", lambda: closed.append("empty"))
    memory.settle()
    assert [type(error) for error in errors] == [OnConnectFailed]
    assert errors[0].__cause__ is cause
    assert str(errors[0]) == "on_connect failed: PermissionError"
    assert memory.server.peers[0].close_received == (1000, "")
    memory.advance(4)
    assert memory.server.attempts == [0, 1, 3]
    assert closed == [], "a connection that never opened does not close"
    memory.close()


def test_on_connect_that_never_ends_runs_out_of_time() -> None:
    """A hook that hangs is cancelled after open_timeout, and the attempt repeated."""
    cancelled: list[float] = []
    memory: MemoryPool

    async def hook(connection: PooledConnection) -> None:
        try:
            await Deferred()
        except CancelledError:
            cancelled.append(memory.clock.seconds())
            raise

    memory, errors = started(hook, open_timeout=3)
    memory.advance(3)
    assert cancelled == [3]
    assert [type(error) for error in errors] == [OpenTimeout]
    assert isinstance(errors[0], OpenTimeout)
    assert errors[0].stage == "on_connect"
    memory.advance(1)
    assert len(memory.server.attempts) == 2
    memory.close()
    assert len(cancelled) == 2


@pytest.mark.parametrize("how", ["drop", "close"])
def test_on_connect_is_cancelled_when_the_connection_is_lost(how: str) -> None:
    """A hook that waits when its connection goes is cancelled; the next attempt gets a new one."""
    waiting: list[Deferred[None]] = []
    cancelled: list[object] = []

    def hook(connection: PooledConnection) -> Deferred[None]:
        waiting.append(Deferred(cancelled.append))
        return waiting[-1]

    memory, errors = started(hook)
    getattr(memory.server.peers[0], how)()
    memory.settle()
    memory.settle()
    assert cancelled == [waiting[0]]
    kind = ConnectionDropped if how == "drop" else ConnectionClosed
    assert [type(error) for error in errors] == [kind]
    memory.advance(1)
    assert len(waiting) == 2
    waiting[1].callback(None)
    assert memory.pool.open_connections == 1
    memory.close()


def test_on_connect_done_too_late_does_not_open() -> None:
    """A hook that ends between the peer's Close frame and the end of TCP opens nothing."""
    waiting: list[Deferred[None]] = []

    def hook(connection: PooledConnection) -> Deferred[None]:
        waiting.append(Deferred())
        return waiting[-1]

    memory, errors = started(hook)
    peer = memory.server.peers[0]
    peer.drops_tcp = False
    peer.close(1013)
    memory.settle()
    waiting[0].callback(None)
    assert memory.pool.open_connections == 0
    memory.advance(5)
    assert len(errors) == 1
    memory.advance(1)
    assert len(waiting) == 2
    memory.close()


def test_on_connect_that_fails_too_late_is_of_no_matter() -> None:
    """The same for a hook that fails then."""
    waiting: list[Deferred[None]] = []

    def hook(connection: PooledConnection) -> Deferred[None]:
        waiting.append(Deferred())
        return waiting[-1]

    memory, errors = started(hook)
    peer = memory.server.peers[0]
    peer.drops_tcp = False
    peer.close(1013)
    memory.settle()
    waiting[0].errback(ValueError())
    memory.advance(5)
    assert len(errors) == 1
    assert not isinstance(errors[0], OnConnectFailed)
    memory.close()


def test_on_connect_a_peer_that_closes_cleanly_is_an_error_nonetheless() -> None:
    """An attempt that ends before it is open has failed, and every failure is told."""
    waiting: list[Deferred[None]] = []

    def hook(connection: PooledConnection) -> Deferred[None]:
        waiting.append(Deferred())
        return waiting[-1]

    memory, errors = started(hook)
    peer = memory.server.peers[0]
    peer.drops_tcp = False
    peer.close(1013)
    memory.settle()
    waiting[0].callback(None)  # done, but too late
    peer.drops_tcp = True
    peer.drop()
    memory.settle()
    assert len(errors) == 1
    memory.close()


@pytest.mark.parametrize("how", ["close", "destroy"])
def test_on_connect_may_end_the_pool(how: str) -> None:
    """close() and destroy() from within the hook end the pool; no connection opens."""
    memory: MemoryPool
    results: list[list[Any]] = []

    async def hook(connection: PooledConnection) -> None:
        if how == "close":
            results.append(outcome(memory.pool.close()))
        else:
            memory.pool.destroy()
            results.append([None])

    memory = MemoryPool(pool_size=3, on_connect=hook, logger=noop_logger)
    events: list[str] = []
    memory.pool.on("open", lambda connection_id: events.append("open"))
    memory.pool.on("close", lambda *args: events.append("close"))
    queued = outcome(memory.pool.send("x"))
    ready = outcome(memory.pool.when_ready())
    memory.pool.start()
    memory.settle()
    memory.settle()
    assert results[0] == [None]
    assert events == []
    assert isinstance(queued[0], PoolClosed)
    assert isinstance(ready[0], PoolClosed)
    memory.advance(100)
    assert len(memory.server.attempts) == 3
    memory.close()


def test_on_connect_waiting_does_not_delay_the_end() -> None:
    """A pool is closed at once while hooks are waiting; they are cancelled."""
    waiting: list[Deferred[None]] = []
    cancelled: list[object] = []

    def hook(connection: PooledConnection) -> Deferred[None]:
        waiting.append(Deferred(cancelled.append))
        return waiting[-1]

    memory, _ = started(hook, size=2)
    closed = outcome(memory.pool.close(1001, "bye"))
    memory.settle()
    memory.settle()
    assert closed == [None]
    assert cancelled == waiting
    assert [peer.close_received for peer in memory.server.peers] == [(1001, "bye")] * 2
    memory.close()


def test_on_connect_may_close_its_connection() -> None:
    """A hook that does not like its connection closes it; the next attempt comes as ever."""
    calls: list[int] = []

    def hook(connection: PooledConnection) -> None:
        calls.append(connection.id)
        if len(calls) == 1:
            connection.close(4003, "wrong server")

    memory, _ = started(hook)
    memory.settle()
    assert memory.server.peers[0].close_received == (4003, "wrong server")
    assert memory.pool.open_connections == 0
    memory.advance(1)
    assert memory.pool.open_connections == 1
    memory.close()


def test_on_connect_may_be_slow_and_replay() -> None:
    """What the hook replays comes before what waits in the queue."""
    memory: MemoryPool

    async def hook(connection: PooledConnection) -> None:
        for number in range(3):
            await connection.send(f"replay {number}")
            await deferLater(memory.clock, 0.1)

    memory = MemoryPool(pool_size=1, on_connect=hook)
    memory.pool.send("queued")
    memory.pool.start()
    memory.advance(1)
    assert [data for data, _ in memory.server.peers[0].received] == [
        b"replay 0",
        b"replay 1",
        b"replay 2",
        b"queued",
    ]
    memory.close()


def test_on_connect_sends_fail_with_their_connection() -> None:
    """What the hook sent on a connection that is lost before it was written fails; no resend."""
    sent: list[list[Any]] = []

    def hook(connection: PooledConnection) -> Deferred[None]:
        memory.server.peers[-1].stop_reading()
        sent.append(outcome(connection.send(bytes(100_000))))
        sent.append(outcome(connection.send(bytes(100_000))))
        return Deferred()

    memory = MemoryPool(pool_size=1, on_connect=hook, logger=noop_logger)
    memory.pool.start()
    memory.settle()
    assert sent == [[0], []]
    memory.server.peers[0].drop()
    memory.settle()
    assert [type(value) for value in sent[1]] == [NotConnected]
    memory.close()


def test_on_connect_connection_is_useless_after_its_end() -> None:
    """send() and ping() on a connection that is not up fail at once."""
    connections: list[PooledConnection] = []
    memory, _ = started(connections.append)
    memory.close()
    assert isinstance(outcome(connections[0].send("x"))[0], NotConnected)
    assert isinstance(outcome(connections[0].ping())[0], NotConnected)
    assert outcome(connections[0].close()) == [None]


def test_on_connect_heartbeat_begins_when_open() -> None:
    """A slow hook is not disturbed by heartbeats: open_timeout covers it."""
    hook: Deferred[None] = Deferred()
    memory, errors = started(lambda connection: hook, heartbeat_interval=1, open_timeout=100)
    memory.advance(50)
    assert memory.server.peers[0].pings == []
    hook.callback(None)
    memory.advance(1)
    assert len(memory.server.peers[0].pings) == 1
    assert errors == []
    memory.close()


def test_on_connect_wants_a_callable() -> None:
    """What cannot be called is refused by name."""
    with pytest.raises(TypeError, match="on_connect"):
        PoolOptions(on_connect="log in")  # type: ignore[arg-type]
