"""
The life of one connection: connect, open, close, wait, and again.

The states, and what leads from one to the next::

    idle ──start──▶ connecting ──▶ open ──▶ closing
                      ▲    │         │         │
                retry │    ▼         ▼         ▼
                      └─ closed ◀── the transport is gone ──▶ destroyed, after destroy()

Whatever ends an attempt or a connection, for whatever reason, comes to L{Lifecycle._ended}, and
only when there is no transport any more; from there follow the retry, giving up, and the end.
Messages touch none of this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from twisted.internet.defer import Deferred, fail, succeed

from ._attempt import Attempt
from ._awaitables import call_user
from ._deadline_clock import DeadlineClock
from ._dialling import Dialling
from ._ending import Ending
from ._heartbeat import Heartbeat
from ._pass_on import pass_on
from ._stages import ON_CONNECT
from ._timer import Timer
from ._tries import Tries
from ._waiters import Waiters
from .errors import (
    CloseTimeout,
    ConnectionClosed,
    ConnectionDropped,
    ConnectionFailed,
    GaveUp,
    OnConnectFailed,
    OpenTimeout,
    ProtocolViolation,
    UpgradeRejected,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._connection import PooledConnection
    from ._fleet import Place
    from ._owner import LifecycleOwner
    from .handshake import UpgradeResponse
    from .interfaces import IWebSocketWire
    from .options import ServerURL

LONGEST_WAIT_FOR_BODY = 1.0
"""Seconds, from its head on, that are left to a rejection for its body."""

ConnectionState = Literal["idle", "connecting", "open", "closing", "closed", "destroyed"]
"""
The state of one connection.  C{closed} includes waiting for the next attempt.

