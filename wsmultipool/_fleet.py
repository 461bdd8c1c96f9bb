"""
Which of several servers each connection is for.

A connection that keeps failing moves on: with the second failure in a row, and with each one after
that.  It goes where the fewest connections are, among the servers that it has not tried since it
last was well.  So what a dead server had is spread evenly over the others, and each connection
finds a server that lives, however many of them do not, without anyone to ask.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from .options import ServerURL

    class Comparable(Protocol):
        """What is compared of a connection."""

        @property
        def id(self) -> int: ...
        @property
        def is_open(self) -> bool: ...
        @property
        def gave_up(self) -> bool: ...


__all__ = ["Fleet", "Place", "by_worth"]

_C = TypeVar("_C", bound="Comparable")


class Fleet:
    """
    The servers of a pool, and how many connections are for each.

    @ivar urls: the servers: one or more, each of them once.
    @ivar crowds: how many connections are for each server, open or not, in the same order.
    """

    def __init__(self, urls: Sequence[ServerURL]) -> None:
        self.urls = tuple(urls)
        self.crowds = [0] * len(self.urls)

    def place(self) -> Place:
        """
        @return: a place for a new connection, where the fewest are; the first among equals.
        """
        return Place(self, self.crowds.index(min(self.crowds)))

    def name(self, connection_id: int, url: str | None) -> str:
        """
        Name a connection for the log, with the server that it is for if there are several.

        @param url: that server's URL as it may be shown; C{None} if it is not known.
        """
        return f"connection {connection_id}{self.where(url)}"

    def where(self, url: str | None) -> str:
        """
        @param url: as of L{name}.
        @return: which server that is, as words to follow a connection's name; empty if there is
            only one, or it is not known.
        """
        return "" if url is None or len(self.urls) == 1 else f" to {url}"

    def __str__(self) -> str:
        return ", ".join(url.label for url in self.urls)

    def __repr__(self) -> str:
        others = len(self.urls) - 1
        return self.urls[0].label + (f" and {others} more" if others else "")


class Place:
    """
    Where one connection is, where it has failed, and where it goes next.

    @ivar index: the number, in the fleet, of the server that it is for.
    """

    __slots__ = ("_fleet", "_left", "_not_before", "_tried", "index")

    def __init__(self, fleet: Fleet, index: int) -> None:
        self.index = index
        self._fleet = fleet
        self._tried: set[int] = set()
        self._not_before: dict[int, float] = {}
        self._left = False
        fleet.crowds[index] += 1

    @property
    def url(self) -> ServerURL:
        """The server."""
        return self._fleet.urls[self.index]

    def ask_not_before(self, time: float) -> None:
        """The server wants no attempt of this connection before that time."""
        self._not_before[self.index] = time

    def well(self) -> None:
        """The connection was open for long enough: what failed before is forgotten."""
        self._tried.clear()

    def failed(self, due: float) -> float:
        """
        An attempt failed, or a connection that did not last.  Decide where the next attempt goes.

        @param due: the time at which backoff lets it begin.
        @return: the time at which it may: C{due}, unless every server wants it to be later.
        """
        here = self.index
        is_first = not self._tried
        self._tried.add(here)
        ready = [i for i in range(len(self._fleet.urls)) if self._not_before.get(i, due) <= due]
        if not ready:
            self._move(min(self._not_before, key=self._not_before.__getitem__))
            return self._not_before[self.index]
        if is_first and here in ready:
            return due  # one failure may be a mere mishap
        fresh = [i for i in ready if i not in self._tried]
        if not fresh:
            # All were tried: once more, from the beginning, except for the one that failed last.
            self._tried = {here}
            fresh = [i for i in ready if i != here] or [here]
        crowds = self._fleet.crowds
        # Among equals the next in order, so that not all go to the first.
        self._move(min(fresh, key=lambda i: (crowds[i], (i - here) % len(crowds))))
        return due

    def leave(self) -> None:
        """The connection needs no server any more."""
        if not self._left:
            self._left = True
            self._fleet.crowds[self.index] -= 1

    def _move(self, index: int) -> None:
        self._fleet.crowds[self.index] -= 1
        self._fleet.crowds[index] += 1
        self.index = index


def by_worth(places: Mapping[_C, Place]) -> list[_C]:
    """
    Sort connections by how much each would be missed, if there were to be fewer.

    @param places: where they are.
    @return: first those that are open, last those that gave up; among equals first the oldest of
        each server, then the second oldest of each, and so on.  So the first I{n}, for any I{n},
        are as evenly spread as can be.
    """
    oldest_first = sorted(places, key=lambda c: (not c.is_open, c.gave_up, c.id))
    seen: Counter[int] = Counter()
    ranks = {}
    for connection in oldest_first:
        server = places[connection].index
        ranks[connection] = seen[server]
        seen[server] += 1
    return sorted(oldest_first, key=lambda c: (not c.is_open, c.gave_up, ranks[c], c.id))
