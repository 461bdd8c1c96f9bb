"""
Compressed messages: valid ones, every kind of block, streams that were damaged, and bombs.
"""

from __future__ import annotations

import zlib
from random import Random

from .mutations import mutate

_TAIL = b"\x00\x00\xff\xff"
_LEVELS = (0, 1, 6, 9)
_STRATEGIES = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE)


class RandomDeflater:
    """
    Compresses messages in all the ways that the negotiated parameters leave open.

    @param damage: one message in so many is damaged; 0 for none.
    """

    def __init__(
        self, random: Random, *, takeover: bool = True, window_bits: int = 15, damage: int = 0
    ) -> None:
        self._random = random
        self._takeover = takeover
        self._window_bits = window_bits
        self._damage = damage
        self._stream = self._new_stream()

    def _new_stream(self) -> zlib._Compress:
        random = self._random
        return zlib.compressobj(
            random.choice(_LEVELS),
            zlib.DEFLATED,
            -self._window_bits,
            random.choice((1, 8, 9)),
            random.choice(_STRATEGIES),
        )

    def deflate(self, payload: bytes) -> bytes:
        """Compress one message."""
        random = self._random
        if not self._takeover or random.randrange(8) == 0:
            self._stream = self._new_stream()
        data = b""
        # Several blocks, some of them empty, if it so happens.
        for _ in range(random.choice((1, 1, 2, 4))):
            size = random.randrange(len(payload) + 1)
            data += self._stream.compress(payload[:size])
            payload = payload[size:]
            data += self._stream.flush(random.choice((zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH)))
        data += self._stream.compress(payload) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        data = data[: -len(_TAIL)]
        if self._damage and random.randrange(self._damage) == 0:
            data = self._damaged(data)
        return data

    def _damaged(self, data: bytes) -> bytes:
        random = self._random
        return random.choice(
            (
                mutate(random, data),
                mutate(random, data),
                data + _TAIL,
                data + _TAIL + b"\x00",
                _TAIL * 50,
                b"",
                b"\x03\x00",  # an empty final block
                b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",  # a final block, as in RFC 7692, 7.2.3.4
                random.randbytes(20),
                bomb(random.choice((10_000, 1_000_000))),
            )
        )


def bomb(size: int) -> bytes:
    """
    A message of so many zeros, a thousandth of that when compressed.
    """
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (stream.compress(bytes(size)) + stream.flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]
