"""
What a server received, read from the file in which it wrote that down.

A server appends each message to a file before it does anything else, such as answering the ping
that came after it.  So the file is complete even when the server is killed.  An entry is the length
of the payload, in four octets, and the payload.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_HEAD = 4
_MOST = 1 << 20


class Record:
    """
    The payloads in the file of one server, or of several that followed each other.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._partial = b""

    def news(self) -> Iterator[bytes]:
        """
        Yield the payloads that were not yielded before, in the order in which they arrived.
        """
        with self.path.open("rb") as file:
            file.seek(self._offset)
            while data := file.read(_MOST):
                self._offset += len(data)
                yield from self._entries(self._partial + data)

    def _entries(self, data: bytes) -> Iterator[bytes]:
        at = 0
        while at + _HEAD <= len(data):
            end = at + _HEAD + int.from_bytes(data[at : at + _HEAD], "big")
            if end > len(data):
                break
            yield data[at + _HEAD : end]
            at = end
        self._partial = data[at:]
