"""
Tests for L{wsmultipool.service._gathered}.
"""

from __future__ import annotations

import pytest

from wsmultipool.service._gathered import GatheredMessage


@pytest.mark.parametrize(
    "sizes",
    [
        *([], [0], [1, 2, 3], [65536], [65537], [65536, 1], [1000] * 70, [65000, 0, 1000]),
        *([1024 * 1024], [3 * 1024 * 1024 + 5], [100_000] * 50, [1, 2 * 1024 * 1024, 1, 65536]),
    ],
)
def test_what_was_added_is_there_in_order(sizes: list[int]) -> None:
    """In parts of any size, and however much of it there is."""
    message = GatheredMessage()
    parts = [bytes([1 + at % 255]) * size for at, size in enumerate(sizes)]
    for part in parts:
        message.add(part)
    assert b"".join(message) == b"".join(parts)
    assert message.size == sum(sizes)


def test_nothing_is_left_of_what_is_forgotten() -> None:
    """And another message may follow."""
    message = GatheredMessage()
    message.add(b"x" * 3_000_000)
    message.clear()
    assert (message.size, b"".join(message)) == (0, b"")
    message.add(b"y" * 100_000)
    assert b"".join(message) == b"y" * 100_000
