"""
A server that turns us away, be it that the pool goes on trying.

It rejects the upgrade, or it accepts and then closes the connection with a code that says that
something is wrong: a wrong API key has many servers do so.  The pool tries again, which is right
where that passes; for a command it is no success, and sooner or later the reason to end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from .errors import ConnectionClosed, UpgradeRejected

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from .pool import ReconnectingPoolFactory

__all__ = ["Refusals"]

# What servers close with that end, restart, or just are through, and what stands for a lost
# connection (RFC 6455, section 7.4.1).  All others say that something is wrong.
_ORDERLY = frozenset({1000, 1001, 1005, 1006, 1012})
# These need no words: people know what has happened.
_UNREMARKABLE = frozenset({1000, 1001, 1005})
_LASTING = 5.0
# Less than any clock shows.
_NO_TIME = 1e-6


class Refusals:
    """
    Listens to a pool, and knows whether its server turns us away: the last that it said was a
    refusal, and no connection has lasted 5 seconds since.

    @param say: called with what the server closes a connection with, in words without secrets;
        what fails is said by the event C{error}.
    """

    def __init__(
        self, clock: IReactorTime, pool: ReconnectingPoolFactory, say: Callable[[str], object]
    ) -> None:
        self._clock = clock
        self._pool = pool
        self._say = say
        self._open: dict[int, float] = {}
        self._latest: str | None = None
        self._since = 0.0
        self._timeout = math.inf
        self._too_long: Callable[[], object] = lambda: None
        self._call: IDelayedCall | None = None
        pool.on("open", self._opened)
        pool.on("close", self._closed)
        pool.on("error", self._failed)

    def limit(self, seconds: float, too_long: Callable[[], object]) -> None:
        """
        Bear with it for so long.

        @param too_long: called once, when it has turned us away, and sent nothing, for C{seconds}.
        """
        self._timeout = seconds
        self._too_long = too_long

    @property
    def latest(self) -> str | None:
        """What it turned us away with; C{None} if it serves us."""
        self._forgive()
        return self._latest

    def heard(self) -> None:
        """It has sent something: that it serves us for a moment is worth some patience."""
        if self._latest is not None:
            self._since = self._clock.seconds()

    def stop(self) -> None:
        """Listen no more: what ends from here on ends because of us."""
        self._pool.off("open", self._opened)
        self._pool.off("close", self._closed)
        self._pool.off("error", self._failed)
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _forgive(self) -> None:
        now = self._clock.seconds()
        if any(now - opened >= _LASTING for opened in self._open.values()):
            self._latest = None

    def _opened(self, connection_id: int) -> None:
        self._open[connection_id] = self._clock.seconds()

    def _closed(self, connection_id: int, code: int, reason: str) -> None:
        self._forgive()
        del self._open[connection_id]
        if code not in _ORDERLY:
            self._refused(self._words(connection_id))
        if code != 1006 and (reason or code not in _UNREMARKABLE):
            self._say(self._words(connection_id))
        self._look()

    def _words(self, connection_id: int) -> str:
        connections = self._pool.get_stats().connections
        return next(str(each.last_error) for each in connections if each.id == connection_id)

    def _failed(self, error: Exception, connection_id: int) -> None:
        self._forgive()
        if isinstance(error, ConnectionClosed | UpgradeRejected):
            self._refused(str(error))
        self._look()

    def _refused(self, words: str) -> None:
        if self._latest is None:
            self._since = self._clock.seconds()
        self._latest = words

    def _look(self) -> None:
        """Lose patience, or look again when it is time to."""
        if self._latest is None or math.isinf(self._timeout) or self._call is not None:
            return
        left = self._since + self._timeout - self._clock.seconds()
        if left > _NO_TIME:
            self._call = self._clock.callLater(left, self._look_again)
        elif not self._open:
            self._timeout = math.inf
            self._too_long()

    def _look_again(self) -> None:
        self._call = None
        self._forgive()
        # While one is open that may yet last, its end is waited for.
        self._look()
