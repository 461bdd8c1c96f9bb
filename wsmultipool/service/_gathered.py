"""
The parts of a message that arrives piece by piece, until there is all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap

# Of most messages there is no more: they are not worth asking the system for memory.
_IN_HEAP = 65536
_BLOCK = 1024 * 1024


class GatheredMessage:
    """
    Gathers a message.  Iterating gives its octets, in buffers.

    A long one has memory of its own, which goes back to the system at once with it: of what the
    heap has grown by, it would keep most as long as anything lies behind it.

    @ivar size: how many octets there are.
    """

    __slots__ = ("_at", "_begin", "_blocks", "size")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all of it."""
        self.size = 0
        self._begin = bytearray()
        self._blocks: list[mmap] = []
        self._at = _BLOCK  # where the last block is free

    def add(self, octets: bytes) -> None:
        """Add a part, which may be empty."""
        self.size += len(octets)
        if self.size <= _IN_HEAP:
            self._begin += octets
            return
        rest = memoryview(octets)
        while rest:
            if self._at == _BLOCK:
                self._blocks.append(mmap(-1, _BLOCK))
                self._at = 0
            part = rest[: _BLOCK - self._at]
            self._blocks[-1][self._at : self._at + len(part)] = part
            self._at += len(part)
            rest = rest[len(part) :]

    def __iter__(self) -> Iterator[bytearray | mmap | memoryview]:
        yield self._begin
        yield from self._blocks[:-1]
        if self._blocks:
            yield memoryview(self._blocks[-1])[: self._at]
