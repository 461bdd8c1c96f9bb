"""
Pings and the pongs that answer them (RFC 6455, sections 5.5.2 and 5.5.3).
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from ._observers import Observers
from .errors import PingTimeout

_OWN_PAYLOAD_SIZE = 8


@dataclass(eq=False, slots=True)
class _Ping:
    payload: bytes
    sent: float
    # What its pong proves to have arrived.  Nothing, for a ping of the user's: its payload can be
    # guessed, most often it is empty, and a peer may send pongs that nobody asked for.
    mark: int | None
    answered: Deferred[float] | None
    timer: IDelayedCall | None = None
    abandoned: bool = False


class PingTracker:
    """
    Matches the pongs of one connection to its pings.

    @param send: sends a ping.
    @param mark: called before a ping of our own; returns what to remember of what was sent so far.
    @param proved: called with that when the ping is answered: what was sent before it has arrived.
    @param observers: who is told of each round trip.
    @ivar latency: seconds of the last round trip; C{None} before there was one.
    """

    def __init__(
        self,
        clock: IReactorTime,
        send: Callable[[bytes], None],
        mark: Callable[[], int],
        proved: Callable[[int], None],
        observers: Observers | None = None,
    ) -> None:
        self._clock = clock
        self._send = send
        self._mark = mark
        self._proved = proved
        self._observers = observers
        self._pending: OrderedDict[_Ping, None] = OrderedDict()
        self.latency: float | None = None

    def ping(self, payload: bytes, timeout: float | None) -> Deferred[float]:
        """
        Send a ping for the user.

        @return: a Deferred that fires with seconds when the matching pong arrives, and fails with
            L{PingTimeout}, or with what L{fail_all} is given.  Cancelling it forgets the ping.
        """
        return self._ask(payload, None, timeout)

    def barrier(self, timeout: float | None) -> Deferred[float]:
        """
        Send a ping of our own, to know that what was sent before it has arrived.

        @return: as L{ping}.
        """
        mark = self._mark()
        return self._ask(os.urandom(_OWN_PAYLOAD_SIZE), mark, timeout)

    def probe(self) -> None:
        """
        Send a L{barrier} that nobody waits for.
        """
        ping = _Ping(os.urandom(_OWN_PAYLOAD_SIZE), self._clock.seconds(), self._mark(), None)
        self._pending[ping] = None
        self._send(ping.payload)

    def _ask(self, payload: bytes, mark: int | None, timeout: float | None) -> Deferred[float]:
        answered: Deferred[float] = Deferred(lambda _: self._abandon(ping))
        ping = _Ping(payload, self._clock.seconds(), mark, answered)
        self._pending[ping] = None
        if timeout is not None:
            ping.timer = self._clock.callLater(timeout, self._timed_out, ping, answered, timeout)
        self._send(payload)
        return answered

    def pong(self, payload: bytes) -> bool:
        """
        A pong arrived.  A peer may answer only the latest of several pings, so the match answers
        all that were sent before it, too.  A pong that matches nothing says nothing.

        @return: whether it answers a L{probe}, so that it is nobody's concern.  One that answers
            what somebody has waited for is not.
        """
        for match in self._pending:
            if match.payload == payload:
                break
        else:
            return False
        now = self._clock.seconds()
        self.latency = now - match.sent
        if self._observers:
            self._observers.measured("round trip", self.latency)
        answered = []
        passed_over = False
        for ping in list(self._pending):
            if ping.mark is None or match.mark is not None:
                self._forget(ping)
                answered.append(ping)
            else:
                passed_over = True
            if ping is match:
                break
        if passed_over:
            # Either that pong was not asked for, or those before it will not be answered any more.
            self.probe()
        if match.mark is not None:
            self._proved(match.mark)
        for ping in answered:
            # It may have been cancelled by what another one of them called.
            if ping.answered is not None and not ping.answered.called:
                ping.answered.callback(now - ping.sent)
        return match.answered is None and not match.abandoned

    @property
    def probes(self) -> int:
        """How many pings that nobody waits for are not answered yet."""
        return sum(ping.answered is None for ping in self._pending)

    def waiting_since(self, place: int | None) -> float | None:
        """
        @param place: that of the oldest message to be confirmed; C{None} if there is none.
        @return: when the oldest ping was sent that somebody waits for: a L{barrier} without a
            timeout, or one of our own behind that message, whoever it was sent for; C{None} if
            nobody waits.
        """
        for ping in self._pending:
            if ping.mark is None:
                continue
            awaited = ping.answered is not None and ping.timer is None
            # One that is left from before, as who has asked for it gave up, is of no use to it.
            if awaited or (place is not None and ping.mark >= place):
                return ping.sent
        return None

    def fail_all(self, error: Exception) -> None:
        """The connection is gone, and with it every pong still expected."""
        for ping in list(self._pending):
            self._forget(ping)
            if ping.answered is not None and not ping.answered.called:
                ping.answered.errback(error)

    def _timed_out(self, ping: _Ping, answered: Deferred[float], timeout: float) -> None:
        ping.timer = None
        self._abandon(ping)
        answered.errback(PingTimeout(timeout))

    def _abandon(self, ping: _Ping) -> None:
        """
        Nobody waits for it any more.  But confirmed messages may rely on the pong to a ping of our
        own.  The oldest of these may be answered first, and the newest proves most: those in
        between can be forgotten, which may be many when the peer is mute.
        """
        if ping.mark is None:
            self._forget(ping)
            return
        self._stop_timer(ping)
        ping.answered = None
        ping.abandoned = True
        for each in [each for each in self._pending if each.abandoned][1:-1]:
            self._forget(each)

    def _forget(self, ping: _Ping) -> None:
        self._pending.pop(ping, None)
        self._stop_timer(ping)

    def _stop_timer(self, ping: _Ping) -> None:
        if ping.timer is not None:
            ping.timer.cancel()
            ping.timer = None
