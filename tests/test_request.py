"""
Tests for L{wsmultipool._request}.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from wsmultipool._request import build_request
from wsmultipool.errors import HeadersFailed
from wsmultipool.handshake import UpgradeRequest
from wsmultipool.options import ServerURL, WebSocketOptions

from .support import error_of, outcome

Headers = dict[str, str]

# What an attempt is for: here just something to recognise.
CONNECTION: Any = object()


class Broken(Exception):
    """
    What goes wrong in these tests.
    """


def request(url: str = "ws://example.com/feed", **options: Any) -> UpgradeRequest:
    """
    Build a request for which nothing has to be waited for.
    """
    options.setdefault("user_agent", None)
    parsed = ServerURL.parse(url)
    (result,) = outcome(build_request(parsed, WebSocketOptions(**options), CONNECTION))
    assert isinstance(result, UpgradeRequest)
    assert result.url is parsed
    return result


def attempt(headers: Callable[..., Any]) -> Deferred[UpgradeRequest]:
    """
    Begin to build a request whose headers come from a callable.
    """
    options = WebSocketOptions(headers=headers)
    return build_request(ServerURL.parse("ws://example.com"), options, CONNECTION)


async def coroutine(headers: Headers) -> Headers:
    """
    Return headers from a coroutine.
    """
    return headers


def test_a_plain_request() -> None:
    """Without options, the request has the host of the URL, and nothing besides."""
    plain = request()
    assert plain.host == "example.com"
    assert (plain.headers, plain.protocols) == ({}, ())
    assert (plain.origin, plain.user_agent) == (None, None)


def test_everything_the_options_say() -> None:
    """Subprotocols, origin, user agent and headers are those of the options."""
    full = request(
        "wss://example.com:8443/feed",
        protocols=["chat", "superchat"],
        origin="https://example.com",
        user_agent="mine/1.0",
        headers={"X-Tenant": "7"},
    )
    assert full.host == "example.com:8443"
    assert full.protocols == ("chat", "superchat")
    assert (full.origin, full.user_agent) == ("https://example.com", "mine/1.0")
    assert full.headers == {"X-Tenant": "7"}


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title])
def test_given_headers_take_the_place_of_made_ones(spell: Callable[[str], str]) -> None:
    """Host, Origin, User-Agent and Authorization given as headers win, and are sent once."""
    given = request(
        "ws://user:password@example.com",
        origin="https://other.example",
        user_agent="other",
        headers={
            spell("host"): "virtual.example",
            spell("origin"): "null",
            spell("user-agent"): "mine",
            spell("authorization"): "Bearer token",
            "X": "1",
        },
    )
    assert (given.host, given.origin, given.user_agent) == ("virtual.example", "null", "mine")
    assert given.headers == {spell("authorization"): "Bearer token", "X": "1"}


def test_credentials_in_the_url_become_a_header() -> None:
    """User and password before the host are sent by basic authentication (RFC 7617)."""
    with_credentials = request("ws://Aladdin:open%20sesame@example.com", headers={"X": "1"})
    assert with_credentials.headers == {
        "X": "1",
        "Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    }


def test_options_are_left_alone() -> None:
    """The options serve for all attempts: building one request changes nothing in them."""
    options = WebSocketOptions(headers={"Host": "virtual.example", "X": "1"})
    before = repr(options.headers)
    url = ServerURL.parse("ws://user:password@example.com")
    first, second = (outcome(build_request(url, options, CONNECTION)) for _ in range(2))
    assert first == second
    assert repr(options.headers) == before


def test_headers_are_fetched_for_every_attempt() -> None:
    """A callable is asked each time, as a token may have expired."""
    tokens = iter(["first", "second"])
    options = WebSocketOptions(headers=lambda: {"Authorization": next(tokens)})
    url = ServerURL.parse("ws://example.com")
    seen = []
    for _ in range(2):
        (built,) = outcome(build_request(url, options, CONNECTION))
        seen.append(built.headers)
    assert seen == [{"Authorization": "first"}, {"Authorization": "second"}]


@pytest.mark.parametrize("wrap", [succeed, coroutine])
def test_headers_may_come_from_something_awaitable(
    wrap: Callable[[Headers], Awaitable[Headers]],
) -> None:
    """The callable may return a Deferred, or be a coroutine function."""
    (built,) = outcome(attempt(lambda: wrap({"X": "1"})))
    assert built.headers == {"X": "1"}


def test_headers_are_waited_for() -> None:
    """There is no request before the headers are there."""
    fetching: Deferred[Headers] = Deferred()
    built = outcome(attempt(lambda: fetching))
    assert built == []
    fetching.callback({"X": "1"})
    assert built[0].headers == {"X": "1"}


def raise_at_once() -> Headers:
    """
    Fail as a plain function does.
    """
    raise Broken("token 12345")


async def raise_later() -> Headers:
    """
    Fail as a coroutine function does.
    """
    raise Broken("token 12345")


@pytest.mark.parametrize(
    "headers", [raise_at_once, raise_later, lambda: fail(Broken("token 12345"))]
)
def test_headers_that_cannot_be_had(headers: Callable[[], Any]) -> None:
    """However the callable fails, the attempt fails with HeadersFailed, which shows no secret."""
    error = error_of(attempt(headers))
    assert isinstance(error, HeadersFailed)
    assert isinstance(error.__cause__, Broken)
    assert "Broken" in str(error)
    assert "12345" not in str(error)


@pytest.mark.parametrize(
    ("headers", "cause"),
    [
        (None, TypeError),
        ("X: 1", TypeError),
        ({"X": 1}, TypeError),
        ({"X": "1\r\nY: 2"}, ValueError),
        ({"Upgrade": "other"}, ValueError),
        ({"X": "1", "x": "2"}, ValueError),
    ],
)
def test_what_is_fetched_is_checked(headers: object, cause: type[Exception]) -> None:
    """What the callable returns is held to the same rules as headers in the options."""
    error = error_of(attempt(lambda: headers))
    assert isinstance(error, HeadersFailed)
    assert isinstance(error.__cause__, cause)


def test_cancelling_reaches_what_fetches_the_headers() -> None:
    """An attempt that runs out of time cancels the request for a token, too."""
    cancelled: list[Deferred[Headers]] = []
    fetching: Deferred[Headers] = Deferred(cancelled.append)
    building = attempt(lambda: fetching)
    building.cancel()
    assert cancelled == [fetching]
    error = error_of(building)
    assert isinstance(error, HeadersFailed)
    assert isinstance(error.__cause__, CancelledError)


def test_an_interrupt_is_not_an_error_of_the_headers() -> None:
    """KeyboardInterrupt goes to whom it is meant for."""

    def interrupted() -> Headers:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt(interrupted)


def test_headers_may_depend_on_the_connection() -> None:
    """A callable that takes an argument is given the connection; one that need not, is not."""

    def for_connection(connection: object) -> Headers:
        return {"X": str(connection is CONNECTION)}

    def needs_nothing(refresh: bool = False) -> Headers:
        return {"X": str(refresh)}

    for headers, value in ((for_connection, "True"), (needs_nothing, "False"), (dict, None)):
        (built,) = outcome(attempt(headers))
        assert built.headers.get("X") == value
