"""
From start to close: restarts of the server, and every way for a pool to end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, gatherResults

from wsmultipool import ReconnectingPoolFactory
from wsmultipool.errors import PoolClosed

from .autobahn_server import echo_factory
from .deadline import within
from .journal import Journal
from .listening import listening, unused_port
from .misbehaving import Ignores, Silent
from .running_reactor import reactor
from .starting import ProcessServer, Start, StartPool


@within(30)
async def test_server_restart(
    process_server: ProcessServer, start: Start, start_pool: StartPool
) -> None:
    """When the server is killed, messages wait; when it is back, they are delivered in order."""
    async with process_server() as server:
        pool, journal = start_pool(server.url, pool_size=2)
        await pool.when_ready()
    await journal.nth("pool:empty")
    sends = [pool.send(f"meanwhile {number}", key="one") for number in range(10)]

    await start(process_server(port=server.port))

    await gatherResults(sends, consumeErrors=True)
    await journal.nth("message", 10)
    assert [data for data, _, _ in journal.of("message")] == [
        f"meanwhile {number}".encode("ascii") for number in range(10)
    ]
    await journal.nth("pool:ready", 2)
    assert journal.of("drain") == [(10,)]
    assert journal.count("pool:empty") == 1


@within(30)
async def test_server_that_asks_to_come_back(
    process_server: ProcessServer, start: Start, start_pool: StartPool
) -> None:
    """A Close of the server's is reported with its code and reason, and then reconnected."""
    server = await start(process_server())
    pool, journal = start_pool(server.url, pool_size=3)
    await pool.when_ready()

    server.tell("close", code=1012, reason="back soon")

    await journal.nth("open", 6)
    assert sorted(journal.of("close")) == [(number, 1012, "back soon") for number in range(3)]
    assert pool.get_stats().reconnects == 3


@within(30)
async def test_close_is_a_handshake(
    process_server: ProcessServer, start: Start, start_pool: StartPool
) -> None:
    """C{close()} ends every connection with the code and reason it was given."""
    server = await start(process_server())
    pool, journal = start_pool(server.url, pool_size=3)
    await pool.when_ready()

    await pool.close(4001, "that was it")

    for number in range(1, 4):
        event = await server.event("closed", number)
        assert (event["code"], event["reason"]) == (4001, "that was it")
    assert sorted(journal.of("close")) == [(number, 4001, "that was it") for number in range(3)]
    assert journal.count("error") == 0


@within(30)
async def test_drain_delivers_what_waits(
    process_server: ProcessServer, start: Start, start_pool: StartPool
) -> None:
    """C{close(drain=)} first delivers what is queued, even if it has to connect for that."""
    server = await start(process_server(mode="count"))
    pool, _ = start_pool(server.url, pool_size=2)
    sends = [pool.send("x" * 1000) for _ in range(100)]

    await pool.close(drain=20)

    await gatherResults(sends, consumeErrors=True)
    server.tell("count")
    assert (await server.event("counted"))["messages"] == 100


@within(30)
async def test_drain_waits_for_the_server(start: Start, start_pool: StartPool) -> None:
    """While C{close(drain=)} has time left, it goes on trying to connect and then delivers."""
    port = unused_port()
    pool, journal = start_pool(f"ws://127.0.0.1:{port}/")
    sends = [pool.send(str(number)) for number in range(10)]
    await journal.nth("error")

    closed = pool.close(drain=20)
    server = await start(listening(echo_factory(), port=port))
    await closed

    await gatherResults(sends, consumeErrors=True)
    await server.all_gone()
    await assert_ended(pool)


async def before_start(start: Start, start_pool: StartPool) -> tuple[Any, Journal]:
    return start_pool(f"ws://127.0.0.1:{unused_port()}/", start=False)


async def before_first_turn(start: Start, start_pool: StartPool) -> tuple[Any, Journal]:
    return start_pool(f"ws://127.0.0.1:{unused_port()}/")


async def while_waiting_to_retry(start: Start, start_pool: StartPool) -> tuple[Any, Journal]:
    pool, journal = start_pool(
        f"ws://127.0.0.1:{unused_port()}/", reconnect_interval=30, max_reconnect_interval=30
    )
    await journal.nth("error")
    return pool, journal


async def while_connecting(start: Start, start_pool: StartPool) -> tuple[Any, Journal]:
    server = await start(listening(Silent))
    pool, journal = start_pool(server.url)
    await server.journal.nth("accepted")
    return pool, journal


