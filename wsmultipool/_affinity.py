"""
Which connection a key belongs to, so that messages of one key keep their order.

A key that is new goes, by rendezvous hashing (Thaler and Ravishankar, "Using name-based mappings to
increase hit rates", 1998), to the open connection whose hash together with the key is the highest.
That is its home, and stays so while that connection is open: the loss of a connection moves its
keys and no others.

When a connection opens, it would be a better home for its share of the keys.  They move there, but
not before what was sent for them at the old home is known to have been received: the caller sends a
ping there, and the pong says so, as frames are processed in order (RFC 6455, section 5.5).  Until
then messages of such a key wait.  Without the pong, the key stays where it is.  Likewise the keys
of a connection that is closing wait until it is gone.  A L{PinnedKey} does not move before that,
and is not forgotten before that while the program has it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Hashable, MutableMapping
from typing import Any, Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

from .keys import PinnedKey

_REMEMBERED = 65536
"""
Keys whose home is remembered, not counting pinned ones.  Beyond, the least recently used is
forgotten: it may get another home without waiting, this many keyed messages after its last one.
"""


class _Numbered(Protocol):
    @property
    def id(self) -> int: ...


C = TypeVar("C", bound=_Numbered)


class Move(Generic[C]):
    """
    Keys on their way from one connection to another; their messages wait.

    @ivar old: where their latest messages went.
    @ivar new: where they go; C{None} as long as that is open.
    @ivar keys: which.
    """

    def __init__(self, old: C, new: C | None) -> None:
        self.old = old
        self.new = new
        self.keys: set[Hashable] = set()


class KeyAffinity(Generic[C]):
    """
    Finds the connection for a key.
    """

    def __init__(self) -> None:
        self._open: dict[int, C] = {}
        self._homes: OrderedDict[Hashable, C] = OrderedDict()
        # Apart from the others, as they must not be forgotten however many others there are.
        self._pinned: WeakKeyDictionary[PinnedKey, C] = WeakKeyDictionary()
        self._moves: dict[Hashable, Move[C]] = {}

    def home(self, key: Hashable) -> C | None:
        """
        @return: the open connection that messages of C{key} go to; C{None} if none is open.
        """
        home = self._homes.get(key)
        if home is not None:
            self._homes.move_to_end(key)
            return home
        if isinstance(key, PinnedKey):
            home = self._pinned.get(key, None)
            if home is None and self._open:
                home = self._pinned[key] = self._best(key)
        elif self._open:
            if len(self._homes) >= _REMEMBERED:
                self._homes.popitem(last=False)
            home = self._homes[key] = self._best(key)
        return home

    def _best(self, key: Hashable) -> C:
        """The open connection, of one or more, whose hash together with C{key} is the highest."""
        return self._open[max(self._open, key=lambda number: _weight(key, number))]

    def moving(self, key: Hashable) -> Move[C] | None:
        """The move that C{key} takes part in: its messages wait."""
        return self._moves.get(key)

    def opened(self, connection: C, occupied: Collection[Hashable]) -> list[Move[C]]:
        """
        A connection opened.

        @param occupied: keys in the middle of a fragmented message, which can't move.
        @return: the keys that had better move there, by their old home; the caller calls
            L{arrived} or L{stayed} for each.
        """
        self._open[connection.id] = connection
        moves: dict[int, Move[C]] = {}
        for key, home in self._homes.items():
            if (
                _weight(key, connection.id) > _weight(key, home.id)
                and key not in occupied
                and key not in self._moves
            ):
                move = moves.setdefault(home.id, Move(home, connection))
                move.keys.add(key)
                self._moves[key] = move
        return list(moves.values())

    def arrived(self, move: Move[C]) -> None:
        """Everything that was sent at the old home was received: the keys have moved."""
        for key in self._end(move):
            if move.new is not None and key in self._homes:  # not forgotten meanwhile
                self._homes[key] = move.new

    def stayed(self, move: Move[C]) -> None:
        """Nobody knows: the keys stay."""
        self._end(move)

    def closing(self, connection: C) -> tuple[Move[C], list[Move[C]]]:
        """
        A connection takes nothing any more.

        @return: the move of its keys, to be ended by L{arrived} when it is gone; and other moves,
            which this has ended.
        """
        self._open.pop(connection.id, None)
        ended = {
            id(move): move
            for move in self._moves.values()
            if connection is move.old or connection is move.new
        }
        for move in ended.values():
            self._end(move)
        leaving = Move(connection, None)
        homes: tuple[MutableMapping[Any, C], ...] = (self._homes, self._pinned)
        for of_some in homes:
            for key in [key for key, home in of_some.items() if home is connection]:
                del of_some[key]
                leaving.keys.add(key)
                self._moves[key] = leaving
        return leaving, list(ended.values())

    def _end(self, move: Move[C]) -> list[Hashable]:
        """Return the keys for which it was still under way."""
        keys = [key for key in move.keys if self._moves.get(key) is move]
        for key in keys:
            del self._moves[key]
        return keys


def _weight(key: Hashable, number: int) -> int:
    # Of bytes, Python computes SipHash.  That of a tuple is too weak for taking the highest of
    # several: with 16 connections some would get half as many keys again as others.
    return hash(b"%x %x" % (hash(key), number))
