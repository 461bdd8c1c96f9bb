"""
Messages that carry a number, in a form in which one changed bit is noticed.
"""

from __future__ import annotations

_WIDTH = 8


def payload_of(number: int, size: int = 32) -> bytes:
    """
    Return a message's payload: its number over and over.

    @param size: in octets, a multiple of 8, and more than that.
    """
    return number.to_bytes(_WIDTH, "big") * (size // _WIDTH)


def number_of(payload: bytes, size: int = 32) -> int | None:
    """
    Return the number of an intact payload of this size; C{None} if it is anything else.
    """
    number = payload[:_WIDTH]
    if len(payload) != size or payload != number * (size // _WIDTH):
        return None
    return int.from_bytes(number, "big")
