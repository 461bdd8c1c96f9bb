"""
What arrives: Autobahn's client protocol, with a short way for what is ordinary.

Nearly everything that arrives on an open WebSocket are whole messages in frames with nothing
special about them, and L{wsmultipool._framing} reads these many times faster than Autobahn.  All
the rest goes to Autobahn's parser, octet for octet and frame by frame: fragments, compression,
Close frames, and whatever a peer may do wrong.  So there is one place that knows what to do about
that, and it is not here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from ._framing import (
    BINARY,
    FIN,
    PING,
    PONG,
    frame_size,
    may_be_ordinary,
    read_header,
    read_messages,
)
from ._message_batch import MessageBatch
from ._parsing import ParsingProtocol
from ._partial_message import PartialMessage
from .errors import ConnectionDropped, ProtocolViolation
from .interfaces import IWireListener

# Twisted reads so much at once.  When it got all of that there is more to be read, and where the
# messages are not short it pays to read that in one piece: less has to be put together again.
_FULL_READ = 65536
_READ_ON_FROM_SIZE = 512
_LONG_READ = 1024 * 1024


class ReceivingProtocol(ParsingProtocol):
    """
    Reads frames, and tells the listener of the messages in them, unless it is paused.

    What has arrived and was not read is C{_unread}, from C{_at} on.  C{data}, where Autobahn looks
    for octets, has those of the opening handshake, and after that nothing but what Autobahn is to
    parse right now.

    @ivar ordinary_frames: how many frames were read without Autobahn.
    """

    # Autobahn copies these from the factory one by one, and formats them for a log nobody reads.
    CONFIG_ATTRS: Any = ()
    listener: IWireListener
    factory: Any
    # Twisted does not say more of this than that it may be None.
    transport: Any
    maxMessagePayloadSize: int

    def __init__(self) -> None:
        super().__init__()
        self.ordinary_frames = 0
        self._error: Exception | None = None
        self._given_up = False
        self._receiving = True
        self._consuming = False
        self._unread = b""
        self._at = 0
        self._arrived: list[bytes] = []
        self._batch: MessageBatch | None = None
        self._partial: PartialMessage | None = None
        self._longest = sys.maxsize
        self._socket: Any = None

    def makeConnection(self, transport: Any) -> None:
        if self._given_up:  # and yet an endpoint connects it
            transport.abortConnection()
        else:
            # With TLS there is more to do than to read.  Such a transport says of itself that it
            # provides what its inner one does; its class does not.
            if IReadDescriptor.implementedBy(type(transport)):
                self._socket = cast(Any, transport).getHandle()
            super().makeConnection(transport)  # type: ignore[no-untyped-call]

    def connectionMade(self) -> None:
        vars(self).update(self.factory.protocol_attributes)
        super().connectionMade()
        self._longest = self.maxMessagePayloadSize or sys.maxsize

    # Pausing, and the other ends of receiving

    def pause_receiving(self) -> None:
        if self._receiving:
            self._receiving = False
            self._withdraw_rest()
            self.transport.pauseProducing()

    def resume_receiving(self) -> None:
        if self._receiving:
            return
        self._receiving = True
        if not self._consuming:  # else the loop that called a handler goes on
            self._guarded(self._consume)
        # A handler of what was held back may have paused again.
        if self._receiving:
            self.transport.resumeProducing()

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        super().sendCloseFrame(code, reasonUtf8, isReply)
        self._withdraw_rest()

    def dropConnection(self, abort: bool = False) -> None:
        super().dropConnection(abort)
        self._withdraw_rest()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._given_up:
            return
        super().connectionLost(reason)
        self._withdraw_rest()
        self._forget_unread()

    def abort(self) -> None:
        if self.transport is None:  # then there is nothing whose end could be waited for
            self._given_up = True
            self.listener.wire_lost(ConnectionDropped("it was never connected"), 1006, "")
            return
        self.dropConnection(abort=True)
        # Autobahn does nothing in a state that it takes for closed already.
        self.transport.abortConnection()

    # Octets arrive

    def dataReceived(self, data: bytes) -> None:
        self.listener.wire_heard()
        try:
            if self.state == self.STATE_CONNECTING:
                self._dataReceived(data)
            elif self._consuming:
                # A handler has had the transport deliver more while it is being called.
                self._arrived.append(data)
            else:
                frames = self.ordinary_frames
                self._append(data)
                self._guarded(self._consume)
                if len(data) >= _FULL_READ:
                    self._read_on(self.ordinary_frames - frames)
        finally:  # also if a handler has raised SystemExit, say
            self.listener.wire_read()

    def _read_on(self, frames: int) -> None:
        """
        Read more from the socket, after C{frames} frames that took all that Twisted has read.
        """
        short = frames > _FULL_READ // _READ_ON_FROM_SIZE
        if self._socket is None or short or not self._receiving or self.state != self.STATE_OPEN:
            return
        try:
            data = self._socket.recv(_LONG_READ)
        except OSError:  # there is no more now, or Twisted will hear of the same
            return
        self._append(data)
        self._guarded(self._consume)

    def consumeData(self) -> None:
        """
        Consume what is in C{data}.  Autobahn calls this for the response, and while it does that
        once more for what is behind it; that is consumed afterwards.
        """
        if self.state == self.STATE_CONNECTING:
            self._guarded(self._consume_response)

    def _consume_response(self) -> None:
        self._consuming = True
        try:
            super().consumeData()
        finally:
            self._consuming = False
        if self.state != self.STATE_CONNECTING:
            behind, self.data = self.data, b""
            self._append(behind)
            self._consume()

    def _append(self, data: bytes) -> None:
        rest = self._unread[self._at :]
        self._unread = rest + data if rest else data
        self._at = 0

    def _forget_unread(self) -> None:
        self._unread, self._at, self._partial = b"", 0, None
        self._arrived.clear()
        self.message_data = None  # Autobahn's, of a message in fragments

    def _guarded(self, consume: Callable[[], None]) -> None:
        """
        An exception would be a flaw in Autobahn's parser that the peer has found.  Twisted would
        log a traceback and drop the connection; the pool wants the reason.
        """
        try:
            consume()
        except Exception as error:
            self._error = ProtocolViolation(1002, f"its octets upset the parser: {error!r}")
            self._error.__cause__ = error
            self.abort()

    # Octets are consumed

    def _consume(self) -> None:
        self._consuming = True
        try:
            while self._receiving and (self._consume_some() or self._go_on_with_arrived()):
                pass
        finally:
            self._consuming = False
            while self._go_on_with_arrived():
                pass

    def _go_on_with_arrived(self) -> bool:
        if self._arrived:
            self._append(self._arrived.pop(0))
            return True
        return False

    def _consume_some(self) -> bool:
        """
        Take one step: a batch of messages, or one other frame, or as much of it as is there.

        @return: whether there may be another step to take.
        """
        if self.state == self.STATE_CLOSED:
            self._forget_unread()
            return False
        if self._at == len(self._unread):
            return False
        if self.state != self.STATE_OPEN or self.inside_message or self.current_frame is not None:
            return self._have_autobahn_parse()
        if self._partial is not None:
            return self._add_to_message(self._partial)
        return self._read_batch() or self._read_other()

    def _read_batch(self) -> bool:
        begin = self._at
        payloads, self._at = read_messages(self._unread, begin, self._longest)
        if not payloads:
            return False
        self.ordinary_frames += len(payloads)
        self._batch = MessageBatch(payloads, self._unread[begin] == FIN | BINARY)
        try:
            self.listener.wire_messages(self._batch)
        except BaseException:  # a handler has raised SystemExit, say
            self._withdraw_rest()
            raise
        finally:
            self._batch = None
        return True

    def _withdraw_rest(self) -> None:
        """
        What was read but not delivered must not be delivered now: put it back.
        """
        if self._batch is not None:
            for payload in self._batch.withdraw():
                self._at -= frame_size(len(payload))
                self.ordinary_frames -= 1

    def _read_other(self) -> bool:
        data, at = self._unread, self._at
        header = read_header(data, at)
        if header is None:
            # A few octets of a header that Autobahn need not see can wait for the others.
            return not may_be_ordinary(data, at) and self._have_autobahn_parse()
        start = at + header.payload_at
        end = start + header.size
        if header.is_ordinary and end > len(data) and header.size <= self._longest:
            self._at = start
            is_binary = header.first_octet == FIN | BINARY
            self._partial = PartialMessage(data[at:start], is_binary, header.size)
            return True
        if header.is_plain and header.size <= 125 and end <= len(data):
            if header.first_octet == FIN | PONG:
                self.ordinary_frames += 1
                self._at = end
                self.onPong(data[start:end])
                return True
            if header.first_octet == FIN | PING:
                self.ordinary_frames += 1
                self._at = end
                self.onPing(data[start:end])
                return True
        return self._have_autobahn_parse()

    def _add_to_message(self, partial: PartialMessage) -> bool:
        octets = self._unread[self._at : self._at + partial.missing]
        self._at += len(octets)
        if not partial.add(octets):
            return self._have_autobahn_parse()
        if partial.missing:
            return False
        self._partial = None
        self.ordinary_frames += 1
        self.listener.wire_message(partial.payload, partial.is_binary)
        return True

    def _have_autobahn_parse(self) -> bool:
        """
        Have Autobahn parse the rest of the frame that it is in, or else the next one; it must not
        see more, as what follows may be ordinary.
        """
        if self._partial is not None:  # which has turned out not to be ordinary
            self._unread, self._at = self._partial.octets + self._unread[self._at :], 0
            self._partial = None
        data, at = self._unread, self._at
        frame = self.current_frame
        if frame is not None:
            end = at + frame.length - self.current_frame_masker.pointer()
        else:
            header = read_header(data, at)
            end = len(data) if header is None else at + header.payload_at + header.size
        self.data = data[at:end]
        self._at = min(end, len(data))
        while self.processData() and self.state != self.STATE_CLOSED:
            pass
        rest, self.data = self.data, b""
        self._at -= len(rest)  # a header of which a part is missing
        return not rest
