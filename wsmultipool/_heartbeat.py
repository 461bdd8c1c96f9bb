"""
Finding out that a silent peer is dead.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from .errors import HeartbeatTimeout, PongOverdue

# Less than any clock shows: waiting for what rounding left over might not move the clock at all.
_NO_TIME = 1e-6


class Heartbeat:
    """
    Pings one open connection after C{interval} seconds of silence, and reports it dead after
    another C{timeout} seconds in which nothing arrived: a pong, a message, any octet at all proves
    life, so that a peer busy with a long message is not killed.

    That it talks does not prove that it reads, though.  A ping that others wait for is not answered
    by any octet: if that takes C{interval} and C{timeout} together, the peer is reported mute.

    There is one timer, and the object serves one life of a connection: no timer of an earlier one
    can strike its successor.

    @param ping: sends the ping.
    @param waiting_since: returns the time since when a ping of ours waits for its pong, or C{None}.
    @param failed: called once, with L{HeartbeatTimeout} when the peer is found dead, and with
        L{PongOverdue} when it is found mute.
    """

    def __init__(
        self,
        clock: IReactorTime,
        interval: float,
        timeout: float,
        ping: Callable[[], None],
        waiting_since: Callable[[], float | None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._clock = clock
        self._interval = interval
        self._timeout = timeout
        self._ping = ping
        self._waiting_since = waiting_since
        self._failed = failed
        self._last_heard = clock.seconds()
        self._deaf = False
        self._pinged = False
        self._call: IDelayedCall | None = clock.callLater(interval, self._interval_over)

    def heard(self) -> None:
        """Octets arrived."""
        self._last_heard = self._clock.seconds()
        if self._pinged:
            self._pinged = False
            self.stop()
            self._call = self._clock.callLater(self._interval, self._interval_over)

    def set_deaf(self, deaf: bool) -> None:
        """
        While we do not read from the peer (C{pause_receiving}), its silence says nothing.
        """
        self._deaf = deaf
        self.heard()  # which also forgets a ping under way

    def stop(self) -> None:
        """This life of the connection is over."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _interval_over(self) -> None:
        # One delayed call is moved on here, instead of being reset by every read.
        now = self._clock.seconds()
        if self._deaf:
            self._last_heard = now
        to_wait = self._interval - (now - self._last_heard)
        waiting_since = None if self._deaf else self._waiting_since()
        if (
            waiting_since is not None
            and now - waiting_since > self._interval + self._timeout - _NO_TIME
        ):
            self._call = None
            self._failed(PongOverdue(self._interval + self._timeout))
        elif to_wait > _NO_TIME:
            self._call = self._clock.callLater(to_wait, self._interval_over)
        else:
            self._pinged = True
            self._call = self._clock.callLater(self._timeout, self._timeout_over)
            self._ping()

    def _timeout_over(self) -> None:
        self._call = None
        self._pinged = False
        self._failed(HeartbeatTimeout(self._timeout))
