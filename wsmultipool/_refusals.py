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

from zope.interface import implementer

from .errors import ConnectionClosed, UpgradeRejected
from .interfaces import IPoolObserver

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from .interfaces import IPooledConnection
    from .pool import ReconnectingPoolFactory

__all__ = ["Refusals"]

# People know what has happened.
_UNREMARKABLE = frozenset({1000, 1001, 1005})
_LASTING = 5.0
# Less than any clock shows.
_NO_TIME = 1e-6


@implementer(IPoolObserver)
class Refusals:
    """
    Observes a pool, and knows whether its server turns us away: the last that it said was a
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
        pool.add_observer(self)

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
        """Observe no more: what ends from here on ends because of us."""
        self._pool.remove_observer(self)
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _forgive(self) -> None:
        now = self._clock.seconds()
        if any(now - opened >= _LASTING for opened in self._open.values()):
            self._latest = None

    def attempt_ended(
        self, connection: IPooledConnection, error: Exception | None, seconds: float
    ) -> None:
        """It has let a connection in, or it has not."""
        self._forgive()
        if error is None:
            self._open[connection.id] = self._clock.seconds()
        elif isinstance(error, ConnectionClosed | UpgradeRejected):
            self._refused(error)
        self._look()

    def connection_ended(
        self, connection: IPooledConnection, error: Exception | None, seconds: float
    ) -> None:
        """It has closed a connection, or that was lost."""
        self._forgive()
        del self._open[connection.id]
        # A server that has closed the WebSocket may have left TCP open until we lost patience.
        closed = connection.last_close or (error and error.__cause__)
        if isinstance(closed, ConnectionClosed) and closed.by_peer:
            if not closed.orderly:
                self._refused(closed)
            if error is None and (closed.reason or closed.code not in _UNREMARKABLE):
                self._say(str(closed))
        self._look()

    def measured(self, what: str, seconds: float) -> None:
        """Nothing that matters here."""

    def _refused(self, error: Exception) -> None:
        if self._latest is None:
            self._since = self._clock.seconds()
        self._latest = str(error)

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
