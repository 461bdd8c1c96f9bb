"""
Pings and the pongs that answer them (RFC 6455, sections 5.5.2 and 5.5.3).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from .errors import PingTimeout


@dataclass(eq=False, slots=True)
class _Ping:
    payload: bytes
    sent: float
    answered: Deferred[float]
    timer: IDelayedCall | None = None


class PingTracker:
    """
    Matches the pongs of one connection to its pings.

    @ivar latency: seconds of the last round trip; C{None} before there was one.
    """

    def __init__(self, clock: IReactorTime, send: Callable[[bytes], None]) -> None:
        self._clock = clock
        self._send = send
        self._pending: OrderedDict[_Ping, None] = OrderedDict()
        self.latency: float | None = None

    def ping(self, payload: bytes, timeout: float | None) -> Deferred[float]:
        """
        @return: a Deferred that fires with seconds when the matching pong arrives, and fails with
            L{PingTimeout}, or with what L{fail_all} is given.  Cancelling it forgets the ping.
        """
        answered: Deferred[float] = Deferred(lambda _: self._forget(ping))
        ping = _Ping(payload, self._clock.seconds(), answered)
        self._pending[ping] = None
        if timeout is not None:
            ping.timer = self._clock.callLater(timeout, self._timed_out, ping, timeout)
        self._send(payload)
        return answered

    def pong(self, payload: bytes) -> None:
        """
        A pong arrived.  A peer may answer only the latest of several pings, so the match answers
        all that were sent before it, too.  A pong that matches nothing says nothing.
        """
        for match in self._pending:
            if match.payload == payload:
                break
        else:
            return
        now = self._clock.seconds()
        self.latency = now - match.sent
        answered = []
        while True:
            ping = next(iter(self._pending))
            self._forget(ping)
            answered.append(ping)
            if ping is match:
                break
        for ping in answered:
            if not ping.answered.called:  # cancelled by what another one of them called
                ping.answered.callback(now - ping.sent)

    def fail_all(self, error: Exception) -> None:
        """The connection is gone, and with it every pong still expected."""
        for ping in list(self._pending):
            self._forget(ping)
            if not ping.answered.called:
                ping.answered.errback(error)

    def _timed_out(self, ping: _Ping, timeout: float) -> None:
        ping.timer = None
        self._forget(ping)
        ping.answered.errback(PingTimeout(timeout))

    def _forget(self, ping: _Ping) -> None:
        self._pending.pop(ping, None)
        if ping.timer is not None:
            ping.timer.cancel()
            ping.timer = None
