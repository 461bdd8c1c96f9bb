"""
Compression of what is sent (permessage-deflate, RFC 7692).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from ._message_kinds import SharedMessage
    from .messages import Message


class _Compressor(Protocol):
    """
    What C{zlib.compressobj} returns, which has no public name.
    """

    def compress(self, data: bytes) -> bytes: ...
    def flush(self, mode: int) -> bytes: ...


# What a flush ends with, and the receiver adds (RFC 7692, section 7.2.1).
_TAIL_SIZE = 4


class Deflater:
    """
    Compresses the messages of one connection.

    @param window_bits: the base-2 logarithm of the window that was agreed on.
    @param mem_level: zlib's, 1 to 9.
    @param keeps_context: whether a message may refer to the ones before it.
    """

    def __init__(self, window_bits: int, mem_level: int, keeps_context: bool) -> None:
        self._window_bits = window_bits
        self._mem_level = mem_level
        self._keeps_context = keeps_context
        self._compressor: _Compressor | None = None

    def _start(self) -> _Compressor:
        return zlib.compressobj(wbits=-self._window_bits, memLevel=self._mem_level)

    def compress(self, message: Message) -> bytes:
        """
        Compress a message, or the next fragment of one.
        """
        if message.shared:
            return self._compress_shared(cast("SharedMessage", message))
        if self._compressor is None:
            self._compressor = self._start()
        compressor = self._compressor
        data = compressor.compress(message.payload)
        if message.fin:
            data += compressor.flush(zlib.Z_SYNC_FLUSH)[:-_TAIL_SIZE]
            if not self._keeps_context:
                self._compressor = None
        return data

    def _compress_shared(self, message: SharedMessage) -> bytes:
        """
        Compress it once for all connections whose windows have one size: it refers to nothing
        before it, so that each of their peers can read it.
        """
        prepared = message.prepared.get(self._window_bits)
        if prepared is None:
            compressor = self._start()
            prepared = compressor.compress(message.payload)
            prepared += compressor.flush(zlib.Z_SYNC_FLUSH)[:-_TAIL_SIZE]
            message.prepared[self._window_bits] = prepared
        # What our compressor takes for the peer's window now lacks this message, so that what it
        # refers to is not where it thinks: it must not go on.
        self._compressor = None
        return prepared
