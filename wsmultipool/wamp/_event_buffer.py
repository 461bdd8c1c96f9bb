"""
Events that wait for a router: a bounded queue that drops, and counts what it drops.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

__all__ = ["Event", "EventBuffer"]


class Event(NamedTuple):
    """
    One event on its way to a topic.

    @ivar name: the last component of the topic.
    @ivar arguments: what is published.
    @ivar size: payload bytes.
    """

    name: str
    arguments: tuple[Any, ...]
    size: int = 0


class EventBuffer:
    """
    Holds events in order, within two limits.

    @param most: events.
    @param most_bytes: payload bytes.
    @param drop_oldest: which one goes when they are too many: the oldest, or the newest.
    @ivar dropped: how many were dropped, so far.
    @ivar size: payload bytes held.
    """

    def __init__(self, most: int, most_bytes: int, drop_oldest: bool) -> None:
        self._events: deque[Event] = deque()
        self._most = most
        self._most_bytes = most_bytes
        self._drop_oldest = drop_oldest
        self.dropped = 0
        self.size = 0

    def __len__(self) -> int:
        return len(self._events)

    def add(self, event: Event) -> None:
        """Hold an event behind all others."""
        self._events.append(event)
        self.size += event.size

    def put_back(self, events: Iterable[Event]) -> None:
        """Hold events before all others, in their order."""
        for event in reversed(list(events)):
            self._events.appendleft(event)
            self.size += event.size

    def take(self) -> Event:
        """
        Give up the oldest.

        @raise IndexError: there is none.
        """
        event = self._events.popleft()
        self.size -= event.size
        return event

    def clear(self) -> None:
        """Drop all."""
        self.dropped += len(self._events)
        self._events.clear()
        self.size = 0

    def drop(self) -> None:
        """Drop what is too much; it may stay until all was published that can be at once."""
        while len(self._events) > self._most or self.size > self._most_bytes:
            event = self._events.popleft() if self._drop_oldest else self._events.pop()
            self.size -= event.size
            self.dropped += 1
