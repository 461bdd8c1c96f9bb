"""
Reading what clients send: the same as Autobahn reads, wherever the octets are cut.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import count, repeat
from typing import Any

import pytest
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from wsmultipool._masking import find_autobahn
from wsmultipool.service import _client_frames as frames
from wsmultipool.service._relay_protocol import RelayFactory
from wsmultipool.service._unfinished import UnfinishedMessages
from wsmultipool.service.relay_options import RelayOptions
from wsmultipool.service.turn_share import TurnShare

from .local_client import REQUEST, masked

HANDSHAKE = (
    "\r\n".join(["GET / HTTP/1.1", *(f"{n}: {v}" for n, v in REQUEST.items()), "", ""])
).encode()
LONGEST = 70_000


def run(first_octet: int, payloads: Iterable[bytes]) -> bytes:
    """
    Return frames, each masked with a key of its own.
    """
    keys = (hashlib.sha256(b"%d" % number).digest()[:4] for number in count())
    return b"".join(map(masked, repeat(first_octet), payloads, keys))


ORDINARY = {
    "text": masked(0x81, b"hello"),
    "binary": masked(0x82, b"\x00\x01\x02"),
    "empty": masked(0x81, b""),
    "utf8": masked(0x81, "grüße €".encode()),
    "medium": masked(0x82, b"m" * 126) + masked(0x82, b"n" * 300),
    "long": masked(0x82, b"l" * 65_536),
    "many": masked(0x82, b"x") * 40 + masked(0x81, b"y") * 40,
    "run": run(0x82, [b"%03d" % number for number in range(70)]),
    "run of empty": run(0x81, [b""] * 20),
    "run of text": run(0x81, ["grüße €".encode()] * 20),
    "run of medium": run(0x82, [b"%03d" % number * 50 for number in range(20)]),
    "run of long": run(0x82, [b"l" * 65_536] * 17),
    "run, then longer": run(0x82, [b"x"] * 20) + run(0x82, [b"longer"] * 20),
    "run, then text": run(0x82, [b"x"] * 20) + run(0x81, [b"x"] * 20),
}
NOT_MINIMAL = b"\x82\xfe\x00\x05" + masked(0x82, b"12345")[2:]
NOT_MINIMAL_8 = b"\x82\xff" + bytes(6) + b"\x00\x05" + masked(0x82, b"12345")[2:]
OTHERS = {
    "ping": masked(0x89, b"ping"),
    "pong": masked(0x8A, b""),
    "fragments": masked(0x01, b"a") + masked(0x89, b"!") + masked(0x80, b"b"),
    "half a character": masked(0x01, b"\xe2\x82") + masked(0x80, b"\xac"),
    "close": masked(0x88, b"\x03\xe8bye"),
    "close, then more": masked(0x88, b"") + masked(0x81, b"late"),
    "unmasked": b"\x81\x02hi",
    "not minimal": NOT_MINIMAL,
    "not minimal, 8": NOT_MINIMAL_8,
    "binary, then not minimal": masked(0x82, b"!") + NOT_MINIMAL,
    "binary, then not minimal, 8": masked(0x82, b"!") + NOT_MINIMAL_8,
    "bad text": masked(0x81, b"ok\xff"),
    "bad text in a run": run(0x81, [b"ok"] * 20 + [b"o\xff"] + [b"ok"] * 20),
    "run of bad text": run(0x81, [b"o\xff"] * 20),
    "run, then unmasked": run(0x82, [b"x"] * 20) + b"\x82\x01x",
    "run, then close": run(0x82, [b"ab"] * 20) + masked(0x88, b"\x03\xe8") + masked(0x82, b"ab"),
    "run that is not minimal": NOT_MINIMAL * 20,
    "run that is too long": run(0x82, [b"x" * (LONGEST + 1)] * 17),
    "reserved bit": masked(0xC1, b"x"),
    "reserved opcode": masked(0x83, b"x"),
    "continues nothing": masked(0x80, b"x"),
    "too long": masked(0x82, b"x" * (LONGEST + 1)),
    "huge": b"\x82\xff" + (1 << 30).to_bytes(8, "big") + b"1234",
    "long ping": masked(0x89, b"x" * 126),
}


class Reference(WebSocketServerProtocol):
    """
    Autobahn as it comes, keeping what arrives.
    """

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self.state == self.STATE_OPEN:
            self.factory.seen.append((payload, isBinary))


class Guest:
    """
    Takes what arrives, and keeps it.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[bytes, bool]] = []
        self.most = 1_000_000

    def receive(self, payloads: Sequence[bytes], is_binary: bool) -> int:
        taken = payloads[: self.most]
        self.seen += [(payload, is_binary) for payload in taken]
        return len(taken)

    def overflowed(self) -> None:
        raise AssertionError

    def did_not_finish(self) -> None:
        raise AssertionError

    def lost(self, code: int | None, failed_by_relay: bool) -> None: ...


