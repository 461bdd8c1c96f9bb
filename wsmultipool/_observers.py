"""
Who is told how long things take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import Logger

from ._validation import check_provides
from .interfaces import IPoolObserver

if TYPE_CHECKING:
    from .interfaces import IPooledConnection

# Not a class attribute: as one it would take its namespace from this private module.
_log = Logger(namespace="wsmultipool.observers")


class Observers:
    """
    The observers of one pool, called like one.  False while there are none: where much is measured,
    ask that first, and measure nothing.
    """

    def __init__(self) -> None:
        # Replaced rather than changed: who is being told may add or remove.
        self._all: tuple[IPoolObserver, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._all)

    def add(self, observer: IPoolObserver) -> None:
        """
        @raise TypeError: it does not provide L{IPoolObserver}.
        """
        check_provides("observer", observer, IPoolObserver)
        self._all = (*self._all, observer)

    def remove(self, observer: IPoolObserver) -> None:
        """Undo one L{add}."""
        self._all = tuple(each for each in self._all if each is not observer)

    def attempt_ended(
        self, connection: IPooledConnection, error: Exception | None, seconds: float
    ) -> None:
        """As L{IPoolObserver.attempt_ended}."""
        for observer in self._all:
            with _log.failuresHandled("An observer failed"):
                observer.attempt_ended(connection, error, seconds)

    def connection_ended(
        self, connection: IPooledConnection, error: Exception | None, seconds: float
    ) -> None:
        """As L{IPoolObserver.connection_ended}."""
        for observer in self._all:
            with _log.failuresHandled("An observer failed"):
                observer.connection_ended(connection, error, seconds)

    def measured(self, what: str, seconds: float) -> None:
        """As L{IPoolObserver.measured}."""
        # Runs for every message that has waited, so this is written out.
        for observer in self._all:
            try:
                observer.measured(what, seconds)
            except BaseException:  # as with failuresHandled: it must not cost a message
                _log.failure("An observer failed")
