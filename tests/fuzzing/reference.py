"""
A second opinion on what a server's frames mean: slow, strict, and written from RFC 6455 and RFC
7692 alone.

It reads a whole stream at once.  What it says does not depend on how the stream was cut, and so
neither may what a connection does.
"""

from __future__ import annotations

import zlib
from codecs import getincrementaldecoder
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_DATA, _CONTROL = (CONTINUATION, TEXT, BINARY), (CLOSE, PING, PONG)
_BAD_PROTOCOL, _BAD_DATA, _TOO_BIG = 1002, 1007, 1009
_TRAILER = b"\x00\x00\xff\xff"
# RFC 6455, section 7.4.1, and what was registered since.
_CLOSE_CODES = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}

_Utf8Decoder = getincrementaldecoder("utf-8")


@dataclass
class Reading:
    """
    What a stream of frames means.

    @ivar messages: the whole messages before its end, each C{(payload, is_binary)}.
    @ivar pings: the payloads of the pings.
    @ivar pongs: the payloads of the pongs.
    @ivar end: whether it goes on, or what ended it.
    @ivar code: of the violation.
    @ivar doubtful: whether a compressed message is such that the RFC leaves open, or
        implementations disagree, what it and those after it are.
    """

    messages: list[tuple[bytes, bool]] = field(default_factory=list)
    pings: list[bytes] = field(default_factory=list)
    pongs: list[bytes] = field(default_factory=list)
    end: Literal["none", "close", "violation"] = "none"
    code: int = 0
    doubtful: bool = False


