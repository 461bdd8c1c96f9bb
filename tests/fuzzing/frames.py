"""
What a server sends once the connection is open: valid traffic, and traffic that is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol

from .mutations import mutate, noise, some_slice
from .reference import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

_FIN = 0x80
_COMPRESSED = 0x40
_MASKED = 0x80

_CHARACTERS = "aZ0 \x00\x7f\x80\u07ff\u0800\ud7ff\ue000\ufffd\U00010000\U0010ffff"
_BAD_TEXTS = (
    *(b"\x80", b"\xc0\x80", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\xf0\x9f\x92", b"\xf4\x90"),
    *(
        b"\xff",
        b"\xf8\x88\x80\x80\x80",
        b"fine until \xfe",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xed\xa0",
    ),
)
_CLOSE_CODES = (
    *(1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999),
    *(0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535),
)


class Deflater(Protocol):
    """
    Compresses messages, one after the other.
    """

    def deflate(self, payload: bytes) -> bytes:
        """Compress one message."""


def frame(
    first: int, payload: bytes, *, encoding: int | None = None, mask: bytes | None = None
) -> bytes:
    """
    Build a frame, valid or not.

    @param first: its first octet.
    @param encoding: 7, 16 or 64 bits for the length, fit or not; C{None} for the fitting one.
    @param mask: the key to mask it with, which a server must not do.
    """
    size = len(payload)
    if encoding is None:
        encoding = 7 if size < 126 else 16 if size < 65536 else 64
    bit = 0 if mask is None else _MASKED
    if encoding == 7:
        head = bytes([first, bit | size & 0x7F])
    elif encoding == 16:
        head = bytes([first, bit | 126]) + (size & 0xFFFF).to_bytes(2, "big")
    else:
        head = bytes([first, bit | 127]) + size.to_bytes(8, "big")
    if mask is not None:
        payload = bytes(octet ^ mask[at % 4] for at, octet in enumerate(payload))
        head += mask
    return head + payload


def payload(random: Random, is_binary: bool, largest: int) -> bytes:
    """
    A payload of any size up to the largest, the interesting ones preferred.
    """
    sizes = (0, 0, 1, 2, 5, 10, 30, 124, 125, 126, 127, 128, 1000, 65535, 65536, largest - 1)
    size = random.choice((*[size for size in sizes if size <= largest], largest))
    if is_binary:
        unit = random.randbytes(7)
    else:
        unit = "".join(random.choice(_CHARACTERS) for _ in range(3)).encode()
    whole = unit * (size // len(unit))
    return whole + b"." * (size - len(whole))


def _fragments(random: Random, data: bytes) -> list[bytes]:
    number = random.choice((1, 1, 1, 2, 3, 6))
    pieces = []
    for _ in range(number - 1):
        _, at = some_slice(random, data)
        pieces.append(data[:at])
        data = data[at:]
    return [*pieces, data]


def message(
    random: Random, data: bytes, is_binary: bool, deflater: Deflater | None = None
) -> list[bytes]:
    """
    One message as frames, between which there may be pings and pongs.
    """
    first = BINARY if is_binary else TEXT
    if deflater is not None and random.randrange(4):
        data = deflater.deflate(data)
        first |= _COMPRESSED
    pieces = _fragments(random, data)
    frames = []
    for number, piece in enumerate(pieces, 1):
        fin = _FIN if number == len(pieces) else 0
        frames.append(frame(first | fin, piece))
        first = CONTINUATION
        if not fin and random.randrange(3) == 0:
            frames.append(control(random))
    return frames


def control(random: Random) -> bytes:
    """
    A ping or a pong.
    """
    size = random.choice((0, 1, 4, 124, 125))
    return frame(_FIN | random.choice((PING, PONG)), random.randbytes(4)[:size].ljust(size, b"p"))


def _close(random: Random) -> bytes:
    if random.randrange(4) == 0:
        return frame(_FIN | CLOSE, random.choice((b"", b"\x03", b"\x03\xe8" + b"x" * 123)))
    reason = random.choice((b"", b"bye", "\u20ac".encode() * 41, *_BAD_TEXTS))
    return frame(_FIN | CLOSE, random.choice(_CLOSE_CODES).to_bytes(2, "big") + reason)


def _violation(random: Random, largest: int) -> bytes:
    data = payload(random, True, 130)
    first = random.choice((CONTINUATION, TEXT, BINARY)) | random.choice((0, _FIN))
    way = random.randrange(10)
    if way == 0:
        return frame(random.randrange(256), data)
    if way == 1:
        return frame(first, data, mask=random.randbytes(4))
    if way == 2:
        return frame(first, data, encoding=random.choice((16, 64)))
    if way == 3:  # one that announces more than anyone would send
        size = random.choice((largest + 1, 1 << 16, 1 << 30, 1 << 62, (1 << 63) - 1, 1 << 63, -1))
        return bytes([first, 127]) + (size % (1 << 64)).to_bytes(8, "big") + data
    if way == 4:
        return frame(_FIN | TEXT, random.choice(_BAD_TEXTS))
    if way == 5:  # invalid text, in pieces
        bad = b"ok " + random.choice(_BAD_TEXTS)
        at = random.randrange(len(bad))
        return frame(TEXT, bad[:at]) + control(random) + frame(_FIN | CONTINUATION, bad[at:])
    if way == 6:  # a control frame that is too long, or not final
        opcode = random.choice((CLOSE, PING, PONG))
        long = frame(_FIN | opcode, b"x" * random.choice((126, 200, 65536)))
        return random.choice((long, frame(opcode, b"x")))
    if way == 7:
        return frame(first | random.choice((0x10, 0x20, 0x40, 0x70)), data)
    if way == 8:
        return frame(_FIN | random.choice((BINARY, TEXT)), b"x" * (largest + 1))
    return frame(BINARY, b"x" * largest) + frame(_FIN | CONTINUATION, b"x")


def traffic(random: Random, largest: int, deflater: Deflater | None = None) -> list[bytes]:
    """
    Frames in the order a server that keeps to the rules might send them.
    """
    frames: list[bytes] = []
    for _ in range(random.choice((1, 2, 4, 12))):
        if random.randrange(4) == 0:
            frames.append(control(random))
        else:
            is_binary = bool(random.randrange(2))
            data = payload(random, is_binary, largest)
            frames += message(random, data, is_binary, deflater)
    return frames


def broken_traffic(random: Random, largest: int, deflater: Deflater | None = None) -> bytes:
    """
    Frames that may break any rule, at any place.
    """
    frames = traffic(random, largest, deflater)
    for _ in range(random.choice((0, 1, 1, 3))):
        wrong = _violation(random, largest) if random.randrange(3) else _close(random)
        frames.insert(random.randrange(len(frames) + 1), wrong)
    way = random.randrange(6)
    if way == 0:
        random.shuffle(frames)
    octets = b"".join(frames)
    if way == 1:
        octets = mutate(random, octets)
    elif way == 2:
        octets += noise(random)
    elif way == 3:
        octets = octets[: random.randrange(len(octets) + 1)]
    return octets


def cut_at_frames(random: Random, frames: Sequence[bytes]) -> list[bytes]:
    """
    Cut so that reads begin and end with frames, as those of a server that flushes do.
    """
    reads: list[bytes] = []
    for one in frames:
        if reads and random.randrange(2):
            reads[-1] += one
        else:
            reads.append(one)
    return reads
