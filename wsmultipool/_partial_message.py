"""
One long message that arrives in several reads.
"""

from __future__ import annotations

from codecs import utf_8_decode
from io import BytesIO

_MOST_IN_ADVANCE = 16 * 1024 * 1024


class PartialMessage:
    """
    Collects the payload of an ordinary frame, in time and memory proportional to what arrives.

    Text is checked as it arrives: a peer that sends a long message, and in it something that is
    not UTF-8, hears of that at once.

    @ivar is_binary: whether it is binary or text.
    @ivar missing: how many octets of payload are still to come.
    """

    def __init__(self, header: bytes, is_binary: bool, size: int) -> None:
        self.is_binary = is_binary
        self.missing = size
        self._header = header
        # Memory for all of it at once: growing is expensive, and in the end getvalue() hands out
        # this very memory.  But no more than what is harmless if nothing follows the header.
        self._payload = BytesIO(bytes(min(size, _MOST_IN_ADVANCE)))
        self._size = size
        self._begun = b""

    def add(self, octets: bytes) -> bool:
        """
        Add what arrived, at most so much as is L{missing}.

        @return: false if it can't be text.
        """
        self._payload.write(octets)
        self.missing -= len(octets)
        if self.is_binary or (octets.isascii() and not self._begun):
            return True
        text = self._begun + octets
        try:
            _, used = utf_8_decode(text, "strict", not self.missing)
        except UnicodeDecodeError:
            return False
        # The first octets of a character whose others are still to come.
        self._begun = text[used:]
        # What begins like a surrogate is none, but Python waits for the third octet to say so.
        return not (self._begun[:1] == b"\xed" and self._begun[1:] > b"\x9f")

    @property
    def payload(self) -> bytes:
        """The payload; once nothing is L{missing}."""
        return self._payload.getvalue()

    @property
    def octets(self) -> bytes:
        """What has arrived of the frame."""
        return self._header + self._payload.getvalue()[: self._size - self.missing]
