"""
Looking at a pool again and again, often while somebody watches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .event_log import EventLog
from .history import History
from .page import View

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from ..pool import ReconnectingPoolFactory
    from .metrics import CountsClients

__all__ = ["Monitor"]

_WATCHED = 1.0
_UNWATCHED = 5.0


class Monitor:
    """
    Takes a sample of a pool every second while somebody watches, else every five, so that there is
    a history to show to the next who looks.

    @since: 0.1.0
    """

    def __init__(
        self,
        pool: ReconnectingPoolFactory,
        reactor: IReactorTime,
        relay: CountsClients | None = None,
    ) -> None:
        self._pool = pool
        self._relay = relay
        self._reactor = reactor
        self._history = History()
        self._events = EventLog(pool, reactor.seconds)
        self._watchers: list[Callable[[View], None]] = []
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        """
        Begin.

        @since: 0.1.0
        """
        self._events.start()
        self._sample()

    def stop(self) -> None:
        """
        End; no delayed call is left.

        @since: 0.1.0
        """
        self._events.stop()
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def view(self) -> View:
        """
        @return: the present moment.
        @since: 0.1.0
        """
        now = self._reactor.seconds()
        stats = self._pool.get_stats()
        return View(
            self._pool.name,
            now,
            stats,
            self._history,
            self._events.newest_first(),
            None if self._relay is None else self._relay.get_stats(),
        )

    def watch(self, watcher: Callable[[View], None]) -> None:
        """
        Show every sample to C{watcher}, from now on.

        @since: 0.1.0
        """
        self._watchers.append(watcher)
        if self._call is not None and len(self._watchers) == 1:
            self._call.reset(_WATCHED)

    def unwatch(self, watcher: Callable[[View], None]) -> None:
        """
        Undo L{watch}.

        @since: 0.1.0
        """
        self._watchers.remove(watcher)

    def _sample(self) -> None:
        self._call = self._reactor.callLater(
            _WATCHED if self._watchers else _UNWATCHED, self._sample
        )
        view = self.view()
        self._history.add(view.now, view.stats)
        for watcher in list(self._watchers):
            watcher(view)
