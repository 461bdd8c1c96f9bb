"""
When a connection is tried again, and when no more.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock
from zope.interface import implementer

from wsmultipool import (
    ConnectionDropped,
    GaveUp,
    HandshakeInvalid,
    HeadersFailed,
    OnConnectFailed,
    OpenTimeout,
    PooledConnection,
    PoolExhausted,
    TransportFailed,
    UpgradeRejected,
    WebSocketFactory,
    WebSocketOptions,
    noop_logger,
)
from wsmultipool.testing import MemoryPool


def outcome(deferred: Deferred[Any]) -> list[Any]:
    """Collect what a Deferred comes to; empty as long as it is pending."""
    results: list[Any] = []
    deferred.addCallbacks(results.append, lambda failure: results.append(failure.value))
    return results


def pool_of(size: int, **options: Any) -> tuple[MemoryPool, list[Exception]]:
    """
    Build a pool that logs nothing; returns it, and the errors that it will emit.
    """
    memory = MemoryPool(pool_size=size, logger=noop_logger, **options)
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    return memory, errors


def attempts_of(memory: MemoryPool) -> int:
    """The consecutive failures of the first connection."""
    return memory.pool.get_stats().connections[0].attempts


def test_reconnecting_delays_grow_to_the_cap() -> None:
    """Each failure multiplies the ceiling of the delay, up to max_reconnect_interval."""
    memory, _ = pool_of(
        1, reconnect_interval=0.5, reconnect_backoff_multiplier=3, max_reconnect_interval=10
    )
    memory.server.refuse()
    memory.pool.start()
    memory.advance(36.6)
    # 0.5, 1.5, 4.5, then 10 for ever
    assert memory.server.attempts == [0, 0.5, 2, 6.5, 16.5, 26.5, 36.5]
    assert attempts_of(memory) == 7
    memory.close()


def test_reconnecting_delays_are_drawn_from_zero_to_the_ceiling() -> None:
    """Full jitter: every delay is uniform(0, ceiling), not a fraction around it."""
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return high / 4

    memory, _ = pool_of(1, uniform=uniform)
    memory.server.refuse()
    memory.pool.start()
    memory.advance(100)
    assert asked[:7] == [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (0, 30), (0, 30)]
    assert memory.server.attempts[:4] == [0, 0.25, 0.75, 1.75]
    memory.close()


def test_reconnecting_chance_is_real_by_default() -> None:
    """Without a hand in it, connections lost together come back at different times."""
    from wsmultipool import ReconnectingPoolFactory
    from wsmultipool.testing import MemoryServer

    clock = Clock()
    server = MemoryServer(clock)
    server.refuse()
    pool = ReconnectingPoolFactory(
        "ws://memory.test/",
        reactor=clock,
        pool_size=20,
        logger=noop_logger,
        ws_options=WebSocketOptions(endpoint=server),
    )
    clock.advance(0)
    assert server.attempts == [0] * 20
    for _ in range(100):
        clock.advance(0.01)
    assert len(set(server.attempts[20:])) > 5
    assert max(server.attempts) <= 1.01
    pool.destroy()
    assert clock.getDelayedCalls() == []


def test_reconnecting_connections_count_for_themselves() -> None:
    """One connection that keeps failing does not make another wait longer."""
    memory, _ = pool_of(2)
    memory.open()
    memory.server.refuse()
    memory.server.peers[0].drop()
    memory.advance(20)
    failures = [c.attempts for c in memory.pool.get_stats().connections]
    assert failures[0] >= 4
    assert failures[1] == 0
    memory.server.peers[1].drop()
    memory.settle()
    before = len(memory.server.attempts)
    memory.server.accept()
    memory.advance(1)
    assert memory.pool.open_connections >= 1
    assert len(memory.server.attempts) > before
    memory.close()


def rejecting(memory: MemoryPool) -> None:
    memory.server.reject(503)


def talking_nonsense(memory: MemoryPool) -> None:
    memory.server.answer(b"SSH-2.0-OpenSSH_9.6\r\n")


def being_silent(memory: MemoryPool) -> None:
    memory.server.be_silent()


def refusing(memory: MemoryPool) -> None:
    memory.server.refuse()


def dropping(memory: MemoryPool) -> None:
    memory.server.drop_when_open()


def test_reconnecting_all_failures_share_one_count() -> None:
    """TCP, headers, handshake, timeout, on_connect and early closes count together."""
    broken: set[str] = set()

    def headers() -> dict[str, str]:
        if "headers" in broken:
            raise ValueError
        return {}

    def on_connect(connection: PooledConnection) -> None:
        if "on_connect" in broken:
            raise ValueError

    memory, errors = pool_of(
        1,
        open_timeout=1,
        on_connect=on_connect,
        max_reconnect_interval=1000,
        ws_options=WebSocketOptions(headers=headers),
    )
    memory.server.refuse()
    memory.pool.start()
    memory.settle()  # 1 failure, next after 1
    memory.server.reject(503)
    memory.advance(1)  # 2, next after 2
    memory.server.be_silent()
    memory.advance(2 + 1)  # 3, next after 4
    memory.server.answer(b"nonsense\r\n\r\n")
    memory.advance(4)  # 4, next after 8
    memory.server.accept()
    broken.add("on_connect")
    memory.advance(8)  # 5, next after 16
    broken.add("headers")
    memory.advance(16)  # 6, next after 32
    broken.clear()
    memory.server.drop_when_open()
    memory.advance(32)  # 7, next after 64
    assert [type(error) for error in errors] == [
        TransportFailed,
        UpgradeRejected,
        OpenTimeout,
        HandshakeInvalid,
        OnConnectFailed,
        HeadersFailed,
        ConnectionDropped,
    ]
    assert attempts_of(memory) == 7
    memory.server.accept()
    memory.advance(63.9)
    assert memory.pool.open_connections == 0
    memory.advance(0.1)
    assert memory.pool.open_connections == 1
    memory.close()


@pytest.mark.parametrize("uptime", [4.9, 5.0])
def test_reconnecting_the_count_is_reset_by_min_uptime(uptime: float) -> None:
    """A connection that stayed open for min_uptime begins anew; before that it is one failure."""
    memory, _ = pool_of(1, min_uptime=5)
    memory.server.refuse()
    memory.pool.start()
    memory.advance(3.5)  # at 0, 1 and 3; the next at 7
    memory.server.accept()
    memory.advance(3.5)
    assert memory.pool.open_connections == 1
    assert attempts_of(memory) == 3
    memory.advance(uptime)
    assert attempts_of(memory) == (0 if uptime >= 5 else 3)
    memory.server.peers[0].drop()
    memory.settle()
    delay = 1 if uptime >= 5 else 8
    memory.advance(delay - 0.1)
    assert len(memory.server.attempts) == 4
    memory.advance(0.1)
    assert len(memory.server.attempts) == 5
    memory.close()


def test_reconnecting_min_uptime_0_forgives_at_once() -> None:
    """With min_uptime=0 every connection that opens resets the count."""
    memory, _ = pool_of(1, min_uptime=0)
    memory.pool.on("open", lambda connection_id: memory.server.peers[-1].drop())
    memory.pool.start()
    memory.advance(5)
    assert memory.server.attempts == [0, 1, 2, 3, 4, 5]
    memory.close()


def test_reconnecting_time_spent_closing_is_no_uptime() -> None:
    """A server that closes at once and keeps TCP open is not taken for a stable one."""
    memory, _ = pool_of(1, min_uptime=5, close_timeout=5, max_reconnect_attempts=3)

    def close_at_once(connection_id: int) -> None:
        peer = memory.server.peers[-1]
        peer.drops_tcp = False
        peer.close(1013, "try again later")

    memory.pool.on("open", close_at_once)
    memory.pool.start()
    memory.advance(200)
    assert len(memory.server.attempts) == 3
    memory.close()


# Retry-After


def test_reconnecting_retry_after_seconds_is_a_lower_bound() -> None:
    """A server that asks for 20 seconds is not tried before; the delay after that is as ever."""
    memory, errors = pool_of(1)
    memory.server.reject(503, "Busy", {"Retry-After": "20"})
    memory.pool.start()
    memory.advance(19.9)
    assert memory.server.attempts == [0]
    memory.server.reject(503, "Busy")
    memory.advance(0.1)
    assert memory.server.attempts == [0, 20]
    memory.advance(2)
    assert memory.server.attempts == [0, 20, 22]
    assert isinstance(errors[0], UpgradeRejected)
    assert errors[0].retry_after == 20
    assert isinstance(errors[1], UpgradeRejected)
    assert errors[1].retry_after is None
    memory.close()


def test_reconnecting_retry_after_does_not_shorten_the_delay() -> None:
    """A server that asks for less than the backoff does not get more attempts."""
    memory, _ = pool_of(1, reconnect_interval=8)
    memory.server.reject(503, "Busy", {"Retry-After": "1"})
    memory.pool.start()
    memory.advance(7.9)
    assert memory.server.attempts == [0]
    memory.advance(0.1)
    assert memory.server.attempts == [0, 8]
    memory.close()


def test_reconnecting_retry_after_may_be_a_date() -> None:
    """A date is compared with the server's own clock, if it tells that."""
    memory, _ = pool_of(1)
    memory.server.reject(
        429,
        "Too Many Requests",
        {
            "Date": "Wed, 21 Oct 2026 07:28:00 GMT",
            "Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT",
        },
    )
    memory.pool.start()
    memory.advance(29.9)
    assert memory.server.attempts == [0]
    memory.advance(0.1)
    assert memory.server.attempts == [0, 30]
    memory.close()


