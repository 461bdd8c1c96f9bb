"""
An HTTP proxy that can only CONNECT (RFC 9110, section 9.3.6), with or without credentials.
"""

from __future__ import annotations

from base64 import b64encode

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from .running_reactor import reactor


class ConnectProxy(Factory):
    """
    Tunnels to whatever it is asked for, on 127.0.0.1.

    @ivar tunnels: the C{host:port} of every tunnel ever opened.
    @ivar refused: how many requests had not the right credentials.
    """

    noisy = False

    def __init__(self, credentials: str | None = None) -> None:
        self.tunnels: list[str] = []
        self.refused = 0
        self._expected = (
            None if credentials is None else b"Basic " + b64encode(credentials.encode("utf-8"))
        )

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        return _Tunnel(self)

    def admits(self, authorization: bytes | None) -> bool:
        return self._expected is None or authorization == self._expected


class _Tunnel(Protocol):
    """The client's side: one request, then bytes in both directions."""

    def __init__(self, proxy: ConnectProxy) -> None:
        self._proxy = proxy
        self._received = b""
        self._upstream: _Upstream | None = None

    def dataReceived(self, data: bytes) -> None:
        if self._upstream is not None:
            assert self._upstream.transport is not None
            self._upstream.transport.write(data)
            return
        self._received += data
        head, end, _ = self._received.partition(b"\r\n\r\n")
        if end:
            self._requested(*head.split(b"\r\n"))

    def _requested(self, request: bytes, *lines: bytes) -> None:
        pairs = (line.split(b": ", 1) for line in lines)
        headers = {name.lower(): value for name, value in pairs}
        method, target, _ = request.decode("ascii").split(" ")
        if not self._proxy.admits(headers.get(b"proxy-authorization")):
            self._proxy.refused += 1
            self._refuse(
                b"407 Proxy Authentication Required", b'Proxy-Authenticate: Basic realm="tests"\r\n'
            )
        elif method != "CONNECT":
            self._refuse(b"405 Method Not Allowed", b"Allow: CONNECT\r\n")
        else:
            self._open_tunnel(target)

    def _open_tunnel(self, target: str) -> None:
        port = int(target.rpartition(":")[2])

        def opened(_: Protocol) -> None:
            self._proxy.tunnels.append(target)
            assert self.transport is not None
            self.transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        upstream = _Upstream(self)
        connecting = TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(
            Factory.forProtocol(lambda: upstream)
        )
        connecting.addCallbacks(opened, lambda _: self._refuse(b"502 Bad Gateway"))
        self._upstream = upstream

    def _refuse(self, status: bytes, headers: bytes = b"") -> None:
        assert self.transport is not None
        self.transport.write(
            b"HTTP/1.1 " + status + b"\r\n" + headers + b"Content-Length: 0\r\n\r\n"
        )
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._upstream is not None and self._upstream.transport is not None:
            self._upstream.transport.loseConnection()


class _Upstream(Protocol):
    """The server's side of a tunnel."""

    def __init__(self, tunnel: _Tunnel) -> None:
        self._tunnel = tunnel

    def dataReceived(self, data: bytes) -> None:
        assert self._tunnel.transport is not None
        self._tunnel.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        assert self._tunnel.transport is not None
        self._tunnel.transport.loseConnection()