@since: 0.1.0
"""


class Lifecycle:
    """
    Decides when a connection connects, is open, and closes.

    @ivar state: a L{ConnectionState}.
    @ivar response: the server's latest handshake; C{None} before the first.
    @ivar gave_up: whether it tries no more.
    @ivar opens: how often it has opened.
    @ivar last_close: how its latest WebSocket was closed; C{None} before there was one, and after
        one that ended in another way.
    @ivar last_error: what its last failure was, or why the peer closed it last, in words; C{None}
        before the first.
    @ivar clock: for all that is waited for, of this connection's peer.
    """

    def __init__(self, connection: PooledConnection, place: Place, owner: LifecycleOwner) -> None:
        self.state: ConnectionState = "idle"
        self.response: UpgradeResponse | None = None
        self.gave_up = False
        self.opens = 0
        self.last_close: ConnectionClosed | None = None
        self.last_error: str | None = None
        self._connection = connection
        self._place = place
        self._owner = owner
        self._readings = 0
        self.clock = DeadlineClock(owner.reactor, lambda: self._readings)
        self._tries = Tries(place, owner.options, owner.uniform)
        self._heartbeat: Heartbeat | None = None
        self._wire: IWebSocketWire | None = None
        self._dialling: Dialling  # the latest, which may be over
        self._attempt: Attempt | None = None
        self._timer = Timer(self.clock)  # for what the present state waits for at most so long
        self._failure: Exception | None = None
        self._closing_with: tuple[int, str] | None = None  # if this side has begun to close
        self._began = 0.0
        self._opened_at: float | None = None
        self._was_proven = False
        self._stopping = False
        self._gone = Waiters()

    @property
    def url(self) -> ServerURL:
        """Where it is connected to, or will be with its next attempt."""
        return self._place.url

    @property
    def stopped(self) -> bool:
        """Whether it was stopped for good, and is over with it."""
        return self._stopping and not self._busy

    @property
    def _busy(self) -> bool:
        """Whether there is, or will be, a transport whose end is to be waited for."""
        return self._wire is not None or self._attempt is not None

    @property
    def uptime(self) -> float | None:
        """Seconds since it opened; C{None} while it is not open."""
        return None if self._opened_at is None else self.clock.seconds() - self._opened_at

    @property
    def attempts(self) -> int:
        """Consecutive failures; 0 once it has stayed open for C{min_uptime}."""
        return 0 if self.state == "open" and self._proven() else self._tries.failures

    @property
    def retry_delay(self) -> float | None:
        """Seconds until the next attempt; C{None} while none is waited for."""
        return self._timer.remaining if self.state == "closed" else None

    def _proven(self) -> bool:
        uptime = self.uptime
        return uptime is not None and uptime >= self._owner.options.min_uptime

    # What the pool wants

    def start(self) -> None:
        """Begin to connect, and go on reconnecting until stopped."""
        if self.state == "idle" and not self._stopping:
            self._owner.gate.enter(self, self._connect)

    def close(self, code: int, reason: str) -> Deferred[None]:
        """
        End the present WebSocket, or the present attempt.

        @return: a Deferred that fires when the transport is gone, at once if there is none.
        """
        gone = self.when_gone()
        if self._connection.up:
            self._begin_closing(code, reason)
        elif self.state == "connecting":
            self._closing_with = (code, reason)
            self._give_up_attempt(ConnectionDropped("closed by this side before it was open"))
        return gone

    def when_gone(self) -> Deferred[None]:
        """
        @return: a Deferred that fires when the present transport is gone, at once if there is none.
        """
        return self._gone.wait() if self._busy else succeed(None)

    def stop(self, code: int, reason: str) -> None:
        """
        Close for good, with a closing handshake if there is a WebSocket; the owner is told by
        C{connection_stopped} when the transport is gone, possibly at once.
        """
        self._stopping = True
        self._owner.gate.leave(self)
        if self._busy:
            self.close(code, reason)
        else:
            self._timer.clear()
            self.state = "closed"
            self._owner.connection_stopped(self._connection)

    def destroy(self) -> None:
        """
        Drop everything at once.  The owner is told as by L{stop}; a transport is gone only in a
        later turn of the reactor.
        """
        if self.state == "destroyed":
            return
        was_over = self.stopped
        self._stopping = True
        self._owner.gate.leave(self)
        self._timer.clear()
        self._leave_service()
        self.state = "destroyed"
        if self._busy:
            self._drop()
        elif not was_over:
            self._owner.connection_stopped(self._connection)

    # An attempt

    def _connect(self) -> None:
        self.state = "connecting"
        self._began = self.clock.seconds()
        self._failure = None
        self._closing_with = None
        self._was_proven = False
        self._dialling = Dialling(
            self.url, self._connection, self._owner, self._attach, self._give_up_attempt
        )
        self._attempt = self._dialling
        self._timer.set(self._owner.options.open_timeout, self._open_timed_out)
        self._dialling.begin()

    def _attach(self, wire: IWebSocketWire) -> None:
        self._wire = wire
        wire.listener = self._connection

    def wire_open(self, response: UpgradeResponse) -> None:
        """The upgrade was accepted."""
        if self.state != "connecting" or self._failure is not None:
            return
        assert self._wire is not None
        self.response = response
        self._connection.came_up(self._wire)
        self._owner.connection_upgraded(self._connection)
        if not self._connection.up:  # a handler of that event closed it
            return
        on_connect = self._owner.options.on_connect
        if on_connect is None:
            self._open()
            return
        self._dialling.reached(ON_CONNECT)
        assert self._attempt is not None
        self._attempt.wanted = False  # but not cancelled: the endpoint may tell only now
        self._attempt = attempt = Attempt()
        try:
            hook = call_user(on_connect, self._connection)
        except BaseException as raised:
            pass_on(self._owner.reactor, raised)
            hook = fail(raised)
        attempt.wait(hook, self._on_connect_done, self._on_connect_failed)

    def _on_connect_done(self) -> None:
        if self._connection.up:
            self._open()
        # else it is being closed: the wire tells when it is gone

    def _on_connect_failed(self, error: BaseException) -> None:
        if self._connection.up:
            self._failure = OnConnectFailed()
            self._failure.__cause__ = error
            self._begin_closing(1000, "")

    def wire_rejecting(self, report: Callable[[], None]) -> None:
        """The server answers with another status than 101; the body may never end."""
        self._timer.set(min(LONGEST_WAIT_FOR_BODY, self._timer.remaining or 0.0), report)

    def wire_rejected(self, response: UpgradeResponse) -> None:
        """The server answered with another status than 101."""
        # It may be a date.  What of the reactor's time is not one, no server means.
        retry_after = response.retry_after(self._owner.reactor.seconds())
        if retry_after is not None:
            self._place.ask_not_before(self.clock.seconds() + retry_after)
        if self._failure is None:
            self._failure = UpgradeRejected(
                response.status, response.reason, retry_after, response.explanation
            )
        if self.state == "connecting":
            self._owner.connection_rejected(self._connection, self._dialling.request, response)

    def _open_timed_out(self) -> None:
        self._give_up_attempt(OpenTimeout(self._owner.options.open_timeout, self._dialling.stage))

    def _give_up_attempt(self, error: Exception) -> None:
        if self._failure is None:
            self._failure = error
        self._drop()

    def _drop(self) -> None:
        """
        What is under way is not wanted any more.  A transport tells when it is gone.
        """
        self._forget_attempt()
        if self._wire is not None:
            self._wire.abort()
        else:
            self._ended(self._failure, 1006, "")

    def _forget_attempt(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.give_up()

    # Open, and closing

    def _open(self) -> None:
        self._timer.clear()
        assert self._attempt is not None
        self._attempt.wanted = False
        self._attempt = None
        self.state = "open"
        self.opens += 1
        self._opened_at = self.clock.seconds()
        options = self._owner.options
        if options.heartbeat_interval:
            self._heartbeat = Heartbeat(
                self.clock,
                options.heartbeat_interval,
                options.heartbeat_timeout,
                self._connection.heartbeat_ping,
                self._connection.waiting_for_pong_since,
                self._heartbeat_failed,
            )
        self._connection.opened()
        self._owner.gate.leave(self)
        took = self._opened_at - self._began
        self._owner.observers.attempt_ended(self._connection, None, took)
        self._owner.connection_opened(self._connection)

    def heard(self) -> None:
        """Bytes arrived."""
        self._readings += 1
        if self._heartbeat is not None:
            self._heartbeat.heard()

    def set_deaf(self, deaf: bool) -> None:
        """Reading was stopped, or goes on."""
        if self._heartbeat is not None:
            self._heartbeat.set_deaf(deaf)

    def _heartbeat_failed(self, error: Exception) -> None:
        self._heartbeat = None
        self._failure = error
        self._leave_service()
        self._drop()

    def _begin_closing(self, code: int, reason: str) -> None:
        self._closing_with = (code, reason)
        self._connection.begin_closing(code, reason)

    def wire_closing(self) -> None:
        """A Close frame is about to be sent, whoever started it."""
        self._leave_service()
        if self.state != "destroyed":
            self._timer.set(self._owner.options.close_timeout, self._close_timed_out)

    def _close_timed_out(self) -> None:
        if self._failure is None:
            self._failure = CloseTimeout(self._owner.options.close_timeout)
        self._drop()

    def _leave_service(self) -> None:
        """Nothing can be sent any more."""
        if self.state == "open":
            self.state = "closing"
            self._was_proven = self._proven()
        heartbeat, self._heartbeat = self._heartbeat, None
        if heartbeat is not None:
            heartbeat.stop()
        self._connection.went_down()

    # The end of an attempt or a connection

    def wire_closed(self, error: Exception | None, code: int, reason: str) -> None:
        """Both Close frames were exchanged."""
        self._connection.no_pong_will_come(self._cause(error, code, reason))

    def wire_lost(self, error: Exception | None, code: int, reason: str) -> None:
        """The transport is gone."""
        self._leave_service()
        self._wire = None
        self._forget_attempt()
        self._ended(self._cause(error, code, reason), code, reason)

    def _cause(self, error: Exception | None, code: int, reason: str) -> Exception:
        """Say what is to blame for the end that the wire tells of."""
        closed = self._closed(code, reason) if error is None else None
        # That the peer broke the protocol is what we closed, and perhaps waited in vain, for.
        if self._failure is not None and not isinstance(error, ProtocolViolation):
            error = self._failure
            if closed is not None and closed.by_peer:
                error.__cause__ = error.__cause__ or closed
        cause = error or closed
        assert cause is not None
        self._locate(cause)
        return cause

    def _locate(self, cause: Exception) -> None:
        if isinstance(cause, ConnectionFailed):
            cause.url = self.url.label
            if self._opened_at is None and cause.stage is None:
                cause.stage = self._dialling.stage

    def _closed(self, code: int, reason: str) -> ConnectionClosed:
        """Say how the closing handshake went."""
        by_peer = self._closing_with is None
        code, reason = self._closing_with or (code, reason)
        return ConnectionClosed(code, self._dialling.quote(reason), by_peer)

    def _ended(self, cause: Exception | None, code: int, reason: str) -> None:
        """
        The funnel: there is no transport (any more), for whatever reason.

        @param cause: that reason; C{None} for an attempt that is not wanted any more.
        """
        owner = self._owner
        self._timer.clear()
        owner.gate.leave(self)
        self._tries.ended(self._was_proven)
        cause = cause or ConnectionDropped("not wanted any more")
        self._locate(cause)
        ending = Ending(
            cause,
            code,
            reason,
            was_open=self._opened_at is not None,
            lasted=self._was_proven,
            wanted=self._stopping,
            begun_here=self._closing_with is not None,
        )
        self.last_close = ending.closed
        if ending.error is not None or ending.closed_by_peer:
            self.last_error = str(cause)
        took = self.clock.seconds() - (self._began if self._opened_at is None else self._opened_at)
        self._opened_at = None
        if self.state != "destroyed":
            self.state = "closed"
        self._connection.is_gone(cause)
        self._gone.fire()
        if ending.was_open:
            owner.observers.connection_ended(self._connection, ending.error, took)
        else:
            owner.observers.attempt_ended(self._connection, cause, took)
        owner.connection_ended(self._connection, ending)
        # From here on, what user code did in the meantime counts.
        if self._stopping:
            owner.connection_stopped(self._connection)
        elif self._tries.used_up:
            self.gave_up = True
            gave_up = GaveUp(self._connection.id, self._tries.failures)
            gave_up.__cause__ = cause
            gave_up.url = self.url.label
            owner.connection_gave_up(self._connection, gave_up)
        else:
            self._wait_for_retry()

    def _wait_for_retry(self) -> None:
        now = self.clock.seconds()
        was = self.url
        delay = self._tries.next(now) - now
        if self.url is not was:
            self._owner.connection_moved(self._connection, was)
        self._timer.set(delay, self._retry)
        self._owner.observers.measured("retry delay", delay)

    def _retry(self) -> None:
        self._owner.gate.enter(self, self._connect)
