"""
Tests for L{wsmultipool._framing}.
"""

from __future__ import annotations

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
    encode_frame,
    encode_messages,
    encode_unmasked_frame,
    frame_size,
    is_utf8,
    may_be_ordinary,
    read_header,
    read_messages,
)

LENGTHS = [0, 1, 125, 126, 1024, 1025, 65535, 65536, 200_000]


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
    data = encode_unmasked_frame(FIN | BINARY, some_bytes(size))
    frame = decode(data)
    assert frame.key is None
    assert frame.payload == some_bytes(size)
    assert data.endswith(some_bytes(size))


@pytest.mark.parametrize(
    ("size", "octets"), [(0, 2), (125, 2), (126, 4), (65535, 4), (65536, 10), (200_000, 10)]
)
def test_length_takes_as_few_octets_as_possible(size: int, octets: int) -> None:
    """Servers may refuse a length in more octets than needed, so there never are more."""
    assert decode(encode_unmasked_frame(FIN | BINARY, bytes(size))).header_size == octets
    assert decode(encode_frame(FIN | BINARY, bytes(size))).header_size == octets + 4


def decode_all(data: bytes, sizes: list[int]) -> list[tuple[int, bytes, bytes | None]]:
    """
    Read frames whose payloads have these sizes: opcode, payload and key of each.
    """
    read = []
    for size in sizes:
        end = 4 + frame_size(size)
        frame = decode(data[:end])
        assert (frame.fin, frame.rsv) == (True, 0)
        read.append((frame.opcode, frame.payload, frame.key))
        data = data[end:]
    assert not data
    return read


