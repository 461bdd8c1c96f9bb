"""
Which connection a key belongs to, so that messages of one key keep their order.

Every key has one preferred connection, by rendezvous hashing (Thaler and Ravishankar, "Using
name-based mappings to increase hit rates", 1998): of all connections, the one whose hash together
with the key is the highest.  While that one is not open, the next highest of the open ones stands
in for it.  So the loss of a connection moves its keys and no others.

When a connection comes back, the keys that had a stand-in have messages under way there.  A key
goes home only when these are known to have been received: the caller sends a ping on the stand-in,
and its pong says so, as frames are processed in order (RFC 6455, section 5.5).  Until then new
messages of that key wait.  Without the pong, the key stays where it is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Generic, Protocol, TypeVar

_REMEMBERED = 4096  # keys whose preferred connection needs no new computation

_STOOD_IN = 65536
"""
Keys with a stand-in that are remembered.  Beyond, the one least recently used is forgotten, and
may go home without a pong: this many keyed messages after its last one.
"""


class _Numbered(Protocol):
    @property
    def id(self) -> int: ...


C = TypeVar("C", bound=_Numbered)


class Homecoming(Generic[C]):
    """
    Keys that are about to leave their stand-in for a connection that came back.

    @ivar stand_in: where their latest messages went.
    @ivar home: the connection that came back.
    @ivar keys: which.
    """

    def __init__(self, stand_in: C, home: C) -> None:
        self.stand_in = stand_in
        self.home = home
        self.keys: set[Hashable] = set()


class KeyAffinity(Generic[C]):
    """
    Finds the connection for a key.
    """

    def __init__(self) -> None:
        self._members: dict[int, C] = {}
        self._open: dict[int, C] = {}
        self._preferred: dict[Hashable, C] = {}
        self._stand_ins: OrderedDict[Hashable, C] = OrderedDict()
        self._homecomings: dict[Hashable, Homecoming[C]] = {}

    def add(self, connection: C) -> None:
        """A connection joins the pool; it is not open yet."""
        self._members[connection.id] = connection
        self._preferred.clear()

    def remove(self, connection: C) -> None:
        """A connection leaves the pool, or has given up: nothing will go home to it."""
        self._members.pop(connection.id, None)
        self._preferred.clear()

    def opened(self, connection: C, occupied: Iterable[Hashable]) -> list[Homecoming[C]]:
        """
        A connection opened.

        @param occupied: keys in the middle of a fragmented message, which can't move.
        @return: the keys that want to go home to it, by stand-in; the caller lets messages of
            L{moving} keys wait, and calls L{arrived} or L{stayed} for each.
        """
        self._open[connection.id] = connection
        occupied = set(occupied)
        homecomings: dict[int, Homecoming[C]] = {}
        for key, stand_in in self._stand_ins.items():
            if self._prefer(key) is not connection or key in occupied or key in self._homecomings:
                continue
            homecoming = homecomings.get(stand_in.id)
            if homecoming is None:
                homecoming = homecomings[stand_in.id] = Homecoming(stand_in, connection)
            homecoming.keys.add(key)
            self._homecomings[key] = homecoming
        return list(homecomings.values())

    def lost(self, connection: C) -> list[Homecoming[C]]:
        """
        A connection is open no longer.  The keys it stood in for belong where they always did, or
        get another stand-in.

        @return: the homecomings that this ends; their keys are not L{moving} any more.
        """
        self._open.pop(connection.id, None)
        for key in [k for k, c in self._stand_ins.items() if c is connection]:
            del self._stand_ins[key]
        ended = {
            id(h): h
            for h in self._homecomings.values()
            if connection is h.stand_in or connection is h.home
        }
        for homecoming in ended.values():
            self._end(homecoming)
        return list(ended.values())

    def arrived(self, homecoming: Homecoming[C]) -> None:
        """Everything the stand-in had sent was received: the keys are home."""
        if self._end(homecoming):
            for key in homecoming.keys:
                self._stand_ins.pop(key, None)

    def stayed(self, homecoming: Homecoming[C]) -> None:
        """Nobody knows: the keys stay with the stand-in."""
        self._end(homecoming)

    def moving(self, key: Hashable) -> Homecoming[C] | None:
        """The homecoming that C{key} is part of: its messages wait."""
        return self._homecomings.get(key)

    def home(self, key: Hashable) -> C | None:
        """
        @return: the open connection that messages of C{key} go to now; C{None} if none is open.
        """
        stand_in = self._stand_ins.get(key)
        if stand_in is not None:
            self._stand_ins.move_to_end(key)
            return stand_in
        preferred = self._prefer(key)
        if preferred is None or preferred.id in self._open:
            return preferred
        if not self._open:
            return None
        stand_in = self._highest(key, self._open)
        if len(self._stand_ins) >= _STOOD_IN:
            self._stand_ins.popitem(last=False)
        self._stand_ins[key] = stand_in
        return stand_in

    def _prefer(self, key: Hashable) -> C | None:
        preferred = self._preferred.get(key)
        if preferred is None:
            if not self._members:
                return None
            if len(self._preferred) >= _REMEMBERED:
                self._preferred.clear()
            preferred = self._preferred[key] = self._highest(key, self._members)
        return preferred

    @staticmethod
    def _highest(key: Hashable, connections: dict[int, C]) -> C:
        return connections[max(connections, key=lambda number: hash((key, number, _SALT)))]

    def _end(self, homecoming: Homecoming[C]) -> bool:
        """Return whether it was under way at all."""
        under_way = False
        for key in homecoming.keys:
            if self._homecomings.get(key) is homecoming:
                del self._homecomings[key]
                under_way = True
        return under_way


# Keeps hash((key, number)) of small integers from lining up over the connections.
_SALT = "rendezvous"
