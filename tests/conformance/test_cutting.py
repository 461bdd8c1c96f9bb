"""
The pieces of a read are the read, and as small as they were to be.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .cutting import EDGE, Cut


@given(
    st.integers(0, 5),
    st.one_of(st.none(), st.integers(0, 400)),
    st.lists(st.binary(max_size=400), max_size=5),
)
def test_nothing_is_lost_or_moved(size: int, limit: int | None, reads: list[bytes]) -> None:
    """However reads are cut, the stream stays the same, and no piece is empty."""
    cut = Cut(size, limit)
    before = 0
    for read in reads:
        pieces = list(cut.apply(read, before))
        assert b"".join(pieces) == read
        assert all(pieces)
        before += len(read)


@pytest.mark.parametrize("size", [1, 3])
def test_every_octet_is_cut(size: int) -> None:
    """Without a limit, no piece is larger than it may be, and only the last is smaller."""
    *others, last = Cut(size).apply(bytes(1000), 10_000_000)
    assert {len(piece) for piece in others} == {size}
    assert 0 < len(last) <= size


def test_a_whole_read_is_left_alone() -> None:
    """Size 0 cuts nothing."""
    assert list(Cut(0).apply(b"abc", 0)) == [b"abc"]


def test_beyond_the_limit_only_the_ends_are_cut() -> None:
    """Of a large read, what is within the limit is cut, and the two ends."""
    cut = Cut(1, limit=100)
    lengths = [len(piece) for piece in cut.apply(bytes(1000), 0)]
    assert lengths == [*[1] * 100, 1000 - 100 - EDGE, *[1] * EDGE]
    lengths = [len(piece) for piece in cut.apply(bytes(1000), 1000)]
    assert lengths == [*[1] * EDGE, 1000 - 2 * EDGE, *[1] * EDGE]
    assert cut.pieces == 100 + 1 + EDGE + EDGE + 1 + EDGE
