"""
Received messages as an asynchronous iterator, with backpressure to the sockets.
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


class MessageStream:
    """
    What C{pool.messages()} returns: all messages from that call on, for one C{async for}.

    It ends when the pool has ended and everything received was consumed.

    @param events: where messages come from.
    @param hold: called with this and with true, to stop reading; with false, to let it go on.
    @param release: called with this when it has ended.
    """

    def __init__(
        self,
        events: EventEmitter,
        hold: Callable[[object, bool], None],
        release: Callable[[MessageStream], None],
    ) -> None:
        self._events = events
        self._hold = hold
        self._release = release
        self._received: deque[ReceivedMessage] = deque()
        self._bytes = 0
        self._arrival = Waiters()
        self._holding = False
        self._ended = False
        events.on("message", self._on_message)

    def __aiter__(self) -> MessageStream:
        return self

    async def __anext__(self) -> ReceivedMessage:
        while not self._received:
            if self._ended:
                raise StopAsyncIteration
            await self._arrival.wait()
        message = self._received.popleft()
        self._bytes -= len(message[0])
        if self._holding and not self._above(0.5):
            self._holding = False
            self._hold(self, False)
        return message

    async def aclose(self) -> None:
        """
        Stop to listen, and forget what was not consumed.  Leaving C{async for} early does not do
        this by itself: without it the sockets stay paused once enough has arrived.
        """
        self._received.clear()
        self._bytes = 0
        self.end()

    def end(self) -> None:
        """Let no more arrive."""
        if self._ended:
            return
        self._ended = True
        self._events.off("message", self._on_message)
        if self._holding:
            self._holding = False
            self._hold(self, False)
        self._release(self)
        self._arrival.fire()

    def _on_message(self, data: bytes, is_binary: bool, connection_id: int) -> None:
        self._received.append((data, is_binary, connection_id))
        self._bytes += len(data)
        if not self._holding and self._above(1):
            self._holding = True
            self._hold(self, True)
        self._arrival.fire()

    def _above(self, part: float) -> bool:
        return self._bytes >= part * _MOST_BYTES or len(self._received) >= part * _MOST_MESSAGES
