"""
Who is tested: the pool, and plain Autobahn as the yardstick.  Each sends every message back.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateResponse,
    PerMessageDeflateResponseAccept,
)
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from tests.integration.running_reactor import reactor
from wsmultipool import (
    PoolClosed,
    ReconnectingPoolFactory,
    WebSocketFactory,
    WebSocketOptions,
)

from .cutting import Cut, CuttingEndpoint

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

    from wsmultipool import PoolOptions, ServerURL, UpgradeRequest
    from wsmultipool.interfaces import IWebSocketWire

# Connects to a URL, echoes until the server has closed the connection, and is done when it is gone.
Peer = Callable[[str], Coroutine[Deferred[Any], Any, None]]


class _Sockets(WebSocketFactory):
    """
    The default, with reads cut, and with the protocols remembered.
    """

    def __init__(self, cut: Cut) -> None:
        super().__init__()
        self._cut = cut
        self.wires: list[IWebSocketWire] = []

    def build_endpoint(
        self, reactor: IReactorTime, url: ServerURL, options: PoolOptions
    ) -> IStreamClientEndpoint:
        return CuttingEndpoint(super().build_endpoint(reactor, url, options), self._cut)

    def build_protocol(self, request: UpgradeRequest, options: PoolOptions) -> IWebSocketWire:
        wire = super().build_protocol(request, options)
        self.wires.append(wire)
        return wire


class PoolPeer:
    """
    Echoes with a pool of one connection, a new one for each case.

    @ivar ordinary_frames: how many frames were received without Autobahn's parser.
    """

    def __init__(self, cut: Cut) -> None:
        self._cut = cut
        self.ordinary_frames = 0

    async def __call__(self, url: str) -> None:
        sockets = _Sockets(self._cut)
        gone: Deferred[None] = Deferred()
        pool = ReconnectingPoolFactory(
            url,
            reactor=reactor,
            pool_size=1,
            # It is not to connect again, before the end is noticed.
            reconnect_interval=600,
            max_reconnect_interval=600,
            ws_factory=sockets,
            # kosoku takes a message that comes uncompressed where compression was agreed on for a
            # str, and its cases of section 12 and 13 then stop with an exception.
            ws_options=WebSocketOptions(compression=True, compression_threshold=0),
            logger=False,
        )

        def echo(data: bytes, is_binary: bool, _: int) -> None:
            # Some cases end while an echo is on its way.
            pool.send(data, binary=is_binary).addErrback(lambda failure: failure.trap(PoolClosed))

        def note_end(*_: object) -> None:
            if not gone.called:
                gone.callback(None)

        pool.on("message", echo)
        pool.on("close", note_end)
        pool.on("error", note_end)
        await gone
        await pool.close()
        for wire in sockets.wires:
            # Nothing that a wire need have, but that of the default factory does.
            self.ordinary_frames += cast(Any, wire).ordinary_frames


class _PlainEcho(WebSocketClientProtocol):
    """
    Echoes; Autobahn's own client.
    """

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        # It goes on delivering after a Close frame, and raises an exception for what is sent then.
        if self.state == self.STATE_OPEN:
            self.sendMessage(payload, isBinary)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        assert isinstance(self.factory, _PlainFactory)
        self.factory.gone.callback(None)


class _PlainFactory(WebSocketClientFactory):
    """
    Autobahn's client, with the options that the pool gives it.
    """

    protocol = _PlainEcho
    noisy = False

    def __init__(self, url: str) -> None:
        super().__init__(url)  # type: ignore[no-untyped-call]
        self.gone: Deferred[None] = Deferred()
        self.setProtocolOptions(  # type: ignore[no-untyped-call]
            failByDrop=False,
            # Its timers run on a loop of their own, and would outlive the test.
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
            serverConnectionDropTimeout=0,
            perMessageCompressionOffers=[PerMessageDeflateOffer()],
            perMessageCompressionAccept=_accept_deflate,
        )


def _accept_deflate(response: Any) -> PerMessageDeflateResponseAccept | None:
    if isinstance(response, PerMessageDeflateResponse):
        return PerMessageDeflateResponseAccept(response)
    return None


async def plain_peer(url: str) -> None:
    """
    Echo with plain Autobahn.
    """
    factory = _PlainFactory(url)
    await TCP4ClientEndpoint(reactor, "127.0.0.1", factory.port).connect(factory)
    await factory.gone
