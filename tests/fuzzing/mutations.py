"""
Valid input made slightly invalid, and any input cut into reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from random import Random

# What parsers stumble over.
TOKENS = (
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\r\n ", b"\r\n\t", b" ", b"\t", b"\x0b", b"\x0c"),
    *(
        b"\x00",
        b"\x1c",
        b"\x7f",
        b"\x85",
        b"\xa0",
        b"\xff",
        b"\xfe\xff",
        b"\xc3\xa9",
        b"\xed\xa0\x80",
    ),
    *(b":", b",", b";", b"=", b'"', b"%s", b"{0}", b"{}", b"\\", b"-", b"+", b"_"),
    *(b"HTTP/1.1 ", b"HTTP/1.1 101 \r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"0\r\n\r\n"),
    *(b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"Upgrade: websocket\r\n"),
)
NUMBERS = (
    *(b"0", b"-1", b"+1", b"00", b"1_0", b"0x10", b"1e9", b"1.5", b"nan", b"inf", b"\xb2"),
    *(b"2147483648", b"4294967296", b"9223372036854775808", b"18446744073709551616"),
    *(b"9" * 20, b"9" * 400, b"9" * 5000, b"F" * 15, b"F" * 17, b"7FFFFFFFFFFFFFFF"),
)
_DIGITS = re.compile(rb"[0-9]+")


def some_slice(random: Random, data: bytes) -> tuple[int, int]:
    """
    Choose a part of the data, most often a short one.
    """
    start = random.randrange(len(data) + 1)
    longest = len(data) - start
    length = random.randrange(longest + 1)
    return start, start + (min(length, 8) if random.randrange(3) else length)


def _flip(random: Random, data: bytes) -> bytes:
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]


def _set(random: Random, data: bytes) -> bytes:
    at = random.randrange(len(data))
    octet = random.choice((0, 1, 9, 10, 13, 32, 0x7E, 0x7F, 0x80, 0xFF))
    return data[:at] + bytes([octet]) + data[at + 1 :]


def _delete(random: Random, data: bytes) -> bytes:
    start, end = some_slice(random, data)
    return data[:start] + data[end:]


def _duplicate(random: Random, data: bytes) -> bytes:
    start, end = some_slice(random, data)
    times = random.choice((1, 1, 2, 20))
    return data[:end] + data[start:end][:500] * times + data[end:]


def _move(random: Random, data: bytes) -> bytes:
    start, end = some_slice(random, data)
    rest = data[:start] + data[end:]
    to = random.randrange(len(rest) + 1)
    return rest[:to] + data[start:end] + rest[to:]


def _truncate(random: Random, data: bytes) -> bytes:
    return data[: random.randrange(len(data))]


def _insert(random: Random, data: bytes) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice(TOKENS) + data[at:]


def _stretch(random: Random, data: bytes) -> bytes:
    at = random.randrange(len(data))
    return data[:at] + data[at : at + 1] * random.choice((10, 300, 5000)) + data[at:]


def _renumber(random: Random, data: bytes) -> bytes:
    found = list(_DIGITS.finditer(data))
    if not found:
        return _flip(random, data)
    number = random.choice(found)
    return data[: number.start()] + random.choice(NUMBERS) + data[number.end() :]


def _fold(random: Random, data: bytes) -> bytes:
    return data.replace(b": ", random.choice((b":\r\n ", b" : ", b":", b":\t", b":\r\n\t")))


def _bare_line_feeds(random: Random, data: bytes) -> bytes:
    return data.replace(b"\r\n", random.choice((b"\n", b"\r", b"\r\r\n")))


_MUTATIONS: tuple[Callable[[Random, bytes], bytes], ...] = (
    *(_flip, _set, _delete, _duplicate, _move, _truncate),
    *(_insert, _insert, _stretch, _renumber, _renumber, _fold, _bare_line_feeds),
)


def mutate(random: Random, data: bytes) -> bytes:
    """
    Change the data in one to four ways.
    """
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        if data:
            data = random.choice(_MUTATIONS)(random, data)
    return data


def noise(random: Random) -> bytes:
    """
    Octets without any structure.
    """
    return random.randbytes(random.choice((0, 1, 2, 3, 7, 16, 40)))


def cut(random: Random, data: bytes) -> list[bytes]:
    """
    Cut the data into the reads in which it arrives: one, a few, or up to a hundred of one octet.
    """
    way = random.randrange(4)
    if way == 0 or len(data) < 2:
        return [data]
    if way == 1 and len(data) <= 100:
        return [data[at : at + 1] for at in range(len(data))]
    places = {random.randrange(1, len(data)) for _ in range(random.choice((1, 2, 8)))}
    if way == 2:  # at the beginning, where the headers are
        places |= set(range(1, min(len(data), 12)))
    edges = [0, *sorted(places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]
