"""
The end of the reactor's present turn, as a moment to do things at.

Who reads what a socket has brought, and calls handlers for it, says so: then all that handlers ask
for is done as soon as they are through, without waiting for the other sockets, and what they answer
is on its way that much sooner.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

_log = Logger(namespace="wsmultipool")


class EndOfTurn:
    """
    Collects callables and calls them at the end of the turn: one delayed call for all of them, so
    that writing on a thousand connections costs the reactor no more than writing on one.

    @ivar began: called when there is something to do.
    @ivar turned: called when the end has come, first.
    @ivar readings: how often something was read.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._callables: list[Callable[[], None]] = []
        self._call: IDelayedCall | None = None
        self._reading = False
        self.readings = 0
        self.began: Callable[[], None] = lambda: None
        self.turned: Callable[[], None] = lambda: None

    def add(self, function: Callable[[], None]) -> None:
        """Call C{function} once at the end of this turn."""
        if not self._callables:
            self.began()
        self._callables.append(function)
        if self._call is None and not self._reading:
            self._call = self._clock.callLater(0, self._run)

    def begin_reading(self) -> None:
        """Handlers are going to be called, and then L{end_reading}."""
        self._reading = True
        self.readings += 1

    def end_reading(self) -> None:
        """Handlers were called: the end of the turn has come for all that was added till now."""
        self._reading = False
        if self._callables and self._call is None:
            self._do_all()

    def _run(self) -> None:
        self._call = None
        self._do_all()

    def _do_all(self) -> None:
        self.turned()
        functions, self._callables = iter(self._callables), []
        try:
            for function in functions:
                try:
                    function()
                except Exception:
                    # A balancer that raises, say: the other connections are not concerned.
                    _log.failure("What was to be done at the end of the turn failed")
        except BaseException:
            # It is not meant for us, but for the others there will be a turn, too.
            self._callables[:0] = functions
            if self._callables and self._call is None:
                self._call = self._clock.callLater(0, self._run)
            raise

    def ask_again(self) -> None:
        """The reactor's time was set back: have it come to the end of this turn all the same."""
        if self._call is not None:
            self._call.cancel()
            self._call = self._clock.callLater(0, self._run)

    def cancel(self) -> None:
        """Forget everything that was added."""
        self._callables.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None
