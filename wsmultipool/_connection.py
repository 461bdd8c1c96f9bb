"""
One connection as users, balancers and the pool see it: sending, receiving, pings, counters.

Its life, from connecting to reconnecting, is in L{wsmultipool._lifecycle}; the WebSocket beneath it
in L{wsmultipool._autobahn}; what the peer has received of it, in L{wsmultipool._receipts}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Never, cast

from twisted.internet.defer import Deferred
from zope.interface import implementer

from ._arguments import check_close, check_flags, check_ping, to_payload
from ._fragments import FragmentedMessage
from ._lifecycle import ConnectionState, Lifecycle
from ._message_batch import MessageBatch
from ._message_kinds import ConfirmedMessage
from ._other_names import NamedElsewhere, misplaced
from ._receipts import Receipts
from .errors import NotConnected
from .interfaces import IPooledConnection, IWireListener
from .messages import AnyMessage, Message, PlainMessage, SendData
from .stats import ConnectionStats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ._fleet import Place
    from ._owner import ConnectionOwner
    from .errors import ConnectionClosed
    from .handshake import UpgradeResponse
    from .interfaces import IWebSocketWire

__all__ = ["ConnectionState", "PooledConnection"]

_NONE_ARRIVING = MessageBatch([], True)


@implementer(IPooledConnection, IWireListener)
class PooledConnection(NamedElsewhere):
    """
    One connection of a pool.  It lives as long as the pool, across reconnects.

    Not built by users, who get it in C{on_connect} and from balancers.

    @ivar id: the number that events and stats call it by, from 0.
    @ivar up: whether it has a WebSocket on which something can be sent: while it is open, and
        already during C{on_connect}.
    @ivar occupied_by: the fragmented message that it is in the middle of.
    @ivar take_plain: as L{take}, for a message of which nothing special is asked; only while it is
        L{up}.
    @ivar take_confirmed: as L{take_plain}, for one that is to be confirmed, and counts already as
        unconfirmed.
    @since: 0.1.0
    """

    def __init__(self, id: int, place: Place, owner: ConnectionOwner) -> None:
        self.id = id
        self.up = False
        self.occupied_by: FragmentedMessage | None = None
        self.take_plain: Callable[[PlainMessage], None]
        self.take_confirmed: Callable[[PlainMessage], None]
        self._owner = owner
        self._life = Lifecycle(self, place, owner)
        self._receipts = Receipts(self, owner, self._life.clock)
        self._wire: IWebSocketWire
        self._paused = False
        self._held = 0
        self._receiving = True
        self._sent_messages = 0
        self._sent_bytes = 0
        self._received_messages = 0
        self._received_bytes = 0
        self._arriving = _NONE_ARRIVING

    def __repr__(self) -> str:
        return f"<PooledConnection {self.id} {self.state} {self.url}>"

    # What it is

    @property
    def state(self) -> ConnectionState:
        """Where it is in its life."""
        return self._life.state

    @property
    def is_open(self) -> bool:
        """Whether it may take traffic of the pool."""
        return self._life.state == "open"

    @property
    def url(self) -> str:
        """The server it is for now, without credentials and query string."""
        return self._life.url.label

    @property
    def response(self) -> UpgradeResponse | None:
        """The server's latest handshake; C{None} before the first."""
        return self._life.response

    @property
    def protocol(self) -> str | None:
        """The negotiated subprotocol; C{None} without one."""
        return self._life.response.protocol if self._life.response is not None else None

    @property
    def latency(self) -> float | None:
        """Seconds of the last ping round trip; C{None} before there was one."""
        return self._receipts.pings.latency

    @property
    def buffered_bytes(self) -> int:
        """Bytes taken and, as far as is known, not yet written."""
        return self._wire.unwritten_bytes if self.up else 0

    @property
    def last_close(self) -> ConnectionClosed | None:
        """
        How its latest WebSocket was closed; C{None} before there was one, and after one that ended
        without a closing handshake.
        """
        return self._life.last_close

    @property
    def gave_up(self) -> bool:
        """Whether it tries no more."""
        return self._life.gave_up

    def totals(self) -> dict[str, int]:
        """The counters that a pool goes on counting when this connection has left it."""
        return {
            "reconnects": max(self._life.opens - 1, 0),
            "sent_messages": self._sent_messages,
            "sent_bytes": self._sent_bytes,
            "received_messages": self._received_messages + self._arriving.messages_taken,
            "received_bytes": self._received_bytes + self._arriving.bytes_taken,
        }

    def stats(self) -> ConnectionStats:
        """Return a snapshot."""
        return ConnectionStats(
            id=self.id,
            state=self.state,
            url=self.url,
            uptime=self._life.uptime if self.is_open else None,
            attempts=self._life.attempts,
            buffered_bytes=self.buffered_bytes,
            latency=self.latency,
            sent_messages=self._sent_messages,
            sent_bytes=self._sent_bytes,
            received_messages=self._received_messages + self._arriving.messages_taken,
            received_bytes=self._received_bytes + self._arriving.bytes_taken,
            paused=self.up and self._paused,
            retry_delay=self._life.retry_delay,
            gave_up=self._life.gave_up,
            last_error=self._life.last_error,
        )

    # What users do with a single connection

    def send(
        self,
        data: SendData,
        *others: Never,
        binary: bool | None = None,
        compress: bool | None = None,
        mask: bool = True,
        confirm: bool = False,
    ) -> Deferred[int]:
        """
        Send one message on just this connection, in C{on_connect} for instance.

        @param mask: false leaves the frame unmasked; a server that conforms to RFC 6455 then ends
            the connection.
        @param confirm: wait for the proof that the peer has received it.
        @return: a Deferred that fires with L{id} when the connection has taken the message, with
            C{confirm} when the peer has received it.  It fails with L{NotConnected} if this
            connection is not up, or is lost before it has written the message; with
            L{DeliveryUnknown} if it is lost before a confirmation; with L{BufferFull}; or with
            L{PoolClosed}.  Cancelling it withdraws the message, unless the connection has taken it.
        @raise TypeError: wrong type of C{data}.
        @raise ValueError: bytes sent as text are not UTF-8.
        @since: 0.1.0
        """
        if others:
            raise misplaced("send", others)
        payload, is_binary = to_payload(data, binary)
        check_flags(compress, mask, True, confirm)
        kind = ConfirmedMessage if confirm else Message
        message = kind(payload, is_binary, compress, mask, None, self)
        return self._owner.intake.send_on(self, message, None)

    def ping(
        self, data: bytes | str = b"", *others: Never, timeout: float | None = None
    ) -> Deferred[float]:
        """
        Measure one round trip.

        @param timeout: seconds; C{None} waits as long as the connection lasts.
        @return: a Deferred that fires with seconds when the matching pong arrives, and fails with
            L{PingTimeout}, with L{NotConnected} if the connection is not up, or with the
            L{ConnectionFailed} that ended it.  Cancelling it forgets the ping.
        @raise TypeError: wrong type of C{data} or C{timeout}.
        @raise ValueError: more than 125 bytes, or C{timeout} not positive.
        @since: 0.1.0
        """
        self._owner.thread.check()
        if others:
            raise misplaced("ping", others)
        payload = check_ping(data, timeout)
        if not self.up:
            return self._owner.unheard.fail(NotConnected(), "ping")
        return self._owner.unheard.watch(self._receipts.pings.ping(payload, timeout), "ping")

    def close(self, code: int = 1000, reason: str = "") -> Deferred[None]:
        """
        Close the present WebSocket with a closing handshake, or give up the present attempt.  The
        pool then connects anew.

        @param code: the close code, 1000 to 1003, 1007 to 1014, or 3000 to 4999.
        @param reason: up to 123 bytes of UTF-8.
        @return: a Deferred that fires when the transport is gone, at once if there is none; it does
            not fail.
        @raise TypeError: an argument has the wrong type.
        @raise ValueError: an argument has a value that is not allowed.
        @since: 0.1.0
        """
        self._owner.thread.check()
        check_close(code, reason)
        return self._life.close(code, reason)

    # What the pool does with it

    def start(self) -> None:
        """Begin to connect, and go on reconnecting until stopped."""
        self._life.start()

    def stop(self, code: int, reason: str) -> None:
        """Close for good; the owner is told by C{connection_stopped}."""
        self._life.stop(code, reason)

    def destroy(self) -> None:
        """Drop everything at once; the owner is told by C{connection_stopped}."""
        self._life.destroy()

    @property
    def may_take(self) -> bool:
        """Whether it is up, its transport takes more, and no message is to be alone on it."""
        return self.up and not self._paused and self._receipts.alone_with is None

    @property
    def writable(self) -> bool:
        """Whether it may take anyone's message."""
        return self.may_take and self.occupied_by is None and not self._receipts.becoming_quiet

    def suits(self, message: Message) -> bool:
        """Whether it may take this message now, if it takes any."""
        return self._receipts.suits(message)

    def become_quiet(self) -> None:
        """See L{wsmultipool._receipts.Receipts.become_quiet}."""
        self._receipts.become_quiet()

    def take(self, message: Message) -> None:
        """Queue a message for the end of this turn.  Only if L{may_take}."""
        if message.confirm:
            self._receipts.takes(cast("ConfirmedMessage", message))
        self._wire.send_message(message)

    def take_run(self, run: Iterable[PlainMessage]) -> int:
        """
        Take messages of which nothing special is asked, one or more, until it writes, as it may not
        be L{writable} after that; only if it was.  Return how many.
        """
        return self._wire.send_run(run)

    def barrier(self) -> Deferred[float]:
        """See L{wsmultipool._receipts.Receipts.barrier}."""
        return self._receipts.barrier()

    def when_proven(self) -> Deferred[bool] | None:
        """See L{wsmultipool._receipts.Receipts.when_proven}."""
        return self._receipts.when_proven(self._life.when_gone)

    def set_receiving(self, receiving: bool) -> None:
        """Read from the transport while it is open, or do not."""
        self._receiving = receiving
        if self.is_open:
            self._apply_receiving()

    def _apply_receiving(self) -> None:
        self._life.set_deaf(not self._receiving)
        if self._receiving:
            self._wire.resume_receiving()
        else:
            self._wire.pause_receiving()

    # What its life does with it

    def came_up(self, wire: IWebSocketWire) -> None:
        """There is a WebSocket."""
        self._wire = wire
        self.take_plain = wire.send_plain
        self.take_confirmed = wire.send_confirmed
        self._receipts.began(wire)
        self._paused = False
        self.up = True

    def opened(self) -> None:
        """The pool's traffic may begin."""
        if not self._receiving:
            self._apply_receiving()

    def went_down(self) -> None:
        """Nothing can be sent any more; what was not written goes elsewhere."""
        if not self.up:
            return
        self.up = False
        self._hold(0)
        unwritten = self._wire.take_unwritten()
        self._receipts.went_down(unwritten)
        self._owner.connection_left(self)
        self._owner.dispatch.left(self, unwritten)

    def no_pong_will_come(self, error: Exception) -> None:
        """See L{wsmultipool._receipts.Receipts.no_pong_will_come}."""
        self._receipts.no_pong_will_come(error)

    def is_gone(self, error: Exception) -> None:
        """There is no WebSocket any more: no pong will come."""
        self._receipts.is_gone(error)

    def begin_closing(self, code: int, reason: str) -> None:
        """Write what was taken, then start the closing handshake."""
        self._receipts.closing()
        self._wire.flush()
        self._wire.close(code, reason)

    def heartbeat_ping(self) -> None:
        """Ask for a sign of life.  The round trip is the latency; who is silent is found out."""
        self.barrier().addErrback(lambda _: None)

    def waiting_for_pong_since(self) -> float | None:
        """The time since when confirmed messages, or a flush, wait for a pong, if they do."""
        return self._receipts.waiting_since()

    def _flush(self) -> None:
        self._receipts.probe_if_due()
        self._wire.flush()

    # IWireListener

    def wire_heard(self) -> None:
        self._owner.end_of_turn.begin_reading()
        self._life.heard()

    def wire_read(self) -> None:
        self._owner.end_of_turn.end_reading()

    def wire_open(self, response: UpgradeResponse) -> None:
        self._life.wire_open(response)

    def wire_rejecting(self, report: Callable[[], None]) -> None:
        self._life.wire_rejecting(report)

    def wire_rejected(self, response: UpgradeResponse) -> None:
        self._life.wire_rejected(response)

    def wire_messages(self, batch: MessageBatch) -> None:
        self._arriving = batch
        try:
            self._owner.messages_received(batch, self.id)
        finally:
            self._received_messages += batch.messages_taken
            self._received_bytes += batch.bytes_taken
            self._arriving = _NONE_ARRIVING

    def wire_message(self, payload: bytes, is_binary: bool) -> None:
        self._received_messages += 1
        self._received_bytes += len(payload)
        self._owner.message_received(payload, is_binary, self.id)

    def wire_ping(self, payload: bytes) -> None:
        self._owner.ping_received(payload, self.id)

    def wire_pong(self, payload: bytes) -> None:
        if not self._receipts.pings.pong(payload):
            self._owner.pong_received(payload, self.id)
        self._receipts.probe_if_due()

    def wire_queued(self) -> None:
        self._owner.end_of_turn.add(self._flush)

    def wire_writes(self, messages: list[AnyMessage], size: int, confirmed: int) -> None:
        self._receipts.proof.writes(messages, size, confirmed)
        self._sent_messages += len(messages)
        self._sent_bytes += size

    def wire_wrote(self, special: list[Message]) -> None:
        for message in special:
            if message.confirm:
                message.deliveries += 1
            elif message.fragmented is not None:
                message.fragmented.begun = True
        # Only now, as who hears of one may close this connection, and all were written.
        for message in special:
            if message.fragmented is not None and not message.confirm:
                message.settle(self.id)
        # After each write, and not only at the end of the turn: the sooner a message is confirmed,
        # the fewer are sent twice when the connection is lost.
        self._receipts.probe_if_due()

    def wire_paused(self, held: int) -> None:
        if self.up:
            self._hold(held)
            self._paused = True
            self._owner.dispatch.refresh(self)

    def wire_resumed(self) -> None:
        self._paused = False
        if self.up:
            self._hold(0)
            self._owner.dispatch.refresh(self)
            self._owner.dispatch.pull(self)

    def _hold(self, held: int) -> None:
        # What is kept until it is confirmed counts already.
        held = max(0, held - self._receipts.proof.unconfirmed_size)
        self._owner.dispatch.held += held - self._held
        self._held = held

    def wire_closing(self) -> None:
        self._life.wire_closing()

    def wire_closed(self, error: Exception | None, code: int, reason: str) -> None:
        self._life.wire_closed(error, code, reason)

    def wire_lost(self, error: Exception | None, code: int, reason: str) -> None:
        self._life.wire_lost(error, code, reason)