@pytest.mark.parametrize("size", LENGTHS)
@pytest.mark.parametrize("count", [1, 2, 100])
@pytest.mark.parametrize("is_binary", [False, True])
def test_messages_of_one_size_are_framed_together(size: int, count: int, is_binary: bool) -> None:
    """Whatever way is taken for many of them, each frame is one as if it were alone."""
    count = min(count, 1 + 500_000 // (size + 1))
    payloads = [bytes([number + 32]) * size for number in range(count)]
    octets = encode_messages([(payload, is_binary, None, None, None) for payload in payloads])
    read = decode_all(octets, [size] * count)
    opcode = BINARY if is_binary else TEXT
    assert [(kind, payload) for kind, payload, _ in read] == [(opcode, p) for p in payloads]
    assert len({key for _, _, key in read}) > count - 3


@settings(derandomize=True)
@given(st.lists(st.tuples(st.text(max_size=70).map(str.encode), st.booleans())))
def test_messages_of_any_kind_are_framed_together(messages: list[tuple[bytes, bool]]) -> None:
    """Text and binary, short and long, in the order given; none at all, too."""
    octets = encode_messages([(payload, binary, 0, None, None) for payload, binary in messages])
    read = decode_all(octets, [len(payload) for payload, _ in messages])
    expected = [(BINARY if binary else TEXT, payload) for payload, binary in messages]
    assert [(kind, payload) for kind, payload, _ in read] == expected


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


@settings(derandomize=True)
@given(
    first=st.integers(min_value=0, max_value=255),
    payload=st.binary(max_size=2000),
    mask=st.booleans(),
)
def test_any_frame_is_read_back(first: int, payload: bytes, mask: bool) -> None:
    """Whatever the payload and the first octet are, a receiver gets both."""
    encode = encode_frame if mask else encode_unmasked_frame
    frame = decode(encode(first, payload))
    assert frame.payload == payload
    assert (frame.key is not None) == mask
    assert frame.fin * 128 + frame.rsv * 16 + frame.opcode == first


# Reading


def ordinary(*payloads: bytes, first: int = FIN | BINARY) -> bytes:
    """
    What a server sends for some messages.
    """
    return b"".join(encode_unmasked_frame(first, payload) for payload in payloads)


NO_LIMIT = 1 << 40


@pytest.mark.parametrize("size", LENGTHS)
@pytest.mark.parametrize("first", [FIN | TEXT, FIN | BINARY])
def test_messages_are_read(size: int, first: int) -> None:
    """Messages of every size are found, one behind the other, up to the end of what is there."""
    data = ordinary(b"a" * size, b"", b"b" * size, first=first)
    assert read_messages(data, 0, NO_LIMIT) == ([b"a" * size, b"", b"b" * size], len(data))


@pytest.mark.parametrize("size", [0, 16, 125, 126, 1024, 65536])
@pytest.mark.parametrize("first", [FIN | TEXT, FIN | BINARY])
def test_many_messages_of_one_size_are_read(size: int, first: int) -> None:
    """The shorter way for messages of one size finds the same, and what follows is left."""
    messages = [bytes([65 + number]) * size for number in range(20)]
    data = b"??" + ordinary(*messages, first=first)
    assert read_messages(data, 2, NO_LIMIT) == (messages, len(data))
    for tail in (b"\x89", b"\x89\x00", ordinary(bytes(7))[:-1], ordinary(b"text", first=0x81)[:3]):
        assert read_messages(data + tail, 2, NO_LIMIT)[0] == messages


def test_no_more_than_512_messages_are_read_at_once() -> None:
    """However many there are: who stops in the middle has not had all of them read in vain."""
    alike, different = ordinary(*[b"12"] * 1000), ordinary(*[b"1", b"12"] * 500)
    for data in (alike, different):
        payloads, at = read_messages(data, 0, NO_LIMIT)
        assert len(payloads) == 512
        assert ordinary(*payloads) == data[:at]


@pytest.mark.parametrize("kind", ["text", "binary"])
def test_reading_stops_at_the_other_kind(kind: str) -> None:
    """Text and binary are not mixed up."""
    one, other = (FIN | TEXT, FIN | BINARY) if kind == "text" else (FIN | BINARY, FIN | TEXT)
    for count in (1, 20):
        data = ordinary(*[b"one"] * count, first=one)
        mixed = data + ordinary(b"two", first=other)
        assert read_messages(mixed, 0, NO_LIMIT) == ([b"one"] * count, len(data))


@pytest.mark.parametrize("count", [0, 1, 2, 30])
@pytest.mark.parametrize(
    "unusual",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x82", id="half a header"),
        pytest.param(b"\x82\x7e\x01", id="half a length"),
        pytest.param(b"\x82\x7f\x00\x00\x00", id="half a long length"),
        pytest.param(b"\x82\x05four", id="not whole"),
        pytest.param(b"\x82\x7e\x01\x00" + bytes(255), id="not whole either"),
        pytest.param(b"\x82\x85\x00\x00\x00\x00five!", id="masked"),
        pytest.param(b"\x82\x7e\x00\x05five!", id="length not minimal"),
        pytest.param(b"\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x05five!", id="nor here"),
        pytest.param(b"\x82\x7f\x00\x00\x00\x00\x40\x00\x00\x00", id="1 GB"),
        pytest.param(b"\x02\x05first", id="a fragment"),
        pytest.param(b"\x80\x05third", id="a continuation"),
        pytest.param(b"\xc2\x05crypt", id="compressed"),
        pytest.param(b"\x89\x05ping?", id="a ping"),
        pytest.param(b"\x88\x00", id="a close"),
        pytest.param(b"\x83\x00", id="an unknown opcode"),
    ],
)
def test_reading_stops_at_what_is_not_ordinary(unusual: bytes, count: int) -> None:
    """All that is left of a stream begins with the first frame that Autobahn must see."""
    data = ordinary(*[b"12345"] * count)
    payloads, at = read_messages(data + unusual, 0, 1000)
    assert (payloads, at) == ([b"12345"] * count, len(data))
    assert read_messages(data + b"\x82\x011" + unusual, len(data), 1000)[1] == len(data) + 3


@pytest.mark.parametrize("limit", [0, 1, 124, 125, 126, 1000, 65535, 65536])
def test_reading_stops_at_what_is_too_long(limit: int) -> None:
    """The limit is for each message, and holds from its header on."""
    for count in (1, 20):
        data = ordinary(*[bytes(limit)] * count)
        assert read_messages(data, 0, limit) == ([bytes(limit)] * count, len(data))
        longer = ordinary(*[bytes(limit + 1)] * count)
        assert read_messages(longer, 0, limit) == ([], 0)
        assert read_messages(data + longer, 0, limit) == ([bytes(limit)] * count, len(data))


