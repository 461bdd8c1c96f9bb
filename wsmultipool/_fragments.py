"""
A message that is sent in fragments (RFC 6455, section 5.4) while its sender produces it.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._connection import PooledConnection
    from .messages import Message

_Utf8Decoder = getincrementaldecoder("utf-8")


class FragmentedMessage:
    """
    One such message, from its first fragment on.

    @ivar key: its name.
    @ivar is_binary: as its first fragment; so are the next two.
    @ivar compress: whether to compress it, or C{None}.
    @ivar mask: whether to mask its frames.
    @ivar opening: its first fragment; C{None} once it is L{lost}.
    @ivar connection: the connection that it occupies, from its first fragment on.
    @ivar begun: whether any of it may have reached the peer and is not kept, so that it can't be
        sent again from its beginning.
    @ivar lost: whether the rest is void.
    @ivar complete: whether its last fragment was accepted.
    """

    __slots__ = (
        "_decoder",
        "begun",
        "complete",
        "compress",
        "connection",
        "is_binary",
        "key",
        "lost",
        "mask",
        "opening",
    )

    def __init__(self, opening: Message) -> None:
        self.opening: Message | None = opening
        self.key = opening.key
        self.is_binary = opening.is_binary
        self.compress = opening.compress
        self.mask = opening.mask
        self.connection: PooledConnection | None = None
        self.begun = False
        self.lost = False
        self.complete = False
        self._decoder = None if opening.is_binary else _Utf8Decoder()

    def lose(self) -> Message | None:
        """
        The rest is void.

        @return: its first fragment, which is not kept any longer than that: its sender may never
            come to the last one.
        """
        self.lost = True
        opening, self.opening = self.opening, None
        return opening

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
