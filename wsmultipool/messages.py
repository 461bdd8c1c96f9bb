"""
One outbound message: what a caller gave to C{send}, checked, with what the pool must remember.

@since: 0.1.0
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IDelayedCall

    from ._connection import PooledConnection
    from ._fragments import FragmentedMessage

__all__ = ["Message", "SendData"]

SendData = str | bytes | bytearray | memoryview
"""What may be sent: C{str} goes as text, the others as binary, unless told otherwise."""

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
    @ivar deferred: what is still to be told about its fate; C{None} when it was told.
    @ivar timer: withdraws it when it has waited too long.
    @ivar lane: where it waits, while it waits.
    @ivar withdraw: called with the message when its Deferred is cancelled; set once it waits.
    """

    __slots__ = (
        "compress",
        "deferred",
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
        "withdraw",
    )

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
        self.withdraw(self)

    @property
    def settles_when_written(self) -> bool:
        """
        Whether its Deferred waits until the transport has it.  A message for the pool is settled
        when a connection takes it, since another connection can still take it over; one that can
        go nowhere else is not.
        """
        return self.pinned is not None or self.fragmented is not None
