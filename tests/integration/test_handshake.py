"""
What a pool asks for when it connects, and what the server makes of it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.tcp import Client

from wsmultipool import Compression, WebSocketOptions
from wsmultipool.errors import OnConnectFailed

from .autobahn_server import echo_factory
from .deadline import within
from .listening import listening
from .peers import node_server
from .processes import PeerProcess
from .running_reactor import reactor
from .starting import ProcessServer, Start, StartPool


async def requested(server: PeerProcess, count: int = 1) -> dict[str, str]:
    """
    Wait for the C{count}-th connection; return its request's headers, by lower-case name.
    """
    headers = (await server.event("open", count))["headers"]
    assert isinstance(headers, dict)
    return headers


@within(30)
async def test_subprotocol_is_negotiated(
    process_server: ProcessServer, start: Start, start_pool: StartPool
) -> None:
    """The server chooses among the subprotocols offered, and the connection knows which."""
    server = await start(process_server(protocols=["v1.feed", "v2.feed"]))
    seen = []

    pool, journal = start_pool(
        server.url,
        ws_options=["v0.feed", "v2.feed"],
        on_connect=lambda connection: seen.append(connection.protocol),
    )
    await pool.when_ready()

    assert seen == ["v2.feed"]
    (response, _) = await journal.nth("upgrade")
    assert response.protocol == "v2.feed"
    assert (await requested(server))["sec-websocket-protocol"].split(",")[0] == "v0.feed"


@within(30)
async def test_subprotocol_as_a_string(
    process_server: ProcessServer, start: Start, start_pool: StartPool
) -> None:
    """A single subprotocol may be given as a string."""
    server = await start(process_server(protocols=["chat"]))

    pool, _ = start_pool(server.url, ws_options="chat")
    await pool.when_ready()

    assert (await server.event("open"))["protocol"] == "chat"


@within(30)
async def test_headers_of_a_mapping(
    process_server: ProcessServer, start: Start, start_pool: StartPool
) -> None:
    """The headers, origin and user agent of the options arrive, and so does the whole path."""
    server = await start(process_server())

    pool, _ = start_pool(
        server.url + "feed?last=7&q=a%20b",
        ws_options=WebSocketOptions(
            headers={"Authorization": "Bearer abc", "X-Client": "tests"},
            origin="https://app.example",
            user_agent="tests/1.0",
        ),
    )
    await pool.when_ready()

    headers = await requested(server)
    assert headers["authorization"] == "Bearer abc"
    assert headers["x-client"] == "tests"
    assert headers["origin"] == "https://app.example"
    assert headers["user-agent"] == "tests/1.0"
    assert (await server.event("open"))["url"] == "/feed?last=7&q=a%20b"


@pytest.mark.parametrize("kind", ["plain", "deferred", "coroutine"])
@within(30)
async def test_headers_are_fresh_for_every_attempt(
    process_server: ProcessServer, kind: str, start: Start, start_pool: StartPool
) -> None:
    """A callable is asked for headers before each attempt, and may take its time."""
    server = await start(process_server())
    tokens = iter(range(100))

    def plain() -> dict[str, str]:
        return {"Authorization": f"Bearer {next(tokens)}"}

    def deferred() -> Deferred[dict[str, str]]:
        return succeed(plain())

    async def coroutine() -> dict[str, str]:
        return await deferred()

    sources: dict[str, Callable[[], Any]] = {
        "plain": plain,
        "deferred": deferred,
        "coroutine": coroutine,
    }
    start_pool(server.url, ws_options=WebSocketOptions(headers=sources[kind]))

    assert (await requested(server, 1))["authorization"] == "Bearer 0"
    server.tell("terminate")
    assert (await requested(server, 2))["authorization"] == "Bearer 1"


@within(30)
async def test_failing_headers_fail_the_attempt_only(
    process_server: ProcessServer, start: Start, start_pool: StartPool
) -> None:
    """A callable for headers that raises costs one attempt, reported as an error, and no more."""
    server = await start(process_server())
    answers = iter([None, {"X-Attempt": "2"}])

    def headers() -> dict[str, str]:
        answer = next(answers)
        if answer is None:
            raise RuntimeError("no token today")
        return answer

    pool, journal = start_pool(server.url, ws_options=WebSocketOptions(headers=headers))
    await pool.when_ready()

    assert journal.count("error") == 1
    assert (await requested(server))["x-attempt"] == "2"


@within(30)
async def test_userinfo_becomes_basic_authorization(
    process_server: ProcessServer, start: Start, start_pool: StartPool
) -> None:
    """User and password of the URL are sent as Basic credentials, and appear nowhere else."""
    server = await start(process_server())

    pool, _ = start_pool(f"ws://user:p%40ss@127.0.0.1:{server.port}/")
    await pool.when_ready()

    credentials = b64encode(b"user:p@ss").decode("ascii")
    assert (await requested(server))["authorization"] == f"Basic {credentials}"
    assert (await requested(server))["host"] == f"127.0.0.1:{server.port}"
    for connection in pool.get_stats().connections:
        assert "p@ss" not in connection.url
        assert "p%40ss" not in connection.url


@within(30)
async def test_on_connect_holds_traffic_back(
    process_server: ProcessServer, start: Start, start_pool: StartPool
) -> None:
    """Until C{on_connect} is done the connection is not open, though the hook itself may send."""
    server = await start(process_server())
    go_on: Deferred[None] = Deferred()

    async def authenticate(connection: Any) -> None:
        await connection.send("authenticate")
        await go_on

    pool, journal = start_pool(server.url, on_connect=authenticate)
    sent = pool.send("traffic")

    assert (await journal.nth("message"))[0] == b"authenticate"
    assert pool.open_connections == 0
    assert not sent.called
    go_on.callback(None)
    await sent
    assert (await journal.nth("message", 2))[0] == b"traffic"


@within(30)
async def test_failing_on_connect_is_a_failed_attempt(
    process_server: ProcessServer, start: Start, start_pool: StartPool
) -> None:
    """When C{on_connect} fails, the connection is given up and another attempt is made."""
    server = await start(process_server())
    outcomes = iter([RuntimeError("not subscribed"), None])

    def subscribe(connection: object) -> None:
        outcome = next(outcomes)
        if outcome is not None:
            raise outcome

    pool, journal = start_pool(server.url, on_connect=subscribe)
    await pool.when_ready()

    ((error, _),) = journal.of("error")
    assert isinstance(error, OnConnectFailed)
    assert str(error.__cause__) == "not subscribed"
    assert journal.count("close") == 0
    await server.event("closed")


@pytest.mark.parametrize("wanted", [True, False])
@within(30)
async def test_small_messages_are_held_back_only_if_wanted(
    wanted: bool, start: Start, start_pool: StartPool
) -> None:
    """C{tcp_nodelay} decides whether they wait until earlier ones were acknowledged (Nagle)."""
    server = await start(listening(echo_factory()))
    pool, _ = start_pool(server.url, ws_options=WebSocketOptions(tcp_nodelay=wanted))
    await pool.when_ready()
    clients = [socket for socket in reactor.getReaders() if isinstance(socket, Client)]
    assert [client.getTcpNoDelay() for client in clients] == [wanted] * len(clients)
    assert clients


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("count", [1, 16])
@within(30)
async def test_early_hints_before_the_101(count: int, start: Start, start_pool: StartPool) -> None:
    """A server that sends 103 responses before it accepts (RFC 8297) is as good as any other."""
    server = await start(node_server(earlyHints=count))

    pool, journal = start_pool(server.url)
    await pool.when_ready()
    await pool.send("hello", confirm=True)

    assert (await journal.nth("message"))[0] == b"hello"
    assert journal.count("error") == 0


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    ("deflate", "asked_for"),
    [
        ({}, 8),
        ({"serverMaxWindowBits": 8}, None),
        ({"serverMaxWindowBits": 8}, 8),
        ({"clientMaxWindowBits": 8}, None),
        ({"serverMaxWindowBits": 8, "clientMaxWindowBits": 9}, 10),
        ({"serverMaxWindowBits": 15, "clientMaxWindowBits": 15}, None),
    ],
)
@within(30)
async def test_compression_with_the_smallest_window(
    deflate: dict[str, int],
    asked_for: int | None,
    start: Start,
    start_pool: StartPool,
) -> None:
    """Windows of 8 bits are agreed to; messages arrive in both directions."""
    server = await start(node_server(deflate=deflate))
    compression = Compression(server_max_window_bits=asked_for)

    pool, journal = start_pool(
        server.url,
        ws_options=WebSocketOptions(compression=compression, compression_threshold=0),
    )
    await pool.when_ready()
    (response, _) = await journal.nth("upgrade")
    assert response.extensions == ("permessage-deflate",)
    texts = ["again and again " * size for size in (1, 100, 10_000)]
    for text in texts:
        await pool.send(text, confirm=True)

    await journal.nth("message", len(texts))
    assert [data.decode() for data, *_ in journal.of("message")] == texts
    assert journal.count("error") == 0
