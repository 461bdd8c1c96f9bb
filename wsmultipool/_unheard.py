"""
Failures that nobody has asked for.

A program that does not wait for what it sends leaves it to the library to say that something is
lost.  Twisted would do that with a traceback for each Deferred, thousands of them when a queue
overflows; here they are counted, and told together.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import DebugInfo, Deferred

from .errors import PoolError

if TYPE_CHECKING:
    from ._folding import FoldedLog
    from ._reactor_thread import ReactorThread

_T = TypeVar("_T")


class UnheardFailures:
    """
    Counts the Deferreds of one pool that have failed and are gone, and which nobody has looked at.

    @param log: tells of them.
    @param thread: that of the pool: Python may look for garbage in any.
    """

    def __init__(self, log: FoldedLog, thread: ReactorThread) -> None:
        self._log = log
        self._thread = thread

    def watch(self, deferred: Deferred[_T], what: str) -> Deferred[_T]:
        """
        Have C{deferred} be counted if it fails with an error of ours and nobody looks at that.

        @param what: what it is about, e.g. C{"send"}.
        @return: C{deferred}.
        """
        # Where Twisted keeps a failure for the case that nobody looks at it.  When debugging of
        # Deferreds is on, there is something already, which shows where each was made.
        if deferred._debugInfo is None:
            deferred._debugInfo = _Unheard(self, what)
        return deferred

    def fail(self, error: PoolError, what: str) -> Deferred[Any]:
        """
        @return: a Deferred that has failed with C{error}, and is watched.
        """
        failed: Deferred[Any] = self.watch(Deferred(), what)
        failed.errback(error)
        return failed

    def count(self, what: str, error: PoolError) -> None:
        """Nobody has looked at this one.  Called in any thread."""
        if not self._thread.is_current:
            self._thread.call(partial(self.count, what, error))
            return
        text = f"a {what} has failed, and nobody waits for its Deferred: {error}"
        self._log.tell("error", text, kind=(what, type(error)), together=True)


class _Unheard(DebugInfo):
    """
    Goes with its Deferred, and then has the failure that is the Deferred's last result, if it is.
    """

    def __init__(self, failures: UnheardFailures, what: str) -> None:
        self._failures = failures
        self._what = what

    def __del__(self) -> None:
        failure = self.failResult
        if failure is not None and isinstance(failure.value, PoolError):
            self._failures.count(self._what, failure.value)
        else:
            # What went wrong in a callback of the user's is to be seen in full.
            super().__del__()
