"""
The pool: what users call, wired to what does it.

A message goes from L{ReconnectingPoolFactory.send} through L{wsmultipool._intake},
L{wsmultipool._dispatch} and L{wsmultipool._connection} to L{wsmultipool._autobahn}; what arrives
there becomes an event here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, Never, TypeVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from ._arguments import check_close, check_ping, check_timeout
from ._autobahn import WebSocketFactory
from ._endpoints import check_options
from ._fleet import Fleet
from ._flush import Flushing
from ._listening import Listening
from ._other_names import misplaced
from ._pool_logger import as_pool_logger, guarded
from ._reactor_thread import ReactorThread
from ._supervisor import Supervisor
from ._timer import Timer
from ._urls import parse_urls
from ._validation import check_bool, check_integer
from .errors import NotConnected, PoolClosed
from .events import EventEmitter
from .interfaces import IPoolObserver, IWebSocketPool
from .messages import SendData
from .options import PoolOptions, TLSOptions

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Unpack

    from twisted.python.failure import Failure

    from ._streams import MessageStream
    from .options import PoolOptionsDict
    from .stats import PoolStats

__all__ = ["ReconnectingPoolFactory"]

_T = TypeVar("_T")


@implementer(IWebSocketPool)
class ReconnectingPoolFactory(EventEmitter):
    """
    Keeps C{pool_size} WebSocket connections to one service open, and is used like one connection.

    @param url: a C{ws://} or C{wss://} URL, or a sequence of them, all different: servers of the
        same service.  Connections are spread over them evenly; one that keeps failing moves on.
    @param reactor: an C{IReactorTime}, and whatever the endpoints need; C{None} for the global
        reactor, which is not imported otherwise.
    @param start: begin to connect on the reactor's next turn, or as soon as it runs; false waits
        for L{start}.
    @param options: see L{PoolOptions}.
    @ivar options: the L{PoolOptions} it was built with.
    @ivar name: what logs call it.
    @raise TypeError: an option is unknown, or of the wrong type.
    @raise WrongThread: the reactor runs in another thread.  All methods raise that when they are
        called from another thread than the reactor's, except for L{get_stats} and those of
        L{EventEmitter}.
    @raise ValueError: a URL, or the value of an option, is not valid.
    @since: 0.1.0
    """

    # Chance in backoff, for wsmultipool.testing to replace.
    _uniform: Callable[[float, float], float] | None = None

    def __init__(
        self,
        url: str | Sequence[str],
        *,
        reactor: IReactorTime | None = None,
        start: bool = True,
        **options: Unpack[PoolOptionsDict],
    ) -> None:
        super().__init__()
        fleet = Fleet(parse_urls(url))
        checked = PoolOptions.from_keywords(options)
        check_bool("start", start)
        if reactor is None:
            from twisted.internet import reactor as global_reactor

            reactor = IReactorTime(global_reactor)
        elif not IReactorTime.providedBy(reactor):
            raise TypeError(f"reactor: {reactor!r} does not provide IReactorTime")
        self._thread = ReactorThread(reactor)
        check_options(fleet.urls, checked.ws_options, reactor)
        self.options = checked
        self.name = checked.name or fleet.urls[0].host
        self._fleet = fleet
        self._logger = guarded(as_pool_logger(checked.logger))
        self._supervisor = Supervisor(
            reactor,
            self._thread,
            fleet,
            checked,
            self.name,
            checked.ws_factory or WebSocketFactory(),
            self._logger,
            self,
            self._on_end,
            self._uniform,
        )
        self._listening = Listening(
            self, self._supervisor.set_receiving, self._thread.call, self._stream_left
        )
        self._intake = self._supervisor.intake
        self._dispatch = self._supervisor.dispatch
        self._unheard = self._supervisor.unheard
        self._flushing = Flushing(
            self._supervisor.clock, self._dispatch, self._supervisor.all_connections
        )
        tls = checked.ws_options.tls
        if isinstance(tls, TLSOptions) and not tls.verify:
            self._logger.warn(
                "%s: verify=False: the server's certificate is not checked", self.name
            )
        if len({each.secure for each in fleet.urls}) == 2:
            self._logger.warn("%s: connections to its ws:// URLs are not encrypted", self.name)
        self._starting = Timer(reactor)
        if start:
            self._starting.set(0, self._start)

    def __repr__(self) -> str:
        return f"<ReconnectingPoolFactory {self.name} {self._fleet!r}>"

    # Starting

    def start(self) -> None:
        """
        Begin to connect.  A no-op when that was done already, or when the pool has ended.

        @since: 0.1.0
        """
        self._thread.check()
        self._starting.clear()
        self._supervisor.start()

    def _start(self) -> None:
        """Called by the reactor."""
        self._thread.enter()
        self._supervisor.start()

    async def __aenter__(self) -> ReconnectingPoolFactory:
        """
        Start.

        @since: 0.1.0
        """
        self.start()
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # Sending

    def send(
        self,
        data: SendData,
        *others: Never,
        binary: bool | None = None,
        compress: bool | None = None,
        mask: bool = True,
        fin: bool = True,
        key: Hashable = None,
        timeout: float | None = None,
        confirm: bool = False,
    ) -> Deferred[int]:
        """
        Send one message on one connection, chosen by the balancer or by C{key}.

        @param data: C{str} is sent as text, the others as binary.
        @param others: none: options are keyword arguments.
        @param binary: send as binary or as text, whatever the type of C{data}.
        @param compress: whether to compress it, where that was negotiated; C{None} for from
            C{compression_threshold} bytes on.
        @param mask: false leaves the frame unmasked, for a server known to accept that.  RFC 6455,
            section 5.1, forbids it to clients: a server that conforms ends the connection.
        @param fin: false for a fragment of a message that goes on; needs C{key}.  The fragments of
            one key stay on one connection, which takes no other message until the one with
            C{fin=True}.
        @param key: messages with equal keys arrive in the order they were sent; C{None} for no
            such demand.
        @param timeout: seconds to wait for a connection that takes it; C{None} for no limit.
        @param confirm: wait for the proof that the peer has received the message, which is the pong
            to a ping behind it, and send it again if its connection is lost before: at least once.
            With C{max_deliveries=1}, it is never sent again: at most once, and never silently.
        @return: a Deferred that fires with the connection's id when an open, writable connection
            has taken the message (a fragment: when it was written); with C{confirm}, when the peer
            has received it there.  Should a connection be lost before it has written the message,
            another one takes it over.  It fails with

              - L{QueueOverflow}: no connection is open, and the queue is full;
              - L{NotConnected}: no connection is open, and C{message_queue_size} is 0;
              - L{BufferFull}: C{max_buffered_bytes} is reached; the message was not accepted;
              - L{SendTimeout}: it will not be sent later;
              - L{FragmentLost}: earlier fragments of the message were lost with their connection;
              - L{DeliveryUnknown}: with C{confirm}, it was written as often as C{max_deliveries}
                allows, or could not be written again, and may have arrived, or not;
              - L{PoolClosed}: the pool has ended, or ends before the message was taken;
              - L{PoolExhausted}: every connection has given up.

            Cancelling it withdraws a message that was not taken yet; one that was written is not
            sent again.
        @raise TypeError: C{data}, C{binary}, C{key} or C{timeout} is of the wrong type.
        @raise ValueError: bytes sent as text are not UTF-8; C{fin=False} without C{key}; C{timeout}
            is not positive.
        @since: 0.1.0
        """
        if others:
            raise misplaced("send", others)
        if (
            key is None
            and timeout is None
            and binary is None
            and compress is None
            and mask is True
            and fin is True
        ):
            if confirm is False:
                taken = self._intake.send_plain(data)
                if taken is not None:
                    return taken
            elif confirm is True:
                confirmation = self._intake.send_confirmed(data)
                if confirmation is not None:
                    return confirmation
        return self._intake.send(data, binary, compress, mask, fin, key, timeout, confirm)

    def _send_run(self, payloads: Sequence[bytes], is_binary: bool, key: Hashable) -> int:
        """
        For the relay, which has many messages at a time; see L{wsmultipool._intake}.
        """
        return self._intake.send_run(payloads, is_binary, key)

    def broadcast(
        self,
        data: SendData,
        *others: Never,
        binary: bool | None = None,
        compress: bool | None = None,
        mask: bool = True,
        timeout: float | None = None,
        confirm: bool = False,
    ) -> Deferred[list[tuple[bool, int | Failure]]]:
        """
        Send one message on every connection that is open now.

        @param mask: as of L{send}: with servers that conform, false ends every connection.
        @param timeout: seconds that each of them has to take it.
        @param confirm: wait for the proof that it was received on each of them.
        @return: a Deferred that does not fail.  It fires with one entry per connection, ordered by
            id: C{(True, id)} when that connection has taken it (with C{confirm}: when the peer has
            received it there), else C{(False, failure)} with a failure as of L{send};
            L{NotConnected} when that connection was lost before it had written it,
            L{DeliveryUnknown} when it was lost before a confirmation.  C{[]} when none is open.
            Cancelling it withdraws what was not taken yet.
        @raise TypeError: as L{send}.
        @raise ValueError: as L{send}.
        @since: 0.1.0
        """
        if others:
            raise misplaced("broadcast", others)
        return self._intake.broadcast(data, binary, compress, mask, timeout, confirm)

    def flush(self, timeout: float | None = None) -> Deferred[None]:
        """
        Wait for the proof that the peer has received everything that was accepted before this call.

        @param timeout: seconds; C{None} for no limit.
        @return: a Deferred that fires when all of it was written, and a ping behind it answered on
            each connection.  It fails with

              - L{DeliveryUnknown}: a connection that had written some of it was lost before that,
                and nobody knows whether it has arrived.  Each flush is about what happened since
                the latest that told of such a loss;
              - L{FlushTimeout}: it takes longer than C{timeout};
              - L{PoolClosed} or L{PoolExhausted}: the pool has ended, or ends while some of it
                waits for a connection.

            Cancelling it changes nothing for the messages.
        @raise TypeError: C{timeout} is not a number.
        @raise ValueError: C{timeout} is not positive.
        @since: 0.1.0
        """
        self._thread.check()
        check_timeout(timeout)
        refusal = self._intake.refusal
        if refusal is not None:
            return self._unheard.fail(refusal(), "flush")
        flushed = self._flushing.flush(self._intake.next_sequence(), timeout)
        return self._unheard.watch(flushed, "flush")

    def ping(
        self, data: bytes | str = b"", *others: Never, timeout: float | None = None
    ) -> Deferred[float]:
        """
        Measure one round trip on one open connection.

        @param data: up to 125 bytes, which the pong repeats.
        @param timeout: seconds; C{None} waits as long as the connection lasts.
        @return: a Deferred that fires with seconds when the matching pong arrives, and fails with
            L{PingTimeout}, with L{NotConnected} if no connection is open, with L{PoolClosed} after
            the pool has ended, or with the L{ConnectionFailed} that ended the connection.
            Cancelling it forgets the ping.
        @raise TypeError: C{data} or C{timeout} is of the wrong type.
        @raise ValueError: more than 125 bytes, or C{timeout} is not positive.
        @since: 0.1.0
        """
        self._thread.check()
        if others:
            raise misplaced("ping", others)
        payload = check_ping(data, timeout)
        if self._supervisor.closing:
            return self._unheard.fail(PoolClosed(), "ping")
        connection = self._dispatch.choose()
        if connection is None:
            connections = self._dispatch.in_service()
            if not connections:
                return self._unheard.fail(NotConnected(), "ping")
            connection = connections[0]
        return connection.ping(payload, timeout=timeout)

    def broadcast_ping(
        self, data: bytes | str = b"", *others: Never, timeout: float | None = None
    ) -> Deferred[list[tuple[bool, float | Failure]]]:
        """
        Measure one round trip on every connection that is open now.

        @return: a Deferred that does not fail.  It fires with one entry per connection, ordered by
            id: C{(True, seconds)}, else C{(False, failure)} with a failure as of L{ping}.
        @raise TypeError: as L{ping}.
        @raise ValueError: as L{ping}.
        @since: 0.1.0
        """
        self._thread.check()
        if others:
            raise misplaced("broadcast_ping", others)
        payload = check_ping(data, timeout)
        return _each(
            [
                connection.ping(payload, timeout=timeout)
                for connection in self._dispatch.in_service()
            ]
        )

    # Receiving

    def pause_receiving(self) -> None:
        """
        Read nothing more from the sockets, until L{resume_receiving}.  Peers feel it as
        backpressure; the heartbeat holds still.

        @since: 0.1.0
        """
        self._thread.check()
        self._listening.hold(self, True)

    def resume_receiving(self) -> None:
        """
        Undo L{pause_receiving}.

        @since: 0.1.0
        """
        self._thread.check()
        self._listening.hold(self, False)

    def messages(self) -> MessageStream:
        """
        Iterate over received messages, with backpressure to the sockets::

            async for data, is_binary, connection_id in pool.messages():
                ...

        @return: an asynchronous iterator of C{(bytes, bool, int)}, of all messages from this call
            on.  It ends with the pool.  Who leaves the loop early calls its C{aclose()}, as
            L{contextlib.aclosing} does; else it ends when nobody refers to it any more, with a
            warning in the pool's log.
        @since: 0.1.0
        """
        self._thread.check()
        return self._listening.stream()

    # State

    @property
    def open_connections(self) -> int:
        """
        How many connections may take traffic now.

        @since: 0.1.0
        """
        return self._supervisor.open_count

    @property
    def total_connections(self) -> int:
        """
        How many connections the pool keeps.

        @since: 0.1.0
        """
        return len(self._supervisor.connections)

    def connection_of(self, key: Hashable) -> int | None:
        """
        Look up where messages of a key go; a key that was never used gets its connection now.

        @param key: as of L{send}.
        @return: the id of an open connection; C{None} when none is open, or while the key moves
            from one to another and its messages wait.
        @raise TypeError: C{key} is not hashable.
        @since: 0.1.0
        """
        self._thread.check()
        affinity = self._dispatch.affinity
        if affinity.moving(key) is not None:
            return None
        home = affinity.home(key)
        return None if home is None else home.id

    def get_stats(self) -> PoolStats:
        """
        Look at the pool.  Any thread may do so: another one than the reactor's waits until the
        reactor gets to it, or has stopped.

        @return: a snapshot.
        @raise WrongThread: the pool runs on a clock, and this is not the thread that built it.
        @since: 0.1.0
        """
        return self._thread.ask(self._supervisor.stats)

    def add_observer(self, observer: IPoolObserver) -> None:
        """
        Tell C{observer} how long things take, from now on.

        @raise TypeError: it does not provide L{IPoolObserver}.
        @since: 0.1.0
        """
        self._thread.check()
        self._supervisor.observers.add(observer)

    def remove_observer(self, observer: IPoolObserver) -> None:
        """
        Undo L{add_observer}; no more than a no-op if that was not called.

        @since: 0.1.0
        """
        self._thread.check()
        self._supervisor.observers.remove(observer)

    def when_open(self) -> Deferred[None]:
        """
        @return: a Deferred that fires when at least one connection is open, at once if one is; it
            fails with L{PoolClosed} if the pool ends first, and with L{PoolExhausted} once every
            connection has given up.
        @since: 0.1.0
        """
        self._thread.check()
        return self._supervisor.when_open()

    def when_ready(self) -> Deferred[None]:
        """
        @return: a Deferred that fires when every connection is open, at once if they are; it fails
            as that of L{when_open}.
        @since: 0.1.0
        """
        self._thread.check()
        return self._supervisor.when_ready()

    # Size

    def resize(self, size: int) -> Deferred[None]:
        """
        Keep more, or fewer, connections from now on.

        @param size: how many.  Those not open are let go first; the others write what they have
            taken and close with 1000.
        @return: a Deferred that fires when the connections let go are closed, and fails with
            L{PoolClosed} if the pool has ended; nothing has changed then.
        @raise TypeError: C{size} is not an int.
        @raise ValueError: C{size} is less than 1.
        @since: 0.1.0
        """
        self._thread.check()
        check_integer("size", size, at_least=1)
        return self._supervisor.resize(size)

    # The end

    def close(
        self, code: int = 1000, reason: str = "", *, drain: float | None = None
    ) -> Deferred[None]:
        """
        End the pool with a closing handshake on every connection; each is aborted when that takes
        longer than C{close_timeout}.  New sends fail from now on.

        @param code: the close code, 1000 to 1003, 1007 to 1014, or 3000 to 4999.
        @param reason: up to 123 bytes of UTF-8.
        @param drain: seconds for which to go on delivering what is queued, and reconnecting if
            need be, before that; what is queued after that fails with L{PoolClosed}, as it does
            at once with C{None}.
        @return: a Deferred that fires when every connection is closed; it does not fail.  Closing
            again changes nothing and returns one that fires at the same time.
        @raise TypeError: an argument has the wrong type.
        @raise ValueError: an argument has a value that is not allowed.
        @since: 0.1.0
        """
        self._thread.check()
        check_close(code, reason, drain)
        if drain and self._starting.remaining is not None:
            self.start()  # or there would be nothing to drain to
        self._starting.clear()
        return self._supervisor.close(code, reason, drain)

    def destroy(self) -> None:
        """
        End the pool at once: abort every connection, fail everything that is pending.

        @since: 0.1.0
        """
        self._thread.check()
        self._starting.clear()
        self._supervisor.destroy()

    def _on_end(self) -> None:
        self._listening.end()

    def _stream_left(self) -> None:
        self._logger.warn(
            "%s: a loop over messages() was left, and not closed: what it has not consumed is lost",
            self.name,
        )

    def _unheard_error(self, error: Exception, connection_id: int) -> None:
        named = self._fleet.name(connection_id, getattr(error, "url", None))
        self._logger.error("%s: %s: %s", self.name, named, error)


def _each(deferreds: list[Deferred[_T]]) -> Deferred[list[tuple[bool, _T | Failure]]]:
    results: Deferred[Any] = DeferredList(deferreds, consumeErrors=True)
    return results
