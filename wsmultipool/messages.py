"""
One outbound message: what a caller gave to C{send}, checked, with what the pool must remember.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IDelayedCall

    from ._connection import PooledConnection

__all__ = ["FragmentedMessage", "Message", "SendData", "to_payload"]

SendData = str | bytes | bytearray | memoryview
"""What may be sent: C{str} goes as text, the others as binary, unless told otherwise."""

Lane = OrderedDict["Message", None]
"""Messages that wait in one order.  Ordered, and O(1) at both ends and for any one in between."""

_Utf8Decoder = getincrementaldecoder("utf-8")


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
    )

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

    @property
    def settles_when_written(self) -> bool:
        """
        Whether its Deferred waits until the transport has it.  A message for the pool is settled
        when a connection takes it, since another connection can still take it over; one that can
        go nowhere else is not.
        """
        return self.pinned is not None or self.fragmented is not None


class FragmentedMessage:
    """
    A message that is sent in fragments (RFC 6455, section 5.4) while the caller produces it.

    @ivar key: its name.
    @ivar is_binary: as its first fragment; so are the next two.
    @ivar compress: whether to compress it, or C{None}.
    @ivar mask: whether to mask its frames.
    @ivar opening: its first fragment.
    @ivar waiting: its fragments after the first, as long as they wait.
    @ivar connection: the connection that it occupies, from its first fragment on.
    @ivar written: whether any of it may have reached the peer.
    @ivar lost: whether the rest is void.
    @ivar complete: whether its last fragment was accepted.
    """

    __slots__ = (
        "_decoder",
        "complete",
        "compress",
        "connection",
        "is_binary",
        "key",
        "lost",
        "mask",
        "opening",
        "waiting",
        "written",
    )

    def __init__(self, opening: Message) -> None:
        self.opening = opening
        self.key = opening.key
        self.is_binary = opening.is_binary
        self.compress = opening.compress
        self.mask = opening.mask
        self.waiting: Lane = OrderedDict()
        self.connection: PooledConnection | None = None
        self.written = False
        self.lost = False
        self.complete = False
        self._decoder = None if opening.is_binary else _Utf8Decoder()

    def check_text(self, payload: bytes, fin: bool) -> object:
        """
        Check the next piece of a text message; a code point may be split between two fragments.

        @return: what L{uncheck_text} needs if the fragment is refused after all.
        @raise ValueError: it is not UTF-8; nothing has changed.
        """
        if self._decoder is None:
            return None
        before = self._decoder.getstate()
        try:
            self._decoder.decode(payload, fin)
        except UnicodeDecodeError as error:
            self._decoder.setstate(before)
            raise ValueError(f"data: bytes sent as text must be UTF-8: {error.reason}") from None
        return before

    def uncheck_text(self, before: Any) -> None:
        """Undo L{check_text}."""
        if self._decoder is not None:
            self._decoder.setstate(before)


def to_payload(data: SendData, binary: bool | None, whole: bool = True) -> tuple[bytes, bool]:
    """
    Check what a caller wants to send.

    @param binary: C{None} for "by the type of C{data}".
    @param whole: false for a fragment, whose text is checked by L{FragmentedMessage.check_text}.
    @return: the octets, and whether they are sent as binary.
    @raise TypeError: C{data} is none of L{SendData}, or C{binary} is no bool.
    @raise ValueError: C{data} can't be encoded as, or is not, UTF-8.
    """
    if binary is not None and type(binary) is not bool:
        raise TypeError(f"binary: True, False or None is wanted, not {binary!r}")
    if isinstance(data, str):
        try:
            return data.encode(), bool(binary)
        except UnicodeEncodeError as error:
            raise ValueError(f"data: text that can't be UTF-8: {error.reason}") from None
    if isinstance(data, bytes):
        payload = data
    elif isinstance(data, (bytearray, memoryview)):
        payload = bytes(data)  # a copy: the caller may go on changing the buffer
    else:
        raise TypeError(
            f"data: str, bytes, bytearray or memoryview is wanted, not {type(data).__name__}"
        )
    if binary is False and whole:
        try:
            payload.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"data: bytes sent as text must be UTF-8: {error.reason}") from None
    return payload, binary is not False
