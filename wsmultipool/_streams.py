"""
Received messages as an asynchronous iterator, with backpressure to the sockets.

The pool knows the inbox of each iterator, and never the iterator itself.  So an iterator that
nobody refers to any more, as a loop over it was left early, is collected by Python, and then its
inbox is closed: nobody would ever take what it holds back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ._waiters import Waiters

if TYPE_CHECKING:
    from .events import EventEmitter

ReceivedMessage = tuple[bytes, bool, int]
"""C{data, is_binary, connection_id}, as in the event C{message}."""

# Above this, reading from the sockets stops; when half of it is consumed, it goes on.  Bytes bound
# the memory, messages the overhead of many small ones.
_MOST_BYTES = 1024 * 1024
_MOST_MESSAGES = 1024


class Inbox:
    """
    What has arrived for one iterator, and what it has not taken yet.

    Whoever waits for its C{arrival} is a coroutine that refers to the iterator: as long as there is
    one, the iterator is not collected.

    @param events: where messages come from.
    @param hold: called with this and with true, to stop reading; with false, to let it go on.
    @param release: called with this when it has ended.
    @ivar received: these messages, oldest first.
    @ivar size: their bytes; kept by both ends.
    @ivar arrival: fires when something has arrived, or no more will.
    @ivar is_holding: whether it has stopped reading.
    @ivar ended: whether no more arrive.
    """

    def __init__(
        self,
        events: EventEmitter,
        hold: Callable[[object, bool], None],
        release: Callable[[Inbox], None],
    ) -> None:
        self.received: deque[ReceivedMessage] = deque()
        self.size = 0
        self.is_holding = False
        self.ended = False
        self._events = events
        self._hold = hold
        self._release = release
        self.arrival = Waiters()
        events.on("message", self._on_message)

    def _on_message(self, data: bytes, is_binary: bool, connection_id: int) -> None:
        self.received.append((data, is_binary, connection_id))
        self.size += len(data)
        if not self.is_holding and self.is_above(1):
            self.is_holding = True
            self._hold(self, True)
        self.arrival.fire()

    def is_above(self, part: float) -> bool:
        """Whether it has more than this part of what may wait."""
        return self.size >= part * _MOST_BYTES or len(self.received) >= part * _MOST_MESSAGES

    def read_on(self) -> None:
        """Let reading go on."""
        if self.is_holding:
            self.is_holding = False
            self._hold(self, False)

    def end(self) -> None:
        """Let no more arrive."""
        if self.ended:
            return
        self.ended = True
        self._events.off("message", self._on_message)
        self.read_on()
        self._release(self)
        self.arrival.fire()

    def discard(self) -> None:
        """Let no more arrive, and forget what was not taken."""
        self.received.clear()
        self.size = 0
        self.end()


class MessageStream:
    """
    What C{pool.messages()} returns: all messages from that call on, for one C{async for}.

    It ends when the pool has ended and everything received was consumed.

    @param inbox: where they are.
    """

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def __aiter__(self) -> MessageStream:
        return self

    async def __anext__(self) -> ReceivedMessage:
        inbox = self._inbox
        received = inbox.received
        while not received:
            if inbox.ended:
                raise StopAsyncIteration
            await inbox.arrival.wait()
        message = received.popleft()
        inbox.size -= len(message[0])
        if inbox.is_holding and not inbox.is_above(0.5):
            inbox.read_on()
        return message

    async def aclose(self) -> None:
        """
        Stop to listen, and forget what was not consumed.  C{async for} that is left early does not
        do this by itself: without it, that happens when nobody refers to this any more, with a
        warning in the pool's log; until then the sockets stay paused once enough has arrived.
        """
        self._inbox.discard()
