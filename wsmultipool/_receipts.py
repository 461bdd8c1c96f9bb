"""
Finding out what the peer has received: the pings of one connection, and what their pongs prove.

When a connection pings of its own accord, what waits for the pong, and which messages may share a
connection because of that, is decided here; L{wsmultipool._proof} counts, and L{wsmultipool._pings}
matches pongs to pings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ._pings import PingTracker
from ._proof import ProofOfReceipt
from .errors import ConnectionFailed

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from ._connection import PooledConnection
    from ._message_kinds import ConfirmedMessage
    from ._owner import ConnectionOwner
    from .interfaces import IWebSocketWire
    from .messages import Message

# When its pongs pile up because they are not read in time, a server may take pings for an attack:
# ws, for Node.js, drops the connection at 60.  A later ping proves all that an earlier one would.
_MOST_PROBES = 8


class Receipts:
    """
    What is known of the messages of one connection, across reconnects.

    @ivar proof: the account of the present WebSocket.
    @ivar pings: the pings that were sent, for users as well.
    @ivar alone_with: the message that is to be alone on the connection.
    @ivar becoming_quiet: whether nothing is to be taken until all was confirmed.
    """

    def __init__(
        self, connection: PooledConnection, owner: ConnectionOwner, clock: IReactorTime
    ) -> None:
        self.proof = ProofOfReceipt(owner.dispatch.unconfirmed)
        self.pings = PingTracker(clock, self._send_ping, self._mark, self._proved, owner.observers)
        self.alone_with: ConfirmedMessage | None = None
        self.becoming_quiet = False
        self._connection = connection
        self._owner = owner
        self._wire: IWebSocketWire

    # The life of a WebSocket

    def began(self, wire: IWebSocketWire) -> None:
        """There is a WebSocket."""
        self._wire = wire
        self.proof = ProofOfReceipt(self._owner.dispatch.unconfirmed, wire)

    def closing(self) -> None:
        """The closing handshake is about to begin, after what was taken."""
        if self.proof.proven != self.proof.taken:
            self.pings.probe()  # its pong may still come before the peer's Close frame

    def went_down(self, unwritten: list[Message]) -> None:
        """Nothing can be sent any more, and what was not written was taken back."""
        self.alone_with = None
        self.becoming_quiet = False
        self._owner.dispatch.unconfirmed.give_back(unwritten)

    def no_pong_will_come(self, error: Exception) -> None:
        """
        The WebSocket is closed.  Only a pong proves that the peer has read what was written: its
        Close frame need not answer ours, even if it came after that; the two may have crossed.
        """
        has_read_all = self.proof.proven == self.proof.taken
        unknown = self.proof.unknown
        unconfirmed = self.proof.give_up()
        self.proof = ProofOfReceipt(self._owner.dispatch.unconfirmed)
        # First, as who waits for a pong will want to know what has become of the messages.
        self._owner.dispatch.unproven(unconfirmed, unknown, error)
        self.pings.fail_all(error)
        if has_read_all:
            self._owner.dispatch.gone(self._connection)

    def is_gone(self, error: Exception) -> None:
        """There is no WebSocket any more."""
        self.no_pong_will_come(error)
        self._owner.dispatch.gone(self._connection)

    # What may be taken

    def suits(self, message: Message) -> bool:
        """
        Whether the connection may take this message now, if it takes any.

        A message that has been lost with its connection until one delivery is left may be what
        makes the server drop them.  It makes its last attempt alone, with nothing unconfirmed
        before it and nothing behind it, so that it takes no other message down, nor is it taken
        down by one.
        """
        return not self._is_last_attempt(message) or not self.proof.unconfirmed

    def become_quiet(self) -> None:
        """
        Have nothing taken until all was confirmed, for a message that it does not L{suits} before.
        """
        self.becoming_quiet = True
        self._owner.dispatch.refresh(self._connection)

    def takes(self, message: ConfirmedMessage) -> None:
        """The message that is going to be taken next is to be confirmed."""
        message.was_taken = True
        unconfirmed = self._owner.dispatch.unconfirmed
        unconfirmed.messages += 1
        unconfirmed.size += len(message.payload)
        if message.fragmented is None and self._is_last_attempt(message):
            self.alone_with = message
            self._owner.dispatch.refresh(self._connection)

    def _is_last_attempt(self, message: Message) -> bool:
        return 0 < message.deliveries == self._owner.options.max_deliveries - 1

    # Pings of our own

    def barrier(self) -> Deferred[float]:
        """
        @return: a Deferred that fires when the peer has processed all that was taken before this
            call, as the pong of a ping behind it proves (RFC 6455, section 5.5.3); and fails if
            that does not happen within C{heartbeat_timeout}, or at all.  Only while the connection
            is up.
        """
        return self.pings.barrier(self._owner.options.heartbeat_timeout)

    def when_proven(self, when_gone: Callable[[], Deferred[None]]) -> Deferred[bool] | None:
        """
        @param when_gone: returns a Deferred that fires when the transport is gone.
        @return: a Deferred that fires with true when the peer has processed all that was taken
            before this call, or with false when the connection is gone and nobody knows; C{None}
            if there is nothing to wait for.
        """
        if self.proof.proven == self.proof.taken:
            return None
        if self._connection.up:
            return self.pings.barrier(None).addCallbacks(lambda _: True, _not_proven)
        return when_gone().addCallback(lambda _: False)

    def probe_if_due(self) -> None:
        """Ping if something is to be confirmed, and no ping is behind it yet."""
        if self.proof.ping_due and self._connection.up and self.pings.probes < _MOST_PROBES:
            self.pings.probe()

    def waiting_since(self) -> float | None:
        """The time since when confirmed messages, or a flush, wait for a pong, if they do."""
        return self.pings.waiting_since(self.proof.oldest_unconfirmed)

    def _send_ping(self, payload: bytes) -> None:
        if self._connection.up:
            self._wire.send_ping(payload)

    def _mark(self) -> int:
        return self.proof.mark()

    def _proved(self, mark: int) -> None:
        confirmed = self.proof.proved(mark)
        if not confirmed:
            return
        if not self.proof.unconfirmed:
            self.alone_with = None
            self.becoming_quiet = False
            self._owner.dispatch.refresh(self._connection)
        self._owner.dispatch.confirmed(self._connection, confirmed)


def _not_proven(failure: Failure) -> bool:
    failure.trap(ConnectionFailed)  # and not that somebody does not want to know any more
    return False