class Door:
    """
    Lets everybody in.
    """

    def __init__(self, clock: Clock) -> None:
        self.guest = Guest()
        self.share = TurnShare(clock)
        self.unfinished = UnfinishedMessages(1_000_000)

    def arrived(self, wire: object) -> None: ...

    def refusal(self, headers: object) -> None: ...

    def refused(self, wire: object, refusal: object) -> None:
        raise AssertionError

    not_secured = refused

    def let_in(self, wire: object) -> Guest:
        return self.guest

    def left(self, wire: object) -> None: ...


class Transport(StringTransport):
    """
    Keeps what is written; that it is closed does not matter here.
    """

    def abortConnection(self) -> None: ...

    def unregisterProducer(self) -> None: ...

    def loseWriteConnection(self) -> None: ...


def our_wire() -> tuple[Any, Guest]:
    """
    Return a relay's wire after the handshake, and what it reports to.
    """
    door = Door(clock := Clock())
    factory = RelayFactory(door, RelayOptions(max_message_size=LONGEST), clock, lambda: True)
    wire: Any = factory.buildProtocol(None)
    wire.makeConnection(Transport())  # type: ignore[no-untyped-call]
    wire.dataReceived(HANDSHAKE)
    wire.transport.clear()
    return wire, door.guest


def autobahn_wire() -> Any:
    """
    Return Autobahn's after the handshake.
    """
    factory: Any = WebSocketServerFactory(reactor=object())
    factory.failByDrop = False
    factory.openHandshakeTimeout = factory.closeHandshakeTimeout = 0
    factory.maxMessagePayloadSize = LONGEST
    factory.protocol = Reference
    factory.seen = []
    wire = factory.buildProtocol(None)
    wire.makeConnection(Transport())  # type: ignore[no-untyped-call]
    wire.dataReceived(HANDSHAKE)
    wire.transport.clear()
    return wire


def told(wire: Any) -> list[tuple[int, bytes]]:
    """
    Return what a wire has answered: opcodes, payloads of pongs, and codes of Close frames.
    """
    data, found, at = wire.transport.value(), [], 0
    while at < len(data):
        size = data[at + 1]
        opcode, payload = data[at] & 0x0F, data[at + 2 : at + 2 + size]
        found.append((opcode, payload[:2] if opcode == 8 else payload))
        at += 2 + size
    return found


def assert_same(pieces: Sequence[bytes]) -> Any:
    """
    Have both read the same octets in the same pieces.
    """
    ours, guest = our_wire()
    theirs = autobahn_wire()
    for piece in pieces:
        ours.dataReceived(piece)
        theirs.dataReceived(piece)
    assert guest.seen == theirs.factory.seen
    assert told(ours) == told(theirs)
    ours._cancel_deadline()
    return ours


STREAMS = {**ORDINARY, **OTHERS}
SHORT = sorted(name for name in STREAMS if len(STREAMS[name]) < 10_000 and name != "huge")


@pytest.mark.parametrize("name", STREAMS)
def test_reading_is_as_autobahn_reads_it(name: str) -> None:
    """In the middle of ordinary messages, in one piece."""
    assert_same([ORDINARY["text"] + STREAMS[name] + ORDINARY["binary"]])


@pytest.mark.parametrize("name", [name for name in STREAMS if len(STREAMS[name]) < 1000])
def test_reading_does_not_depend_on_where_the_octets_are_cut(name: str) -> None:
    """At every octet, and into single ones."""
    stream = ORDINARY["text"] + STREAMS[name] + ORDINARY["utf8"]
    for cut in range(1, len(stream)):
        assert_same([stream[:cut], stream[cut:]])
    assert_same([stream[at : at + 1] for at in range(len(stream))])


@pytest.mark.parametrize("name", ["long", "too long", "run of long", "run that is too long"])
def test_reading_large_messages_does_not_depend_on_it_either(name: str) -> None:
    """Cut within the header, and into reads as a socket makes them."""
    stream = ORDINARY["text"] + STREAMS[name] + ORDINARY["utf8"]
    for size in (1, 3, 5, 12, 17, 1000, 30_000):
        assert_same(
            [stream[:size], *(stream[at : at + 40_000] for at in range(size, len(stream), 40_000))]
        )


