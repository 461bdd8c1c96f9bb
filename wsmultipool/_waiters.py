"""
Deferreds that wait for the same moment.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred


class Waiters:
    """
    Hands out Deferreds and fires them together.  What they call may wait anew, or cancel another
    one of them.
    """

    def __init__(self) -> None:
        self._waiting: list[Deferred[None]] = []

    def wait(self) -> Deferred[None]:
        """
        @return: a new Deferred.  Cancelling it makes it fail, and nothing else.
        """
        waiter: Deferred[None] = Deferred(self._forget)
        self._waiting.append(waiter)
        return waiter

    def fire(self) -> None:
        """The moment has come."""
        for waiter in self._take():
            if not waiter.called:
                waiter.callback(None)

    def fail(self, error: Exception) -> None:
        """The moment will not come."""
        for waiter in self._take():
            if not waiter.called:
                waiter.errback(error)

    def _take(self) -> list[Deferred[None]]:
        waiters, self._waiting = self._waiting, []
        return waiters

    def _forget(self, waiter: Deferred[None]) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)
