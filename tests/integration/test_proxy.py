"""
Connecting through an HTTP proxy, with and without credentials, with and without TLS.
"""

from __future__ import annotations

from functools import partial

import pytest

from wsmultipool import ProxyOptions, TLSOptions, WebSocketOptions
from wsmultipool.errors import (
    ConnectionFailed,
    HandshakeInvalid,
    ProxyRefused,
    TransportFailed,
    UpgradeRejected,
)

from .autobahn_server import echo_factory
from .certificates import Authority
from .connect_proxy import ConnectProxy
from .deadline import within
from .listening import listening, unused_port
from .misbehaving import Garbage, Silent
from .rejecting import Rejects
from .starting import Start, StartPool


@within(30)
async def test_open_proxy(start: Start, start_pool: StartPool) -> None:
    """Every connection of the pool goes through a tunnel of its own."""
    server = await start(listening(echo_factory()))
    connect_proxy = ConnectProxy()
    proxy = await start(listening(connect_proxy))

    pool, journal = start_pool(
        server.url,
        pool_size=3,
        ws_options=WebSocketOptions(proxy=ProxyOptions("127.0.0.1", proxy.port)),
    )
    await pool.when_ready()
    await pool.send("through the tunnel")

    assert (await journal.nth("message"))[0] == b"through the tunnel"
    assert connect_proxy.tunnels == [f"127.0.0.1:{server.port}"] * 3
    assert server.accepted == 3


@within(30)
async def test_proxy_with_credentials(start: Start, start_pool: StartPool) -> None:
    """A proxy that wants credentials gets those of the options, non-ASCII ones included."""
    server = await start(listening(echo_factory()))
    connect_proxy = ConnectProxy("mär:se:cret")
    proxy = await start(listening(connect_proxy))

    pool, _ = start_pool(
        server.url,
        ws_options=WebSocketOptions(
            proxy=ProxyOptions("127.0.0.1", proxy.port, username="mär", password="se:cret")
        ),
    )
    await pool.when_ready()

    assert len(connect_proxy.tunnels) == 1
    assert connect_proxy.refused == 0


@within(30)
@pytest.mark.parametrize("status", ["401", "101", "nonsense"])
async def test_server_repeats_the_credentials(
    start: Start, start_pool: StartPool, status: str
) -> None:
    """A server that quotes what the proxy was told does not get that into an error."""
    quoting = f"{status} pass-phrase is wrong, Basic dXNlcjpwYXNzLXBocmFzZQ== too"
    server = await start(listening(partial(Rejects, quoting)))
    proxy = await start(listening(ConnectProxy("user:pass-phrase")))

    _, journal = start_pool(
        server.url,
        ws_options=WebSocketOptions(proxy=f"http://user:pass-phrase@127.0.0.1:{proxy.port}"),
    )

    (error, _) = await journal.nth("error")
    assert isinstance(error, UpgradeRejected if status == "401" else HandshakeInvalid)
    assert "pass-phrase" not in str(error)
    assert "dXNlcjpwYXNzLXBocmFzZQ" not in str(error)
    assert status == "101" or "*** is wrong, *** too" in str(error)


@within(30)
async def test_wrong_credentials(start: Start, start_pool: StartPool) -> None:
    """Wrong credentials fail each attempt with the proxy's 407, and are not shown in the error."""
    server = await start(listening(echo_factory()))
    connect_proxy = ConnectProxy("user:right")
    proxy = await start(listening(connect_proxy))

    _, journal = start_pool(
        server.url,
        ws_options=WebSocketOptions(
            proxy=ProxyOptions("127.0.0.1", proxy.port, username="user", password="wr0ng")
        ),
    )

    await journal.nth("error", 2)
    for error, _ in journal.of("error"):
        assert isinstance(error, ProxyRefused)
        assert (error.status, error.stage) == (407, "proxy")
        assert "wr0ng" not in str(error) + repr(error)
    assert connect_proxy.tunnels == []
    assert server.accepted == 0


