"""
Storm control: how many connections may be connecting at the same time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable


class ConnectGate:
    """
    Lets at most C{limit} attempts be under way; the others wait their turn.

    @param limit: C{max_connecting}; C{None} for no limit.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._inside: set[Hashable] = set()
        self._letting_in = False
        self._waiting: OrderedDict[Hashable, Callable[[], None]] = OrderedDict()

    def enter(self, who: Hashable, proceed: Callable[[], None]) -> None:
        """
        Call C{proceed} as soon as C{who} may begin its attempt, possibly now.
        """
        if self._limit is None or len(self._inside) < self._limit:
            self._inside.add(who)
            proceed()
        else:
            self._waiting[who] = proceed

    def leave(self, who: Hashable) -> None:
        """
        The attempt of C{who} is over, or not wanted any more; the next one may begin.
        """
        self._waiting.pop(who, None)
        self._inside.discard(who)
        if self._letting_in:
            return  # called by an attempt that was over at once; the loop below goes on
        self._letting_in = True
        try:
            while self._waiting and (self._limit is None or len(self._inside) < self._limit):
                following, proceed = self._waiting.popitem(last=False)
                self._inside.add(following)
                proceed()
        finally:
            self._letting_in = False
