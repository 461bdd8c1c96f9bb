"""
What waits, in which order: one FIFO for outage and for backpressure.

A message without a key waits in the shared lane, from which any connection may take it.  One with
a key, or for just one connection, waits in the lane of that connection; when there is no open
connection to decide for, in the lane of the homeless.  Keys that move from one connection to
another, and the fragments that follow a first one, have lanes as well.  Sequence numbers keep the
lanes one FIFO: a connection takes the older of the two messages at the heads of its own and the
shared lane.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from operator import attrgetter
from typing import TYPE_CHECKING

from .messages import Lane, Message

if TYPE_CHECKING:
    from ._observers import Observers

_by_sequence = attrgetter("sequence")


class Backlog:
    """
    The messages that no connection has taken.

    @ivar count: how many.
    @ivar size: their payload bytes.
    @ivar undecided: how many of them have a caller who still waits to hear that they were taken;
        the others were taken once, and came back.
    @ivar now: returns the time.
    @ivar observers: who is told how long messages have waited.
    @ivar withdraw: called with a message that waits when its Deferred is cancelled.
    """

    def __init__(self) -> None:
        self.now: Callable[[], float] = float  # no clock: it is always 0
        self.observers: Observers | None = None
        self.withdraw: Callable[[Message], None] = lambda message: None
        self.count = 0
        self.size = 0
        self.undecided = 0
        self.shared: Lane = OrderedDict()
        self._homeless: Lane = OrderedDict()
        self._lanes: dict[Hashable, Lane] = {}

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Message]:
        """All of it, oldest first."""
        lanes = [self.shared, self._homeless, *self._lanes.values()]
        return iter(sorted((m for lane in lanes for m in lane), key=_by_sequence))

    def lane_of(self, owner: Hashable | None) -> Lane:
        """
        The lane of a connection, or of what else has one; that of the homeless for C{None}.
        """
        if owner is None:
            return self._homeless
        lane = self._lanes.get(owner)
        if lane is None:
            lane = self._lanes[owner] = OrderedDict()
        return lane

    def first_of(self, owner: Hashable) -> Message | None:
        """
        The oldest message in the lane of C{owner}; it goes on waiting.
        """
        lane = self._lanes.get(owner)
        return next(iter(lane)) if lane else None

    def append(self, message: Message, lane: Lane) -> None:
        """Let the newest message wait."""
        message.waits_since = self.now()
        lane[message] = None
        self._entered(message, lane)

    def insert(self, messages: Iterable[Message], lane: Lane) -> None:
        """
        Let messages wait that were accepted earlier, each in its place.  They are older than most
        of what waits, so only the head of the lane is looked at.
        """
        returned = sorted(messages, key=_by_sequence)
        if not returned:
            return
        head = []
        newest = returned[-1].sequence
        while lane and next(iter(lane)).sequence < newest:
            head.append(lane.popitem(last=False)[0])
        for message in sorted([*head, *returned], key=_by_sequence, reverse=True):
            lane[message] = None
            lane.move_to_end(message, last=False)
        now = self.now()
        for message in returned:
            if not hasattr(message, "waits_since"):  # else it only moves to another lane
                message.waits_since = now
            self._entered(message, lane)

    def _entered(self, message: Message, lane: Lane) -> None:
        message.lane = lane
        message.withdraw = self.withdraw
        self.count += 1
        self.size += len(message.payload)
        if message.undecided:
            self.undecided += 1

    def remove(self, message: Message) -> None:
        """
        A waiting message waits no longer.  Its Deferred is settled after this, not before.
        """
        lane = message.lane
        assert lane is not None
        del lane[message]
        message.lane = None
        self.count -= 1
        self.size -= len(message.payload)
        if message.undecided:
            self.undecided -= 1

    def take(self, message: Message) -> None:
        """
        A connection takes a waiting message.
        """
        self.remove(message)
        if self.observers:
            self.observers.measured("queue wait", self.now() - message.waits_since)
        del message.waits_since

    @property
    def oldest_wait(self) -> float | None:
        """How long the message has waited that waits longest; C{None} when none does."""
        lanes = [self.shared, self._homeless, *self._lanes.values()]
        since = [next(iter(lane)).waits_since for lane in lanes if lane]
        return self.now() - min(since) if since else None

    def next_for(self, connection: Hashable) -> Message | None:
        """
        The oldest message that C{connection} may take; it goes on waiting.
        """
        own = self._lanes.get(connection)
        if own:
            message = next(iter(own))
            if self.shared:
                other = next(iter(self.shared))
                if other.sequence < message.sequence:
                    return other
            return message
        if self.shared:
            return next(iter(self.shared))
        return None

    def has_older(self, sequence: int) -> bool:
        """Whether anything waits that was accepted before C{sequence}."""
        lanes = [self.shared, self._homeless, *self._lanes.values()]
        return any(lane and next(iter(lane)).sequence < sequence for lane in lanes)

    def oldest(self, wanted: Callable[[Message], bool]) -> Message | None:
        """
        The oldest waiting message that no particular connection is to take, and that is wanted.
        """
        candidates = []
        for lane in (self.shared, self._homeless):
            for message in lane:
                if wanted(message):
                    candidates.append(message)
                    break
        return min(candidates, key=_by_sequence, default=None)

    def clear_lane(self, owner: Hashable | None) -> list[Message]:
        """
        Take out, oldest first, everything in the lane of C{owner} (C{None}: of the homeless), and
        forget the lane.
        """
        lane = self._homeless if owner is None else self._lanes.pop(owner, None)
        messages = list(lane or ())
        for message in messages:
            self.remove(message)
        return messages
