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

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory

from ._awaitables import call_user
from ._heartbeat import Heartbeat
from .backoff import ExponentialBackoff
from .errors import (
    CloseTimeout,
    ConnectionDropped,
    ConnectionFailed,
    GaveUp,
    HeartbeatTimeout,
    OnConnectFailed,
    OpenTimeout,
    TransportFailed,
    UpgradeRejected,
)

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, IDelayedCall
    from twisted.python.failure import Failure

    from ._connection import PooledConnection
    from ._gate import ConnectGate
    from .handshake import UpgradeRequest, UpgradeResponse
    from .interfaces import IWebSocketFactory, IWebSocketWire
    from .options import PoolOptions, ServerURL

ConnectionState = Literal["idle", "connecting", "open", "closing", "closed", "destroyed"]
"""
The state of one connection.  C{closed} includes waiting for the next attempt.

@since: 0.1.0
"""


class LifecycleOwner(Protocol):
    """
    What a connection tells its pool about its life, and what it uses for it.
    """

    reactor: IReactorTime
    options: PoolOptions
    ws_factory: IWebSocketFactory
    gate: ConnectGate
    uniform: Callable[[float, float], float] | None

    def build_request(self, url: ServerURL) -> Deferred[UpgradeRequest]: ...
    def connection_upgraded(self, connection: PooledConnection) -> None: ...
    def connection_rejected(
        self, connection: PooledConnection, request: UpgradeRequest, response: UpgradeResponse
    ) -> None: ...
    def connection_opened(self, connection: PooledConnection) -> None: ...
    def connection_ended(
        self,
        connection: PooledConnection,
        was_open: bool,
        error: Exception | None,
        code: int,
        reason: str,
    ) -> None: ...
    def connection_gave_up(self, connection: PooledConnection, error: GaveUp) -> None: ...
    def connection_stopped(self, connection: PooledConnection) -> None: ...


