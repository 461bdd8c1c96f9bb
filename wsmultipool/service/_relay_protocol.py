"""
The relay's side of one client's WebSocket: the adapter to Autobahn's server.

Autobahn does the opening handshake, and parses whatever is not an ordinary message.  What is ours:
ordinary messages are read by L{wsmultipool.service._reading_wire}; everything written goes through
one L{Outbox}; what is refused gets an answer that a human can read; and all time is the relay's
reactor's.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from .._close_frames import CloseFrames
from .._deadline_clock import DeadlineClock
from ._client_frames import FIN, PONG, encode_frame
from ._outbox import Outbox
from ._reading_wire import ReadingWire
from .access import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from autobahn.websocket.types import ConnectionRequest
    from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime

    from ._relay_roles import Door, Guest
    from .relay_options import RelayOptions

__all__ = ["RelayFactory", "RelayWire"]

_LONGEST_HEAD = 16384
# What is looked at of a request, beside its first line.
_READ = (b"host", b"origin", b"sec-websocket-")
# Autobahn takes some of them for the end of a line.
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_EXPLANATIONS = {
    400: "this is not a valid WebSocket handshake (RFC 6455, section 4.2.1)",
    405: "this is a WebSocket relay: it takes GET with an upgrade, and nothing else",
    426: "this is a WebSocket relay, not a web server: connect to it by ws:// or wss://",
    505: "a WebSocket handshake is made in HTTP/1.1",
}


class _Silent:
    """
    Stands in for Autobahn's logger, which writes whole requests to the log.
    """

    def debug(self, *_: object, **__: object) -> None: ...

    trace = info = warn = error = critical = failure = debug


class RelayWire(CloseFrames, ReadingWire, WebSocketServerProtocol):  # type: ignore[misc]
    """
    One client's WebSocket.
    """

    log = _Silent()
    # Class attributes, set by the factory: Autobahn would copy them into each instance.
    CONFIG_ATTRS: Any = ()
    factory: Any

    def __init__(self, door: Door, options: RelayOptions, reactor: IReactorTime) -> None:
        super().__init__()
        self._door = door
        self._options = options
        self._reactor = reactor
        self._deadline: IDelayedCall | None = None
        self._refusal: Refusal | None = None
        self._guest: Guest | None = None
        self._outbox: Outbox

    # The opening handshake

    def connectionMade(self) -> None:
        self._door.arrived(self)
        self._set_deadline(self._options.handshake_timeout, self._too_slow)
        super().connectionMade()
        # A peer that is gone without a word is found out.
        set_keep_alive = getattr(self.transport, "setTcpKeepAlive", None)
        if set_keep_alive is not None and not hasattr(self.transport.getHost(), "name"):
            set_keep_alive(True)

    @property
    def client_address(self) -> IAddress:
        """Where the client is."""
        address: IAddress = self.transport.getPeer()
        return address

    def processHandshake(self) -> None:
        end = self.data.find(b"\r\n\r\n")
        if (len(self.data) if end < 0 else end) > _LONGEST_HEAD:
            text = f"the request's head is longer than {_LONGEST_HEAD} bytes"
            self._turn_away(Refusal(431, "http", text))
        elif end >= 0 and not _is_legible(self.data[:end]):
            self._turn_away(Refusal(400, "http", _EXPLANATIONS[400]))
        elif end >= 0:
            # Autobahn decodes it for a log that nobody reads, and dies of a stray octet.
            head = self.data[: end + 4].decode("latin-1").encode("ascii", "replace")
            self.data = head + self.data[end + 4 :]
            super().processHandshake()

    def onConnect(self, request: ConnectionRequest) -> str | None:
        self._refusal = self._door.refusal(request.headers)
        if self._refusal is not None:
            raise ConnectionDeny(self._refusal.status, self._refusal.text)
        known = self._options.protocols
        return next((str(name) for name in request.protocols if name in known), None)

    def failHandshake(self, reason: str, code: int = 400, responseHeaders: Any = None) -> None:
        # Not the reason: it quotes what the client has sent.
        refusal = self._refusal
        if refusal is None:
            text = _EXPLANATIONS.get(code, _EXPLANATIONS[400])
            headers = (("Upgrade", "websocket"),) if code == 426 else tuple(responseHeaders or ())
            refusal = Refusal(code if code in _EXPLANATIONS else 400, "http", text, headers)
        self._turn_away(refusal)

    def _too_slow(self) -> None:
        self._deadline = None
        seconds = self._options.handshake_timeout
        self._turn_away(Refusal(408, "timeout", f"no WebSocket handshake within {seconds:g} s"))

    def _turn_away(self, refusal: Refusal) -> None:
        self.transport.write(refusal.response())
        self.state = self.STATE_CLOSED
        self._linger()
        self._door.refused(self, refusal)

    def onOpen(self) -> None:
        self._cancel_deadline()
        # What only the handshake needs would take as much memory as all the rest.
        for name in ("http_request_data", "http_response_data", "http_headers"):
            vars(self).pop(name, None)
        self._outbox = Outbox(self.transport, self._options.client_buffer_size, self._overflowed)
        self.transport.registerProducer(self._outbox, True)
        self._guest = self._door.let_in(self)

    @property
    def was_let_in(self) -> bool:
        """Whether it is, or was, a client's."""
        return self._guest is not None

    def _overflowed(self) -> None:
        if self._guest is not None:
            self._guest.overflowed()

    # Sending

    @property
    def outbox(self) -> Outbox:
        """The way to the client; once it was let in."""
        return self._outbox

    def sendFrame(self, opcode: int, payload: bytes = b"", *_: object, **__: object) -> None:
        """Send what Autobahn wants to send: the Close frame; for pongs see L{onPing}."""
        self._outbox.write_last(encode_frame(FIN | opcode, payload))

    def onPing(self, payload: bytes) -> None:
        if self.state == self.STATE_OPEN:
            self._outbox.write_pong(encode_frame(FIN | PONG, payload))

    # The end

    def close(self, code: int, reason: str) -> None:
        """
        Start the closing handshake, after what waits in the outbox; once it is sent, the client
        has C{close_timeout} for its part of it.
        """
        if self.state == self.STATE_OPEN:
            octets = reason.encode("utf-8")[:123]
            self.sendCloseFrame(code, octets.decode("utf-8", "ignore").encode())

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        if self.state != self.STATE_OPEN:
            return
        super().sendCloseFrame(code, reasonUtf8, isReply)
        self._let_go()
        self._set_deadline(self._options.close_timeout, self._abort)
        if not self._reading:
            # Or the client's Close frame would never be read; messages are not reported any more.
            self._reading = True
            self._consume()
            self._adjust_transport()

    def onCloseFrame(self, code: Any, reasonRaw: Any) -> Any:
        if not self.failedByMe and self.state == self.STATE_OPEN:
            self._outbox.drop()
        return super().onCloseFrame(code, reasonRaw)

    def dropConnection(self, abort: bool = False) -> None:
        # Autobahn aborts when the closing handshake is complete, which may cost the client octets
        # that it has not read yet.
        super().dropConnection(abort=False)

    def _fail(self, text: str) -> None:
        if self.state == self.STATE_OPEN:
            self._fail_connection(1002, text)
        self._discard()

    def _discard(self) -> None:
        """
        Look at nothing any more that the client sends; it is told why by the Close frame.
        """
        self._discarding = True
        self._unread = self.data = b""
        self._at = 0
        if self.state == self.STATE_CLOSING:
            self._linger()

    def _linger(self) -> None:
        """
        Say that no more is coming, and wait until the client goes.  Closing at once would reset
        the connection if there are octets that were not read, and the client might never see what
        it was told.
        """
        self._discarding = True
        self._set_deadline(self._options.close_timeout, self._abort)
        self.transport.unregisterProducer()
        if ISSLTransport.providedBy(self.transport) or not hasattr(
            self.transport, "loseWriteConnection"
        ):
            self.transport.loseConnection()
        else:
            self.transport.loseWriteConnection()

    def abort(self) -> None:
        """Drop the transport at once."""
        self._abort()

    def _abort(self) -> None:
        self._cancel_deadline()
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._cancel_deadline()
        self._unread = self.data = b""
        self._at = 0
        self._let_go()
        is_connecting = self.state == self.STATE_CONNECTING
        super().connectionLost(reason)
        if self._guest is not None:
            self._outbox.drop()
            code = self.remoteCloseCode if self.violation is None else self.violation[0]
            self._guest.lost(code, self.violation is not None)
        elif is_connecting and ISSLTransport.providedBy(self.transport):
            self._look_at_tls(reason)
        self._door.left(self)
        # They refer to this wire, which is to go at once, and not when Python looks for garbage.
        self._guest = None
        for name in ("is_open", "is_closed"):
            vars(self).pop(name, None)

    def _look_at_tls(self, reason: Failure) -> None:
        from OpenSSL.SSL import Error

        error = reason.value
        if isinstance(error, Error) and error.args:
            # A list of where in OpenSSL, and what.
            self._door.not_secured(self, "; ".join(str(what) for *_, what in error.args[0]))

    def _set_deadline(self, seconds: float, call: Any) -> None:
        self._cancel_deadline()
        self._deadline = self._reactor.callLater(seconds, call)

    def _cancel_deadline(self) -> None:
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()


