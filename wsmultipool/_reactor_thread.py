"""
The thread that a pool belongs to: the one that its reactor runs in.

Nothing of Twisted's is safe in any other.  A call from there would seem to work, and take effect
when something else happens to wake the reactor up, or never.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import get_ident
from typing import TYPE_CHECKING, TypeVar, cast

from twisted.internet.interfaces import IReactorFromThreads
from twisted.python import threadable

from .errors import WrongThread

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorCore, IReactorTime

_T = TypeVar("_T")

# Seconds after which a thread that waits for the reactor looks whether it has stopped.
_PATIENCE = 0.1


class ReactorThread:
    """
    Finds out which thread that is, as soon as it can be known.

    A reactor that is not running yet may come to run in any thread, so until then every one may be
    used.  A clock has no thread; the one that builds the pool counts.

    @ivar ident: as of L{threading.get_ident}; C{None} while it is not known.
    @raise WrongThread: the reactor runs in another thread than this.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self.ident: int | None = None
        core = cast("IReactorCore", reactor)
        if not IReactorFromThreads.providedBy(reactor):
            self.enter()
        elif not core.running:
            core.callWhenRunning(self.enter)
        elif core is cast("object", sys.modules.get("twisted.internet.reactor")):
            # Of another one, which runs beside this one, Twisted knows no thread: its first turn
            # will tell.
            self.ident = threadable.ioThread
        self.check()

    def enter(self) -> None:
        """Take note of the thread: the reactor has called this."""
        self.ident = get_ident()

    @property
    def is_current(self) -> bool:
        """Whether this is it, for all that is known."""
        return self.ident is None or self.ident == get_ident()

    def check(self) -> None:
        """
        @raise WrongThread: this is another thread.
        """
        if not self.is_current:
            raise WrongThread()

    def ask(self, function: Callable[[], _T]) -> _T:
        """
        Return what C{function} returns, called in that thread.  Another one waits for it, until the
        reactor gets to it or has stopped.

        @raise WrongThread: this is another thread than a clock's, which nothing can be asked of.
        """
        if self.is_current:
            return function()
        if not IReactorFromThreads.providedBy(self._reactor):
            raise WrongThread()
        core = cast("IReactorCore", self._reactor)
        answer: Future[_T] = Future()
        self._reactor.callFromThread(_answer, answer, function)
        while core.running:
            with suppress(TimeoutError):
                return answer.result(_PATIENCE)
        # What a reactor has not got to when it stops, it never does.  Nothing changes any more.
        return function()

    def call(self, function: Callable[[], None]) -> None:
        """
        Have C{function} called in it, in a turn of its own.  This may be called in any thread, at
        any moment.
        """
        if not IReactorFromThreads.providedBy(self._reactor):
            self._reactor.callLater(0, function)
            return
        with suppress(RuntimeError):  # asyncio's loop is closed: there are no turns any more
            self._reactor.callFromThread(function)


def _answer(answer: Future[_T], function: Callable[[], _T]) -> None:
    try:
        answer.set_result(function())
    except Exception as error:
        answer.set_exception(error)
