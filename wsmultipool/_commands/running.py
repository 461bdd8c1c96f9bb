"""
Running one command on the global reactor, and what becomes of that as an exit status.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred

if TYPE_CHECKING:
    from twisted.python.failure import Failure

__all__ = ["run"]


def run(command: Callable[[Any], Coroutine[Deferred[Any], Any, int]]) -> int:
    """
    Run a command on the global reactor.

    @param command: is called with the reactor.  It is cancelled by Ctrl-C and by C{SIGTERM}, and
        may take its time to clean up.
    @return: its exit status; 128 and the number of the signal that ended it; or 1 if whoever read
        its output has read enough.
    """
    # Not twisted.internet.task.react, for which a program that was interrupted was successful.
    from twisted.internet import reactor as global_reactor

    running = _Running(global_reactor)
    try:
        return running.run(command)
    except BrokenPipeError:
        # Python would complain when it flushes at exit.
        for stream in (sys.stdout, sys.stderr):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return 1


class _Running:
    """
    One run.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._status = 1
        self._error: Failure | None = None
        self._ended: Deferred[None] | None = None
        self._stopping = False

    def run(self, command: Callable[[Any], Coroutine[Deferred[Any], Any, int]]) -> int:
        self._reactor.callWhenRunning(self._start, command)
        self._reactor.run()
        if self._error is not None:
            self._error.raiseException()
        return self._status

    def _start(self, command: Callable[[Any], Coroutine[Deferred[Any], Any, int]]) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._interrupted)
        running = Deferred.fromCoroutine(command(self._reactor))
        self._ended = running.addCallbacks(self._succeeded, self._failed)
        self._ended.addCallback(self._finished)
        self._reactor.addSystemEventTrigger("before", "shutdown", self._shut_down)

    def _interrupted(self, number: int, frame: object) -> None:
        # As a signal may come at any place in the program.
        self._reactor.callFromThread(self._interrupt, number)

    def _interrupt(self, number: int) -> None:
        if not self._stopping:
            self._status = 128 + number
            self._reactor.stop()

    def _succeeded(self, status: int) -> None:
        # A command may end well although it was interrupted, but that is not what it was to do.
        if not self._stopping:
            self._status = status

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._error = failure

    def _finished(self, _: object) -> None:
        if not self._stopping:
            self._stopping = True
            self._reactor.stop()

    def _shut_down(self) -> Deferred[None] | None:
        self._stopping = True
        assert self._ended is not None
        self._ended.cancel()
        return self._ended
