"""
Messages in and out: iterated, held back at the socket, and sent to everyone.
"""

from __future__ import annotations

from twisted.internet.task import deferLater

from .autobahn_server import echo_factory
from .deadline import within
from .listening import listening
from .misbehaving import Floods
from .running_reactor import reactor
from .starting import ProcessServer, Start, StartPool


@within(30)
async def test_messages_are_iterated(start: Start, start_pool: StartPool) -> None:
    """C{messages()} yields what arrives, with its type and connection."""
    server = await start(listening(echo_factory()))
    pool, _ = start_pool(server.url, pool_size=2)
    await pool.when_ready()
    messages = pool.messages()
    for number in range(20):
        await pool.send(str(number))

    received = []
    async for data, is_binary, connection_id in messages:
        assert not is_binary
        assert connection_id in (0, 1)
        received.append(int(data))
        if len(received) == 20:
            break

    assert sorted(received) == list(range(20))


@within(30)
async def test_slow_iteration_slows_the_server(start: Start, start_pool: StartPool) -> None:
    """While nobody asks C{messages()} for more, the sockets are not read, and memory not filled."""
    flooding = Floods()
    server = await start(listening(lambda: flooding))
    pool, _ = start_pool(server.url, close_timeout=0.2)

    received = 0
    async for data, _, _ in pool.messages():
        assert len(data) == 65536
        received += 1
        if received == 100:
            break
        await deferLater(reactor, 0.01)  # the work that each message takes

    # What is ahead of the reader: the kernel's buffers, and what the pool reads ahead.
    assert flooding.sent - received < 16 * 1024 * 1024 / 65536
    assert server.accepted == 1


@within(30)
async def test_pause_receiving(start: Start, start_pool: StartPool) -> None:
    """While receiving is paused no message is delivered, and all of them are afterwards."""
    server = await start(listening(echo_factory()))
    pool, journal = start_pool(server.url, pool_size=2)
    await pool.when_ready()

    pool.pause_receiving()
    for number in range(10):
        await pool.send(str(number))
    # Not a wait for something, but the time in which a message would have come back.
    await deferLater(reactor, 0.2)
    assert journal.count("message") == 0

    pool.resume_receiving()
    await journal.nth("message", 10)
    assert sorted(int(data) for data, _, _ in journal.of("message")) == list(range(10))


@within(30)
async def test_paused_before_opening(start: Start, start_pool: StartPool) -> None:
    """A connection that opens while receiving is paused is not read either."""
    server = await start(listening(Floods))
    pool, journal = start_pool(server.url, close_timeout=0.2)
    pool.pause_receiving()

    await pool.when_ready()
    # Not a wait for something, but the time in which a message would have come.
    await deferLater(reactor, 0.2)
    assert journal.count("message") == 0

    pool.resume_receiving()
    await journal.nth("message", 10)


@within(30)
async def test_broadcast(
    process_server: ProcessServer, start: Start, start_pool: StartPool
) -> None:
    """C{broadcast()} sends on every open connection and says where it went."""
    server = await start(process_server())
    pool, journal = start_pool(server.url, pool_size=3)
    assert await pool.broadcast("nobody there") == []
    await pool.when_ready()

    outcome = await pool.broadcast("to all")

    assert sorted(outcome) == [(True, 0), (True, 1), (True, 2)]
    await journal.nth("message", 3)
    assert sorted(journal.of("message")) == [(b"to all", False, number) for number in range(3)]
