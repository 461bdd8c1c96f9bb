"""
Frames on their way into a transport: collected over one turn of the reactor, written at once.

One write for many frames is what makes sending fast; that a message which was not yet handed to
the transport can be taken back is what makes losing a connection harmless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.internet.interfaces import ITransport

    from .interfaces import IWireListener
    from .messages import Message

# Twisted's transports call pauseProducing above 64 KiB: more in one write would only wait there.
_FLUSH_AT = 65536
# With so many in one write, another costs next to nothing for each; but messages that pile up by
# the thousands outlive several passes of Python's garbage collector, which cost more than that.
_MOST_FRAMES = 512


@implementer(IPushProducer)
class WriteQueue:
    """
    The frames of one wire.  It is the transport's producer, so that it is told how full that is.

    @ivar paused: whether the transport is above its high-water mark.
    """

    def __init__(self) -> None:
        self.paused = False
        self._transport: ITransport
        self._listener: IWireListener
        self._frames: list[bytes] = []
        self._frame_bytes = 0
        self._messages: list[Message] = []
        self._pong: bytes | None = None
        self._writing = False
        self._held = 0

    def connect(self, transport: ITransport, listener: IWireListener) -> None:
        """From now on frames can be added."""
        self._transport = transport
        self._listener = listener

    @property
    def unwritten_bytes(self) -> int:
        """Bytes that are, as far as is known, still in this process."""
        return self._frame_bytes + self._held

    def add(self, frame: bytes) -> None:
        """Queue a control frame."""
        if not self._frames:
            self._listener.wire_queued()
        self._frames.append(frame)
        self._frame_bytes += len(frame)
        if self._frame_bytes >= _FLUSH_AT:
            self.flush()

    def add_message(self, frame: bytes, message: Message) -> None:
        """Queue the frame that carries C{message}."""
        # Runs for every message sent, so add() is written out here.
        frames = self._frames
        if not frames:
            self._listener.wire_queued()
        frames.append(frame)
        self._messages.append(message)
        size = self._frame_bytes = self._frame_bytes + len(frame)
        if size >= _FLUSH_AT or len(frames) >= _MOST_FRAMES:
            self.flush()

    def add_pong(self, frame: bytes) -> None:
        """
        Queue the answer to a ping.  To a peer that pings but does not read, only the latest of its
        pings is answered, as RFC 6455, section 5.5.3 allows, when it reads again: the answers
        would pile up in the transport's buffer.
        """
        if self.paused:
            self._pong = frame
        else:
            self.add(frame)

    def flush(self) -> None:
        """Write what is queued; a no-op when nothing is."""
        frames = self._frames
        if not frames:
            return
        size = self._frame_bytes
        messages = self.take_unwritten()
        self._writing = True
        try:
            self._transport.write(frames[0] if len(frames) == 1 else b"".join(frames))
        finally:
            self._writing = False
        if self.paused:
            self._held += size
            self._listener.wire_paused(self._held)
        if messages:
            self._listener.wire_wrote(messages)

    def finish(self) -> None:
        """Write what is queued, of which the last is a Close frame: no pong may follow it."""
        self._pong = None
        self.flush()

    def take_unwritten(self) -> list[Message]:
        """Forget all that is queued, and return the messages in it."""
        messages = self._messages
        self._frames, self._frame_bytes, self._messages = [], 0, []
        return messages

    def pauseProducing(self) -> None:
        # Twisted calls this synchronously from write(), again on every write while it is full.
        if not self.paused:
            self.paused = True
            if not self._writing:
                self._listener.wire_paused(self._held)

    def resumeProducing(self) -> None:
        if self.paused:
            self.paused = False
            self._held = 0
            pong, self._pong = self._pong, None
            if pong is not None:
                self.add(pong)
            self._listener.wire_resumed()

    def stopProducing(self) -> None:
        """
        The transport is going down; the protocol is told as well.
        """
