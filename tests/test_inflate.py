"""
Tests for L{wsmultipool._inflate}.
"""

from __future__ import annotations

import tracemalloc
import zlib
from random import Random

import pytest

from wsmultipool._inflate import Inflater

# RFC 7692, sections 7.2.3.1 and 7.2.3.4: the second is in a final block, and an empty block follows
HELLO = b"\xf2\x48\xcd\xc9\xc9\x07\x00"
FINAL_HELLO = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"
INCOMPRESSIBLE = Random(1).randbytes(2000)


def read(inflater: Inflater, *parts: bytes, most: int | None = None) -> bytes:
    """
    Read a message that comes in these parts.
    """
    inflater.start_decompress_message()
    plain = b"".join(inflater.decompress_message_data(part, most) for part in parts)
    inflater.end_decompress_message()
    return plain


def deflated(*payloads: bytes) -> list[bytes]:
    """
    Compress messages, each of which may refer to those before it.
    """
    stream = zlib.compressobj(wbits=-15)
    made = [stream.compress(each) + stream.flush(zlib.Z_SYNC_FLUSH) for each in payloads]
    return [each.removesuffix(b"\x00\x00\xff\xff") for each in made]


def test_messages_refer_to_those_before_them() -> None:
    """What was in an earlier message need not be sent again."""
    inflater = Inflater(15, True)
    first, second = deflated(INCOMPRESSIBLE, INCOMPRESSIBLE)
    assert len(second) < len(first) / 2
    assert (read(inflater, first), read(inflater, second)) == (INCOMPRESSIBLE, INCOMPRESSIBLE)


def test_messages_stand_alone_where_that_was_agreed_on() -> None:
    """Without context takeover nothing of an earlier message is remembered."""
    inflater = Inflater(15, False)
    first, second = deflated(INCOMPRESSIBLE, INCOMPRESSIBLE)
    assert read(inflater, first) == INCOMPRESSIBLE
    with pytest.raises(zlib.error):
        read(inflater, second)


@pytest.mark.parametrize("cut", range(len(HELLO) + 1))
def test_a_message_comes_in_parts(cut: int) -> None:
    """However it is cut, with empty parts as well, it is the same."""
    assert read(Inflater(15, True), HELLO[:cut], b"", HELLO[cut:]) == b"Hello"


@pytest.mark.parametrize("keeps_context", [True, False])
@pytest.mark.parametrize(
    "final",
    [FINAL_HELLO, FINAL_HELLO[:-1], FINAL_HELLO[:-1] + b"\x01"],
    ids=["as in the RFC", "nothing behind it", "the tail is final"],
)
def test_a_final_block_ends_no_connection(final: bytes, keeps_context: bool) -> None:
    """The messages behind it are read as the ones before it."""
    inflater = Inflater(15, keeps_context)
    for message in (HELLO, final, HELLO, final, final, HELLO):
        assert read(inflater, message) == b"Hello"


def test_a_final_block_may_end_in_the_middle_of_the_tail() -> None:
    """What is left of the octets that the sender has left out belongs to no message."""
    inflater = Inflater(15, True)
    # Three bits say that it is final, and seven of zero that it ends: five of them are here.
    assert read(inflater, b"\x03") == b""
    assert read(inflater, HELLO) == b"Hello"


@pytest.mark.parametrize("cut", range(15))
def test_a_final_block_ends_no_message(cut: int) -> None:
    """What comes behind it in the same message belongs to that, and more may follow."""
    octets = FINAL_HELLO[:-1] + HELLO
    inflater = Inflater(15, True)
    assert read(inflater, octets[:cut], octets[cut:]) == b"HelloHello"
    assert read(inflater, HELLO) == b"Hello"


@pytest.mark.parametrize(("most", "size"), [(0, 1), (-1, 1), (4, 5), (5, 5), (6, 5), (None, 5)])
def test_too_much_is_recognised_by_one_octet(most: int | None, size: int) -> None:
    """One octet more than allowed comes out, whatever a message stands for."""
    for octets in (HELLO, FINAL_HELLO):
        inflater = Inflater(15, True)
        inflater.start_decompress_message()
        assert inflater.decompress_message_data(octets, most) == b"Hello"[:size]


def test_too_much_is_not_made() -> None:
    """A message that stands for 100 MiB costs no more memory than is allowed."""
    [bomb] = deflated(bytes(100 << 20))
    inflater = Inflater(15, True)
    inflater.start_decompress_message()
    tracemalloc.start()
    try:
        assert len(inflater.decompress_message_data(bomb, 1000)) == 1001
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


def test_what_is_damaged_raises() -> None:
    """Neither nonsense nor a message that ends too early is taken for a message."""
    with pytest.raises(zlib.error):
        read(Inflater(15, True), b"\xff\xff\xff")
    # A stored block of one octet, of which only the length has come; the tail denies it.
    with pytest.raises(zlib.error):
        read(Inflater(15, True), b"\x00\x01\x00")


def test_windows_are_as_agreed_on() -> None:
    """A message that refers to farther back than was agreed on is damaged."""
    first, second = deflated(INCOMPRESSIBLE, INCOMPRESSIBLE[:100])
    large, small = Inflater(15, True), Inflater(9, True)
    assert read(large, first) == read(small, first)
    assert read(large, second) == INCOMPRESSIBLE[:100]
    with pytest.raises(zlib.error):
        read(small, second)