class _Violated(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Inflater:
    """
    The receiving side of permessage-deflate (RFC 7692, section 7.2.2).

    @ivar doubtful: as of L{Reading}.
    """

    def __init__(self, window_bits: int = 15, takeover: bool = True) -> None:
        self.doubtful = False
        self._window_bits = window_bits
        self._takeover = takeover
        self._stream = zlib.decompressobj(-window_bits)

    def begin(self) -> None:
        """A compressed message begins."""
        if not self._takeover:
            self._stream = zlib.decompressobj(-self._window_bits)

    def inflate(self, data: bytes, most: int) -> bytes:
        """
        @return: what the data stands for, but hardly more than C{most} octets of it.
        """
        try:
            plain = self._stream.decompress(data, most + 1)
        except zlib.error:
            raise _Violated(_BAD_DATA) from None
        # A final block may be followed by more (section 7.2.3.4); zlib ends there.
        self.doubtful |= self._stream.eof
        return plain

    def end(self) -> None:
        """The message is complete."""
        try:
            # Nothing comes of that unless the sender stopped in the middle of a block.
            self.doubtful |= bool(self._stream.decompress(_TRAILER)) or self._stream.eof
        except zlib.error:
            raise _Violated(_BAD_DATA) from None


class _Message:
    """
    One message on its way in.
    """

    def __init__(self, opcode: int, inflater: Inflater | None, most: int) -> None:
        self.payload = bytearray()
        self.is_binary = opcode == BINARY
        self._inflater = inflater
        self._most = most
        self._utf8 = None if self.is_binary else _Utf8Decoder()
        if inflater is not None:
            inflater.begin()

    def announce(self, size: int) -> None:
        """A frame of this size begins."""
        if self._inflater is None and len(self.payload) + size > self._most:
            raise _Violated(_TOO_BIG)

    def add(self, data: bytes, is_last: bool) -> None:
        """This much of it arrived."""
        if self._inflater is not None:
            data = self._inflater.inflate(data, self._most - len(self.payload))
            if len(self.payload) + len(data) > self._most:
                raise _Violated(_TOO_BIG)
            if is_last:
                self._inflater.end()
        self.payload += data
        if self._utf8 is not None:
            try:
                self._utf8.decode(data, is_last)
            except UnicodeDecodeError:
                raise _Violated(_BAD_DATA) from None
            # The decoder waits for the third octet of a surrogate, which none can mend.
            begun, _ = self._utf8.getstate()
            if begun[:1] == b"\xed" and begun[1:2] >= b"\xa0":
                raise _Violated(_BAD_DATA)


def read(octets: bytes, largest: int, inflater: Inflater | None = None) -> Reading:
    """
    Read what a server sent after its handshake.

    @param largest: the size of the largest message.
    @param inflater: with permessage-deflate.
    """
    reading = Reading()
    try:
        _read(octets, largest, inflater, reading)
    except _Violated as violated:
        reading.end = "violation"
        reading.code = violated.code
    reading.doubtful |= inflater is not None and inflater.doubtful
    return reading


def _read(octets: bytes, largest: int, inflater: Inflater | None, reading: Reading) -> None:
    at = 0
    message: _Message | None = None
    while len(octets) - at >= 2:
        first, second = octets[at], octets[at + 1]
        opcode, fin = first & 15, bool(first & 0x80)
        _check_head(first, second, message is not None, inflater is not None)
        short = second & 0x7F
        extended = {126: 2, 127: 8}.get(short, 0)
        if len(octets) - at < 2 + extended:
            return
        size = int.from_bytes(octets[at + 2 : at + 2 + extended], "big") if extended else short
        if (extended and size < (126 if extended == 2 else 65536)) or size >> 63:
            raise _Violated(_BAD_PROTOCOL)
        at += 2 + extended
        payload = octets[at : at + size]
        is_whole = len(payload) == size
        at += size
        if opcode in _CONTROL:
            if is_whole and _control(opcode, payload, reading):
                return
            continue
        if message is None:
            message = _Message(opcode, inflater if first & 0x40 else None, largest)
        message.announce(size)
        if not is_whole:
            message.add(payload, False)
            return
        message.add(payload, fin)
        if fin:
            reading.messages.append((bytes(message.payload), message.is_binary))
            if inflater is not None and inflater.doubtful:
                return
            message = None


def _check_head(first: int, second: int, inside_message: bool, deflate: bool) -> None:
    opcode, rsv = first & 15, first & 0x70
    is_control = opcode in _CONTROL
    allowed_rsv = (0, 0x40) if deflate and not is_control and not inside_message else (0,)
    if (
        rsv not in allowed_rsv
        or second & 0x80  # masked, section 5.1
        or (opcode not in _DATA and not is_control)
        or (is_control and not (first & 0x80 and second <= 125))
        or (opcode == CLOSE and second == 1)
        or (not is_control and (opcode == CONTINUATION) is not inside_message)
    ):
        raise _Violated(_BAD_PROTOCOL)


def _control(opcode: int, payload: bytes, reading: Reading) -> bool:
    """
    @return: whether it ends the stream.
    """
    if opcode == PING:
        reading.pings.append(payload)
    elif opcode == PONG:
        reading.pongs.append(payload)
    else:
        if payload and int.from_bytes(payload[:2], "big") not in _CLOSE_CODES:
            raise _Violated(_BAD_PROTOCOL)
        try:
            payload[2:].decode("utf-8")
        except UnicodeDecodeError:
            raise _Violated(_BAD_DATA) from None
        reading.end = "close"
        return True
    return False


def client_frames(octets: bytes) -> Iterator[tuple[int, bytes, int]]:
    """
    Take apart what a client wrote after its handshake.

    @return: opcode and payload of each whole frame, and how many octets it has taken.
    """
    at = 0
    while len(octets) - at >= 6:
        opcode, short = octets[at] & 15, octets[at + 1] & 0x7F
        extended = {126: 2, 127: 8}.get(short, 0)
        mask_at = at + 2 + extended
        size = int.from_bytes(octets[at + 2 : mask_at], "big") if extended else short
        masked = octets[at + 1] & 0x80
        start = mask_at + 4 if masked else mask_at
        payload = octets[start : start + size]
        if len(payload) < size:
            return
        if masked:
            pad = (octets[mask_at:start] * (size // 4 + 1))[:size]
            number = int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")
            payload = number.to_bytes(size, "big")
        yield opcode, payload, start + size - at
        at = start + size