def test_reconnecting_retry_after_date_without_a_server_clock() -> None:
    """Without a Date header, a date is compared with the reactor's clock."""
    now = 1792567680.0  # Wed, 21 Oct 2026 07:28:00 GMT
    clock = Clock()
    clock.advance(now)
    memory, _ = pool_of(1, clock=clock)
    memory.server.reject(503, "", {"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT"})
    memory.pool.start()
    memory.advance(29.9)
    assert memory.server.attempts == [now]
    memory.advance(0.1)
    assert memory.server.attempts == [now, now + 30]
    memory.close()


@pytest.mark.parametrize("value", ["soon", "-5", "Wed, 21 Oct 1998 07:28:00 GMT", ""])
def test_reconnecting_a_useless_retry_after_is_ignored(value: str) -> None:
    """What is no time to come has no influence on the delay."""
    memory, _ = pool_of(1)
    memory.server.reject(503, "", {"Retry-After": value, "Date": "Wed, 21 Oct 2026 07:28:00 GMT"})
    memory.pool.start()
    memory.advance(1)
    assert memory.server.attempts == [0, 1]
    memory.close()


# Giving up


@pytest.mark.parametrize("most", [1, 4])
def test_reconnecting_gives_up_after_so_many_attempts(most: int) -> None:
    """max_reconnect_attempts failures in a row, and one connection tries no more."""
    memory, errors = pool_of(1, max_reconnect_attempts=most)
    memory.server.refuse()
    memory.pool.start()
    memory.advance(10_000)
    assert len(memory.server.attempts) == most
    assert [type(error) for error in errors] == [TransportFailed] * most + [GaveUp]
    last = errors[-1]
    assert isinstance(last, GaveUp)
    assert (last.connection_id, last.attempts) == (0, most)
    assert last.__cause__ is errors[-2]
    stats = memory.pool.get_stats()
    assert (stats.open, stats.connecting, stats.closed) == (0, 0, 1)
    memory.close()


