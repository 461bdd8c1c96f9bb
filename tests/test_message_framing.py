"""
Tests for L{wsmultipool._commands.message_framing}.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsmultipool._commands.message_framing import LengthPrefixed, Lines, StreamError

Framing = Lines | LengthPrefixed
MOST = 100


def read(framing: Framing, *pieces: bytes) -> list[bytes]:
    """
    Read a stream that comes in pieces.
    """
    messages = [message for piece in pieces for message in framing.feed(piece)]
    return [*messages, *framing.end()]


@pytest.mark.parametrize(
    ("stream", "messages"),
    [
        (b"", []),
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"a\nb", [b"a", b"b"]),
        (b"\n\n", [b"", b""]),
    ],
)
def test_lines(stream: bytes, messages: list[bytes]) -> None:
    """A line is a message, with or without a line break at the end, and may be empty."""
    assert read(Lines(MOST), stream) == messages
    assert read(Lines(MOST), *(bytes([octet]) for octet in stream)) == messages


def test_lines_that_are_not_text_keep_what_stands_before_the_line_break() -> None:
    """Only in text is a carriage return a part of the line break."""
    assert read(Lines(MOST, binary=True), b"a\r\n\r\nb\r") == [b"a\r", b"\r", b"b\r"]


def test_a_line_has_a_limit() -> None:
    """A stream without line breaks does not fill the memory."""
    assert read(Lines(4), b"1234\n1234") == [b"1234", b"1234"]
    with pytest.raises(StreamError, match=r"^a line is longer than 4 bytes$"):
        read(Lines(4), b"123", b"45")


def test_a_length_has_a_limit() -> None:
    """What is not length-prefixed at all is found out by its first bytes."""
    assert read(LengthPrefixed(4), b"\0\0\0\x041234") == [b"1234"]
    with pytest.raises(StreamError, match=r"^a message of 1,751,477,356 bytes, more than 4$"):
        read(LengthPrefixed(4), b"hello")


@pytest.mark.parametrize("stream", [b"\0", b"\0\0\0\1", b"\0\0\0\2a"])
def test_a_stream_that_ends_too_early(stream: bytes) -> None:
    """A message that was cut off is not sent as if it were whole."""
    with pytest.raises(StreamError, match=r"^it ends in the middle of a message$"):
        read(LengthPrefixed(MOST), stream)


@given(messages=st.lists(st.binary(max_size=50)), cut=st.integers(min_value=1, max_value=60))
def test_length_prefixed_carries_everything(messages: list[bytes], cut: int) -> None:
    """What one side writes the other one reads, whatever it is and however it is cut."""
    framing = LengthPrefixed(MOST)
    stream = b"".join(map(framing.encode, messages))
    pieces = [stream[begin : begin + cut] for begin in range(0, len(stream), cut)]
    assert read(framing, *pieces) == messages


@given(messages=st.lists(st.binary(max_size=50).filter(lambda m: not re.search(rb"\n|\r$", m))))
def test_lines_carry_what_has_no_line_breaks(messages: list[bytes]) -> None:
    """What one side writes as lines the other one reads."""
    framing = Lines(MOST)
    assert read(framing, b"".join(map(framing.encode, messages))) == messages
