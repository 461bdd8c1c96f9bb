"""
What waits, in which order: one FIFO for outage and for backpressure.

A message without a key waits in the shared lane, from which any connection may take it.  One with
a key, or for just one connection, waits in the lane of that connection; when there is no open
connection to decide for, in the lane of the homeless.  Sequence numbers keep the lanes one FIFO: a
connection takes the older of the two messages at the heads of its own and the shared lane.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from operator import attrgetter

from .messages import Lane, Message

_by_sequence = attrgetter("sequence")


class Backlog:
    """
    The messages that no connection has taken.

    @ivar count: how many.
    @ivar size: their payload bytes.
    @ivar undecided: how many of them have a caller who still waits to hear that they were taken;
        the others were taken once, and came back.
    """

    def __init__(self) -> None:
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

    def lane_of(self, connection: Hashable | None) -> Lane:
        """
        The lane of a connection; that of the homeless for C{None}.
        """
        if connection is None:
            return self._homeless
        lane = self._lanes.get(connection)
        if lane is None:
            lane = self._lanes[connection] = OrderedDict()
        return lane

    def append(self, message: Message, lane: Lane) -> None:
        """Let the newest message wait."""
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
        for message in returned:
            self._entered(message, lane)

    def _entered(self, message: Message, lane: Lane) -> None:
        message.lane = lane
        self.count += 1
        self.size += len(message.payload)
        if message.deferred is not None:
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
        if message.deferred is not None:
            self.undecided -= 1

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

    def clear_lane(self, connection: Hashable | None) -> list[Message]:
        """
        Take out, oldest first, everything that waits for C{connection} (C{None}: for any home).
        """
        lane = self._homeless if connection is None else self._lanes.pop(connection, None)
        messages = list(lane or ())
        for message in messages:
            self.remove(message)
        return messages
