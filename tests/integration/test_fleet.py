"""
Several servers for one pool: real processes, one of which is killed and started again.
"""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack

from wsmultipool import ConnectionFailed, ReconnectingPoolFactory, TLSOptions, WebSocketOptions

from .autobahn_server import echo_factory
from .certificates import Authority
from .deadline import within
from .listening import listening
from .starting import ProcessServer, Start, StartPool


def spread(pool: ReconnectingPoolFactory) -> Counter[str]:
    """How many connections are at each URL."""
    return Counter(connection.url for connection in pool.get_stats().connections)


@within(60)
async def test_one_of_two_servers_is_killed(
    process_server: ProcessServer, start: Start, start_pool: StartPool
) -> None:
    """Its connections go on at the other one, no confirmed message is lost; it gets new ones."""
    survivor = await start(process_server())
    async with AsyncExitStack() as mortal:
        victim = await mortal.enter_async_context(process_server())
        pool, journal = start_pool([survivor.url, victim.url], pool_size=6, min_uptime=0)
        await pool.when_ready()
        assert spread(pool) == {survivor.url: 3, victim.url: 3}
        confirmed = [pool.send(f"message {number}", confirm=True) for number in range(300)]
    # Here it has been killed, with messages on the way.
    for sent in confirmed:
        await sent
    await journal.when(lambda: spread(pool) == {survivor.url: 6})
    await pool.when_ready()
    errors = [error for error, _ in journal.of("error")]
    assert all(isinstance(error, ConnectionFailed) for error in errors)
    assert {getattr(error, "url", None) for error in errors} == {victim.url}

    async with process_server(port=victim.port) as reborn:
        assert reborn.url == victim.url
        await pool.resize(12)
        await pool.when_ready()
        await pool.resize(6)
        assert spread(pool) == {survivor.url: 3, victim.url: 3}
        assert len(await pool.broadcast_ping(timeout=10)) == 6
        await pool.close()


@within(30)
async def test_encrypted_and_plain(
    authority: Authority, start: Start, start_pool: StartPool
) -> None:
    """Each URL gets what its scheme says, and each certificate is checked for its own host."""
    tls = authority.issue("localhost").private.options()
    secure = await start(listening(echo_factory(), tls=tls))
    plain = await start(listening(echo_factory()))
    wrong_host = f"wss://127.0.0.1:{secure.port}/"
    urls = [wrong_host, plain.url, f"wss://localhost:{secure.port}/"]
    options = WebSocketOptions(tls=TLSOptions(trust_root=authority.file))
    pool, journal = start_pool(urls, pool_size=3, ws_options=options)
    await pool.when_ready()

    assert spread(pool)[wrong_host] == 0
    assert spread(pool).total() == 3
    failed = {getattr(error, "url", None) for error, _ in journal.of("error")}
    assert failed == {wrong_host}
    results = await pool.broadcast_ping(timeout=10)
    assert [success for success, _ in results] == [True] * 3
