"""
What happened, in order, and a way to wait for what has not happened yet.

Tests wait on a journal instead of sleeping: it is kept for the events of a pool, for what a server
process reports, and for the connections that a server in this process sees.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from .running_reactor import reactor


class Journal:
    """
    Named entries, each with some details.

    @ivar names: the names of all entries, oldest first.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._details: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    def record(self, name: str, *details: Any) -> None:
        self.names.append(name)
        self._details[name].append(details)
        for waiting in list(self._waiting):
            condition, waiter = waiting
            if condition():
                self._waiting.remove(waiting)
                waiter.callback(None)

    def of(self, name: str) -> list[tuple[Any, ...]]:
        """Return the details of all entries of that name, oldest first."""
        return self._details[name]

    def count(self, name: str) -> int:
        return len(self.of(name))

    async def nth(self, name: str, count: int = 1) -> tuple[Any, ...]:
        """Wait for the C{count}-th entry of that name, past or future; return its details."""
        await self.when(lambda: self.count(name) >= count)
        return self.of(name)[count - 1]

    def when(self, condition: Callable[[], bool]) -> Deferred[None]:
        """
        Wait until C{condition} is true; it is asked now and after every entry.

        It fires in a turn of the reactor of its own, and not in the middle of what is happening.
        """
        if condition():
            return deferLater(reactor, 0)
        waiter: Deferred[None] = Deferred(lambda _: self._waiting.remove(waiting))
        waiting = (condition, waiter)
        self._waiting.append(waiting)
        return waiter.addCallback(lambda _: deferLater(reactor, 0))