def test_reconnecting_exhaustion_waits_for_the_last_connection() -> None:
    """One connection that gave up exhausts nothing; when all have, everything pending fails."""
    memory, errors = pool_of(2, max_reconnect_attempts=2)
    memory.open()
    memory.server.refuse()
    memory.server.peers[0].drop()
    memory.advance(10)
    assert [type(error) for error in errors].count(GaveUp) == 1
    ready = outcome(memory.pool.when_ready())
    assert memory.result(memory.pool.send("goes on")) == 1
    memory.result(memory.pool.when_open())
    assert ready == []
    memory.server.peers[1].drop()
    memory.settle()
    pending = [outcome(memory.pool.send("x")), outcome(memory.pool.when_open()), ready]
    memory.advance(10)
    assert [[type(e) for e in result] for result in pending] == [[PoolExhausted]] * 3
    for late in (memory.pool.send("x"), memory.pool.when_open(), memory.pool.when_ready()):
        assert [type(e) for e in outcome(late)] == [PoolExhausted]
    memory.close()


def test_reconnecting_success_between_failures_forgives() -> None:
    """Failures before a stable connection do not count towards giving up."""
    memory, errors = pool_of(1, max_reconnect_attempts=3)
    for _ in range(5):
        memory.server.refuse()
        memory.pool.start()
        for peer in memory.server.open_peers:
            peer.drop()
        memory.advance(1)
        memory.server.accept()
        memory.advance(20)
        assert memory.pool.open_connections == 1
    assert GaveUp not in [type(error) for error in errors]
    memory.close()


