"""
The adapter to Autobahn: one WebSocket on one transport, and the factory that makes them.

Autobahn does the opening handshake, parses what arrives and knows the closing handshake.  What is
ours: messages are framed by L{wsmultipool._framing} and collected until the end of the reactor's
turn, so that they cost one write and, until then, can still be taken back; everything Autobahn
itself sends goes through the same queue; timers, of which Autobahn's would ignore our reactor, are
all off and kept by the connection instead.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateResponse,
    PerMessageDeflateResponseAccept,
)
from autobahn.websocket.types import ConnectingRequest
from autobahn.websocket.xormasker import create_xor_masker  # type: ignore[attr-defined]
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from ._endpoints import build_endpoint
from ._framing import BINARY, COMPRESSED, CONTINUATION, FIN, PONG, TEXT, encode_frame
from ._reasons import in_words
from ._rejection import read_rejection
from ._write_queue import WriteQueue
from .errors import (
    ConnectionDropped,
    HandshakeInvalid,
    ProtocolViolation,
    UpgradeRejected,
)
from .handshake import UpgradeRequest, UpgradeResponse
from .interfaces import IWebSocketFactory, IWebSocketWire, IWireListener

if TYPE_CHECKING:
    from autobahn.wamp.types import TransportDetails
    from autobahn.websocket.types import ConnectionResponse
    from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

    from .messages import Message
    from .options import Compression, PoolOptions, ServerURL

__all__ = ["WebSocketFactory"]

_LONGEST_HEAD = 65536

_ACCEPTED = re.compile(rb"HTTP/1\.[01] +101\b")
_HOST_LINE = re.compile(rb"(?m)^Host: .*\r\n")

_NO_STATUS = 1005  # RFC 6455, section 7.1.5
_ABNORMAL = 1006


def _mask_by_autobahn(key: bytes, payload: bytes) -> bytes:
    masked: bytes = create_xor_masker(key, len(payload)).process(payload)
    return masked


class _Silent:
    """
    Stands in for Autobahn's logger.  That one writes whole requests, with every header, to the log
    as soon as someone turns on debugging; what matters is told to the connection, which logs it.
    """

    def debug(self, *_: object, **__: object) -> None: ...

    trace = info = warn = error = critical = failure = debug


@implementer(IWebSocketWire)
class PoolProtocol(WebSocketClientProtocol):
    """
    One WebSocket on one transport.
    """

    log = _Silent()
    listener: IWireListener
    # Autobahn and Twisted do not say more of these than that they may be None.
    transport: Any
    _perMessageCompress: Any
    localCloseCode: Any
    localCloseReason: Any

    def __init__(self, request: UpgradeRequest, compression_threshold: int) -> None:
        super().__init__()
        self._request = request
        self._compression_threshold = compression_threshold
        self._compressing = False
        self._queue = WriteQueue()
        self._receiving = True
        self._consuming = False
        self._error: Exception | None = None
        self._rejecting = False
        self._lost_reason: Failure | None = None

    # Sending

    @property
    def unwritten_bytes(self) -> int:
        return self._queue.unwritten_bytes

    def send_message(self, message: Message) -> None:
        octet = CONTINUATION
        if message.first:
            octet = BINARY if message.is_binary else TEXT
        if message.fin:
            octet |= FIN
        payload = message.payload
        if self._perMessageCompress is not None:
            compressed, payload = self._compress(message)
            octet |= compressed
        self._queue.add(encode_frame(octet, payload, message.mask, _mask_by_autobahn), message)

    def _compress(self, message: Message) -> tuple[int, bytes]:
        """
        Apply permessage-deflate (RFC 7692, section 7.2.1) if it applies.

        @return: the bit that the frame's first octet needs, and the payload to send.
        """
        deflate = self._perMessageCompress
        first_bit = 0
        if message.first:
            wanted = message.compress
            if wanted is None:
                wanted = len(message.payload) >= self._compression_threshold
            self._compressing = wanted
            if wanted:
                deflate.start_compress_message()
                first_bit = COMPRESSED
        if not self._compressing:
            return 0, message.payload
        data = deflate.compress_message_data(message.payload)
        if message.fin:
            data += deflate.end_compress_message()
        return first_bit, data

    def send_ping(self, payload: bytes) -> None:
        self.sendPing(payload)

    def flush(self) -> None:
        self._queue.flush()

    def take_unwritten(self) -> list[Message]:
        return self._queue.take_unwritten()

    def sendFrame(
        self,
        opcode: int,
        payload: bytes = b"",
        fin: bool = True,
        rsv: int = 0,
        mask: bytes | None = None,
        payload_len: int | None = None,
        chopsize: int | None = None,
        sync: bool = False,
    ) -> None:
        """
        Send what Autobahn wants to send: control frames, in order with everything else.
        """
        self._queue.add(encode_frame((FIN if fin else 0) | (rsv << 4) | opcode, payload))

    # Receiving

    def dataReceived(self, data: bytes) -> None:
        self.listener.wire_heard()
        self._dataReceived(data)

    def consumeData(self) -> None:
        # It is called again by Autobahn, from within, for what follows the handshake.
        outer, self._consuming = self._consuming, True
        # An exception here would be a flaw in Autobahn's parser that the peer has found.  Twisted
        # would log a traceback and drop the connection; the pool wants the reason.
        try:
            super().consumeData()
        except Exception as error:
            self._error = ProtocolViolation(1002, f"its octets upset the parser: {error!r}")
            self._error.__cause__ = error
            self.abort()
        finally:
            self._consuming = outer

    def processData(self) -> bool:
        return self._receiving and bool(super().processData())

    def pause_receiving(self) -> None:
        if self._receiving:
            self._receiving = False
            self.transport.pauseProducing()

    def resume_receiving(self) -> None:
        if self._receiving:
            return
        self._receiving = True
        if self.data and not self._consuming:  # else the loop that called a handler goes on
            self.consumeData()
        # A handler of what was held back may have paused again.
        if self._receiving:
            self.transport.resumeProducing()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.listener.wire_message(payload, isBinary)

    def onPing(self, payload: bytes) -> None:
        if self.state == self.STATE_OPEN:
            self._queue.add_pong(encode_frame(FIN | PONG, payload))
        self.listener.wire_ping(payload)

    def onPong(self, payload: bytes) -> None:
        self.listener.wire_pong(payload)

    # The opening handshake

    def onConnecting(self, transport_details: TransportDetails) -> ConnectingRequest:
        request = self._request
        return ConnectingRequest(
            resource=request.url.resource,
            headers=dict(request.headers),
            useragent=request.user_agent,
            origin=request.origin,
            protocols=list(request.protocols),
        )

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """
        Send the request, which is all that does not go through L{sendFrame}.
        """
        # Autobahn writes the port even where it is the default, and IPv6 without brackets.
        host = f"Host: {self._request.host}\r\n".encode()
        self.transport.write(_HOST_LINE.sub(lambda _: host, data, count=1))

    def processHandshake(self) -> None:
        if self._rejecting:
            self._read_rejection(at_end=False)
            return
        end = self.data.find(b"\r\n\r\n")
        if max(end, len(self.data) if end < 0 else 0) > _LONGEST_HEAD:
            self.failHandshake(f"the response head is longer than {_LONGEST_HEAD} bytes")
        elif not self.data.startswith(b"HTTP/"[: len(self.data)]):
            self.failHandshake("it is not HTTP")
        elif end >= 0:
            if _ACCEPTED.match(self.data):
                # Autobahn decodes the head as UTF-8 for a debug message, and dies of a stray octet.
                head = self.data[: end + 4].decode("latin-1").encode("ascii", "replace")
                self.data = head + self.data[end + 4 :]
                super().processHandshake()  # type: ignore[no-untyped-call]
            else:
                self._rejecting = True
                self._read_rejection(at_end=False)

    def failHandshake(self, reason: str) -> None:
        self._error = HandshakeInvalid(reason)
        self.dropConnection(abort=True)

    def _read_rejection(self, at_end: bool) -> None:
        try:
            response = read_rejection(self.data, at_end)
        except HandshakeInvalid as error:
            self._error = error
        else:
            if response is None:
                return
            self._error = UpgradeRejected(response.status, response.reason)
            self.listener.wire_rejected(response)
        self.data = b""
        self.dropConnection(abort=True)

    def onConnect(self, response: ConnectionResponse) -> None:
        self._response = UpgradeResponse(
            status=101,
            reason=" ".join(self.http_status_line.split()[2:]),
            headers=response.headers,
            protocol=response.protocol,
            extensions=tuple(e.EXTENSION_NAME for e in response.extensions),
        )

    def onOpen(self) -> None:
        self._queue.connect(self.transport, self.listener)
        self.transport.registerProducer(self._queue, True)
        self.listener.wire_open(self._response)

    # The end

    def close(self, code: int, reason: str) -> None:
        if self.state == self.STATE_OPEN:
            self.flush()
            self.sendCloseFrame(code, reason.encode())
        elif self.state != self.STATE_CLOSING:
            self.abort()

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        """
        Send a Close frame, whoever wants it: L{close}, Autobahn as the answer to the peer's, or
        Autobahn because the peer violated the protocol.
        """
        if self.state == self.STATE_OPEN:
            self.listener.wire_closing()
        super().sendCloseFrame(code, reasonUtf8, isReply)
        self._queue.finish()
        self.resume_receiving()  # or the peer's Close frame would never be read

    def abort(self) -> None:
        self.dropConnection(abort=True)
        # Autobahn does nothing in a state that it takes for closed already.
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost_reason = reason
        if self._rejecting and self._error is None:
            self._read_rejection(at_end=True)
        super().connectionLost(reason)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        error = self._error
        if error is None and self.failedByMe:
            error = ProtocolViolation(
                self.localCloseCode or 1002, (self.localCloseReason or b"").decode()
            )
        if error is None and not wasClean:
            value = self._lost_reason.value if self._lost_reason else None
            error = ConnectionDropped("no reason" if value is None else in_words(value))
            error.__cause__ = value
        if wasClean:
            code = _NO_STATUS if self.remoteCloseCode is None else self.remoteCloseCode
            self.listener.wire_lost(error, code, self.remoteCloseReason or "")
        else:
            self.listener.wire_lost(error, _ABNORMAL, "")


@implementer(IWebSocketFactory)
class WebSocketFactory:
    """
    Builds endpoints and protocols from the pool's options.  Override one of the methods to change
    one of them, for instance to connect through something that Twisted has no endpoint string for.

    @since: 0.1.0
    """

    def __init__(self) -> None:
        self._settings: _Settings | None = None

    def build_endpoint(
        self, reactor: IReactorTime, url: ServerURL, options: PoolOptions
    ) -> IStreamClientEndpoint:
        """
        @param reactor: the pool's.
        @param url: where to connect to.
        @param options: the pool's.
        @return: the byte stream for the WebSocket, with proxy and TLS as the options want them.
        """
        return build_endpoint(reactor, url, options.ws_options, timeout=options.open_timeout)

    def build_protocol(self, request: UpgradeRequest, options: PoolOptions) -> IWebSocketWire:
        """
        @param request: what it will ask the server for.
        @param options: the pool's.
        @return: a protocol for one transport.
        """
        if self._settings is None:
            # One for all: it is what takes memory and time in Autobahn's client.
            self._settings = _Settings(options)
        protocol = PoolProtocol(request, options.ws_options.compression_threshold)
        protocol.factory = self._settings
        return protocol


class _Settings(WebSocketClientFactory):
    """
    Autobahn's idea of a factory: here just the options that its protocol reads from it.
    """

    log = _Silent()
    noisy = False

    def __init__(self, options: PoolOptions) -> None:
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


def _offer(compression: Compression) -> PerMessageDeflateOffer:
    return PerMessageDeflateOffer(
        request_no_context_takeover=compression.server_no_context_takeover,
        request_max_window_bits=compression.server_max_window_bits or 0,
    )


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
