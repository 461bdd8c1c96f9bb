"""
The public API as users write it: never run, only type-checked.

What must not be accepted carries an ignore with its code; strict mypy complains about one that is
not needed any more.
"""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import assert_type

from twisted.application.service import Application, IService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from wsmultipool import (
    Compression,
    ConnectionFailed,
    ConnectionStats,
    DeliveryUnknown,
    ExponentialBackoff,
    FlushTimeout,
    IBalancer,
    IPooledConnection,
    IWebSocketPool,
    PooledConnection,
    PoolService,
    PoolStats,
    ProxyOptions,
    ReconnectingPoolFactory,
    RoundRobin,
    TLSOptions,
    UpgradeRequest,
    UpgradeResponse,
    WebSocketOptions,
    create_console_logger,
)
from wsmultipool.testing import MemoryPeer, MemoryPool, MemoryServer


async def log_in(connection: PooledConnection) -> None:
    assert_type(await connection.send("token"), int)
    assert_type(await connection.send("token", confirm=True), int)
    connection.send("token", confirm="yes")  # type: ignore[arg-type]
    assert_type(connection.latency, float | None)


def measure(pool: IWebSocketPool, connection: IPooledConnection) -> None:
    assert_type(pool.ping("text", timeout=1), Deferred[float])
    assert_type(connection.ping("text"), Deferred[float])


def headers_of(connection: PooledConnection) -> dict[str, str]:
    return {"X-For": connection.url}


async def fresh_headers() -> dict[str, str]:
    return {"Authorization": "Bearer ..."}


def build(reactor: IReactorTime) -> ReconnectingPoolFactory:
    ReconnectingPoolFactory("ws://example.com", pool_sise=4)  # type: ignore[call-arg]
    ReconnectingPoolFactory("ws://example.com", pool_size="4")  # type: ignore[arg-type]
    ReconnectingPoolFactory("ws://example.com", overflow="drop")  # type: ignore[arg-type]
    ReconnectingPoolFactory("ws://example.com", max_deliveries=1.5)  # type: ignore[arg-type]
    ReconnectingPoolFactory("ws://example.com", logger=logging.getLogger(), ws_options="chat")
    ReconnectingPoolFactory("ws://example.com", logger=False, ws_options=["a", "b"])
    ReconnectingPoolFactory(["wss://a.example.com", "wss://b.example.com"], pool_size=4)
    ReconnectingPoolFactory(("ws://a", "ws://b"), ws_options=WebSocketOptions(headers=headers_of))
    ReconnectingPoolFactory([b"ws://a"])  # type: ignore[list-item]
    ReconnectingPoolFactory({"ws://a"})  # type: ignore[arg-type]
    return ReconnectingPoolFactory(
        "wss://example.com",
        reactor=reactor,
        start=False,
        pool_size=4,
        overflow="wait",
        max_reconnect_attempts=None,
        max_deliveries=1,
        balancer=RoundRobin(),
        on_connect=log_in,
        logger=create_console_logger(),
        ws_options=WebSocketOptions(
            headers=fresh_headers,
            compression=Compression(mem_level=4),
            tls=TLSOptions(trust_root="ca.pem"),
            proxy=ProxyOptions("proxy.example", 3128),
        ),
    )


def listen(pool: ReconnectingPoolFactory) -> None:
    pool.on("message", lambda data, is_binary, connection_id: data.decode())
    pool.on("close", lambda connection_id, code, reason: reason.upper())
    pool.on("message", lambda data: data)  # type: ignore[call-overload]
    pool.on("mesage", print)  # type: ignore[call-overload]

    @pool.on("unexpected-response")
    def rejected(request: UpgradeRequest, response: UpgradeResponse, connection_id: int) -> None:
        assert_type(response.body, bytes)

    @pool.once("pool:ready")
    async def ready() -> None:
        assert_type(await pool.ping(timeout=1), float)

    pool.off("unexpected-response", rejected)


async def confirm(pool: ReconnectingPoolFactory) -> None:
    try:
        assert_type(await pool.send("text", key="key", confirm=True), int)
        await pool.flush(timeout=2.5)
    except DeliveryUnknown as error:
        assert_type((error.messages, error.deliveries), tuple[int, int])
        assert_type(error.data, bytes | None)
        if error.data is not None:
            pool.send(error.data, binary=error.is_binary)
    except FlushTimeout as error:
        assert_type(error.timeout, float)
    assert_type(pool.get_stats().unconfirmed_messages, int)
    pool.send("text", confirm="yes")  # type: ignore[arg-type]


async def use(pool: ReconnectingPoolFactory) -> None:
    assert_type(pool.send("text"), Deferred[int])
    assert_type(pool.send(memoryview(b""), key=("a", 1), timeout=0.5, binary=False), Deferred[int])
    pool.send(12)  # type: ignore[arg-type]
    pool.send("text", {"binary": True})  # type: ignore[arg-type]
    assert_type(await pool.broadcast(b"bytes"), list[tuple[bool, int | Failure]])
    assert_type(await pool.broadcast("all", confirm=True), list[tuple[bool, int | Failure]])
    assert_type(pool.flush(), Deferred[None])
    pool.flush("1")  # type: ignore[arg-type]
    assert_type(await pool.broadcast_ping(), list[tuple[bool, float | Failure]])
    assert_type(pool.get_stats(), PoolStats)
    assert_type(pool.get_stats().connections, tuple[ConnectionStats, ...])
    assert_type(pool.resize(8), Deferred[None])
    async with pool, aclosing(pool.messages()) as messages:
        async for data, is_binary, connection_id in messages:
            assert_type((data, is_binary, connection_id), tuple[bytes, bool, int])
    assert_type(pool.close(1001, "done", drain=5), Deferred[None])


def hand_over(pool: ReconnectingPoolFactory) -> None:
    anything_like_a_pool: IWebSocketPool = pool
    service: IService = PoolService(anything_like_a_pool, drain=1)
    service.setServiceParent(Application("relay"))


@implementer(IBalancer)
class Favourite:
    def __init__(self) -> None:
        self._connections: list[IPooledConnection] = []

    def add(self, connection: IPooledConnection) -> None:
        self._connections.append(connection)

    def remove(self, connection: IPooledConnection) -> None:
        self._connections.remove(connection)

    def choose(self) -> IPooledConnection | None:
        return min(self._connections, key=lambda c: c.buffered_bytes, default=None)


def in_memory() -> None:
    memory = MemoryPool(pool_size=2, balancer=Favourite())
    assert_type(memory.clock, Clock)
    assert_type(memory.server.peers, list[MemoryPeer])
    assert_type(MemoryPool(["ws://a", "ws://b"]).servers, list[MemoryServer])
    assert_type(ConnectionFailed().url, str | None)
    assert_type(memory.result(memory.pool.send("x")), int)
    assert_type(ExponentialBackoff(1, 30).next(), float)