def _is_legible(head: bytes) -> bool:
    """
    Say whether there is no control character in it and, where it is looked at, nothing but ASCII.
    """
    first, *lines = head.split(b"\r\n")
    read = [line for line in lines if line.lower().startswith(_READ)]
    return b"".join([first, *read]).isascii() and not _CONTROL.search(head)


class RelayFactory(WebSocketServerFactory):
    """
    Makes a wire for each that connects.

    @param may_come: asked for each; who may not is disconnected without a word.
    """

    noisy = False
    log = _Silent()

    def __init__(
        self, door: Door, options: RelayOptions, reactor: IReactorTime, may_come: Callable[[], bool]
    ) -> None:
        # The global random numbers are the application's: Autobahn would seed them anew.
        state = random.getstate()
        super().__init__(  # type: ignore[no-untyped-call]
            reactor=object(), protocols=list(options.protocols), server=None
        )
        random.setstate(state)
        self._door = door
        self._options = options
        self._relay_reactor = DeadlineClock(reactor)
        self._may_come = may_come
        self.webStatus = False  # a request without an upgrade is refused, with 426
        self.failByDrop = False  # the client is told what it did wrong
        self.maxMessagePayloadSize = options.max_message_size
        # Autobahn's timers run on a clock of its own, rounded to whole seconds.
        self.openHandshakeTimeout = 0
        self.closeHandshakeTimeout = 0
        self.autoPingInterval = 0
        self.autoPingTimeout = 0
        names = WebSocketServerProtocol.CONFIG_ATTRS
        attributes = {name: getattr(self, name) for name in names}
        # Called as a function; in a class it would be a method.
        attributes["perMessageCompressionAccept"] = staticmethod(lambda _: None)
        self._wire = type("RelayWire", (RelayWire,), attributes)

    def buildProtocol(self, addr: IAddress | None) -> RelayWire | None:
        """Refuse, by returning C{None}, who is one too many even for a refusal in words."""
        if not self._may_come():
            return None
        wire: RelayWire = self._wire(self._door, self._options, self._relay_reactor)
        wire.factory = self
        return wire
