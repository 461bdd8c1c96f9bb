"""
Noticing that the system's time was set back.

Twisted's reactors go by the system's time: asked for a call in one second, they make it when that
time has come.  Set the time back by an hour, and every call that is under way comes an hour late;
the reactor itself cannot know.  So a thread compares that time with a clock that nobody can set.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol
from weakref import WeakKeyDictionary, ref

from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.python import runtime

_INTERVAL = 1.0
# Not every correction: those of a few milliseconds make no deadline late.
_LEAST_STEP = 0.1


class Waiting(Protocol):
    """
    A call that the reactor is to make later.
    """

    def ask_again(self) -> None:
        """Have the reactor make it when it is due, by the time as it is now."""


class Unwatched:
    """
    For a reactor whose time is not the system's, or that no thread can tell of anything.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self.steady: Callable[[], float] = reactor.seconds

    def add(self, waiting: Waiting) -> None:
        """It waits from now on."""

    def discard(self, waiting: Waiting) -> None:
        """It waits no more."""


class TimeWatch:
    """
    Asks the reactor anew for calls that wait, when the system's time was set back.

    There is a thread only as long as any call waits.  It wakes once a second, and does nothing to
    the calls itself: the reactor is told.

    @param wall: the system's time, which the reactor goes by.
    @ivar steady: a clock that is never set.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        wall: Callable[[], float],
        steady: Callable[[], float] | None = None,
    ) -> None:
        self.steady = steady or time.monotonic
        self._wall = wall
        self._reactor = ref(reactor)  # it is the key by which this object is found
        self._waiting: set[Waiting] = set()
        # Python may look for garbage while it is held; what is told of that has a deadline, too.
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._offset = 0.0

    def add(self, waiting: Waiting) -> None:
        """It waits from now on."""
        with self._lock:
            self._waiting.add(waiting)
            if self._thread is None or not self._thread.is_alive():  # after a fork it is not
                self._start()

    def discard(self, waiting: Waiting) -> None:
        """It waits no more."""
        self._waiting.discard(waiting)

    def set_back(self) -> None:
        """The time was set back."""
        for waiting in list(self._waiting):
            waiting.ask_again()

    def _start(self) -> None:
        self._offset = self._wall() - self.steady()
        thread = threading.Thread(target=self._run, name="wsmultipool time watch", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # there are too many: then the calls go by the system's time
            return
        self._thread = thread

    def _run(self) -> None:
        while self.look():
            time.sleep(_INTERVAL)

    def look(self) -> bool:
        """
        Look once whether the time was set back; in the thread.

        @return: whether there is a reason to look again.
        """
        reactor = self._reactor()
        with self._lock:
            if not self._waiting or reactor is None:
                self._thread = None
                return False
        offset = self._wall() - self.steady()
        if abs(offset - self._offset) >= _LEAST_STEP:
            was_set_back = offset < self._offset
            self._offset = offset
            if was_set_back:
                IReactorFromThreads(reactor).callFromThread(self.set_back)
        return True


_watches: WeakKeyDictionary[IReactorTime, TimeWatch] = WeakKeyDictionary()


def time_watch(reactor: IReactorTime) -> TimeWatch | Unwatched:
    """
    @return: what watches the time that C{reactor} goes by; one for each reactor.
    """
    wall = runtime.seconds
    if reactor.seconds is not wall or not IReactorFromThreads.providedBy(reactor):
        return Unwatched(reactor)
    watch = _watches.get(reactor)
    if watch is None:
        watch = _watches[reactor] = TimeWatch(reactor, wall)
    return watch
