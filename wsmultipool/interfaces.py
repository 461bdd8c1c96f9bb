"""
The plug points of the library, and what it provides itself, as zope interfaces.

A user may implement L{IPoolLogger}, L{IBalancer}, L{IWebSocketFactory} and L{IPoolObserver}; the
pool refuses, by name, an object that does not provide the interface it is given as.

The library implements L{IWebSocketPool} (L{wsmultipool.ReconnectingPoolFactory}),
L{IPooledConnection} (L{wsmultipool.PooledConnection}) and L{IWebSocketWire} (the protocol that
L{wsmultipool.WebSocketFactory} builds); the latter reports to an L{IWireListener}, which is a
connection of the pool.

@since: 0.1.0
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
    from twisted.python.failure import Failure

    from ._message_batch import MessageBatch
    from .errors import ConnectionClosed
    from .handshake import UpgradeRequest, UpgradeResponse
    from .messages import AnyMessage, Message, PlainMessage, SendData
    from .options import PoolOptions, ServerURL
    from .stats import PoolStats

__all__ = [
    "IBalancer",
    "IPoolLogger",
    "IPoolObserver",
    "IPooledConnection",
    "IWebSocketFactory",
    "IWebSocketPool",
    "IWebSocketWire",
    "IWireListener",
]


class IPoolLogger(Interface):
    """
    Where a pool writes what it does, one method per level.

    Implemented by users; called by the pool, never per message.  C{message} is a C{%}-style format
    string for C{args}, as in L{logging}.  An exception raised here is reported to Twisted's log
    and otherwise ignored.
    """

    def debug(message: str, *args: object) -> None:
        """Report a detail of interest when following one connection."""

    def info(message: str, *args: object) -> None:
        """Report a change of state that is expected."""

    def warn(message: str, *args: object) -> None:
        """Report something that went wrong and is being repaired."""

    def error(message: str, *args: object) -> None:
        """Report something that went wrong and stays so."""


class IBalancer(Interface):
    """
    Chooses the connection for the next message.

    Implemented by users; called by the pool only, never re-entrantly.  One balancer serves one
    pool.  A connection is I{writable} while it is open, its transport takes more, and no
    fragmented message occupies it; only writable connections are known to the balancer, so no
    implementation need check that, and choosing need not look at closed ones.  Must not raise.
    """

    def add(connection: IPooledConnection) -> None:
        """A connection became writable.  Not called twice without L{remove} in between."""

    def remove(connection: IPooledConnection) -> None:
        """A connection that was added is writable no longer."""

    def choose() -> IPooledConnection | None:
        """Return a connection added and not removed, or C{None} if there is none."""


class IPoolObserver(Interface):
    """
    Is told how long things took, when they are over: for histograms, which snapshots can't fill.

    Implemented by users, who give it to C{pool.add_observer}; called by the pool, possibly in the
    middle of its work, so it should only take notes.  Nothing here is called for a message that a
    connection takes at once.  An exception raised here is logged and otherwise ignored.
    """

    def attempt_ended(
        connection: IPooledConnection, error: Exception | None, seconds: float
    ) -> None:
        """
        An attempt to connect is over, C{on_connect} included.  C{error} is C{None} if the
        connection is open now.
        """

    def connection_ended(
        connection: IPooledConnection, error: Exception | None, seconds: float
    ) -> None:
        """
        A connection that was open for so long is closed.  C{error} is C{None} after a complete
        closing handshake, and when the pool itself has ended it.
        """

    def measured(what: str, seconds: float) -> None:
        """
        One of the shorter things is over: C{"queue wait"} of a message that a connection has taken,
        C{"round trip"} of a ping, or C{"retry delay"}, chosen now for what follows a failure.
        """


class IWebSocketFactory(Interface):
    """
    How one connection gets its endpoint and its protocol.

    Implemented by users who want other transports, or none at all in a test; called by a
    connection once per attempt.  L{wsmultipool.WebSocketFactory} is the default: override one of
    its two methods rather than implementing both.  An exception raised here fails the attempt.
    """

    def build_endpoint(
        reactor: IReactorTime, url: ServerURL, options: PoolOptions
    ) -> IStreamClientEndpoint:
        """
        Return the endpoint to connect to: the byte stream on which the upgrade request is written
        (after TLS, if the URL asks for it).
        """

    def build_protocol(request: UpgradeRequest, options: PoolOptions) -> IWebSocketWire:
        """Return a new protocol that will make C{request} as soon as it is connected."""


class IWebSocketWire(Interface):
    """
    One WebSocket on one transport: the protocol beneath a connection.

    Provided, together with Twisted's C{IProtocol}, by what L{IWebSocketFactory.build_protocol}
    returns; called by the connection.  After C{listener.wire_lost} was called, nothing else is
    called in either direction.
    """

    listener: IWireListener = Attribute(
        "The connection that this wire reports to; set before the wire is connected."
    )
    unwritten_bytes: int = Attribute("Bytes taken and, as far as is known, still in this process.")
    queued_messages: int = Attribute("Messages queued, and neither written nor given up.")
    queued_confirmed: int = Attribute("How many of these are to be confirmed.")

    def send_message(message: Message) -> None:
        """Queue C{message}; see L{flush}."""

    def send_plain(plain: PlainMessage) -> None:
        """Queue a whole message of which nothing special is asked."""

    def send_run(run: Iterable[PlainMessage]) -> int:
        """
        Queue several of these, one or more, and take no more out of C{run} once that has led to a
        write.  Return how many were queued.
        """

    def send_confirmed(plain: PlainMessage) -> None:
        """Queue a whole message of which nothing but a confirmation is asked."""

    def send_ping(payload: bytes) -> None:
        """Queue a ping (RFC 6455, section 5.5.2) behind what was queued before."""

    def flush() -> None:
        """Write to the transport what is queued; a no-op when nothing is."""

    def take_unwritten() -> list[Message]:
        """Give up, oldest first, the messages that were queued and not written; forget them."""

    def close(code: int, reason: str) -> None:
        """
        Write what is queued, then start the closing handshake (RFC 6455, section 7.1.2).  Where
        none is possible, because the WebSocket is not open yet, this is L{abort}.
        """

    def abort() -> None:
        """
        Drop the transport at once, without a closing handshake.  A wire that was not connected yet
        never will be: it calls C{listener.wire_lost} before it returns.
        """

    def pause_receiving() -> None:
        """Read no more from the transport, and deliver nothing, until L{resume_receiving}."""

    def resume_receiving() -> None:
        """Undo L{pause_receiving}; what was held back is delivered first."""


class IWireListener(Interface):
    """
    What a wire reports: C{wire_open} or C{wire_rejected} or neither, then any of the middle ones,
    then C{wire_closing} or not, after it C{wire_closed} or not, and last, once, C{wire_lost}.

    Provided by a connection of the pool; called by the wire.  Never raises.
    """

    def wire_heard() -> None:
        """Bytes arrived, of whatever kind; called before anything that follows from them."""

    def wire_read() -> None:
        """
        What had arrived was read, and all that follows from it was called, even C{wire_lost}.  Each
        C{wire_heard} is followed by one of these.
        """

    def wire_open(response: UpgradeResponse) -> None:
        """The upgrade was accepted (101)."""

    def wire_rejecting(report: Callable[[], None]) -> None:
        """
        The server answers the upgrade with another status than 101, and the body has not ended.
        The listener calls C{report} when it wants C{wire_rejected} without the rest of that; it
        does nothing if that was called already.
        """

    def wire_rejected(response: UpgradeResponse) -> None:
        """The server answered the upgrade with another status; C{wire_lost} follows."""

    def wire_message(payload: bytes, is_binary: bool) -> None:
        """A whole message arrived, decompressed and, if text, valid UTF-8."""

    def wire_messages(batch: MessageBatch) -> None:
        """
        Several messages arrived together.  All of them are to be taken by iterating over C{batch},
        which ends early if they are withdrawn, as by L{IWebSocketWire.pause_receiving}.
        """

    def wire_ping(payload: bytes) -> None:
        """A ping arrived; the wire answers it."""

    def wire_pong(payload: bytes) -> None:
        """A pong arrived."""

    def wire_queued() -> None:
        """
        The first frame since the last flush was queued: the listener sees to it that C{flush} is
        called at the end of this turn of the reactor.
        """

    def wire_writes(messages: list[AnyMessage], size: int, confirmed: int) -> None:
        """
        The transport is going to be handed these messages together, in this order, of C{size}
        payload bytes, of which C{confirmed} are to be confirmed.  C{wire_paused} may follow, and
        C{wire_wrote}.
        """

    def wire_wrote(special: list[Message]) -> None:
        """
        The transport was handed these messages.  C{special} are those among them that
        L{IWebSocketWire.send_message} had brought.
        """

    def wire_paused(held: int) -> None:
        """The transport is above its high-water mark and holds about C{held} bytes."""

    def wire_resumed() -> None:
        """The transport's buffer is empty again."""

    def wire_closing() -> None:
        """
        A Close frame is about to be sent, whoever started it, so nothing can be sent after it.
        What was not written yet is to be had from L{IWebSocketWire.take_unwritten}, now.
        """

    def wire_closed(error: Exception | None, code: int, reason: str) -> None:
        """
        Both Close frames were exchanged, so nothing more arrives, and no pong: only the transport
        is left, which the peer is to end (RFC 6455, section 7.1.1).  The arguments are those that
        C{wire_lost} will have if nothing else happens.
        """

    def wire_lost(error: Exception | None, code: int, reason: str) -> None:
        """
        The transport is gone.  C{error} is C{None} after a complete closing handshake, else what
        happened; C{code} and C{reason} are the peer's (RFC 6455, sections 7.1.5 and 7.1.6): 1005
        if its Close frame had none, 1006 if there was no Close frame.
        """


