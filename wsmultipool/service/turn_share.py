"""
A share of each turn of the reactor, for work that anybody can ask for and that may come in heaps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["SHARE", "TurnShare"]

SHARE = 0.005
"""Seconds of each turn; the piece of work that goes beyond is finished."""


class TurnShare:
    """
    Does pieces of work in the order in which they come: at once while the share of the present turn
    lasts, and else in the next turns.  So whatever else the process does has to wait for one share
    at a time.

    @param reactor: tells how long the work takes.
    @since: 0.2.0
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_working = False
        self._used = 0.0
        self._next_turn: IDelayedCall | None = None

    def do(self, work: Callable[[], None]) -> None:
        """
        Do a piece of work, now or in one of the next turns.

        @param work: may call this again.
        @since: 0.2.0
        """
        self._waiting.append(work)
        if not self._is_working:
            self._work()

    def _work(self) -> None:
        self._is_working = True
        if self._next_turn is None:
            self._next_turn = self._reactor.callLater(0, self._begin_turn)
        try:
            while self._waiting and self._used < SHARE:
                begin = self._reactor.seconds()
                self._waiting.popleft()()
                self._used += self._reactor.seconds() - begin
        finally:
            self._is_working = False

    def _begin_turn(self) -> None:
        self._next_turn = None
        self._used = 0.0
        if self._waiting:
            self._work()

    def stop(self) -> None:
        """
        Forget what waits.

        @since: 0.2.0
        """
        self._waiting.clear()
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None
