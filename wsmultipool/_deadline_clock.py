"""
Time for deadlines that judge a peer: by no clock that can be set, and not before it was heard.

Twisted makes the calls that are due before it looks at the sockets.  When the process has been busy
for a while, or suspended, a deadline that ran out in the meantime would strike although what it
waits for has long arrived, and nobody has read it yet.  And it makes them by the system's time:
when that is set forward, all deadlines would strike at once; when it is set back, none for long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from ._time_watch import time_watch

# One turn reads every socket once.  In some loops, uvloop's for one, a call that is to be made at
# once still comes before that.
_LEAST_TURNS = 2
# A turn reads 64 KiB of a socket, so that is more than a kernel keeps: who is not through with its
# answer by then talks on without giving one.
_MOST_TURNS = 1024


@implementer(IReactorTime)
class DeadlineClock:
    """
    The reactor's time, except that what is called later is called when all that had arrived by its
    time was read, so that this can still settle or cancel it; and that it is right when the
    system's time is set.

    @param reactor: whose time it is.
    @param heard: returns a number that changes whenever octets arrive from the peer in question:
        as long as each turn of the reactor brings some, there may be more to read.
    @ivar seconds: the time, by a clock that nobody sets if the reactor's is the system's.
    """

    seconds: Callable[[], float]

    def __init__(self, reactor: IReactorTime, heard: Callable[[], int] = lambda: 0) -> None:
        self.reactor = reactor
        self.heard = heard
        self.watch = time_watch(reactor)
        self.seconds = self.watch.steady

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object, **kw: object
    ) -> IDelayedCall:
        """
        Call something when the time has come, and what has arrived by then was read.
        """
        return Deadline(self, delay, lambda: callable(*args, **kw))

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """Those of the reactor, among them every one that was made here."""
        return self.reactor.getDelayedCalls()


@implementer(IDelayedCall)
class Deadline:
    """
    One call that is to be made.
    """

    __slots__ = ("_call", "_clock", "_due", "_function", "_heard", "_turns", "_was_called")

    _call: IDelayedCall

    def __init__(self, clock: DeadlineClock, delay: float, function: Callable[[], object]) -> None:
        self._clock = clock
        self._due = clock.seconds() + delay
        self._function: Callable[[], object] | None = function
        self._was_called = False
        self._turns = 0
        self._heard = 0
        self._ask(delay, self._strike)
        clock.watch.add(self)

    def _ask(self, delay: float, call: Callable[[], None]) -> None:
        self._call = self._clock.reactor.callLater(delay, call)

    def ask_again(self) -> None:
        """Ask the reactor anew, whose time has changed, or which is to call at another time."""
        self._call.cancel()
        self._ask(max(0.0, self._due - self._clock.seconds()), self._strike)

    def _strike(self) -> None:
        early = self._due - self._clock.seconds()
        if early > 0:  # as the system's time was set forward, or put right by a little
            self._ask(early, self._strike)
        else:
            self._turns = 0
            self._heard = self._clock.heard()
            self._ask(0, self._turned)

    def _turned(self) -> None:
        self._turns += 1
        before, self._heard = self._heard, self._clock.heard()
        may_be_more = self._heard != before and self._turns < _MOST_TURNS
        if self._turns < _LEAST_TURNS or may_be_more:
            self._ask(0, self._turned)
            return
        self._was_called = True
        function = self._end()
        function()

    def _end(self) -> Callable[[], object]:
        function, self._function = self._function, None
        assert function is not None
        self._clock.watch.discard(self)
        return function

    # IDelayedCall

    def getTime(self) -> float:
        """
        @return: when it is due, by the clock's C{seconds}.
        """
        return self._due

    def active(self) -> bool:
        """
        @return: whether it was neither made nor cancelled.
        """
        return self._function is not None

    def cancel(self) -> None:
        """
        Do not make the call.

        @raise AlreadyCalled: it was made.
        @raise AlreadyCancelled: this was called before.
        """
        self._check()
        self._end()
        self._call.cancel()

    def reset(self, secondsFromNow: float) -> None:
        """
        Make the call so many seconds from now.

        @raise AlreadyCalled: it was made.
        @raise AlreadyCancelled: it was cancelled.
        """
        self._check()
        self._due = self._clock.seconds() + secondsFromNow
        self.ask_again()

    def delay(self, secondsLater: float) -> None:
        """
        Make the call so many seconds later than it was to be made.

        @raise AlreadyCalled: it was made.
        @raise AlreadyCancelled: it was cancelled.
        """
        self._check()
        self._due += secondsLater
        self.ask_again()

    def _check(self) -> None:
        if self._was_called:
            raise AlreadyCalled
        if self._function is None:
            raise AlreadyCancelled
