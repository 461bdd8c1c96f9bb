"""
Tests for L{wsmultipool._partial_message}.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsmultipool._framing import is_utf8
from wsmultipool._partial_message import PartialMessage


def test_payload_is_put_together() -> None:
    """What arrives piece by piece is the payload in the end, and known all the time."""
    message = PartialMessage(b"\x82\x05", True, 5)
    assert message.missing == 5
    assert message.octets == b"\x82\x05"
    assert message.add(b"\xff\x00")
    assert message.missing == 3
    assert message.octets == b"\x82\x05\xff\x00"
    assert message.add(b"abc")
    assert message.missing == 0
    assert message.payload == b"\xff\x00abc"
    assert message.is_binary


def test_a_message_larger_than_what_is_taken_in_advance() -> None:
    """A header alone does not make it take more than 16 MiB; more comes with the octets."""
    size = 17 * 1024 * 1024
    message = PartialMessage(b"header", True, size)
    piece = bytes(range(256)) * 4096
    for _ in range(17):
        assert message.add(piece)
    complete = message.payload == piece * 17
    assert complete
    whole = message.octets == b"header" + piece * 17
    assert whole


@pytest.mark.parametrize("text", ["ascii only", "grüße", "\u20ac\U0001f600\ud7ff\ue000"])
def test_text_may_be_cut_anywhere(text: str) -> None:
    """Characters of several octets that are in two reads are characters all the same."""
    octets = text.encode()
    for cut in range(len(octets) + 1):
        message = PartialMessage(b"", False, len(octets))
        assert message.add(octets[:cut])
        assert message.add(octets[cut:])
        assert message.payload == octets
    message = PartialMessage(b"", False, len(octets))
    assert all(message.add(octets[i : i + 1]) for i in range(len(octets)))
    assert not message.is_binary


@pytest.mark.parametrize(
    "wrong", [b"\xff", b"\xc0", b"\xed\xa0", b"\xf4\x90", b"\xe2\x82a", b"\xf5", b"\xe0\x80"]
)
def test_what_can_not_become_text_is_told_at_once(wrong: bytes) -> None:
    """The octet that makes it impossible is enough, however much is still to come."""
    message = PartialMessage(b"", False, 1000)
    assert message.add(b"good")
    for octet in wrong[:-1]:
        assert message.add(bytes([octet]))
    assert not message.add(wrong[-1:])
    assert message.octets == b"good" + wrong


@settings(derandomize=True)
@given(
    payload=st.one_of(
        st.binary(min_size=1, max_size=12),
        st.text(min_size=1, max_size=6).map(lambda text: text.encode("utf-8", "surrogatepass")),
    ),
    cuts=st.lists(st.integers(min_value=0, max_value=12), max_size=4),
)
def test_text_in_pieces_is_judged_like_the_whole(payload: bytes, cuts: list[int]) -> None:
    """However it is cut, text is taken if it is UTF-8, and only then."""
    message = PartialMessage(b"", False, len(payload))
    edges = sorted({0, len(payload), *(cut for cut in cuts if cut < len(payload))})
    pieces = [payload[a:b] for a, b in pairwise(edges)]
    assert all(map(message.add, pieces)) == is_utf8(payload)
