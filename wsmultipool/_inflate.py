"""
Decompression of what is received (permessage-deflate, RFC 7692).
"""

from __future__ import annotations

import sys
import zlib
from typing import Protocol


class _Decompressor(Protocol):
    """
    What C{zlib.decompressobj} returns, which has no public name.
    """

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = 0) -> bytes: ...


# What the sender has left out (RFC 7692, section 7.2.2).
_TAIL = b"\x00\x00\xff\xff"

# What zlib gets at once.  It copies what is behind a final block, so that a long row of such blocks
# would cost time with the square of its length.
_CHUNK_SIZE = 4096


class Inflater:
    """
    Decompresses the messages of one connection, in place of Autobahn's C{PerMessageDeflate}: it
    has the methods that Autobahn's parser calls.

    The sender may mark any block as the final one (RFC 7692, section 7.2.3.4).  That ends what zlib
    takes for the stream, but neither the message nor the connection: what comes behind it is the
    beginning of another stream.

    @param window_bits: the base-2 logarithm of the window that was agreed on.
    @param keeps_context: whether a message may refer to the ones before it.
    """

    EXTENSION_NAME = "permessage-deflate"

    def __init__(self, window_bits: int, keeps_context: bool) -> None:
        self._window_bits = window_bits
        self._keeps_context = keeps_context
        self._stream: _Decompressor | None = None

    def _start(self) -> _Decompressor:
        return zlib.decompressobj(wbits=-self._window_bits)

    def start_decompress_message(self) -> None:
        """
        A message begins.
        """
        if self._stream is None or not self._keeps_context:
            self._stream = self._start()

    def decompress_message_data(self, data: bytes, max_output_len: int | None = None) -> bytes:
        """
        Decompress some of the message.

        @param max_output_len: how many octets are allowed; C{None} for any number.
        @return: what it stands for; if that is more than what is allowed, one octet more than that.
        @raise zlib.error: it stands for nothing.
        """
        room = sys.maxsize if max_output_len is None else max(max_output_len, 0) + 1
        parts = []
        for at in range(0, len(data), _CHUNK_SIZE):
            chunk = data[at : at + _CHUNK_SIZE]
            while chunk and room:
                if self._stream is None:
                    self._stream = self._start()
                stream = self._stream
                parts.append(stream.decompress(chunk, room))
                room -= len(parts[-1])
                chunk = b""
                if stream.eof:
                    chunk, self._stream = stream.unused_data, None
        return b"".join(parts)

    def end_decompress_message(self) -> None:
        """
        The message is complete.

        @raise zlib.error: it is not, as far as the compressed data tell.
        """
        if self._stream is not None:  # else its last octet was the last of a final block
            self._stream.decompress(_TAIL)
            if self._stream.eof:
                self._stream = None
