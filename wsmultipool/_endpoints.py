"""
From a URL and options to the endpoint that carries a WebSocket.

::

    TLS                    for wss
      given endpoint  |  CONNECT through a proxy  |  the URL's host and port
                           the proxy's host and port
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IReactorTime,
    IStreamClientEndpoint,
)

from ._proxy import ProxyEndpoint
from ._tcp_endpoint import TCPEndpoint
from ._urls import ProxyOptions, ServerURL
from ._websocket_options import WebSocketOptions

__all__ = ["build_endpoint", "check_options"]

# Hosts whose TLS is remembered: the making takes milliseconds, and one takes some hundred KiB.
_MOST_CREATORS = 100


def check_options(
    urls: Sequence[ServerURL], options: WebSocketOptions, reactor: IReactorTime | None = None
) -> None:
    """
    Find, before the first attempt, what each attempt would fail on.

    @param urls: the servers.
    @param reactor: if given, an endpoint string is checked with it as well.
    @raise ValueError: options contradict each other or the URLs; or a TLS certificate cannot be for
        the host in a URL; or the endpoint string is not a valid one.
    """
    if options.proxy is not None and options.endpoint is not None:
        raise ValueError("proxy and endpoint exclude each other: give one of them")
    for url in urls:
        if url.secure:
            _connection_creator(url, options)
    if options.tls is not None and not any(url.secure for url in urls):
        raise ValueError(f"tls needs a wss:// URL, not {', '.join(repr(u.label) for u in urls)}")
    if reactor is not None and isinstance(options.endpoint, str):
        _given_endpoint(reactor, options.endpoint)


def build_endpoint(
    reactor: IReactorTime, url: ServerURL, options: WebSocketOptions
) -> IStreamClientEndpoint:
    """
    Build the endpoint that a WebSocket is to run on.

    @param reactor: connects, and resolves names.
    @param url: where to.
    @param options: by what way, and with what TLS.
    @raise ValueError: as from L{check_options}.
    """
    if options.endpoint is not None:
        stream: IStreamClientEndpoint = _given_endpoint(reactor, options.endpoint)
    elif options.proxy is not None:
        proxy = ProxyOptions.of(options.proxy)
        to_proxy = TCPEndpoint(reactor, proxy.host, proxy.port)
        stream = ProxyEndpoint(to_proxy, url.host, url.port, proxy.credentials)
    else:
        stream = TCPEndpoint(reactor, url.host, url.port)
    if not url.secure:
        return stream
    from ._tls import TLSEndpoint

    return TLSEndpoint(reactor, _connection_creator(url, options), stream)


def _connection_creator(
    url: ServerURL, options: WebSocketOptions
) -> IOpenSSLClientConnectionCreator:
    creator = options._creators.get(url.host)
    if creator is None:
        # Not at the top: without TLS there is no need for OpenSSL.
        from ._tls import connection_creator

        try:
            creator = connection_creator(url.host, options.tls)
        except UnicodeError:
            # What Twisted raises for a name that IDNA does not allow.
            raise ValueError(
                f"url: no certificate can be for {url.host!r}: give TLSOptions(server_name=...)"
            ) from None
        if len(options._creators) >= _MOST_CREATORS:  # a url callable that names ever new hosts
            del options._creators[next(iter(options._creators))]
        options._creators[url.host] = creator
    return creator


def _given_endpoint(
    reactor: IReactorTime, endpoint: str | IStreamClientEndpoint
) -> IStreamClientEndpoint:
    if not isinstance(endpoint, str):
        return endpoint
    try:
        return cast(IStreamClientEndpoint, clientFromString(reactor, endpoint))
    except (ValueError, TypeError, LookupError) as error:
        # TypeError, KeyError and IndexError: parameters it does not know, or lacks.
        raise ValueError(f"endpoint {endpoint!r} is not valid: {error}") from None
