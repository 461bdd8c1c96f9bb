"""
Random streams of a server's octets, of all kinds, with a preference for what is nearly right.
"""

from __future__ import annotations

import zlib
from random import Random

from .wire_runs import ACTIONS, Run, frame

_SIZES = [0, 1, 2, 16, 100, 124, 125, 126, 127, 300, 1000, 65535, 65536, 70000]
_TEXTS = ["", "a", "ascii " * 20, "grüße", "\u20ac\U0001f600" * 40, "ä" * 70]
_NOT_UTF8 = [
    b"\xff",
    b"ok\xc3",
    b"\xed\xa0\x80",
    b"\xc0\x80",
    b"a" * 200 + b"\xf4\x90\x80\x80",
    b"\x80",
]


def deflated(data: bytes) -> bytes:
    """
    Compress a message by itself (RFC 7692, section 7.2.1).
    """
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def _payload(random: Random) -> bytes:
    return bytes([random.randrange(256)]) * random.choice(_SIZES[: random.choice((6, 11, 14))])


def _data(random: Random) -> bytes:
    """Ordinary messages."""
    if random.random() < 0.5:
        return frame(random.choice(_TEXTS).encode(), 0x81) * random.choice((1, 1, 3))
    return frame(_payload(random)) * random.choice((1, 1, 1, 3, 20))


def _control(random: Random) -> bytes:
    payload = random.randbytes(random.choice((0, 1, 4, 124, 125)))
    return frame(payload, random.choice((0x89, 0x8A)))


def _fragments(random: Random) -> bytes:
    data = random.choice((random.choice(_TEXTS).encode(), _payload(random)))
    is_text = data.isascii() or random.random() < 0.3
    pieces = random.randrange(2, 5)
    step = len(data) // pieces + 1
    stream = b""
    for i in range(pieces):
        first = (0x01 if is_text else 0x02) if i == 0 else 0x00
        first |= 0x80 if i == pieces - 1 else 0
        stream += frame(data[i * step : (i + 1) * step], first)
        if random.random() < 0.3:
            stream += _control(random)
        if random.random() < 0.03:
            stream += _data(random)  # which must not be here
    return stream


def _compressed(random: Random) -> bytes:
    data = deflated(random.choice((b"compress me " * 30, bytes(5000), "grüße".encode())))
    if random.random() < 0.1:
        data = random.randbytes(random.randrange(40))  # not compressed at all
    if random.random() < 0.3 and len(data) > 2:
        return frame(data[:2], 0x42) + frame(data[2:], 0x80)
    return frame(data, random.choice((0xC1, 0xC2)))


def _close(random: Random) -> bytes:
    code = random.choice((1000, 1001, 1005, 1011, 999, 3000, 4999, 5000, 2000))
    reasons = (b"", b"going", "auf Wiedersehen \u20ac".encode(), b"\xff")
    body = code.to_bytes(2, "big") + random.choice(reasons)
    return frame(random.choice((b"", b"x", body, body, body)), 0x88)


def _wrong(random: Random) -> bytes:
    kind = random.randrange(9)
    payload = _payload(random)
    if kind == 0:
        return frame(payload, random.choice((0x81, 0x82, 0x89)), mask=True)
    if kind == 1:
        return frame(bytes(random.randrange(126)), size_octets=random.choice((3, 9)))
    if kind == 2:
        return frame(payload, random.randrange(256))
    if kind == 3:
        return frame(random.choice(_NOT_UTF8) + b"and more", 0x81)
    if kind == 4:
        return frame(random.choice(_NOT_UTF8), 0x81)
    if kind == 5:
        size = random.choice((1 << 30, 1 << 20, (1 << 63) - 1, 1 << 63, (1 << 64) - 1))
        return bytes((random.choice((0x81, 0x82, 0x02)), 127)) + size.to_bytes(8, "big")
    if kind == 6:
        return frame(bytes(200), random.choice((0x88, 0x89, 0x8A)))
    if kind == 7:
        return frame(b"rest", random.choice((0x80, 0x00)))
    return random.randbytes(random.randrange(20))


def random_run(random: Random) -> Run:
    """
    Make up a run.
    """
    kinds = [_data] * 8 + [_control] * 3 + [_fragments] * 2
    if random.random() < 0.5:
        kinds.append(_wrong)
    if random.random() < 0.4:
        kinds.append(_close)
    deflate = None
    if random.random() < 0.4:
        kinds += [_compressed] * 3
        if random.random() < 0.85:
            deflate = random.choice(
                ("", "; server_no_context_takeover", "; client_max_window_bits=9")
            )
            deflate = "" if "client" in deflate else deflate
    octets = b"".join(random.choice(kinds)(random) for _ in range(random.randrange(1, 14)))
    if random.random() < 0.2:
        octets = octets[: random.randrange(len(octets) + 1)]
    return Run(
        octets,
        _cuts(random, len(octets)),
        {random.randrange(12): random.choice(ACTIONS) for _ in range(random.choice((0, 0, 1, 3)))},
        resume_after=random.choice((1, 2)),
        leaky=random.random() < 0.5,
        limit=random.choice((10, 125, 126, 1000, 65535, 1 << 20, 1 << 20, 1 << 20)),
        deflate=deflate,
    )


def _cuts(random: Random, size: int) -> list[int]:
    way = random.randrange(5)
    start = [0] if random.random() < 0.8 else []
    if way == 0:
        return start
    if way == 1:
        begin = random.randrange(size + 1)
        return [*start, *range(begin, min(size, begin + 60))]  # octet by octet
    if way == 2:
        return [*start, *range(0, size, random.choice((7, 1000, 65536)))][:2000]
    return [*start, *(random.randrange(size + 1) for _ in range(random.randrange(1, 30)))]