# max_connecting


@pytest.mark.parametrize("kind", [rejecting, talking_nonsense, being_silent, refusing, dropping])
def test_reconnecting_max_connecting_holds_in_a_storm(kind: Any) -> None:
    """With 50 connections and whatever trouble, never more than 7 are connecting at once."""
    memory, _ = pool_of(50, max_connecting=7, open_timeout=2)
    most = 0

    def watch() -> None:
        nonlocal most
        stats = memory.pool.get_stats()
        assert stats.open + stats.connecting + stats.closed == stats.total == 50
        most = max(most, stats.connecting)

    memory.pool.on("error", lambda error, connection_id: watch())
    memory.pool.on("open", lambda connection_id: watch())
    memory.pool.on("upgrade", lambda response, connection_id: watch())
    kind(memory)
    memory.pool.start()
    watch()
    for _ in range(60):
        memory.advance(0.5)
        watch()
    assert most <= 7
    memory.server.accept()
    memory.advance(120)
    assert memory.pool.open_connections == 50
    for peer in memory.server.open_peers:
        peer.drop()
    memory.settle()
    watch()
    memory.advance(120)
    assert memory.pool.open_connections == 50
    assert most <= 7
    memory.close()


def test_reconnecting_max_connecting_counts_on_connect() -> None:
    """A connection whose hook is not done holds its place; the others come in turn."""
    hooks: dict[int, Deferred[None]] = {}

    def on_connect(connection: PooledConnection) -> Deferred[None]:
        hooks[connection.id] = Deferred()
        return hooks[connection.id]

    memory, _ = pool_of(4, max_connecting=2, on_connect=on_connect)
    memory.pool.start()
    memory.settle()
    assert list(hooks) == [0, 1]
    hooks[0].callback(None)
    memory.settle()
    assert list(hooks) == [0, 1, 2]
    hooks[1].errback(ValueError())
    memory.settle()
    assert list(hooks) == [0, 1, 2, 3]
    memory.close()


def test_reconnecting_a_long_line_at_the_gate_fails_in_good_order() -> None:
    """Hundreds of attempts that fail at once, one after the other, do not exhaust the stack."""

    def headers() -> dict[str, str]:
        raise ValueError

    memory, errors = pool_of(1000, max_connecting=1, ws_options=WebSocketOptions(headers=headers))
    memory.pool.start()
    memory.settle()
    assert [type(error) for error in errors] == [HeadersFailed] * 1000
    assert memory.pool.get_stats().closed == 1000
    memory.close()


# open_timeout


class Withholding:
    """
    Stages of an attempt that never end, by name.
    """

    def __init__(self) -> None:
        self.stage = ""
        self.cancelled: list[str] = []

    def never(self, stage: str) -> Deferred[Any]:
        return Deferred(lambda _: self.cancelled.append(stage))