@within(30)
async def test_proxy_that_cannot_reach_the_server(start: Start, start_pool: StartPool) -> None:
    """When the proxy cannot connect, its status is in the error, and the attempt is retried."""
    proxy = await start(listening(ConnectProxy()))

    _, journal = start_pool(
        f"ws://127.0.0.1:{unused_port()}/",
        ws_options=WebSocketOptions(proxy=ProxyOptions("127.0.0.1", proxy.port)),
    )

    await journal.nth("error", 2)
    (error, _) = journal.of("error")[0]
    assert isinstance(error, ProxyRefused)
    assert error.status == 502


@within(30)
async def test_proxy_that_speaks_no_http(start: Start, start_pool: StartPool) -> None:
    """A proxy that answers with something else than HTTP fails the attempt, which is retried."""
    proxy = await start(listening(Garbage))

    _, journal = start_pool(
        "ws://127.0.0.1:9/",
        ws_options=WebSocketOptions(proxy=ProxyOptions("127.0.0.1", proxy.port)),
    )

    await journal.nth("error", 2)
    (error, _) = journal.of("error")[0]
    assert isinstance(error, ProxyRefused)
    assert error.status is None


@within(30)
async def test_silent_proxy(start: Start, start_pool: StartPool) -> None:
    """C{open_timeout} covers the proxy: one that never answers does not hold the attempt."""
    proxy = await start(listening(Silent))

    _, journal = start_pool(
        "ws://127.0.0.1:9/",
        open_timeout=0.1,
        ws_options=WebSocketOptions(proxy=ProxyOptions("127.0.0.1", proxy.port)),
    )

    await journal.nth("error", 2)
    assert all(isinstance(error, TimeoutError) for error, _ in journal.of("error"))
    assert all(isinstance(error, ConnectionFailed) for error, _ in journal.of("error"))


@within(30)
async def test_tls_through_a_proxy(
    authority: Authority, start: Start, start_pool: StartPool
) -> None:
    """TLS is spoken with the server, inside the tunnel, and the server's name is verified."""
    server = await start(
        listening(echo_factory(), tls=authority.issue("localhost").private.options())
    )
    connect_proxy = ConnectProxy("user:secret")
    proxy = await start(listening(connect_proxy))

    pool, journal = start_pool(
        f"wss://localhost:{server.port}/",
        ws_options=WebSocketOptions(
            tls=TLSOptions(trust_root=authority.trust_root),
            proxy=ProxyOptions("127.0.0.1", proxy.port, username="user", password="secret"),
        ),
    )
    await pool.send("inside")

    assert (await journal.nth("message"))[0] == b"inside"
    # The proxy resolves the name, not the client.
    assert connect_proxy.tunnels == [f"localhost:{server.port}"]


@within(30)
async def test_lost_tunnel_is_replaced(start: Start, start_pool: StartPool) -> None:
    """A proxy that drops a tunnel costs that connection, and the next tunnel replaces it."""
    server = await start(listening(echo_factory()))
    connect_proxy = ConnectProxy()
    proxy = await start(listening(connect_proxy))
    pool, journal = start_pool(
        server.url, ws_options=WebSocketOptions(proxy=ProxyOptions("127.0.0.1", proxy.port))
    )
    await pool.when_ready()

    proxy.reset_all()

    await journal.nth("open", 2)
    assert len(connect_proxy.tunnels) == 2


@within(30)
async def test_errors_name_the_stage_on_the_way_to_a_proxy(start_pool: StartPool) -> None:
    """A proxy that is not there is told apart from a server that is not there."""
    _, journal = start_pool(
        "ws://192.0.2.1/",
        ws_options=WebSocketOptions(proxy=ProxyOptions("127.0.0.1", unused_port())),
    )

    await journal.nth("error", 2)
    (error, _) = journal.of("error")[0]
    assert isinstance(error, TransportFailed)
    assert error.stage == "proxy TCP"
    assert "(stage: proxy TCP)" in str(error)
