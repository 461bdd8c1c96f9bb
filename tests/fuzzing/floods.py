"""
Peers that never stop, and what memory they cost.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

from .case import Case
from .peers import Ending, Request, Script

KIB = 1024
MIB = 1024 * KIB

_READ = 16 * KIB

Flood = Callable[[Request], Iterator[bytes]]


def peak_of(
    flood: Flood, *, ending: Ending = "silence", compression: bool = False, **options: Any
) -> int:
    """
    Let a pool listen to a peer that says more than anybody should keep.

    @return: how many octets more than before the process held at some moment.
    """
    script = Script(flood, ending, remember=False)
    case = Case([script], compression=compression, **options)
    for name in ("messages", "pings", "pongs"):
        setattr(case.heard, name, _Last())
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        case.run()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - before


class _Last(list[Any]):
    """
    Remembers no more than what came last: what users keep is not what is measured.
    """

    def append(self, item: Any) -> None:
        self[:] = [item]


def endless(beginning: Callable[[Request], bytes], again: bytes, total: int) -> Flood:
    """
    Say something, and then the same so often that it comes to C{total} octets.
    """
    read = again * max(1, min(_READ, total) // len(again))

    def flood(request: Request) -> Iterator[bytes]:
        yield beginning(request)
        for _ in range(total // len(read)):
            yield bytes(bytearray(read))  # a new object each time, as from a socket

    return flood


def deflating(request: Request) -> bytes:
    """
    The head that accepts, with permessage-deflate.
    """
    extension = b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    return request.upgrade.removesuffix(b"\r\n\r\n") + extension


def plainly(request: Request) -> bytes:
    """
    The head that accepts.
    """
    return request.upgrade


def announcing(first: int, size: int) -> bytes:
    """
    The head of a frame of that size.
    """
    return bytes([first, 127]) + size.to_bytes(8, "big")
