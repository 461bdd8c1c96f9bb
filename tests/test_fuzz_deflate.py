"""
Compressed messages, intact or not, bombs, and sizes at the limit.
"""

from __future__ import annotations

import zlib

import pytest

from wsmultipool import ProtocolViolation

from .fuzzing import surfaces
from .fuzzing.case import Case, Heard
from .fuzzing.deflate import bomb
from .fuzzing.examples import hold
from .fuzzing.floods import KIB, MIB, announcing, deflating, endless, peak_of
from .fuzzing.frames import frame
from .fuzzing.peers import Script
from .fuzzing.reference import BINARY, CONTINUATION, TEXT

FIN, COMPRESSED = 0x80, 0x40
HELLO = b"\xf2\x48\xcd\xc9\xc9\x07\x00"  # RFC 7692, section 7.2.3.1
FINAL_HELLO = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"  # the same in a final block, section 7.2.3.4


def hear(*reads: bytes, largest: int = 2000) -> Heard:
    """
    Let a pool hear what comes in these reads, with permessage-deflate, and then a good server.
    """
    script = Script(lambda request: [deflating(request), *reads], "close")
    return Case([script], compression=True, largest=largest).run()


def deflate(payload: bytes, level: int = 9) -> bytes:
    """
    Compress one message.
    """
    stream = zlib.compressobj(level, zlib.DEFLATED, -15)
    data = stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH)
    return data.removesuffix(b"\x00\x00\xff\xff")


def test_any_compressed_frames_are_what_the_reference_makes_of_them() -> None:
    """Messages and violations are those that RFC 7692 says, however the reads are cut."""
    hold(surfaces.deflate, 120)


@pytest.mark.parametrize("pieces", [1, 2, 7])
@pytest.mark.parametrize("level", [0, 9])
@pytest.mark.parametrize("payload", [b"x" * 2000, bytes(range(250)) * 8], ids=["same", "mixed"])
def test_a_message_of_the_largest_size_is_taken(payload: bytes, level: int, pieces: int) -> None:
    """Only its size after decompression counts, however large it was before, or how it was cut."""
    octets = frame(FIN | COMPRESSED | BINARY, deflate(payload, level))
    size = -(-len(octets) // pieces)
    heard = hear(*[octets[at : at + size] for at in range(0, len(octets), size)])
    assert not any(violated(error) for error in heard.errors)
    assert heard.messages[:-1] == [(payload, True)]


def violated(error: Exception) -> bool:
    """
    Whether a peer broke the protocol.
    """
    return isinstance(error, ProtocolViolation)


@pytest.mark.parametrize("level", [0, 9])
def test_fragments_count_by_what_they_stand_for(level: int) -> None:
    """The first half of a message may be hard to compress, and the second easy."""
    payload = bytes(range(256)) * 3 + b"x" * 1232
    data = deflate(payload, level)
    heard = hear(
        frame(COMPRESSED | BINARY, data[: len(data) // 2]),
        frame(FIN | CONTINUATION, data[len(data) // 2 :]),
    )
    assert heard.messages[:-1] == [(payload, True)]


@pytest.mark.parametrize("payload", [b"x" * 2001, bytes(range(250)) * 9], ids=["one", "more"])
def test_a_larger_message_is_refused(payload: bytes) -> None:
    """One octet more than the largest size after decompression ends the connection with 1009."""
    heard = hear(frame(FIN | COMPRESSED | BINARY, deflate(payload)))
    [error] = heard.errors
    assert isinstance(error, ProtocolViolation)
    assert error.code == 1009
    assert heard.messages[:-1] == []


@pytest.mark.parametrize(
    "second", [HELLO, FINAL_HELLO, b"\xf2\x00\x11\x00\x00"], ids=["plain", "final", "reference"]
)
def test_messages_after_a_final_block_are_not_lost(second: bytes) -> None:
    """A final block ends no connection: what follows is read, or refused, but never emptied."""
    heard = hear(
        frame(FIN | COMPRESSED | TEXT, FINAL_HELLO),
        frame(FIN | COMPRESSED | TEXT, second),
    )
    if any(violated(error) for error in heard.errors):
        assert heard.messages[:-1] == [(b"Hello", False)]
    else:
        assert heard.messages[:-1] == [(b"Hello", False)] * 2


def test_a_message_goes_on_behind_a_final_block() -> None:
    """Neither is the rest of a message lost that has a final block in its middle."""
    heard = hear(frame(FIN | COMPRESSED | TEXT, FINAL_HELLO[:-1] + HELLO))
    if not any(violated(error) for error in heard.errors):
        assert heard.messages[:-1] == [(b"HelloHello", False)]


def test_a_bomb_costs_no_memory() -> None:
    """A small frame that stands for 100 MiB is refused before it is that large."""
    octets = frame(FIN | COMPRESSED | BINARY, bomb(100 * MIB))
    flood = endless(lambda request: deflating(request) + octets, b"\x00" * KIB, 128 * KIB)
    assert peak_of(flood, compression=True) < 1500 * KIB


@pytest.mark.parametrize("again", [b"\x00" * 1000, b"\xff" * 1000], ids=["more", "damaged"])
@pytest.mark.parametrize(
    "beginning",
    [
        frame(COMPRESSED | BINARY, bomb(10 * MIB)[:1900]),
        frame(COMPRESSED | BINARY, b"\xff" * 1900),
        announcing(COMPRESSED | BINARY, 1 << 40) + bomb(10 * MIB)[:1900],
    ],
    ids=["bomb", "damaged", "long"],
)
def test_what_follows_a_refused_message_costs_no_memory(beginning: bytes, again: bytes) -> None:
    """Once a message is refused, nothing that still comes is kept."""
    fragment = frame(CONTINUATION, again)
    flood = endless(lambda request: deflating(request) + beginning, fragment, 4 * MIB)
    assert peak_of(flood, compression=True) < 1500 * KIB


def test_what_follows_a_final_block_costs_no_memory() -> None:
    """What comes behind the end of a stream is not kept either."""
    octets = frame(FIN | COMPRESSED | BINARY, b"\x03\x00")
    message = frame(FIN | COMPRESSED | BINARY, b"\x00" * 1900)
    flood = endless(lambda request: deflating(request) + octets, message, 4 * MIB)
    assert peak_of(flood, compression=True) < 1500 * KIB