@pytest.mark.parametrize("count", [0, 1, 20])
def test_reading_stops_at_text_that_is_not_utf8(count: int) -> None:
    """Text is checked, also where it comes in many messages of one size."""
    good = ordinary(*["ä".encode()] * count, first=FIN | TEXT)
    bad = ordinary(b"\xc3\xff", first=FIN | TEXT)
    for behind in (b"", good, ordinary(b"ok", first=FIN | TEXT)):
        payloads, at = read_messages(good + bad + behind, 0, NO_LIMIT)
        assert (payloads, at) == (["ä".encode()] * count, len(good))
    assert read_messages(ordinary(b"\xc3\xff"), 0, NO_LIMIT)[0] == [b"\xc3\xff"]


def test_utf8_is_what_the_standard_says() -> None:
    """No surrogates, nothing too long, nothing beyond Unicode, nothing incomplete."""
    assert all(map(is_utf8, [b"", b"ascii", "grüße \U0010ffff".encode()]))
    wrong = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"]
    assert not any(map(is_utf8, wrong))


@pytest.mark.parametrize("size", LENGTHS)
def test_size_of_a_frame_is_known_from_its_payload(size: int) -> None:
    """A message takes that much of a stream."""
    assert frame_size(size) == len(ordinary(bytes(size)))


@pytest.mark.parametrize("size", LENGTHS)
@pytest.mark.parametrize("masked", [False, True])
def test_header_tells_where_a_frame_ends(size: int, masked: bool) -> None:
    """Whatever the frame, its header says where the next one begins, once it is all there."""
    frame = (encode_frame if masked else encode_unmasked_frame)(FIN | PING, bytes(size))
    header = read_header(b"..." + frame + b"...", 3)
    assert header is not None
    assert header.payload_at + header.size == len(frame)
    assert (header.first_octet, header.size) == (FIN | PING, size)
    assert header.is_plain is not masked
    assert not header.is_ordinary
    for missing in range(1, header.payload_at + 1):
        assert read_header(frame[: header.payload_at - missing], 0) is None


def test_header_tells_what_is_ordinary() -> None:
    """Whole messages in minimal, unmasked frames are."""
    for first, expected in [
        (0x81, True),
        (0x82, True),
        (0x01, False),
        (0xC1, False),
        (0x88, False),
    ]:
        header = read_header(bytes((first, 126, 0, 126)), 0)
        assert header is not None
        assert header.is_ordinary is expected
    for wasteful in (b"\x82\x7e\x00\x7d", b"\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff"):
        header = read_header(wasteful, 0)
        assert header is not None
        assert not header.is_plain


def test_part_of_a_header_may_be_ordinary() -> None:
    """One octet says what kind of frame it is, two whether it is masked."""
    assert may_be_ordinary(b"..\x81", 2)
    assert may_be_ordinary(b"\x82\x7f", 0)
    assert not may_be_ordinary(b"\x82\x80", 0)
    assert not may_be_ordinary(b"\x83", 0)


@settings(derandomize=True)
@given(
    sizes=st.lists(st.sampled_from([0, 1, 5, 5, 5, 125, 126, 200]), max_size=60),
    cut=st.integers(min_value=0, max_value=20),
    kinds=st.lists(st.sampled_from([FIN | TEXT, FIN | BINARY]), min_size=1, max_size=3),
)
def test_any_messages_are_read_back(sizes: list[int], cut: int, kinds: list[int]) -> None:
    """Reading until nothing more is found gives all messages that are there as a whole."""
    frames = [(kinds[i % len(kinds)], bytes([48 + i % 10]) * size) for i, size in enumerate(sizes)]
    data = b"".join(encode_unmasked_frame(*frame) for frame in frames)
    data = data[: max(len(data) - cut, 0)]
    at, found = 0, []
    while True:
        payloads, end = read_messages(data, at, NO_LIMIT)
        if not payloads:
            break
        found += [(data[at], payload) for payload in payloads]
        at = end
    assert found == frames[: len(found)]
    rest = b"".join(encode_unmasked_frame(*frame) for frame in frames[len(found) :])
    assert rest.startswith(data[at:])
    assert len(rest) - len(data[at:]) <= cut
    assert not found[len(frames) :]
    if len(found) < len(frames):
        assert len(encode_unmasked_frame(*frames[len(found)])) > len(data) - at