class IPooledConnection(Interface):
    """
    One connection of a pool, kept across reconnects.

    Provided by L{wsmultipool.PooledConnection}; called by users, from C{on_connect} and balancers.
    """

    id: int = Attribute("The number that events and stats call this connection by, from 0.")
    state: str = Attribute("C{idle connecting open closing closed destroyed}")
    is_open: bool = Attribute("True while it may take traffic of the pool.")
    url: str = Attribute("The server it is for now, without credentials and query string.")
    protocol: str | None = Attribute("The negotiated subprotocol; C{None} without one.")
    response: UpgradeResponse | None = Attribute("The server's handshake; C{None} before it.")
    buffered_bytes: int = Attribute("Payload bytes taken and, as far as known, not yet written.")
    latency: float | None = Attribute("Seconds of the last ping round trip; C{None} before one.")
    last_close: ConnectionClosed | None = Attribute(
        "How its latest WebSocket was closed; C{None} before that, and without a closing handshake."
    )

    def send(
        data: SendData,
        *,
        binary: bool | None = None,
        compress: bool | None = None,
        mask: bool = True,
        confirm: bool = False,
    ) -> Deferred[int]:
        """Send one message on just this connection."""

    def ping(data: bytes | str = b"", *, timeout: float | None = None) -> Deferred[float]:
        """Measure one round trip on this connection."""

    def close(code: int = 1000, reason: str = "") -> Deferred[None]:
        """Close the present WebSocket; the pool then connects anew."""


