"""
The adapter to Autobahn: one WebSocket on one transport, and the factory that makes them.

Autobahn does the opening handshake, parses what arrives and knows the closing handshake.  What is
ours: messages are framed by L{wsmultipool._framing} and collected until the end of the reactor's
turn, so that they cost one write and, until then, can still be taken back; everything Autobahn
itself sends goes through the same queue; timers, of which Autobahn's would ignore our reactor, are
all off and kept by the connection instead.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakValueDictionary

from autobahn.websocket.types import ConnectingRequest
from twisted.internet.interfaces import IHandshakeListener, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from ._deflate import Deflater
from ._endpoints import build_endpoint
from ._framing import (
    BINARY,
    COMPRESSED,
    CONTINUATION,
    FIN,
    PONG,
    TEXT,
    encode_frame,
    encode_messages,
    encode_unmasked_frame,
)
from ._inflate import Inflater
from ._quotes import quote, secrets_of
from ._reasons import in_words, is_of_tls
from ._receiving import ReceivingProtocol
from ._rejection import RejectionReader
from ._response_head import HeadReader, ResponseHead
from ._settings import Settings, Silent
from ._stages import TLS, UPGRADE
from ._urls import ProxyOptions
from ._write_queue import Entry, WriteQueue
from .errors import (
    ConnectionDropped,
    HandshakeInvalid,
    ProtocolViolation,
    UpgradeRejected,
)
from .handshake import UpgradeRequest, UpgradeResponse
from .interfaces import IWebSocketFactory, IWebSocketWire
from .messages import Message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autobahn.wamp.types import TransportDetails
    from autobahn.websocket.types import ConnectionResponse
    from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

    from .messages import PlainMessage
    from .options import PoolOptions, ServerURL

__all__ = ["WebSocketFactory"]

_WHOLE_TEXT = FIN | TEXT
_WHOLE_BINARY = FIN | BINARY

_HOST_LINE = re.compile(rb"(?m)^Host: .*\r\n")

_NO_STATUS = 1005  # RFC 6455, section 7.1.5
_ABNORMAL = 1006


@implementer(IWebSocketWire, IHandshakeListener)
class PoolProtocol(ReceivingProtocol):
    """
    One WebSocket on one transport.

    @ivar stage: what it is doing before it is open.
    """

    log = Silent()
    # Autobahn does not say more of these than that they may be None.
    _perMessageCompress: Any

    def __init__(
        self,
        request: UpgradeRequest,
        compression_threshold: int,
        proxy_credentials: tuple[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.stage = UPGRADE
        self._request = request
        self._proxy_credentials = proxy_credentials
        self._compression_threshold = compression_threshold
        self._compressing = False
        self._deflater: Deflater | None = None
        self._queue = WriteQueue(self._encode)
        # Nothing between them, as they are called so often.
        self.send_plain = self._queue.add_plain
        self.send_confirmed = self._queue.add_confirmed
        self._may_compress = True
        self._head_reader = HeadReader(self._secrets())
        self._head: ResponseHead
        self._rejection: RejectionReader | None = None
        self._lost_reason: Failure | None = None

    # Sending

    @property
    def unwritten_bytes(self) -> int:
        return self._queue.unwritten_bytes

    @property
    def queued_messages(self) -> int:
        return self._queue.messages

    @property
    def queued_confirmed(self) -> int:
        return self._queue.confirmed

    def send_message(self, message: Message) -> None:
        self._queue.add_message(message)

    def send_run(self, run: Iterable[PlainMessage]) -> int:
        return self._queue.add_run(run)

    def _encode(self, entries: list[Entry], others: list[int]) -> bytes:
        """Make the octets to write; see L{WriteQueue}."""
        if self._deflater is not None:
            return b"".join(map(self._encode_one, entries))
        frames: list[bytes] = []
        begin = 0
        for at in others:
            frames += _encode_plain(entries[begin:at]), self._encode_one(entries[at])
            begin = at + 1
        frames.append(_encode_plain(entries[begin:]))
        return b"".join(frames)

    def _encode_one(self, entry: Entry) -> bytes:
        if isinstance(entry, bytes):
            return entry
        # Not as by to_message(), after which its Deferred and the message would keep each other.
        message = Message(*entry[:2]) if isinstance(entry, tuple) else entry
        payload = message.payload
        if message.fragmented is None:
            octet = _WHOLE_BINARY if message.is_binary else _WHOLE_TEXT
        else:
            octet = CONTINUATION
            if message.first:
                octet = BINARY if message.is_binary else TEXT
            if message.fin:
                octet |= FIN
        if self._deflater is not None:
            if message.first:
                self._compressing = self._wants_compression(message)
                octet |= COMPRESSED if self._compressing else 0
            if self._compressing:
                payload = self._deflater.compress(message)
        encode = encode_frame if message.mask else encode_unmasked_frame
        return encode(octet, payload)

    def _wants_compression(self, message: Message) -> bool:
        if message.compress is None:
            return len(message.payload) >= self._compression_threshold
        return message.compress

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

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.listener.wire_message(payload, isBinary)

    def onPing(self, payload: bytes) -> None:
        if self.state == self.STATE_OPEN:
            self._queue.add_pong(encode_frame(FIN | PONG, payload))
        self.listener.wire_ping(payload)

    def onPong(self, payload: bytes) -> None:
        self.listener.wire_pong(payload)

    # The opening handshake

    def connectionMade(self) -> None:
        if ISSLTransport.providedBy(self.transport):
            self.stage = TLS
        super().connectionMade()

    def handshakeCompleted(self) -> None:
        self.stage = UPGRADE

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
        data, self.data = self.data, b""
        if self._rejection is not None:
            self._read_rejection(self._rejection, data)
            return
        try:
            head = self._head_reader.read(data)
        except HandshakeInvalid as error:
            self._error = error
            self.dropConnection(abort=True)
            return
        if head is not None:
            behind = bytes(self._head_reader.unread)
            del self._head_reader
            self._answered(head, behind)

    def _answered(self, head: ResponseHead, behind: bytes) -> None:
        if head.status == 101:
            self._head = head
            # Autobahn decodes the head as UTF-8 for a debug message, and dies of a stray octet.
            self.data = head.octets.decode("latin-1").encode("ascii", "replace") + behind
            super().processHandshake()  # type: ignore[no-untyped-call]
            return
        self._rejection = RejectionReader(head, self._secrets())
        self._read_rejection(self._rejection, behind)
        if self._error is None:
            self.listener.wire_rejecting(self._end_rejection)

    def failHandshake(self, reason: str) -> None:
        self._error = HandshakeInvalid(quote(reason, self._secrets()))
        self.dropConnection(abort=True)

    def _secrets(self) -> list[str]:
        return secrets_of(self._request, self._proxy_credentials)

    def _read_rejection(self, reader: RejectionReader, data: bytes, at_end: bool = False) -> None:
        response = reader.read(data, at_end)
        if response is not None:
            self._error = UpgradeRejected(response.status, response.reason)
            self.listener.wire_rejected(response)
            self.dropConnection(abort=True)

    def _end_rejection(self) -> None:
        """Nothing more of the body is waited for."""
        if self._rejection is not None and self._error is None:
            self._read_rejection(self._rejection, b"", at_end=True)

    def _parseExtensionsHeader(self, header: str, removeQuotes: bool = True) -> Any:
        """
        Accept windows of 8 bits (RFC 7692, sections 7.1.2.1 and 7.1.2.2), which Autobahn refuses.
        To inflate with a larger one is the same.  To compress with it is not possible with zlib:
        then nothing is, which the sender is free to choose (section 6).
        """
        extensions = super()._parseExtensionsHeader(  # type: ignore[no-untyped-call]
            header, removeQuotes
        )
        for _, parameters in extensions:
            for name in ("server_max_window_bits", "client_max_window_bits"):
                if parameters.get(name) == ["8"]:
                    parameters[name] = ["9"]
                    self._may_compress = self._may_compress and name == "server_max_window_bits"
        return extensions

    def onConnect(self, response: ConnectionResponse) -> None:
        self._response = UpgradeResponse(
            status=101,
            reason=self._head.reason,
            headers=self._head.headers,
            fields=self._head.fields,
            protocol=response.protocol,
            extensions=tuple(e.EXTENSION_NAME for e in response.extensions),
        )
        del self._head

    def onOpen(self) -> None:
        agreed = self._perMessageCompress
        if agreed is not None:
            if self._may_compress:
                self._deflater = Deflater(
                    agreed.client_max_window_bits,
                    agreed.mem_level,
                    keeps_context=not agreed.client_no_context_takeover,
                )
            self._perMessageCompress = Inflater(
                agreed.server_max_window_bits, keeps_context=not agreed.server_no_context_takeover
            )
        self._queue.connect(self.transport, self.listener)
        self.transport.registerProducer(self._queue, True)
        self.listener.wire_open(self._response)

    # The end

    def abort(self) -> None:
        self._queue.stop()
        super().abort()

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
        if self.state == self.STATE_OPEN and not isReply:
            # What was taken goes first.  Not so before the answer to the peer's Close frame: it may
            # read no more, so that what is unwritten had better go elsewhere.
            self.flush()
        if self.state == self.STATE_OPEN:
            self.listener.wire_closing()
        super().sendCloseFrame(code, reasonUtf8, isReply)
        self._queue.finish()
        self.resume_receiving()  # or the peer's Close frame would never be read

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost_reason = reason
        if is_of_tls(reason.value):  # which may refuse a certificate only after the handshake
            self.stage = TLS
        self._end_rejection()
        super().connectionLost(reason)

    def onCloseFrame(self, code: Any, reasonRaw: Any) -> bool | None:
        dropped = super().onCloseFrame(code, reasonRaw)
        self.listener.wire_closed(*self._ending())
        return dropped

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.listener.wire_lost(*self._ending())

    def _ending(self) -> tuple[Exception | None, int, str]:
        """Say how it ends, or has ended, as L{IWireListener.wire_lost} wants it."""
        error = self._error
        if error is None and self.violation is not None:
            error = ProtocolViolation(*self.violation)
        if self.wasClean:
            code = _NO_STATUS if self.remoteCloseCode is None else self.remoteCloseCode
            return error, code, self.remoteCloseReason or ""
        if error is None:
            value = self._lost_reason.value if self._lost_reason else None
            error = ConnectionDropped("no reason" if value is None else in_words(value))
            error.__cause__ = value
        return error, _ABNORMAL, ""


def _encode_plain(entries: list[Entry]) -> bytes:
    return encode_messages(cast("list[PlainMessage]", entries))


@implementer(IWebSocketFactory)
class WebSocketFactory:
    """
    Builds endpoints and protocols from the pool's options.  Override one of the methods to change
    one of them, for instance to connect through something that Twisted has no endpoint string for.
    One factory may serve several pools.

    @since: 0.1.0
    """

    def __init__(self) -> None:
        # By the identity of the options, which the settings keep, and which need not be hashable.
        self._settings: WeakValueDictionary[int, Settings] = WeakValueDictionary()

    def build_endpoint(
        self, reactor: IReactorTime, url: ServerURL, options: PoolOptions
    ) -> IStreamClientEndpoint:
        """
        @param reactor: the pool's.
        @param url: where to connect to.
        @param options: the pool's.
        @return: the byte stream for the WebSocket, with proxy and TLS as the options want them.
        """
        return build_endpoint(reactor, url, options.ws_options)

    def build_protocol(self, request: UpgradeRequest, options: PoolOptions) -> IWebSocketWire:
        """
        @param request: what it will ask the server for.
        @param options: the pool's.
        @return: a protocol for one transport.
        """
        settings = self._settings.get(id(options))
        if settings is None:
            # One for all of a pool: it is what takes memory and time in Autobahn's client.
            settings = self._settings[id(options)] = Settings(options)
        websocket = options.ws_options
        proxy = None
        if websocket.proxy is not None:
            proxy = ProxyOptions.of(websocket.proxy).credentials
        protocol = PoolProtocol(request, websocket.compression_threshold, proxy)
        protocol.factory = settings
        return protocol
