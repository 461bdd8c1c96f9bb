"""
What one WebSocket has taken, and how much of that is proven to have arrived.

The proof is a pong: frames are processed in order, so the peer that answers a ping has received
every message before it (RFC 6455, section 5.5; "processed" by its WebSocket layer, not by the
application above).  Messages are counted in the order in which they are taken, which is the one in
which they are written; a ping remembers the count when it was sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ._message_kinds import ConfirmedMessage


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


class ProofOfReceipt:
    """
    The account of one WebSocket, from its opening handshake to its end.

    @param total: the account of the whole pool.
    @param queued: tells how many messages it has taken and not written.
    @ivar written: how many messages it has written.
    @ivar proven: how many of them, the oldest, have arrived for sure.
    @ivar unconfirmed_size: payload bytes of the confirmed messages that wait for a pong.
    @ivar ping_due: whether a confirmed message was taken after the latest ping.
    """

    __slots__ = (
        "_queued",
        "_total",
        "_waiting",
        "ping_due",
        "proven",
        "unconfirmed_size",
        "written",
    )

    def __init__(self, total: Unconfirmed, queued: Callable[[], int] = lambda: 0) -> None:
        self.written = 0
        self.proven = 0
        self.unconfirmed_size = 0
        self.ping_due = False
        self._queued = queued
        self._total = total
        self._waiting: deque[ConfirmedMessage] = deque()

    @property
    def taken(self) -> int:
        """How many messages it has taken, less those that it has given back."""
        return self.written + self._queued()

    @property
    def unconfirmed(self) -> int:
        """How many confirmed messages wait for a pong."""
        return len(self._waiting)

    @property
    def unknown(self) -> int:
        """How many messages may have arrived or not, of which nobody waits to hear more."""
        return self.taken - self.proven - len(self._waiting)

    def takes(self, message: ConfirmedMessage) -> None:
        """The message that is going to be taken next is to be confirmed."""
        message.position = self.taken + 1
        self._waiting.append(message)
        size = len(message.payload)
        self.unconfirmed_size += size
        self._total.messages += 1
        self._total.size += size
        self.ping_due = True

    def mark(self) -> int:
        """
        @return: what to remember of a ping that is sent now.
        """
        self.ping_due = False
        return self.taken

    def proved(self, mark: int) -> list[ConfirmedMessage]:
        """
        The ping was answered.

        @return: the messages that this confirms, oldest first.
        """
        self.proven = max(self.proven, mark)
        waiting = self._waiting
        confirmed = []
        while waiting and waiting[0].position <= mark:
            confirmed.append(waiting.popleft())
        self._settled(confirmed)
        return confirmed

    def give_back(self) -> None:
        """What was queued has been taken back, and is not its concern any more."""
        taken = self.taken
        returned = []
        while self._waiting and self._waiting[-1].position > taken:
            returned.append(self._waiting.pop())
        self._settled(returned)

    def give_up(self) -> list[ConfirmedMessage]:
        """
        No pong will come.

        @return: the messages that nobody knows of whether they have arrived, oldest first.
        """
        lost = list(self._waiting)
        self._waiting.clear()
        self._settled(lost)
        return lost

    def _settled(self, messages: list[ConfirmedMessage]) -> None:
        size = sum(len(message.payload) for message in messages)
        self.unconfirmed_size -= size
        self._total.messages -= len(messages)
        self._total.size -= size
