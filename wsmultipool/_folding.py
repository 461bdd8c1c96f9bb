"""
Telling of what happens again and again: at once the first time, and then in one line with how often
it has happened, and since when.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Literal

from ._repeated import Repeated
from ._timer import Timer
from ._words import counted

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from .interfaces import IPoolLogger

__all__ = ["FoldedLog", "Level"]

INTERVAL = 60.0
"""Seconds between two lines about the same thing."""
MOST_FOLDS = 16
"""So many things are told apart; the others, as when each has a number of its own, are one."""

Level = Literal["info", "warn", "error"]


class _Fold(Repeated):
    """
    What is to be told next of one thing.

    @ivar level: at which level.
    @ivar where: the server that it is about, as words behind the connections; may be empty.
    @ivar since: when it happened first.
    @ivar told_at: when it was told last; C{None} before that.
    """

    __slots__ = ("level", "since", "told_at", "where")

    def __init__(self, level: Level, now: float, where: str) -> None:
        super().__init__(now, "")
        self.level = level
        self.where = where
        self.since = now
        self.told_at: float | None = None

    def line(self, now: float) -> str:
        """Say what has happened since that was said last, and begin anew."""
        subject = f"{self.subject}{self.where}: " if self.connections else ""
        if self.told_at is None:
            often = f" ({counted(self.times, 'time')})" if self.times > 1 else ""
        else:
            times = counted(self.times, "more time")
            passed, in_all = now - self.told_at, now - self.since
            often = f" ({times} in the last {passed:.0f} s, first {in_all:.0f} s ago)"
        self.told_at = now
        self.times = 0
        self.connections.clear()
        return f"{subject}{self.text}{often}"


class FoldedLog:
    """
    Passes on what is new, and counts what is not: of each thing there is at most one line a minute.

    @param name: what every line begins with.
    """

    def __init__(self, clock: IReactorTime, logger: IPoolLogger, name: str) -> None:
        self._clock = clock
        self._logger = logger
        self._name = name
        self._folds: dict[Hashable, _Fold] = {}
        self._soon = Timer(clock)
        self._later = Timer(clock)
        self._caught_up_at: float | None = None
        self._ended = False

    def tell(
        self,
        level: Level,
        text: str,
        connection_id: int | None = None,
        *,
        where: str = "",
        kind: Hashable = None,
        together: bool = False,
    ) -> None:
        """
        Something happens.

        @param connection_id: to which connection; C{None} for the pool as a whole.
        @param where: which server that is for, as words behind the number.
        @param kind: what is the same thing, though the text may differ; C{None} for equal texts.
        @param together: wait for the end of the reactor's turn, as more of it will come.
        """
        now = self._clock.seconds()
        key: Hashable = (level, text if kind is None else kind, where)
        if key not in self._folds and len(self._folds) >= MOST_FOLDS:
            key = level
        fold = self._folds.get(key)
        if fold is None:
            fold = self._folds[key] = _Fold(level, now, where)
        fold.text = text
        fold.where = where
        fold.again(now, connection_id)
        if self._ended:
            # There are no timers any more.
            if fold.told_at is None or now - fold.told_at >= INTERVAL:
                self._tell(fold)
        elif fold.told_at is None and together:
            if self._soon.remaining is None:
                self._soon.set(0, self._tell_new)
        else:
            if fold.told_at is None:
                self._tell(fold)
            self._wait()

    def end(self) -> None:
        """Tell all that was only counted.  From now on, no timer is set."""
        self._ended = True
        self.settle()

    def catch_up(self) -> None:
        """As L{settle}, but not twice in a minute: for what may itself happen again and again."""
        now = self._clock.seconds()
        if self._caught_up_at is None or now - self._caught_up_at >= INTERVAL:
            self._caught_up_at = now
            self.settle()

    def settle(self) -> None:
        """Tell now all that was only counted, and have no timer until something happens."""
        self._soon.clear()
        self._later.clear()
        for fold in list(self._folds.values()):
            if fold.times:
                self._tell(fold)

    def _wait(self) -> None:
        if self._later.remaining is None:
            self._later.set(INTERVAL, self._tell_all)

    def _tell_new(self) -> None:
        for fold in list(self._folds.values()):
            if fold.told_at is None:
                self._tell(fold)
        self._wait()

    def _tell_all(self) -> None:
        folds, self._folds = self._folds, {}
        for key, fold in folds.items():
            if fold.times:
                self._folds[key] = fold
                self._tell(fold)
        if self._folds:
            self._wait()

    def _tell(self, fold: _Fold) -> None:
        log = getattr(self._logger, fold.level)
        log("%s: %s", self._name, fold.line(self._clock.seconds()))
