"""
Numbered messages: what a server has got can be told apart, and from what was damaged.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .numbered import number_of, payload_of


@given(st.integers(0, 2**64 - 1), st.sampled_from([16, 32, 1024]))
def test_number_comes_back(number: int, size: int) -> None:
    """The number of a payload is the one it was made with."""
    payload = payload_of(number, size)

    assert len(payload) == size
    assert number_of(payload, size) == number


@given(st.integers(0, 2**64 - 1), st.integers(0, 32 * 8 - 1))
def test_any_changed_bit_is_noticed(number: int, bit: int) -> None:
    """A payload of which one bit was changed has no number."""
    payload = bytearray(payload_of(number))
    payload[bit // 8] ^= 1 << bit % 8

    assert number_of(bytes(payload)) is None


@pytest.mark.parametrize("payload", [b"", bytes(8), bytes(24), bytes(40)])
def test_another_size_is_noticed(payload: bytes) -> None:
    """A payload of another size has no number, even if all of it is one number."""
    assert number_of(payload) is None
