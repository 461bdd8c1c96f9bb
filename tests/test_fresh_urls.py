"""
The option C{url} of L{WebSocketOptions}: a URL for each attempt, with a token in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from wsmultipool import (
    IWebSocketWire,
    PooledConnection,
    PoolOptions,
    ServerURL,
    UpgradeRejected,
    UpgradeRequest,
    UpgradeResponse,
    URLFailed,
    WebSocketFactory,
    WebSocketOptions,
    noop_logger,
)
from wsmultipool._request import build_request, build_url
from wsmultipool.testing import MemoryPool, MemoryServer

from .support import error_of, outcome

CONNECTION: Any = object()


class Broken(Exception):
    """
    What goes wrong in these tests.
    """


def built(
    url: Callable[..., Any], of_pool: str = "wss://example.com/feed", **options: Any
) -> Deferred[ServerURL]:
    """
    Ask for the URL of one attempt.
    """
    made = WebSocketOptions(url=url, **options)
    return build_url(ServerURL.parse(of_pool), made, CONNECTION)


def pool_with(
    url: Callable[..., Any], of_pool: str = "ws://memory.test/feed", **options: Any
) -> tuple[MemoryPool, list[Exception]]:
    """
    Make a pool of one connection with a C{url} callable; return it and its errors.
    """
    options = {"pool_size": 1, "logger": noop_logger, **options}
    memory = MemoryPool(of_pool, ws_options=WebSocketOptions(url=url), **options)
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    return memory, errors


def test_without_the_option_the_url_is_that_of_the_pool() -> None:
    """Nothing is asked, and nothing waited for."""
    url = ServerURL.parse("wss://example.com/feed?a=1")
    assert outcome(build_url(url, WebSocketOptions(), CONNECTION)) == [url]


async def coroutine(url: str) -> str:
    """
    Return a URL from a coroutine.
    """
    return url


@pytest.mark.parametrize("wrap", [str, succeed, coroutine])
def test_a_url_may_come_from_anything_awaitable(wrap: Callable[[str], Any]) -> None:
    """The callable may return the URL, a Deferred of it, or be a coroutine function."""
    (url,) = outcome(built(lambda: wrap("wss://example.com/feed?token=1")))
    assert url == ServerURL.parse("wss://example.com/feed?token=1")


def test_it_gets_the_connection_if_it_takes_one() -> None:
    """A callable with a parameter sees by the connection which attempt the URL is for."""
    seen: list[object] = []

    def url(connection: PooledConnection) -> str:
        seen.append(connection)
        return "wss://example.com/"

    outcome(built(url))
    assert seen == [CONNECTION]


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (None, TypeError),
        (b"wss://example.com/", TypeError),
        (["wss://example.com/"], TypeError),
        ("", ValueError),
        ("https://example.com/?token=12345", ValueError),
        ("wss://example.com/?token=12345#fragment", ValueError),
        ("wss://example.com/?token=12345\r\nX: 1", ValueError),
        ("ws://example.com/?token=12345", ValueError),
    ],
)
def test_what_is_returned_is_checked(value: object, cause: type[Exception]) -> None:
    """It is held to the rules for the pool's URL; and a wss:// URL does not become a ws:// URL."""
    error = error_of(built(lambda: value))
    assert isinstance(error, URLFailed)
    assert type(error.__cause__) is cause
    assert "12345" not in f"{error} {error!r} {error.__cause__} {error.__cause__!r}"


def test_more_security_than_asked_for_is_fine() -> None:
    """A server that has learnt TLS may say so."""
    (url,) = outcome(built(lambda: "wss://example.com/", "ws://example.com/"))
    assert url.secure


def raise_at_once() -> str:
    """
    Fail as a plain function does.
    """
    raise Broken("token 12345")


@pytest.mark.parametrize("url", [raise_at_once, lambda: fail(Broken("token 12345"))])
def test_a_url_that_cannot_be_had(url: Callable[[], Any]) -> None:
    """However the callable fails, the attempt fails with URLFailed, which shows no secret."""
    error = error_of(built(url))
    assert isinstance(error, URLFailed)
    assert isinstance(error.__cause__, Broken)
    assert str(error) == "the URL could not be had: Broken"


def test_cancelling_reaches_what_fetches_the_url() -> None:
    """An attempt that runs out of time cancels the request for a token, too."""
    cancelled: list[Deferred[str]] = []
    fetching: Deferred[str] = Deferred(cancelled.append)
    building = built(lambda: fetching)
    building.cancel()
    assert cancelled == [fetching]
    error = error_of(building)
    assert isinstance(error, URLFailed)
    assert isinstance(error.__cause__, CancelledError)


def test_the_request_is_for_the_fresh_url() -> None:
    """Host and credentials are those of the URL that was returned."""
    options = WebSocketOptions(user_agent=None)
    url = ServerURL.parse("wss://user:password@other.example:8443/?token=1")
    (request,) = outcome(build_request(url, options, CONNECTION))
    assert request.host == "other.example:8443"
    assert request.headers == {"Authorization": "Basic dXNlcjpwYXNzd29yZA=="}


