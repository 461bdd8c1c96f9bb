"""
The connections of a pool, together: how many there are, how many are open, and their common end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IReactorTime

from ._connection import PooledConnection
from ._deadline_clock import DeadlineClock
from ._dispatch import Dispatch
from ._draining import Draining
from ._fleet import Fleet, Place, by_worth
from ._gate import ConnectGate
from ._intake import Intake
from ._journal import Journal
from ._observers import Observers
from ._pass_on import pass_on
from ._request import build_request, build_url
from ._turn import EndOfTurn
from ._unheard import UnheardFailures
from ._waiters import Waiters
from .balancers import RoundRobin
from .errors import GaveUp, PoolClosed, PoolExhausted
from .stats import PoolStats

if TYPE_CHECKING:
    from ._ending import Ending
    from ._message_batch import MessageBatch
    from ._reactor_thread import ReactorThread
    from .events import EventEmitter, EventName
    from .handshake import UpgradeRequest, UpgradeResponse
    from .interfaces import IPoolLogger, IWebSocketFactory
    from .options import PoolOptions, ServerURL


class Supervisor:
    """
    Starts, counts, adds, removes and stops connections, and tells the world what happens to them.

    @param fleet: where they connect to.
    @param events: where that is told.
    @param uniform: the chance in backoff; C{None} for the real one.
    @param ended: called once, when the pool was closed and nothing of it is left.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        thread: ReactorThread,
        fleet: Fleet,
        options: PoolOptions,
        name: str,
        ws_factory: IWebSocketFactory,
        logger: IPoolLogger,
        events: EventEmitter,
        ended: Callable[[], None],
        uniform: Callable[[float, float], float] | None = None,
    ) -> None:
        self.reactor = reactor
        self.thread = thread
        self.options = options
        self.ws_factory = ws_factory
        self.uniform = uniform
        self.gate = ConnectGate(options.max_connecting)
        self.end_of_turn = EndOfTurn(reactor)
        self.clock = DeadlineClock(reactor, lambda: self.end_of_turn.readings)
        self.journal = Journal(self.clock, logger, name, fleet)
        self.unheard = UnheardFailures(self.journal.folded, thread)
        self.dispatch = Dispatch(
            options.balancer or RoundRobin(),
            options.max_deliveries,
            self._recovered,
            self.unheard,
        )
        self.observers = Observers()
        self.dispatch.backlog.now = self.clock.seconds
        self.dispatch.backlog.observers = self.observers
        self.intake = Intake(
            self.clock, options, self.dispatch, self.end_of_turn, thread, self.unheard
        )
        self.connections: list[PooledConnection] = []
        self.closing = False
        self.ended = False
        self._fleet = fleet
        self._places: dict[PooledConnection, Place] = {}
        self._events = events
        self._when_ended = ended
        self._alive: set[PooledConnection] = set()
        self._leaving: dict[PooledConnection, Deferred[None]] = {}
        self._next_id = 0
        self._retired: Counter[str] = Counter()
        self._receiving = True
        self._waiting_for_open = Waiters()
        self._waiting_for_ready = Waiters()
        self._waiting_for_end = Waiters()
        self._started = False
        self._ready = False
        self._last_to_leave: PooledConnection | None = None
        self._last_straw: BaseException | None = None
        self._draining: Draining | None = None
        self._add(options.pool_size)

    # Counting

    @property
    def open_count(self) -> int:
        """How many connections are open."""
        return self.dispatch.in_service_count

    def all_connections(self) -> list[PooledConnection]:
        """Those that the pool keeps, and those that it lets go."""
        return [*self.connections, *self._leaving]

    @property
    def exhausted(self) -> bool:
        """Whether every connection has given up."""
        return all(connection.gave_up for connection in self.connections)

    def stats(self) -> PoolStats:
        """Return a snapshot."""
        connections = tuple(connection.stats() for connection in self.connections)
        states = Counter(connection.state for connection in connections)
        totals = self._retired.copy()
        for connection in self.all_connections():
            totals.update(connection.totals())
        return PoolStats(
            total=len(connections),
            open=states["open"],
            connecting=states["connecting"],
            closed=len(connections) - states["open"] - states["connecting"],
            queued_messages=self.dispatch.backlog.count,
            queued_bytes=self.dispatch.backlog.size,
            sent_messages=totals["sent_messages"],
            sent_bytes=totals["sent_bytes"],
            received_messages=totals["received_messages"],
            received_bytes=totals["received_bytes"],
            dropped_messages=self.dispatch.losses.dropped.total(),
            requeued_messages=self.dispatch.losses.requeued,
            unconfirmed_messages=self.dispatch.unconfirmed.messages,
            unconfirmed_bytes=self.dispatch.unconfirmed.size,
            resent_messages=self.dispatch.losses.resent,
            reconnects=totals["reconnects"],
            connections=connections,
            oldest_wait=self.dispatch.backlog.oldest_wait,
            dropped=dict(self.dispatch.losses.dropped),
        )

    def when_open(self) -> Deferred[None]:
        """Fires when a connection is open."""
        return self._when(self.open_count > 0, self._waiting_for_open)

    def when_ready(self) -> Deferred[None]:
        """Fires when all are."""
        return self._when(self._ready, self._waiting_for_ready)

    def _when(self, already: bool, waiters: Waiters) -> Deferred[None]:
        what = "wait for open connections"
        if self.closing:
            return self.unheard.fail(PoolClosed(), what)
        if self.exhausted:
            return self.unheard.fail(self._exhaustion(), what)
        if already:
            return succeed(None)
        return self.unheard.watch(waiters.wait(), what)

    def _fail_waiters(self, error: Exception) -> None:
        self._waiting_for_open.fail(error)
        self._waiting_for_ready.fail(error)

    # Starting, and the number of connections

    def start(self) -> None:
        """Begin to connect, unless that was done, or the pool is at its end."""
        if self._started or self.closing:
            return
        self._started = True
        self.clock.watch.add(self.end_of_turn)
        self.journal.started(len(self.connections))
        self._start_new()

    def _start_new(self) -> None:
        for connection in list(self.connections):
            connection.start()

    def resize(self, size: int) -> Deferred[None]:
        """Keep more, or fewer, connections."""
        if self.closing:
            return self.unheard.fail(PoolClosed(), "resize")
        present = len(self.connections)
        if size > present:
            was_exhausted = self.exhausted
            self._add(size - present)
            if was_exhausted:
                self.intake.accept()
            if self._started:
                self._start_new()
        was_ready = self._ready
        let_go = [self._let_go(each) for each in reversed(by_worth(self._places)[size:])]
        if was_ready and size <= present:
            self._ready = True  # as before, which is no news
        self._check_ready()
        done: Deferred[None] = Deferred()
        DeferredList(let_go).addCallback(lambda _: done.callback(None))
        return done

    def _add(self, number: int) -> None:
        for _ in range(number):
            place = self._fleet.place()
            connection = PooledConnection(self._next_id, place, self)
            self._places[connection] = place
            connection.set_receiving(self._receiving)
            self._next_id += 1
            self.connections.append(connection)
            self._alive.add(connection)
        self._ready = False

    def _let_go(self, connection: PooledConnection) -> Deferred[None]:
        self.connections.remove(connection)
        self._places.pop(connection).leave()
        gone = self._leaving[connection] = Deferred()
        connection.stop(1000, "")
        return gone

    def set_receiving(self, receiving: bool) -> None:
        """Read from the sockets, or do not."""
        self._receiving = receiving
        for connection in list(self.connections):
            connection.set_receiving(receiving)

    # The end

    def close(self, code: int, reason: str, drain: float | None) -> Deferred[None]:
        """End with closing handshakes."""
        if self.ended:
            return succeed(None)
        waiter = self._waiting_for_end.wait()
        if not self.closing:
            can_drain = self._started and not self.exhausted
            self._refuse()
            if drain and can_drain and not self.dispatch.all_settled:
                self._drain(drain, code, reason)
            else:
                self._stop_all(code, reason)
        return waiter

    def destroy(self) -> None:
        """End at once."""
        if self.ended:
            return
        self._refuse()
        draining, self._draining = self._draining, None
        if draining is not None:
            draining.give_up()
        self.dispatch.end(PoolClosed)
        self.intake.fail_waiting("closed")
        for connection in self.all_connections():
            connection.destroy()

    def _refuse(self) -> None:
        if not self.closing:
            self.closing = True
            self.intake.refuse(PoolClosed)
            self._fail_waiters(PoolClosed())

    def _drain(self, seconds: float, code: int, reason: str) -> None:
        def drained() -> None:
            self._draining = None
            self._stop_all(code, reason)

        settled = self.dispatch.when_all_settled()
        self._draining = Draining(self.clock, seconds, settled, drained)

    def _stop_all(self, code: int, reason: str) -> None:
        self.dispatch.end(PoolClosed)
        self.intake.fail_waiting("closed")
        for connection in list(self.connections):
            connection.stop(code, reason)

    def _check_ended(self) -> None:
        if self.ended or not self.closing or self._alive:
            return
        self.ended = True
        self.clock.watch.discard(self.end_of_turn)
        self.end_of_turn.cancel()
        self._report_unheard()
        self.journal.closed()
        self._when_ended()
        self._waiting_for_end.fire()

    def _report_unheard(self) -> None:
        """Messages that had been taken once, and could not be sent after all, have no Deferred."""
        unheard, self.dispatch.losses.unheard = self.dispatch.losses.unheard, 0
        if unheard:
            self.journal.unwritten(unheard)

    # What connections tell (ConnectionOwner)

    def build_url(self, url: ServerURL, connection: PooledConnection) -> Deferred[ServerURL]:
        return build_url(url, self.options.ws_options, connection)

    def build_request(
        self, url: ServerURL, connection: PooledConnection
    ) -> Deferred[UpgradeRequest]:
        return build_request(url, self.options.ws_options, connection)

    def connection_upgraded(self, connection: PooledConnection) -> None:
        assert connection.response is not None
        self._tell("upgrade", connection.response, connection.id)

    def connection_rejected(
        self, connection: PooledConnection, request: UpgradeRequest, response: UpgradeResponse
    ) -> None:
        self._tell("unexpected-response", request, response, connection.id)

    def connection_opened(self, connection: PooledConnection) -> None:
        self.journal.opened(connection)
        # What waits goes first: a message sent by a handler of the event must not overtake it.
        self.dispatch.opened(connection)
        self._tell("open", connection.id)
        if self.open_count:
            self._waiting_for_open.fire()
        self._check_ready()

    def _check_ready(self) -> None:
        ready = self.open_count == len(self.connections)
        if ready and not self._ready and not self.closing:
            self._ready = True
            self.journal.all_open(self.open_count)
            self._tell("pool:ready")
            if self._ready:
                self._waiting_for_ready.fire()
        elif not ready:
            self._ready = False

    def connection_left(self, connection: PooledConnection) -> None:
        self._ready = False
        if self.dispatch.is_last(connection):
            self._last_to_leave = connection

    def connection_ended(self, connection: PooledConnection, ending: Ending) -> None:
        error = ending.error
        heard = bool(self._events.listeners("error"))
        self.journal.ended(connection, ending, heard)
        if error is not None and heard:
            self._tell("error", error, connection.id)
        if ending.was_open:
            self._tell("close", connection.id, ending.code, ending.reason)
            if connection is self._last_to_leave and not self.open_count:
                self.journal.empty(expected=self.closing or ending.begun_here)
                self._tell("pool:empty")

    def connection_moved(self, connection: PooledConnection, was: ServerURL) -> None:
        self.journal.moved(connection, was)

    def connection_gave_up(self, connection: PooledConnection, error: GaveUp) -> None:
        self._places[connection].leave()
        self._last_straw = error.__cause__
        self.journal.gave_up(connection, error)
        if self._events.listeners("error"):
            self._tell("error", error, connection.id)
        if self.exhausted and self._draining is not None:
            self._draining.finish()  # there is nothing any more to drain to
        elif self.exhausted and not self.closing:
            self.intake.refuse(self._exhaustion)
            self.intake.fail_waiting("exhausted")
            self._report_unheard()
            self._fail_waiters(self._exhaustion())
            self.journal.folded.settle()

    def _exhaustion(self) -> PoolExhausted:
        """Make the error for what a pool is asked in which every connection has given up."""
        cause = self._last_straw
        error = PoolExhausted(None if cause is None else str(cause))
        error.__cause__ = cause
        return error

    def connection_stopped(self, connection: PooledConnection) -> None:
        self._alive.discard(connection)
        gone = self._leaving.pop(connection, None)
        if gone is not None:
            self._retired.update(connection.totals())
            gone.callback(None)
        if self.exhausted and not self.closing:
            self.intake.fail_waiting("exhausted")  # what this one has given back just now
        self._check_ended()

    def _tell(self, event: EventName, *args: object) -> None:
        """Emit an event; nothing that a handler raises keeps a connection from what comes next."""
        try:
            self._events.emit(event, *args)
        except BaseException as raised:
            pass_on(self.reactor, raised)

    def messages_received(self, batch: MessageBatch, connection_id: int) -> None:
        self._events.emit_messages(batch, batch.is_binary, connection_id)

    def message_received(self, payload: bytes, is_binary: bool, connection_id: int) -> None:
        self._events.emit("message", payload, is_binary, connection_id)

    def ping_received(self, payload: bytes, connection_id: int) -> None:
        self._events.emit("ping", payload, connection_id)

    def pong_received(self, payload: bytes, connection_id: int) -> None:
        self._events.emit("pong", payload, connection_id)

    def _recovered(self, messages: int) -> None:
        self.journal.recovered(messages)
        self._tell("drain", messages)
