"""
Tests for L{wsmultipool._framing}.
"""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsmultipool._framing import (
    BINARY,
    CLOSE,
    COMPRESSED,
    CONTINUATION,
    FIN,
    PING,
    PONG,
    TEXT,
    MaskingKeys,
    encode_frame,
    mask_as_integer,
)

LENGTHS = [0, 1, 125, 126, 1024, 1025, 65535, 65536, 200_000]

# In a process of its own: buys a block of keys, forks, and prints the next key of both branches.
FORK = """
import os, sys
from wsmultipool._framing import encode_frame
first = encode_frame(0x82, bytes(4))
child = os.fork()
if child:
    os.waitpid(child, 0)
print(encode_frame(0x82, bytes(4))[2:6].hex(), flush=True)
os._exit(0)
"""


class Frame(NamedTuple):
    """
    What a receiver makes of a frame.
    """

    fin: bool
    rsv: int
    opcode: int
    key: bytes | None
    payload: bytes
    header_size: int


def xor(key: bytes, payload: bytes) -> bytes:
    """
    Mask the way RFC 6455, section 5.3, puts it: octet i with octet i modulo 4 of the key.
    """
    return bytes(octet ^ key[i % 4] for i, octet in enumerate(payload))


def decode(data: bytes) -> Frame:
    """
    Read one frame, octet by octet as RFC 6455, section 5.2, draws it; nothing may follow it.
    """
    rest = iter(data)

    def number(octets: int) -> int:
        value = 0
        for _ in range(octets):
            value = value * 256 + next(rest)
        return value

    first, second = number(1), number(1)
    length = second % 128
    shortest = 0
    if length == 126:
        length, shortest = number(2), 126
    elif length == 127:
        length, shortest = number(8), 65536
    assert length >= shortest, "not the minimal number of octets for the length"
    key = bytes(number(1) for _ in range(4)) if second >= 128 else None
    payload = bytes(rest)
    assert len(payload) == length
    return Frame(
        fin=first >= 128,
        rsv=first // 16 % 8,
        opcode=first % 16,
        key=key,
        payload=payload if key is None else xor(key, payload),
        header_size=len(data) - length,
    )


def some_bytes(size: int) -> bytes:
    """
    Make a payload in which neither octets nor words repeat too regularly.
    """
    return bytes(i * 7 % 251 for i in range(size))


@pytest.mark.parametrize("size", LENGTHS)
def test_masked_frame_is_read_as_it_was_meant(size: int) -> None:
    """A receiver finds in a frame just the payload that was put in, whatever its length."""
    frame = decode(encode_frame(FIN | BINARY, some_bytes(size)))
    assert frame.payload == some_bytes(size)
    assert (frame.fin, frame.rsv, frame.opcode) == (True, 0, 2)
    assert frame.key is not None


@pytest.mark.parametrize("size", LENGTHS)
def test_unmasked_frame_holds_the_payload_as_it_is(size: int) -> None:
    """Without masking there is no key in the frame, and the payload is in it unchanged."""
    data = encode_frame(FIN | BINARY, some_bytes(size), mask=False)
    frame = decode(data)
    assert frame.key is None
    assert frame.payload == some_bytes(size)
    assert data.endswith(some_bytes(size))


@pytest.mark.parametrize(
    ("size", "octets"), [(0, 2), (125, 2), (126, 4), (65535, 4), (65536, 10), (200_000, 10)]
)
def test_length_takes_as_few_octets_as_possible(size: int, octets: int) -> None:
    """Servers may refuse a length in more octets than needed, so there never are more."""
    assert decode(encode_frame(FIN | BINARY, bytes(size), mask=False)).header_size == octets
    assert decode(encode_frame(FIN | BINARY, bytes(size))).header_size == octets + 4


