"""
What to ask the server for, made anew for every attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, fail, succeed

from ._awaitables import call_user
from ._urls import basic_authorization
from ._websocket_options import check_headers
from .errors import HeadersFailed
from .handshake import UpgradeRequest

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from .interfaces import IPooledConnection
    from .options import ServerURL, WebSocketOptions


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
        arguments = (connection,) if _needs_argument(options.headers) else ()
        headers = call_user(options.headers, *arguments).addCallback(check_headers)
        headers.addErrback(headers_failed)
    else:
        headers = succeed(dict(options.headers or {}))
    return headers.addCallback(_compose, url, options)


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


def headers_failed(failure: Failure) -> Deferred[Any]:
    """
    @return: a Deferred that has failed with L{HeadersFailed}, for this reason.
    """
    error = HeadersFailed()
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
