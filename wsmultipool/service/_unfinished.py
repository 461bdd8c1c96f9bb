"""
What the clients of a relay hold of messages that they have begun and not finished.

Each has a limit of its own, and all together have another one: a thousand times the largest message
is more memory than there is.  When they hold more than that, only the one that began first is read
from, and the others wait until it has made room: nothing is lost, and each gets through in turn.
"""

from __future__ import annotations

from typing import Protocol


class Holder(Protocol):
    """
    Somebody with an unfinished message.
    """

    def wait_for_room(self) -> None:
        """Read nothing more."""

    def go_on(self) -> None:
        """Read again."""


class UnfinishedMessages:
    """
    How much all of them hold, and whose turn it is.

    @param limit: bytes that all together may hold before all but the first have to wait.
    @ivar total: bytes that they hold.
    """

    def __init__(self, limit: int) -> None:
        self.total = 0
        self._limit = limit
        # In the order in which their messages began.
        self._sizes: dict[Holder, int] = {}
        self._waiting: dict[Holder, None] = {}

    def hold(self, holder: Holder, size: int) -> None:
        """
        Take note of how much somebody holds.

        @param size: bytes; 0 if it holds nothing any more.
        """
        self.total += size - self._sizes.get(holder, 0)
        if not size:
            self._sizes.pop(holder, None)
            self._let_go_on([holder])
        else:
            self._sizes[holder] = size
            if self.total > self._limit and holder is not self._first:
                self._waiting[holder] = None
                holder.wait_for_room()
        if self.total <= self._limit:
            self._let_go_on(list(self._waiting))
        else:
            self._let_go_on([self._first])

    @property
    def _first(self) -> Holder:
        return next(iter(self._sizes))

    def _let_go_on(self, holders: list[Holder]) -> None:
        for holder in holders:
            if holder in self._waiting:
                del self._waiting[holder]
                holder.go_on()