@pytest.mark.parametrize("opcode", [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG])
@pytest.mark.parametrize("fin", [0, FIN])
@pytest.mark.parametrize("compressed", [0, COMPRESSED])
def test_first_octet_is_what_was_asked_for(opcode: int, fin: int, compressed: int) -> None:
    """Opcode, FIN and the bit that marks compression (RSV1) are where a receiver looks for them."""
    frame = decode(encode_frame(fin | compressed | opcode, b"payload"))
    assert frame.opcode == opcode
    assert frame.fin == bool(fin)
    assert frame.rsv == (4 if compressed else 0)
    assert frame.payload == b"payload"


def test_opcodes_are_those_of_the_standard() -> None:
    """The numbers are those that RFC 6455, section 11.8, assigns."""
    assert (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG) == (0, 1, 2, 8, 9, 10)


def test_short_payloads_do_without_the_masker_for_long_ones() -> None:
    """The masker for long payloads gets those above 1024 octets, with the key in the frame."""
    seen: list[tuple[bytes, bytes]] = []

    def masker(key: bytes, payload: bytes) -> bytes:
        seen.append((key, payload))
        return xor(key, payload)

    short = decode(encode_frame(FIN | TEXT, some_bytes(1024), long_masker=masker))
    assert (short.payload, seen) == (some_bytes(1024), [])
    long = decode(encode_frame(FIN | TEXT, some_bytes(1025), long_masker=masker))
    assert (long.payload, seen) == (some_bytes(1025), [(long.key, some_bytes(1025))])
    encode_frame(FIN | TEXT, some_bytes(1025), mask=False, long_masker=masker)
    assert len(seen) == 1


@settings(derandomize=True)
@given(key=st.binary(min_size=4, max_size=4), payload=st.binary(max_size=300))
def test_masking_is_xor_octet_by_octet(key: bytes, payload: bytes) -> None:
    """Masking gives what the standard says, and masking twice gives the payload back."""
    masked = mask_as_integer(key, payload)
    assert masked == xor(key, payload)
    assert mask_as_integer(key, masked) == payload


@settings(derandomize=True)
@given(
    first=st.integers(min_value=0, max_value=255),
    payload=st.binary(max_size=2000),
    mask=st.booleans(),
)
def test_any_frame_is_read_back(first: int, payload: bytes, mask: bool) -> None:
    """Whatever the payload and the first octet are, a receiver gets both."""
    frame = decode(encode_frame(first, payload, mask))
    assert frame.payload == payload
    assert (frame.key is not None) == mask
    assert frame.fin * 128 + frame.rsv * 16 + frame.opcode == first


def test_every_frame_has_a_key_of_its_own() -> None:
    """No key is used twice, and none can be told from the one before it."""
    keys = [decode(encode_frame(FIN | BINARY, b"")).key or b"" for _ in range(3000)]
    assert {len(key) for key in keys} == {4}
    # By chance some may be equal, or overlap, or have the same octet somewhere; not many.
    assert len(set(keys)) > 2990
    following = list(pairwise(keys))
    for shift in (1, 2, 3):
        assert sum(a[shift:] == b[: 4 - shift] for a, b in following) < (100 if shift == 3 else 10)


def test_equal_payloads_look_different_on_the_wire() -> None:
    """The key is fresh also when the same payload is sent again and again."""
    assert len({encode_frame(FIN | TEXT, b"same payload") for _ in range(100)}) > 90


def test_a_fork_makes_new_keys() -> None:
    """A process that forks, as servers do, never shares keys with its child."""
    ran = subprocess.run(
        [sys.executable, "-c", FORK], check=True, capture_output=True, text=True, timeout=60
    )
    child, parent = ran.stdout.split()
    assert child != parent


def test_what_is_left_of_a_block_is_forgotten() -> None:
    """What Python calls in a forked child has the next key come from a new block."""
    keys = MaskingKeys()
    before = [keys.next() for _ in range(10)]
    keys._forget()
    after = [keys.next() for _ in range(1030)]
    assert len(set(before + after)) > 1030