class IWebSocketPool(Interface):
    """
    A pool of WebSocket connections that is used like one connection.

    Provided by L{wsmultipool.ReconnectingPoolFactory}; called by users.  Code that is handed a
    pool should ask for this interface, so that its tests can hand it something simpler.
    """

    open_connections: int = Attribute("How many connections may take traffic now.")
    total_connections: int = Attribute("How many connections the pool keeps.")

    def start() -> None:
        """Begin to connect; no more than a no-op when that was done already."""

    def send(
        data: SendData,
        *,
        binary: bool | None = None,
        compress: bool | None = None,
        mask: bool = True,
        fin: bool = True,
        key: Hashable = None,
        timeout: float | None = None,
        confirm: bool = False,
    ) -> Deferred[int]:
        """Send one message on one connection."""

    def broadcast(
        data: SendData,
        *,
        binary: bool | None = None,
        compress: bool | None = None,
        mask: bool = True,
        timeout: float | None = None,
        confirm: bool = False,
    ) -> Deferred[list[tuple[bool, int | Failure]]]:
        """Send one message on every open connection."""

    def flush(timeout: float | None = None) -> Deferred[None]:
        """Fire when everything accepted so far is proven to have arrived."""

    def ping(data: bytes | str = b"", *, timeout: float | None = None) -> Deferred[float]:
        """Measure one round trip on one open connection."""

    def broadcast_ping(
        data: bytes | str = b"", *, timeout: float | None = None
    ) -> Deferred[list[tuple[bool, float | Failure]]]:
        """Measure one round trip on every open connection."""

    def when_open() -> Deferred[None]:
        """Fire when at least one connection is open."""

    def when_ready() -> Deferred[None]:
        """Fire when every connection is open."""

    def get_stats() -> PoolStats:
        """Return a snapshot of counts and of every connection."""

    def close(code: int = 1000, reason: str = "", *, drain: float | None = None) -> Deferred[None]:
        """End the pool with closing handshakes."""

    def destroy() -> None:
        """End the pool at once."""
