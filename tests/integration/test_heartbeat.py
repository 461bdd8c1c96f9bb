"""
Pings in both directions, and what the heartbeat makes of silence.
"""

from __future__ import annotations

import pytest

from wsmultipool.errors import HeartbeatTimeout, NotConnected

from .deadline import within
from .listening import listening
from .misbehaving import Chatters, Ignores
from .peers import node_server
from .running_reactor import reactor
from .starting import ProcessServer, Start, StartPool


@within(30)
async def test_ping_round_trip(
    process_server: ProcessServer, start: Start, start_pool: StartPool
) -> None:
    """C{ping()} measures one round trip, C{broadcast_ping()} one per connection."""
    server = await start(process_server())
    pool, journal = start_pool(server.url, pool_size=3)
    with pytest.raises(NotConnected):
        await pool.ping()
    await pool.when_ready()

    assert 0 < await pool.ping(b"are you there?") < 10
    outcome = await pool.broadcast_ping(timeout=10)

    assert [success for success, _ in outcome] == [True] * 3
    await journal.nth("pong", 4)
    latencies = [connection.latency for connection in pool.get_stats().connections]
    assert all(latency is not None and latency > 0 for latency in latencies)


@within(30)
async def test_ping_of_the_server(node: None, start: Start, start_pool: StartPool) -> None:
    """A ping of the server's is answered, and reported."""
    server = await start(node_server())
    pool, journal = start_pool(server.url)
    await pool.when_ready()

    server.tell("ping", text="and you?")

    assert (await server.event("pong"))["data"] == "and you?"
    assert journal.of("ping") == [(b"and you?", 0)]


@within(30)
async def test_heartbeat_finds_a_dead_server(start: Start, start_pool: StartPool) -> None:
    """A server that stops answering is noticed by the heartbeat, and connected anew."""
    server = await start(listening(Ignores))
    pool, journal = start_pool(server.url, heartbeat_interval=0.1, heartbeat_timeout=0.1)

    await journal.nth("open", 2)

    (error, _) = journal.of("error")[0]
    assert isinstance(error, HeartbeatTimeout)
    assert journal.of("close")[0][:2] == (0, 1006)
    assert pool.total_connections == 1


@within(30)
async def test_heartbeat_leaves_a_live_server_alone(
    process_server: ProcessServer, start: Start, start_pool: StartPool
) -> None:
    """A server that answers pings stays connected."""
    server = await start(process_server())
    pool, journal = start_pool(server.url, heartbeat_interval=0.05, heartbeat_timeout=5)
    await pool.when_ready()

    begun = reactor.seconds()
    await journal.nth("pong", 3)

    assert reactor.seconds() - begun < 5  # it is pinged every heartbeat_interval
    assert journal.count("open") == 1
    assert journal.count("error") == journal.count("close") == 0


@within(30)
async def test_any_byte_is_a_sign_of_life(start: Start, start_pool: StartPool) -> None:
    """A server that answers no ping but sends messages is alive."""
    server = await start(listening(Chatters))
    _, journal = start_pool(server.url, heartbeat_interval=0.01, heartbeat_timeout=2)

    await journal.nth("message", 150)

    assert server.accepted == 1
    assert journal.count("error") == 0
