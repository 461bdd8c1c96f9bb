"""
What a pool writes to its log: its connections come and go, fail, and come back.

What fails, fails again, and on all connections at once; so that is folded (L{FoldedLog}), and the
line that all are open again says how long it has taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._folding import FoldedLog
from ._words import counted

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from ._connection import PooledConnection
    from ._ending import Ending
    from ._fleet import Fleet
    from ._folding import Level
    from .errors import GaveUp
    from .interfaces import IPoolLogger
    from .options import ServerURL


class Journal:
    """
    Puts into words, at the right level, what happens to a pool.

    @param name: the pool's.
    @ivar folded: for what may happen often.
    """

    def __init__(self, clock: IReactorTime, logger: IPoolLogger, name: str, fleet: Fleet) -> None:
        self.folded = FoldedLog(clock, logger, name)
        self._clock = clock
        self._logger = logger
        self._name = name
        self._fleet = fleet
        self._failing_since: float | None = None
        self._failures = 0

    def started(self, connections: int) -> None:
        """The pool begins to connect."""
        keeping = counted(connections, "connection")
        self._logger.info("%s: keeping %s to %s", self._name, keeping, self._fleet)

    def opened(self, connection: PooledConnection) -> None:
        """A connection is open."""
        named = self._fleet.name(connection.id, connection.url)
        self._logger.info("%s: %s is open", self._name, named)

    def all_open(self, connections: int) -> None:
        """Every connection is."""
        are = "the connection is" if connections == 1 else f"all {connections} connections are"
        if self._failing_since is None:
            self._logger.info("%s: %s open", self._name, are)
            return
        self.folded.catch_up()
        seconds = self._clock.seconds() - self._failing_since
        failures = counted(self._failures, "failure")
        line = "%s: %s open, after %s in %.1f s"
        self._logger.info(line, self._name, are, failures, seconds)
        self._failing_since = None
        self._failures = 0

    def ended(self, connection: PooledConnection, ending: Ending, heard: bool) -> None:
        """
        An attempt, or a connection, has ended.

        @param heard: whether the program listens to errors.
        """
        text = str(ending.cause)
        where = self._fleet.where(connection.url)
        if not ending.is_trouble:
            if ending.was_open or ending.error is not None:
                named = self._fleet.name(connection.id, connection.url)
                self._logger.info("%s: %s: %s", self._name, named, text)
            return
        if self._failing_since is None:
            self._failing_since = self._clock.seconds()
        self._failures += 1
        level: Level = "warn" if heard or ending.error is None else "error"
        self.folded.tell(level, text, connection.id, where=where)

    def moved(self, connection: PooledConnection, was: ServerURL) -> None:
        """The next attempt of a connection goes to another server."""
        text = f"the next attempt is to {connection.url}"
        self.folded.tell("info", text, connection.id, where=self._fleet.where(was.label))

    def gave_up(self, connection: PooledConnection, error: GaveUp) -> None:
        """A connection tries no more."""
        attempts = counted(error.attempts, "attempt")
        text = f"gave up after {attempts}: {error.__cause__}"
        where = self._fleet.where(connection.url)
        self.folded.tell("error", text, connection.id, where=where)

    def empty(self, expected: bool) -> None:
        """No connection is open."""
        self.folded.tell("info" if expected else "warn", "no connection is open")

    def recovered(self, messages: int) -> None:
        """What had waited is sent."""
        waiting = counted(messages, "message")
        self._logger.info("%s: sent %s that had been waiting", self._name, waiting)

    def unwritten(self, messages: int) -> None:
        """So many were taken, and could not be sent after all: they have no Deferred any more."""
        line = "%s: %s were taken by connections that could not write them any more"
        if messages == 1:
            line = "%s: %s was taken by a connection that could not write it any more"
        self._logger.error(line, self._name, counted(messages, "message"))

    def closed(self) -> None:
        """The pool is at its end."""
        self.folded.end()
        self._logger.info("%s: closed", self._name)