def pieces_of(stream: bytes, sizes: Sequence[int]) -> list[bytes]:
    """
    Return the octets cut into pieces of so many, and the rest.
    """
    pieces, at = [], 0
    for size in sizes:
        pieces.append(stream[at : at + size])
        at += size
    return [piece for piece in [*pieces, stream[at:]] if piece]


@given(
    st.lists(st.sampled_from(SHORT), max_size=8),
    st.lists(st.integers(1, 400), max_size=30),
)
def test_any_sequence_is_read_as_autobahn_reads_it(names: list[str], sizes: list[int]) -> None:
    """Whatever follows whatever, in whatever pieces."""
    assert_same(pieces_of(b"".join(STREAMS[name] for name in names), sizes))


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_messages_do_not_need_autobahn(name: str) -> None:
    """All of them are read in the fast way."""
    assert assert_same([ORDINARY[name]]).ordinary_frames > 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0x81, 0x82]),
            st.binary(max_size=3) | st.text(max_size=40).map(str.encode),
            st.integers(1, 100),
        ),
        max_size=4,
    ),
    st.lists(st.integers(1, 4000), max_size=4),
)
def test_any_runs_are_read_as_autobahn_reads_them(
    runs: list[tuple[int, bytes, int]], sizes: list[int]
) -> None:
    """Of any payload, as text or not, as many as there are, in whatever pieces."""
    stream = b"".join(run(octet, [payload] * number) for octet, payload, number in runs)
    assert_same(pieces_of(stream, sizes))


@pytest.mark.parametrize("sizes", [[1, 200, 3, 35_000, 5, 0, 7], [1] * 100])
def test_what_is_not_taken_comes_again(sizes: list[int]) -> None:
    """A client that is to be read from no more loses nothing that was read already."""
    wire, guest = our_wire()
    guest.most = 3

    def take_three(payloads: Sequence[bytes], is_binary: bool) -> int:
        wire.pause_reading()
        return Guest.receive(guest, payloads, is_binary)

    guest.receive = take_three  # type: ignore[method-assign]
    messages = [b"%02d" % number * size for number, size in enumerate(sizes)]
    wire.dataReceived(run(0x82, messages))
    for end in range(3, len(messages) + 3, 3):
        assert [payload for payload, _ in guest.seen] == messages[:end]
        wire.resume_reading()
    assert [payload for payload, _ in guest.seen] == messages


# Single functions


def by_compiled() -> frames.Unmask:
    found = find_autobahn()
    if found is None:
        pytest.skip("Autobahn's masker was not compiled")
    return frames.unmasking_in_place(*found)


@pytest.mark.parametrize(
    "make", [lambda: frames.unmask_by_integers, by_compiled, lambda: frames.unmask]
)
@pytest.mark.parametrize("size", [0, 1, 3, 4, 125, 126, 1000, 70_000])
def test_unmasking_gives_what_was_masked(make: Callable[[], frames.Unmask], size: int) -> None:
    """In each of the ways, for every size, and without changing what was given."""
    unmask = make()
    payload = bytes(number % 251 for number in range(size))
    octets = masked(0x82, payload)
    before = octets[-size:] if size else b""
    assert unmask(before, octets[-size - 4 : len(octets) - size]) == payload
    assert (octets[-size:] if size else b"") == before


def test_a_way_of_unmasking_that_is_wrong_is_not_chosen() -> None:
    """An unknown release of another package may do something else, or fail."""

    def wrong(masked_: bytes, key: bytes) -> bytes:
        return masked_

    def failing(masked_: bytes, key: bytes) -> bytes:
        raise TypeError

    assert frames.choose_unmask(wrong, None) is frames.unmask_by_integers
    assert frames.choose_unmask(failing, None) is frames.unmask_by_integers


def test_without_other_packages_integers_are_chosen() -> None:
    """They are there everywhere."""
    assert frames.choose_unmask(None, None) is frames.unmask_by_integers


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frames_to_clients_have_the_shortest_header(size: int) -> None:
    """And no mask, so that one serves all clients."""
    frame = frames.encode_frame(0x82, b"x" * size)
    header = frames.read_header(frame, 0)
    assert header == frames.FrameHeader(False, len(frame))
    assert len(frame) - size == (2 if size < 126 else 4 if size < 65_536 else 10)


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_the_size_of_a_frame_is_known_from_its_payload(size: int) -> None:
    """It is by that what was not taken is put back."""
    assert frames.frame_size(size) == len(masked(0x82, b"x" * size))
