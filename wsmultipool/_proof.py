"""
What one WebSocket has taken, and how much of that is proven to have arrived.

The proof is a pong: frames are processed in order, so the peer that answers a ping has received
every message before it (RFC 6455, section 5.5; "processed" by its WebSocket layer, not by the
application above).  Messages are counted in the order in which they are written; a ping remembers
how many there are before it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import compress
from typing import TYPE_CHECKING, NamedTuple

from ._message_kinds import payload_size, to_message

if TYPE_CHECKING:
    from .interfaces import IWebSocketWire
    from .messages import AnyMessage, Message


class Unconfirmed:
    """
    The confirmed messages of a whole pool that connections have taken and nobody has confirmed.

    @ivar messages: how many.
    @ivar size: their payload bytes.
    """

    __slots__ = ("messages", "size")

    def __init__(self) -> None:
        self.messages = 0
        self.size = 0

    def give_back(self, messages: Iterable[Message]) -> None:
        """A connection has not written these, and gives them back."""
        for message in messages:
            if message.confirm:
                self.messages -= 1
                self.size -= len(message.payload)


class _Written(NamedTuple):
    """
    The confirmed messages of one write.

    @ivar places: the place of each among all messages that were written.
    @ivar size: their payload bytes.
    """

    places: Sequence[int]
    messages: list[AnyMessage]
    size: int

    def split(self, mark: int) -> tuple[_Written, _Written]:
        """
        @return: those up to place C{mark}, and those behind it.
        """
        count = bisect_right(self.places, mark)
        messages = self.messages[:count]
        size = sum(map(payload_size, messages))
        return (
            _Written(self.places[:count], messages, size),
            _Written(self.places[count:], self.messages[count:], self.size - size),
        )


class ProofOfReceipt:
    """
    The account of one WebSocket, from its opening handshake to its end.

    @param total: the account of the whole pool.
    @param wire: the WebSocket, which has taken messages and not written them; C{None} for one that
        there is not yet, or no longer.
    @ivar written: how many messages it has written.
    @ivar proven: how many of them, the oldest, have arrived for sure.
    """

    __slots__ = (
        "_marked",
        "_total",
        "_waiting",
        "_wire",
        "_written_confirmed",
        "proven",
        "written",
    )

    def __init__(self, total: Unconfirmed, wire: IWebSocketWire | None = None) -> None:
        self.written = 0
        self.proven = 0
        self._wire = wire
        self._total = total
        # Of the messages to be confirmed, those written, and those taken before the latest ping.
        self._written_confirmed = 0
        self._marked = 0
        self._waiting: deque[_Written] = deque()

    @property
    def taken(self) -> int:
        """How many messages it has taken, less those that it has given back."""
        return self.written + (self._wire.queued_messages if self._wire is not None else 0)

    @property
    def _queued_confirmed(self) -> int:
        return self._wire.queued_confirmed if self._wire is not None else 0

    @property
    def unconfirmed(self) -> int:
        """How many confirmed messages it has taken that wait for a pong."""
        return self._queued_confirmed + sum(len(written.messages) for written in self._waiting)

    @property
    def oldest_unconfirmed(self) -> int | None:
        """The place of the first of those of them that it has written; C{None} without any."""
        return self._waiting[0].places[0] if self._waiting else None

    @property
    def unconfirmed_size(self) -> int:
        """Payload bytes of those of them that it has written."""
        return sum(written.size for written in self._waiting)

    @property
    def ping_due(self) -> bool:
        """Whether a confirmed message was taken after the latest ping."""
        return self._written_confirmed + self._queued_confirmed != self._marked

    @property
    def unknown(self) -> int:
        """How many messages may have arrived or not, of which nobody waits to hear more."""
        return self.taken - self.proven - self.unconfirmed

    def writes(self, messages: list[AnyMessage], size: int, confirmed: int) -> None:
        """
        These are written, in this order.

        @param size: their payload bytes.
        @param confirmed: how many of them are to be confirmed.
        """
        first = self.written + 1
        self.written += len(messages)
        if not confirmed:
            return
        places: Sequence[int] = range(first, self.written + 1)
        if confirmed < len(messages):
            places, messages = _confirmed_of(messages, places)
            size = sum(map(payload_size, messages))
        self._waiting.append(_Written(places, messages, size))
        self._written_confirmed += confirmed

    def mark(self) -> int:
        """
        @return: what to remember of a ping that is sent now.
        """
        self._marked = self._written_confirmed + self._queued_confirmed
        return self.taken

    def proved(self, mark: int) -> list[AnyMessage]:
        """
        The ping was answered.

        @return: the messages that this confirms, oldest first.
        """
        self.proven = max(self.proven, mark)
        waiting = self._waiting
        confirmed: list[AnyMessage] = []
        while waiting and waiting[0].places[0] <= mark:
            written = waiting.popleft()
            if written.places[-1] > mark:
                written, later = written.split(mark)
                waiting.appendleft(later)
            confirmed += written.messages
            self._settle(written)
        return confirmed

    def give_up(self) -> list[Message]:
        """
        No pong will come.

        @return: the messages that nobody knows of whether they have arrived, oldest first.
        """
        lost: list[AnyMessage] = []
        while self._waiting:
            written = self._waiting.popleft()
            lost += written.messages
            self._settle(written)
        return [to_message(m, deliveries=1) if isinstance(m, tuple) else m for m in lost]

    def _settle(self, written: _Written) -> None:
        self._total.messages -= len(written.messages)
        self._total.size -= written.size


def _confirmed_of(
    messages: list[AnyMessage], places: Iterable[int]
) -> tuple[list[int], list[AnyMessage]]:
    are_confirmed = [m[3] is not None if isinstance(m, tuple) else m.confirm for m in messages]
    return list(compress(places, are_confirmed)), list(compress(messages, are_confirmed))
