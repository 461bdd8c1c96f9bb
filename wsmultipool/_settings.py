"""
The pool's options, as Autobahn's protocol wants to be told of them.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateResponse,
    PerMessageDeflateResponseAccept,
)

if TYPE_CHECKING:
    from .options import Compression, PoolOptions


class Silent:
    """
    Stands in for Autobahn's logger.  That one writes whole requests, with every header, to the log
    as soon as someone turns on debugging; what matters is told to the connection, which logs it.
    """

    def debug(self, *_: object, **__: object) -> None: ...

    trace = info = warn = error = critical = failure = debug


class Settings(WebSocketClientFactory):
    """
    Autobahn's idea of a factory: here just the options that its protocol reads from it.

    @ivar options: which they are made of.
    @ivar protocol_attributes: those that each protocol has a copy of.
    """

    log = Silent()
    noisy = False

    def __init__(self, options: PoolOptions) -> None:
        self.options = options
        websocket = options.ws_options
        # The global random numbers are the application's: Autobahn would seed them anew.
        state = random.getstate()
        super().__init__(  # type: ignore[no-untyped-call]
            reactor=object(), protocols=list(websocket.protocols)
        )
        random.setstate(state)
        # The peer is told what it did wrong (1002, 1007, 1009) instead of being cut off.
        self.failByDrop = False
        self.maxMessagePayloadSize = websocket.max_message_size or options.max_message_size
        self.tcpNoDelay = websocket.tcp_nodelay
        # Autobahn's timers run on a clock of its own, rounded to whole seconds.
        self.openHandshakeTimeout = 0
        self.closeHandshakeTimeout = 0
        self.serverConnectionDropTimeout = 0
        self.autoPingInterval = 0
        self.autoPingTimeout = 0
        compression = websocket.compression_parameters
        if compression is not None:
            self.perMessageCompressionOffers = [_offer(compression)]
            self.perMessageCompressionAccept = _acceptor(compression)
        names = WebSocketClientProtocol.CONFIG_ATTRS
        self.protocol_attributes = {name: getattr(self, name) for name in names}


def _offer(compression: Compression) -> PerMessageDeflateOffer:
    offer = PerMessageDeflateOffer(
        request_no_context_takeover=compression.server_no_context_takeover,
    )
    # The constructor refuses 8, which RFC 7692, section 7.1.2.1, allows.
    offer.request_max_window_bits = compression.server_max_window_bits or 0
    return offer


def _acceptor(compression: Compression) -> Any:
    def accept(response: object) -> PerMessageDeflateResponseAccept | None:
        if not isinstance(response, PerMessageDeflateResponse):
            return None  # an extension that was not offered
        window_bits = compression.client_max_window_bits
        if response.client_max_window_bits and window_bits is not None:
            window_bits = min(window_bits, response.client_max_window_bits)
        return PerMessageDeflateResponseAccept(
            response,
            no_context_takeover=compression.client_no_context_takeover or None,
            window_bits=window_bits,
            mem_level=compression.mem_level,
        )

    return accept
