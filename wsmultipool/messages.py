"""
One outbound message: what a caller gave to C{send}, checked, with what the pool must remember.

@since: 0.1.0
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IDelayedCall

    from ._confirmation import Confirmation
    from ._connection import PooledConnection
    from ._fragments import FragmentedMessage

__all__ = ["Message", "SendData"]

SendData = str | bytes | bytearray | memoryview
"""What may be sent: C{str} goes as text, the others as binary, unless told otherwise."""

PlainMessage: TypeAlias = "tuple[bytes, bool, int | None, Confirmation | None, Hashable]"
"""
A whole message of which nothing special is asked, except perhaps a confirmation, while a connection
has it: payload; whether it is binary; its place in the order of acceptance, which is C{None} if it
is on every connection; the Deferred that waits for the confirmation, if one does; and its key, if
it has one.  Making it takes a tenth of the time that a L{Message} takes, which it becomes if it has
to wait after all.
"""

AnyMessage: TypeAlias = "PlainMessage | Message"
"""A message that a connection has, in either form."""

Lane = OrderedDict["Message", None]
"""Messages that wait in one order.  Ordered, and O(1) at both ends and for any one in between."""


class Message:
    """
    One WebSocket message, or one fragment of one, on its way out.

    @ivar payload: the octets, not masked, not compressed; kept until they are written, as a
        message whose connection is lost before that is sent on another one.
    @ivar is_binary: binary or text (RFC 6455, section 5.6).
    @ivar compress: C{True}, C{False}, or C{None} for "by the size threshold".
    @ivar mask: whether its frame is masked.
    @ivar key: messages of equal keys keep their order; C{None} for no such demand.
    @ivar pinned: the one connection it is for, if it is not for the pool.
    @ivar fragmented: the message that this is a fragment of; C{None} for a whole message.
    @ivar first: not preceded by another fragment.
    @ivar fin: not followed by another fragment.
    @ivar sequence: its place in the order of acceptance.
    @ivar was_taken: of a message to be confirmed, whether any connection has ever taken it.
    @ivar deliveries: of such a message, how often it was written.
    @ivar deferred: what is still to be told about its fate; C{None} when it was told.
    @ivar timer: withdraws it when it has waited too long.
    @ivar lane: where it waits, while it waits.
    @ivar waits_since: when it began to wait; set while it waits.
    @ivar withdraw: called with the message when its Deferred is cancelled while it waits; set once
        it waits.
    """

    __slots__ = (
        "compress",
        "deferred",
        "deliveries",
        "fin",
        "first",
        "fragmented",
        "is_binary",
        "key",
        "lane",
        "mask",
        "payload",
        "pinned",
        "sequence",
        "timer",
        "waits_since",
        "was_taken",
        "withdraw",
    )

    # Of its subclasses; here, and not in slots, as most messages are none of them.
    confirm = False
    """Whether its Deferred waits until the peer is known to have received it."""
    shared = False
    """Whether several connections send this very object."""

    waits_since: float
    withdraw: Callable[[Message], None]

    def __init__(
        self,
        payload: bytes,
        is_binary: bool,
        compress: bool | None = None,
        mask: bool = True,
        key: Hashable = None,
        pinned: PooledConnection | None = None,
        sequence: int = 0,
    ) -> None:
        self.payload = payload
        self.is_binary = is_binary
        self.compress = compress
        self.mask = mask
        self.key = key
        self.pinned = pinned
        self.sequence = sequence
        self.was_taken = False
        self.deliveries = 0
        self.fragmented: FragmentedMessage | None = None
        self.first = True
        self.fin = True
        self.deferred: Deferred[Any] | None = None
        self.timer: IDelayedCall | None = None
        self.lane: Lane | None = None

    def cancel(self, deferred: Deferred[Any]) -> None:
        """
        The canceller of its Deferred.  A method, as a closure for each message that waits would be
        a quarter of all the memory that one takes besides its payload.
        """
        if self.lane is not None:
            self.withdraw(self)
        else:
            self.stop_timer()
            self.deferred = None

    def settle(self, connection_id: int) -> None:
        """Tell its caller that it went well, unless that was told, or nobody wants to know."""
        deferred, self.deferred = self.deferred, None
        if deferred is not None and not deferred.called:
            deferred.callback(connection_id)

    def stop_timer(self) -> None:
        """It does not wait any more."""
        timer, self.timer = self.timer, None
        if timer is not None:
            timer.cancel()

    @property
    def is_for_pool(self) -> bool:
        """Whether another connection takes it over from one that is lost."""
        return self.pinned is None

    @property
    def undecided(self) -> bool:
        """Whether its caller still waits to hear that a connection has taken it."""
        return self.deferred is not None

    @property
    def settles_when_taken(self) -> bool:
        """
        Whether its Deferred fires as soon as a connection has taken it.  That of a fragment waits
        until it is written: it says that the connection is in the middle of the message now.
        """
        return self.fragmented is None