async def during_on_connect(start: Start, start_pool: StartPool) -> tuple[Any, Journal]:
    server = await start(listening(echo_factory()))
    begun: Deferred[None] = Deferred()

    def wait_for_ever(connection: object) -> Deferred[None]:
        begun.callback(None)
        return Deferred()

    pool, journal = start_pool(server.url, on_connect=wait_for_ever)
    await begun
    return pool, journal


async def while_open(start: Start, start_pool: StartPool) -> tuple[Any, Journal]:
    server = await start(listening(echo_factory()))
    pool, journal = start_pool(server.url)
    await pool.when_ready()
    return pool, journal


async def while_closing(start: Start, start_pool: StartPool) -> tuple[Any, Journal]:
    server = await start(listening(Ignores))
    pool, journal = start_pool(server.url, close_timeout=0.2)
    await pool.when_ready()
    pool.close()
    return pool, journal


async def after_giving_up(start: Start, start_pool: StartPool) -> tuple[Any, Journal]:
    pool, journal = start_pool(f"ws://127.0.0.1:{unused_port()}/", max_reconnect_attempts=1)
    await journal.nth("error", 2)
    return pool, journal


Reach = Callable[[Start, StartPool], Awaitable[tuple[ReconnectingPoolFactory, Journal]]]

EVERY_STATE = [
    before_start,
    before_first_turn,
    while_waiting_to_retry,
    while_connecting,
    during_on_connect,
    while_open,
    while_closing,
    after_giving_up,
]


async def assert_ended(pool: ReconnectingPoolFactory) -> None:
    stats = pool.get_stats()
    assert (stats.open, stats.connecting, stats.closed) == (0, 0, stats.total)
    with pytest.raises(PoolClosed):
        await pool.send("too late")
    with pytest.raises(PoolClosed):
        await pool.when_open()


@pytest.mark.parametrize("reach", EVERY_STATE)
@within(30)
async def test_close_in_every_state(reach: Reach, start: Start, start_pool: StartPool) -> None:
    """C{close()} ends a pool whatever it is doing, also when called twice."""
    pool, journal = await reach(start, start_pool)
    opened = journal.count("open")

    first, second = pool.close(), pool.close()
    await first
    await second

    await assert_ended(pool)
    assert journal.count("close") == opened


@pytest.mark.parametrize("reach", EVERY_STATE)
@within(30)
async def test_destroy_in_every_state(reach: Reach, start: Start, start_pool: StartPool) -> None:
    """C{destroy()} ends a pool at once whatever it is doing, and C{close()} then is done."""
    pool, _ = await reach(start, start_pool)

    pool.destroy()
    pool.destroy()

    await assert_ended(pool)
    await pool.close()


@within(30)
async def test_close_inside_a_listener(start: Start, start_pool: StartPool) -> None:
    """A listener may close the pool on any event, and no connection comes back."""
    server = await start(listening(echo_factory()))
    for event in ("upgrade", "open", "pool:ready", "message"):
        pool, journal = start_pool(server.url)
        closed: Deferred[None] = Deferred()
        pool.once(event, lambda *_, p=pool, done=closed: p.close().chainDeferred(done))
        pool.send("go").addErrback(lambda failure: failure.trap(PoolClosed))

        await closed

        await server.all_gone()
        assert journal.count("open") == journal.count("close")
        await assert_ended(pool)


@within(30)
async def test_close_inside_a_close_listener(start: Start, start_pool: StartPool) -> None:
    """A pool closed because a connection was lost does not bring that connection back."""
    server = await start(listening(echo_factory()))
    pool, _ = start_pool(server.url, pool_size=2)
    await pool.when_ready()
    closed: Deferred[None] = Deferred()
    pool.once("close", lambda *_: pool.close().chainDeferred(closed))

    server.reset_all()
    await closed

    await server.all_gone()
    await assert_ended(pool)
    assert server.accepted == 2


@within(30)
async def test_async_context_manager(start: Start) -> None:
    """C{async with} starts a pool and closes it."""
    server = await start(listening(echo_factory()))

    async with ReconnectingPoolFactory(
        server.url, reactor=reactor, start=False, pool_size=2
    ) as pool:
        await pool.when_ready()
        assert await pool.send("inside") in (0, 1)

    await server.all_gone()
    await assert_ended(pool)