class Lifecycle:
    """
    Decides when a connection connects, is open, and closes.

    @ivar state: a L{ConnectionState}.
    @ivar url: where it connects to.
    @ivar response: the server's latest handshake; C{None} before the first.
    @ivar gave_up: whether it tries no more.
    @ivar opens: how often it has opened.
    """

    def __init__(self, connection: PooledConnection, url: ServerURL, owner: LifecycleOwner) -> None:
        self.state: ConnectionState = "idle"
        self.url = url
        self.response: UpgradeResponse | None = None
        self.gave_up = False
        self.opens = 0
        self._connection = connection
        self._owner = owner
        self._clock = owner.reactor
        self._failures = 0
        self._backoff = ExponentialBackoff(
            owner.options.reconnect_interval,
            owner.options.max_reconnect_interval,
            owner.options.reconnect_backoff_multiplier,
            random=owner.uniform,
        )
        self._heartbeat: Heartbeat | None = None
        self._request: UpgradeRequest | None = None
        self._wire: IWebSocketWire | None = None
        self._stage = ""
        self._pending: Deferred[Any] | None = None
        self._timer: IDelayedCall | None = None
        self._failure: Exception | None = None
        self._not_before = 0.0
        self._opened_at: float | None = None
        self._stopping = False
        self._when_gone: list[Deferred[None]] = []

    @property
    def stopped(self) -> bool:
        """Whether it was stopped for good, and is over with it."""
        return self._stopping and not self._busy

    @property
    def _busy(self) -> bool:
        """Whether there is, or will be, a transport whose end is to be waited for."""
        return self._wire is not None or self._pending is not None

    @property
    def uptime(self) -> float | None:
        """Seconds since it opened; C{None} while it is not open."""
        return None if self._opened_at is None else self._clock.seconds() - self._opened_at

    @property
    def attempts(self) -> int:
        """Consecutive failures; 0 once it has stayed open for C{min_uptime}."""
        return 0 if self._proven else self._failures

    @property
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
        if not self._busy:
            return succeed(None)
        gone: Deferred[None] = Deferred(self._forget_waiter)
        self._when_gone.append(gone)
        if self._connection.up:
            assert self._wire is not None
            self._wire.close(code, reason)
        elif self.state == "connecting":
            self._give_up_attempt(ConnectionDropped("closed by this side before it was open"))
        return gone

    def _forget_waiter(self, waiter: Deferred[None]) -> None:
        if waiter in self._when_gone:
            self._when_gone.remove(waiter)

    def stop(self, code: int, reason: str) -> None:
        """
        Close for good, with a closing handshake if there is a WebSocket; the owner is told by
        C{connection_stopped} when the transport is gone, possibly at once.
        """
        if self._stopping:
            return
        self._stopping = True
        self._owner.gate.leave(self)
        if self._busy:
            self.close(code, reason)
        else:
            self._clear_timer()
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
        self._clear_timer()
        self._leave_service()
        self.state = "destroyed"
        if self._busy:
            self._drop()
        elif not was_over:
            self._owner.connection_stopped(self._connection)

    # An attempt

    def _connect(self) -> None:
        self.state = "connecting"
        self._failure = None
        self._stage = "the headers"
        self._set_timer(self._owner.options.open_timeout, self._open_timed_out)
        pending: Deferred[Any] = self._owner.build_request(self.url).addCallback(self._dial)
        self._pending = pending
        pending.addCallbacks(self._dialled, self._dialling_failed)

    def _dial(self, request: UpgradeRequest) -> Deferred[object]:
        self._request = request
        self._stage = "the transport"
        owner = self._owner
        wire = owner.ws_factory.build_protocol(request, owner.options)
        endpoint = owner.ws_factory.build_endpoint(self._clock, self.url, owner.options)
        return maybeDeferred(endpoint.connect, _OneProtocol(self, wire))

    def attach(self, wire: IWebSocketWire) -> bool:
        """
        The transport of C{wire} is there.

        @return: whether it is still wanted.
        """
        if self.state != "connecting" or self._failure is not None:
            return False
        self._wire = wire
        self._stage = "the WebSocket handshake"
        wire.listener = self._connection
        return True

    def _dialled(self, _: object) -> None:
        # What follows is told by the wire, and may have been told already: on_connect, which is
        # what is pending then, may be running, and the wire may even be lost.
        if self._stage == "the WebSocket handshake":
            self._pending = None
            if self._wire is None:
                self._ended(self._failure, 1006, "")

    def _dialling_failed(self, failure: Failure) -> None:
        """
        The headers, or the transport, could not be had.
        """
        self._pending = None
        if self._wire is not None:
            # The endpoint has failed after it connected the wire: that one tells when it is gone.
            self._wire.abort()
            return
        error = failure.value
        if not isinstance(error, ConnectionFailed):
            described = TransportFailed(str(error) or type(error).__name__)
            described.__cause__ = error
            error = described
        self._ended(self._failure or error, 1006, "")

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
        self._stage = "on_connect"
        self._pending = pending = call_user(on_connect, self._connection)
        pending.addCallbacks(self._on_connect_done, self._on_connect_failed)

    def _on_connect_done(self, _: object) -> None:
        self._pending = None
        if self._wire is None:
            self._ended(self._failure, 1006, "")
        elif self._connection.up and self._failure is None:
            self._open()
        # else it was closed, or ran out of time, meanwhile: the wire tells when it is gone

    def _on_connect_failed(self, failure: Failure) -> None:
        self._pending = None
        if self._wire is None:
            self._ended(self._failure, 1006, "")
        elif self._connection.up and self._failure is None:
            self._failure = OnConnectFailed()
            self._failure.__cause__ = failure.value
            self._wire.close(1000, "")

    def wire_rejected(self, response: UpgradeResponse) -> None:
        """The server answered with another status than 101."""
        now = self._clock.seconds()
        retry_after = response.retry_after(now)
        if retry_after is not None:
            self._not_before = now + retry_after
        if self._failure is None:
            self._failure = UpgradeRejected(response.status, response.reason, retry_after)
        if self.state == "connecting":
            assert self._request is not None
            self._owner.connection_rejected(self._connection, self._request, response)

    def _open_timed_out(self) -> None:
        self._timer = None
        self._give_up_attempt(OpenTimeout(self._owner.options.open_timeout, self._stage))

    def _give_up_attempt(self, error: Exception) -> None:
        """
        The attempt is not wanted any more.  What is under way reports its end as always.
        """
        if self._failure is None:
            self._failure = error
        self._drop()

    def _drop(self) -> None:
        wire, pending = self._wire, self._pending
        if wire is not None:
            wire.abort()
        if pending is not None:
            pending.cancel()

    # Open, and closing

    def _open(self) -> None:
        self._clear_timer()
        self.state = "open"
        self.opens += 1
        self._opened_at = self._clock.seconds()
        options = self._owner.options
        if options.heartbeat_interval:
            self._heartbeat = Heartbeat(
                self._clock,
                options.heartbeat_interval,
                options.heartbeat_timeout,
                self._connection.heartbeat_ping,
                self._heartbeat_failed,
            )
        self._connection.opened()
        self._owner.gate.leave(self)
        self._owner.connection_opened(self._connection)

    def heard(self) -> None:
        """Bytes arrived."""
        if self._heartbeat is not None:
            self._heartbeat.heard()

    def set_deaf(self, deaf: bool) -> None:
        """Reading was stopped, or goes on."""
        if self._heartbeat is not None:
            self._heartbeat.set_deaf(deaf)

    def _heartbeat_failed(self) -> None:
        self._heartbeat = None
        self._failure = HeartbeatTimeout(self._owner.options.heartbeat_timeout)
        self._leave_service()
        self._drop()

    def wire_closing(self) -> None:
        """A Close frame is about to be sent, whoever started it."""
        self._leave_service()
        if self.state != "destroyed":
            self._set_timer(self._owner.options.close_timeout, self._close_timed_out)

    def _close_timed_out(self) -> None:
        self._timer = None
        if self._failure is None:
            self._failure = CloseTimeout(self._owner.options.close_timeout)
        self._drop()

    def _leave_service(self) -> None:
        """Nothing can be sent any more."""
        if self.state == "open":
            self.state = "closing"
        heartbeat, self._heartbeat = self._heartbeat, None
        if heartbeat is not None:
            heartbeat.stop()
        self._connection.went_down()

    # The end of an attempt or a connection

    def wire_lost(self, error: Exception | None, code: int, reason: str) -> None:
        """The transport is gone."""
        self._leave_service()
        self._wire = None
        if self._pending is None:
            self._ended(self._failure or error, code, reason)
        else:
            # on_connect, or the endpoint, does not know yet.  Once it does, it comes to the end.
            self._failure = self._failure or error or ConnectionDropped("closed by the peer")
            self._pending.cancel()

    def _ended(self, error: Exception | None, code: int, reason: str) -> None:
        """
        The funnel: there is no transport (any more), for whatever reason.
        """
        owner = self._owner
        self._clear_timer()
        owner.gate.leave(self)
        if self._proven:
            self._failures = 0
            self._backoff.reset()
        else:
            self._failures += 1
        was_open = self._opened_at is not None
        self._opened_at = None
        if self.state != "destroyed":
            self.state = "closed"
        self._connection.forget_pings(error or ConnectionDropped("closed"))
        waiters, self._when_gone = self._when_gone, []
        for waiter in waiters:
            waiter.callback(None)
        owner.connection_ended(self._connection, was_open, error, code, reason)
        # From here on, what user code did in the meantime counts.
        most = owner.options.max_reconnect_attempts
        if self._stopping:
            owner.connection_stopped(self._connection)
        elif most is not None and self._failures >= most:
            self.gave_up = True
            gave_up = GaveUp(self._connection.id, self._failures)
            gave_up.__cause__ = error
            owner.connection_gave_up(self._connection, gave_up)
        else:
            delay = max(self._backoff.next(), self._not_before - self._clock.seconds())
            self._not_before = 0.0
            self._set_timer(delay, self._retry)

    def _retry(self) -> None:
        self._timer = None
        self._owner.gate.enter(self, self._connect)

    def _set_timer(self, delay: float, function: Callable[[], None]) -> None:
        """There is one timer, for what the present state waits for at most so long."""
        self._clear_timer()
        self._timer = self._clock.callLater(delay, function)

    def _clear_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()


class _OneProtocol(Factory):
    """
    Hands out one wire, to one transport, if it is still wanted.
    """

    noisy = False

    def __init__(self, life: Lifecycle, wire: IWebSocketWire) -> None:
        self._life = life
        self._wire = wire

    def buildProtocol(self, addr: IAddress | None) -> IWebSocketWire | None:  # type: ignore[override]
        return self._wire if self._life.attach(self._wire) else None