@pytest.mark.parametrize("value", ["wss://example.com/?token=12345", 12345])
def test_only_a_callable_will_do(value: Any) -> None:
    """A URL that is always the same is the pool's; the error does not repeat it."""
    with pytest.raises(TypeError, match="url must be a callable") as raised:
        WebSocketOptions(url=value)
    assert "12345" not in str(raised.value)


def test_the_repr_says_only_that_there_is_one() -> None:
    """A functools.partial would show its arguments."""
    assert repr(WebSocketOptions(url=lambda: "")) == "WebSocketOptions(url=<callable>)"


def test_every_attempt_has_a_url_of_its_own() -> None:
    """A token is asked for again after a failure and for each reconnect."""
    tokens = iter(range(1, 10))
    memory, errors = pool_with(lambda: f"ws://memory.test/feed?token={next(tokens)}")
    memory.server.reject(401)
    memory.pool.start()
    memory.settle()
    memory.server.accept()
    memory.advance(1)
    memory.server.peers[-1].drop()
    memory.advance(2)
    assert [peer.resource for peer in memory.server.peers][1:] == [
        "/feed?token=2",
        "/feed?token=3",
    ]
    assert isinstance(errors[0], UpgradeRejected)
    memory.close()


def test_failures_count_for_backoff() -> None:
    """An attempt without a URL makes no connection, and the next one is later each time."""
    times: list[float] = []
    memory: MemoryPool

    def url() -> str:
        times.append(memory.clock.seconds())
        raise Broken

    memory, errors = pool_with(url)
    memory.pool.start()
    memory.advance(7)
    assert times == [0, 1, 3, 7]
    assert [type(error) for error in errors] == [URLFailed] * 4
    assert memory.server.attempts == []
    memory.close()


def test_an_attempt_that_is_given_up_asks_for_nothing_more() -> None:
    """A pool that is closed by the callable itself does not go on to the headers."""
    memory: MemoryPool
    asked: list[str] = []

    def url() -> str:
        memory.pool.destroy()
        return "ws://memory.test/"

    memory = MemoryPool(
        pool_size=1,
        logger=noop_logger,
        ws_options=WebSocketOptions(url=url, headers=lambda: asked.append("headers")),  # type: ignore[arg-type]
    )
    memory.pool.start()
    memory.settle()
    assert asked == []
    assert memory.server.attempts == []
    memory.close()


class Recording(WebSocketFactory):
    """
    Connects to a server in memory, and keeps what it was asked to connect to.
    """

    def __init__(self, server: MemoryServer) -> None:
        super().__init__()
        self.urls: list[ServerURL] = []
        self.server = server

    def build_endpoint(
        self, reactor: IReactorTime, url: ServerURL, options: PoolOptions
    ) -> IStreamClientEndpoint:
        self.urls.append(url)
        return self.server

    def build_protocol(self, request: UpgradeRequest, options: PoolOptions) -> IWebSocketWire:
        self.urls.append(request.url)
        return super().build_protocol(request, options)


def test_the_url_may_name_another_host() -> None:
    """Services that hand out the address of a shard together with the token."""
    memory = MemoryPool()
    factory = Recording(memory.server)
    memory, _ = pool_with(
        lambda: "ws://shard-7.memory.test:8080/?ticket=1",
        clock=memory.clock,
        ws_factory=factory,
    )
    memory.server = factory.server
    memory.open()
    assert [url.endpoint_label for url in factory.urls] == ["shard-7.memory.test:8080"] * 2
    assert factory.server.peers[0].headers["host"] == "shard-7.memory.test:8080"
    memory.close()


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("ws://a.test/x?token=1", 0),
        ("ws://b.test/x?token=1", 1),
        ("ws://c.test/x?token=1", 0),
    ],
)
def test_in_memory_a_url_finds_its_server(url: str, server: int) -> None:
    """Among several, that of its host; the first for a host that the pool does not know."""
    memory, _ = pool_with(lambda: url, ["ws://a.test/", "ws://b.test/"])  # type: ignore[arg-type]
    memory.open()
    assert len(memory.servers[server].peers) == 1
    memory.close()


def test_the_token_is_shown_nowhere() -> None:
    """Stats, log and errors know the pool's URL; what the server repeats of a token is masked."""
    lines: list[str] = []

    class Log:
        def line(self, message: str, *args: object) -> None:
            lines.append(message % args)

        debug = info = warn = error = line

    from zope.interface import directlyProvides

    from wsmultipool import IPoolLogger

    log = Log()
    directlyProvides(log, IPoolLogger)
    memory, errors = pool_with(
        lambda connection: "ws://memory.test/feed?token=very-secret-12345", logger=log
    )
    seen: list[tuple[UpgradeRequest, UpgradeResponse]] = []
    memory.pool.on("unexpected-response", lambda *args: seen.append(args[:2]))
    memory.server.answer(b"HTTP/1.1 401 very-secret-12345 is no token\r\nContent-Length: 0\r\n\r\n")
    memory.pool.start()
    memory.settle()
    (connection,) = memory.pool.get_stats().connections
    assert connection.url == "ws://memory.test/feed"
    assert "401 *** is no token" in str(errors[0])
    shown = f"{lines} {errors} {errors[0]} {connection} {seen} {memory.pool!r}"
    assert "12345" not in shown
    memory.close()
