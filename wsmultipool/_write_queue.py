"""
What is on its way into a transport: collected over one turn of the reactor, written at once.

One write for many messages is what makes sending fast; that a message which was not yet handed to
the transport can be taken back is what makes losing a connection harmless.  So messages are kept as
they are, and become frames when they are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IPushProducer, ISSLTransport
from zope.interface import implementer

from ._message_kinds import to_message
from .messages import AnyMessage, Message, PlainMessage

if TYPE_CHECKING:
    from .interfaces import IWireListener

# Twisted's transports call pauseProducing above 64 KiB: more in one write would only wait there.
_FLUSH_AT = 65536
# With so many in one write, another costs next to nothing for each; but messages that pile up by
# the thousands outlive several passes of Python's garbage collector, which cost more than that.
_MOST_ENTRIES = 512

Entry: TypeAlias = "AnyMessage | bytes"
"""A message, or a control frame as it is to be written."""


@implementer(IPushProducer)
class WriteQueue:
    """
    What one wire is about to write.  It is the transport's producer, so that it is told how full
    that is.

    @param encode: makes the octets of some entries; told, besides, where among them there are
        others than plain messages.
    @ivar confirmed: how many of the messages that are queued are to be confirmed.
    @ivar paused: whether the transport is above its high-water mark.
    """

    # A pool has thousands of messages in hundreds of these: what lies together is found sooner.
    __slots__ = (
        "_backed_up",
        "_controls",
        "_encode",
        "_entries",
        "_held",
        "_is_socket",
        "_listener",
        "_others",
        "_pong",
        "_size",
        "_stopped",
        "_transport",
        "_writing",
        "confirmed",
        "paused",
    )

    def __init__(self, encode: Callable[[list[Entry], list[int]], bytes]) -> None:
        self.paused = False
        self._encode = encode
        # Twisted does not say what a transport is that can be told to write now.
        self._transport: Any = None
        self._listener: IWireListener
        self._is_socket = False
        self._backed_up = False  # whether the transport may still have some of an earlier write
        self._stopped = False
        self._entries: list[Entry] = []
        self._size = 0
        self._others: list[int] = []
        self._controls = 0
        self.confirmed = 0
        self._pong: bytes | None = None
        self._writing = False
        self._held = 0

    def connect(self, transport: object, listener: IWireListener) -> None:
        """From now on there can be entries."""
        self._transport = transport
        self._listener = listener
        # Twisted's wrappers, TLS among them, say of themselves what their inner transport provides:
        # only the class tells, and with C{startTLS} not even that.
        self._is_socket = isinstance(transport, FileDescriptor) and not (
            ISSLTransport.providedBy(transport)
        )

    @property
    def unwritten_bytes(self) -> int:
        """Bytes that are, as far as is known, still in this process."""
        return self._size + self._held

    @property
    def messages(self) -> int:
        """How many messages are queued."""
        return len(self._entries) - self._controls

    def add(self, frame: bytes) -> None:
        """Queue a control frame."""
        self._controls += 1
        self._add(frame, len(frame))

    def add_message(self, message: Message) -> None:
        """Queue a message of which something special is asked."""
        self.confirmed += message.confirm
        self._add(message, len(message.payload))

    def add_plain(self, plain: PlainMessage) -> None:
        """Queue a message of which nothing special is asked."""
        # Runs for nearly every message sent, so it does not share its lines with _add().
        entries = self._entries
        if not entries:
            self._listener.wire_queued()
        entries.append(plain)
        size = self._size = self._size + len(plain[0])
        if size >= _FLUSH_AT or len(entries) >= _MOST_ENTRIES:
            self.flush()

    def add_confirmed(self, plain: PlainMessage) -> None:
        """Queue a message of which nothing but a confirmation is asked."""
        self.confirmed += 1
        self.add_plain(plain)

    def add_run(self, run: Iterable[PlainMessage]) -> int:
        """
        Queue several such messages, one or more, until that has what is queued written: who has
        more of them must first see whether there is still room.  Return how many were queued.
        """
        entries = self._entries
        if not entries:
            self._listener.wire_queued()
        append, most = entries.append, _MOST_ENTRIES - len(entries)
        size = self._size
        count = 0
        for count, plain in enumerate(run, 1):
            append(plain)
            size += len(plain[0])
            if size >= _FLUSH_AT or count == most:
                self._size = size
                self.flush()
                break
        else:
            self._size = size
        return count

    def _add(self, entry: Entry, size: int) -> None:
        entries = self._entries
        if not entries:
            self._listener.wire_queued()
        self._others.append(len(entries))
        entries.append(entry)
        self._size += size
        if self._size >= _FLUSH_AT or len(entries) >= _MOST_ENTRIES:
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
        if not self._entries or self._stopped:
            return
        size, others = self._size, self._others
        try:
            data = self._encode(self._entries, others)
        except BaseException:  # no memory, say: then others may have some
            self._abort()
            raise
        confirmed = self.confirmed
        entries = self._take()
        special: list[Message] = []
        for at in reversed(others):
            entry = entries[at]
            if isinstance(entry, Message):
                special.append(entry)
            else:  # a control frame
                size -= len(entry)
                del entries[at]
        messages = cast("list[AnyMessage]", entries)
        if messages:
            self._listener.wire_writes(messages, size, confirmed)
        self._writing = True
        try:
            self._write(data)
        except BaseException:  # the peer gets all, some or none of it: no pong may prove anything
            self._abort()
            raise
        finally:
            self._writing = False
            try:
                if self.paused:
                    self._held += len(data)
                    self._listener.wire_paused(self._held)
            finally:  # whatever a balancer makes of that
                if messages:
                    self._listener.wire_wrote(special[::-1])

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if self._is_socket and transport.connected and not (self.paused or transport.disconnecting):
            # Twisted would keep it and ask the poller first, though nearly always there is room.
            if not self._backed_up and len(data) <= transport.SEND_LIMIT:
                sent = transport.writeSomeData(data)
                if sent == len(data):
                    return
                self._backed_up = True
                # Of an error Twisted hears when it writes itself, as of old.
                transport.write(data if isinstance(sent, Exception) else data[sent:])
            else:
                transport.write(data)
                transport.doWrite()
                self._backed_up = bool(transport.dataBuffer)
        else:
            transport.write(data)
            self._backed_up = True

    def _abort(self) -> None:
        self._transport.abortConnection()
        self.stop()

    def stop(self) -> None:
        """
        The transport was aborted, and would swallow what it is given until it is gone: from now on
        what is queued can only be taken back.
        """
        self._stopped = True
        if self._transport is not None and not self.paused:
            self.paused = True
            self._listener.wire_paused(self._held)

    def finish(self) -> None:
        """Write what is queued, of which the last is a Close frame: no pong may follow it."""
        self._pong = None
        self.flush()

    def _take(self) -> list[Entry]:
        entries = self._entries
        self._entries, self._size, self._others = [], 0, []
        self._controls = self.confirmed = 0
        return entries

    def take_unwritten(self) -> list[Message]:
        """Forget all that is queued, and return the messages in it."""
        return [
            to_message(entry) if isinstance(entry, tuple) else entry
            for entry in self._take()
            if not isinstance(entry, bytes)
        ]

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
            if self._writing:  # so soon that nobody was told of the pause
                return
            pong, self._pong = self._pong, None
            if pong is not None:
                self.add(pong)
            self._listener.wire_resumed()

    def stopProducing(self) -> None:
        """
        The transport is going down; the protocol is told as well.
        """
