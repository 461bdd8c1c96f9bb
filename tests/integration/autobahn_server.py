"""
An echo server on Autobahn, in this process and on the same reactor.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateOfferAccept,
)


class Echo(WebSocketServerProtocol):
    """
    Sends every message back as it came, whole and of the same type.
    """

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.sendMessage(payload, isBinary)  # type: ignore[no-untyped-call]


def _accept_deflate(offers: Iterable[Any]) -> PerMessageDeflateOfferAccept | None:
    for offer in offers:
        if isinstance(offer, PerMessageDeflateOffer):
            return PerMessageDeflateOfferAccept(offer)
    return None


def echo_factory(*, deflate: bool = False) -> WebSocketServerFactory:
    factory = WebSocketServerFactory()
    factory.protocol = Echo
    factory.noisy = False
    # Autobahn's timers run on a loop of their own, and would outlive the test.
    factory.setProtocolOptions(
        openHandshakeTimeout=0,
        closeHandshakeTimeout=0,
        **({"perMessageCompressionAccept": _accept_deflate} if deflate else {}),
    )
    return factory