@pytest.mark.parametrize(
    ("stage", "named"),
    [
        ("url", "url"),
        ("headers", "headers"),
        ("transport", "transport"),
        ("handshake", "upgrade"),
        ("on_connect", "on_connect"),
    ],
)
def test_reconnecting_open_timeout_covers_every_stage(stage: str, named: str) -> None:
    """Whatever an attempt hangs in, it ends after open_timeout, says where, and is retried."""
    withholding = Withholding()
    memory: MemoryPool

    @implementer(IStreamClientEndpoint)
    class Endpoint:
        def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
            if stage == "transport":
                return withholding.never("transport")
            return memory.server.connect(protocolFactory)

    def url() -> Any:
        return withholding.never("url") if stage == "url" else "ws://memory.test/"

    def headers() -> Any:
        return withholding.never("headers") if stage == "headers" else {}

    def on_connect(connection: PooledConnection) -> Any:
        return withholding.never("on_connect") if stage == "on_connect" else None

    memory, errors = pool_of(
        1,
        open_timeout=6,
        on_connect=on_connect,
        ws_factory=WebSocketFactory(),
        ws_options=WebSocketOptions(url=url, headers=headers, endpoint=Endpoint()),
    )
    if stage == "handshake":
        memory.server.be_silent()
    memory.pool.start()
    memory.advance(5.9)
    assert errors == []
    assert memory.pool.get_stats().connecting == 1
    memory.advance(0.1)
    assert len(errors) == 1
    assert isinstance(errors[0], OpenTimeout)
    assert (errors[0].timeout, errors[0].stage) == (6, named)
    assert isinstance(errors[0], TimeoutError)
    assert not any(peer.connected for peer in memory.server.peers)
    assert withholding.cancelled == [stage] * (stage not in ("handshake", "body"))
    stage = ""
    memory.server.accept()
    memory.advance(1)
    assert memory.pool.open_connections == 1
    memory.close()


def test_reconnecting_open_timeout_is_for_all_stages_together() -> None:
    """Time that the headers took is not there any more for on_connect."""
    token: Deferred[dict[str, str]] = Deferred()
    memory, errors = pool_of(
        1,
        open_timeout=6,
        on_connect=lambda connection: Deferred(),
        ws_options=WebSocketOptions(headers=lambda: token),
    )
    memory.pool.start()
    memory.advance(5)
    token.callback({})
    memory.advance(0.9)
    assert errors == []
    memory.advance(0.1)
    assert [type(error) for error in errors] == [OpenTimeout]
    memory.close()


def test_reconnecting_open_timeout_ends_with_the_opening() -> None:
    """A connection that opened in time is not ended by it."""
    memory, errors = pool_of(3, open_timeout=6)
    memory.open()
    memory.advance(1000)
    assert memory.pool.open_connections == 3
    assert errors == []
    assert memory.pool.get_stats().reconnects == 0
    memory.close()


def test_reconnecting_counts_reconnects() -> None:
    """reconnects counts openings after the first of each connection."""
    memory, _ = pool_of(2)
    memory.open()
    assert memory.pool.get_stats().reconnects == 0
    for peer in memory.server.peers[:2]:
        peer.drop()
    memory.advance(1)
    memory.server.peers[2].drop()
    memory.advance(2)
    assert memory.pool.open_connections == 2
    assert memory.pool.get_stats().reconnects == 3
    memory.close()


def test_reconnecting_uptime_is_told_while_open() -> None:
    """uptime counts from the opening, and is None while not open."""
    memory, _ = pool_of(1)
    assert memory.pool.get_stats().connections[0].uptime is None
    memory.open()
    memory.advance(3)
    assert memory.pool.get_stats().connections[0].uptime == 3
    memory.server.peers[0].drop()
    memory.settle()
    assert memory.pool.get_stats().connections[0].uptime is None
    memory.advance(2)
    assert memory.pool.get_stats().connections[0].uptime == 1
    memory.close()
