"""
Where one message ends and the next begins, in a stream of bytes: lines, or a length before each.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["LengthPrefixed", "Lines", "StreamError"]

_LENGTH_BYTES = 4


class StreamError(Exception):
    """
    The stream is not what it was said to be.
    """


class Lines:
    """
    A message for each line, without its line break.  The last line need not have one.

    @param most: the longest message to read, in bytes.
    @param binary: whether a carriage return before the line break is part of the line.
    """

    def __init__(self, most: int, *, binary: bool = False) -> None:
        self._most = most
        self._binary = binary
        self._parts: list[bytes] = []
        self._length = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """
        Yield the messages that end in the next piece of the stream.

        @raise StreamError: a line is too long.
        """
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._keep(line)
            yield self._take()
        self._keep(rest)

    def end(self) -> Iterator[bytes]:
        """
        Yield what is left at the end of the stream.
        """
        if self._length:
            yield self._take()

    def encode(self, message: bytes) -> bytes:
        """Return what a message is in the stream."""
        return message + b"\n"

    def _keep(self, part: bytes) -> None:
        self._parts.append(part)
        self._length += len(part)
        if self._length > self._most:
            raise StreamError(f"a line is longer than {self._most:,} bytes")

    def _take(self) -> bytes:
        line = b"".join(self._parts)
        self._parts.clear()
        self._length = 0
        return line if self._binary else line.removesuffix(b"\r")


class LengthPrefixed:
    """
    Before each message its length, in four bytes, the most significant first.

    @param most: the longest message to read, in bytes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """
        Yield the messages that end in the next piece of the stream.

        @raise StreamError: a length is too large.
        """
        buffer = self._buffer
        buffer += data
        begin = 0
        while len(buffer) - begin >= _LENGTH_BYTES:
            length = int.from_bytes(buffer[begin : begin + _LENGTH_BYTES])
            if length > self._most:
                raise StreamError(f"a message of {length:,} bytes, more than {self._most:,}")
            end = begin + _LENGTH_BYTES + length
            if len(buffer) < end:
                break
            yield bytes(buffer[begin + _LENGTH_BYTES : end])
            begin = end
        del buffer[:begin]

    def end(self) -> Iterator[bytes]:
        """
        Yield nothing: there is nothing left at the end of the stream.

        @raise StreamError: there is.
        """
        if self._buffer:
            raise StreamError("it ends in the middle of a message")
        return iter(())

    def encode(self, message: bytes) -> bytes:
        """Return what a message is in the stream."""
        return len(message).to_bytes(_LENGTH_BYTES) + message
