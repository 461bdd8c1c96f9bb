"""
Where to connect to and what to ask for, made anew for every attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, fail, succeed

from ._awaitables import call_user
from ._urls import ServerURL, basic_authorization
from ._websocket_options import check_headers
from .errors import HeadersFailed, URLFailed
from .handshake import UpgradeRequest

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from .errors import ConnectionFailed
    from .interfaces import IPooledConnection
    from .options import WebSocketOptions


def build_url(
    url: ServerURL, options: WebSocketOptions, connection: IPooledConnection
) -> Deferred[ServerURL]:
    """
    @param url: the server of the pool that the attempt is for.
    @param connection: whose attempt it is, for a C{url} callable that wants to know.
    @return: a Deferred that fires with the URL of one attempt, and fails with L{URLFailed} if the
        C{url} callable fails, or returns one that will not do.  Cancelling it cancels what that
        callable started.
    """
    if options.url is None:
        return succeed(url)
    fresh = _ask(options.url, connection).addCallback(_check_url, url)
    return fresh.addErrback(failed, URLFailed)


def _check_url(value: object, url: ServerURL) -> ServerURL:
    fresh = ServerURL._parse("url", value)
    if url.secure and not fresh.secure:
        raise ValueError(f"url must be a wss:// URL, as {url.label} is, not {fresh.label!r}")
    return fresh


def build_request(
    url: ServerURL, options: WebSocketOptions, connection: IPooledConnection
) -> Deferred[UpgradeRequest]:
    """
    @param connection: whose attempt it is, for a C{headers} callable that wants to know.
    @return: a Deferred that fires with the request of one attempt, and fails with L{HeadersFailed}
        if the C{headers} callable fails, or returns what is not headers.  Cancelling it cancels
        what that callable started.
    """
    if callable(options.headers):
        # The token it fetches may have replaced one that expired: it is asked every time.
        headers = _ask(options.headers, connection).addCallback(check_headers)
        headers.addErrback(failed, HeadersFailed)
    else:
        headers = succeed(dict(options.headers or {}))
    return headers.addCallback(_compose, url, options)


def _ask(function: Callable[..., object], connection: IPooledConnection) -> Deferred[Any]:
    return call_user(function, *((connection,) if _needs_argument(function) else ()))


def _needs_argument(function: Callable[..., object]) -> bool:
    """
    Say whether a function cannot be called without an argument.
    """
    try:
        parameters = signature(function)
    except ValueError:  # some that are not written in Python do not tell
        return False
    try:
        parameters.bind()
    except TypeError:
        return True
    return False


def failed(failure: Failure, kind: type[ConnectionFailed]) -> Deferred[Any]:
    """
    @return: a Deferred that has failed with an error of this kind, for this reason.
    """
    error = kind()
    error.__cause__ = failure.value
    return fail(error)


def _compose(headers: dict[str, str], url: ServerURL, options: WebSocketOptions) -> UpgradeRequest:
    """
    Given headers take the place of those that other options, or the URL, make.
    """
    by_lower_name = {name.lower(): name for name in headers}

    def replaced(name: str, default: str | None) -> str | None:
        given = by_lower_name.get(name)
        return default if given is None else headers.pop(given)

    if url.credentials is not None and "authorization" not in by_lower_name:
        headers["Authorization"] = basic_authorization(url.credentials)
    return UpgradeRequest(
        url=url,
        host=replaced("host", None) or url.host_header,
        origin=replaced("origin", options.origin),
        user_agent=replaced("user-agent", options.user_agent),
        headers=headers,
        protocols=tuple(options.protocols),
    )
