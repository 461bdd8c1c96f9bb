"""
Tests for L{wsmultipool._deflate}.
"""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from wsmultipool._deflate import Deflater
from wsmultipool._message_kinds import SharedMessage
from wsmultipool.messages import Message

TEXT = b"the same words again and again, " * 20
TAIL = b"\x00\x00\xff\xff"


class Inflater:
    """
    A peer that keeps its window from message to message, as RFC 7692, section 7.2.2, says.
    """

    def __init__(self, window_bits: int = 15) -> None:
        self._inflate = zlib.decompressobj(wbits=-window_bits)

    def read(self, *parts: bytes) -> bytes:
        return self._inflate.decompress(b"".join(parts) + TAIL)


def message(payload: bytes, *, first: bool = True, fin: bool = True) -> Message:
    """
    Make a message, or a fragment of one.
    """
    made = Message(payload, False)
    made.first, made.fin = first, fin
    return made


def shared(payload: bytes) -> Any:
    """
    Make a message for many connections.
    """
    return SharedMessage(payload, False, None, True)


def test_messages_refer_to_those_before_them() -> None:
    """What the peer has in its window need not be sent again."""
    deflater, peer = Deflater(15, 8, True), Inflater()
    first, second = deflater.compress(message(TEXT)), deflater.compress(message(TEXT))
    assert len(second) < len(first) / 2
    assert (peer.read(first), peer.read(second)) == (TEXT, TEXT)


def test_messages_stand_alone_where_that_was_agreed_on() -> None:
    """Without context takeover each message can be read by itself."""
    deflater = Deflater(15, 8, False)
    first, second = deflater.compress(message(TEXT)), deflater.compress(message(TEXT))
    assert first == second
    assert Inflater().read(second) == TEXT


@pytest.mark.parametrize("keeps_context", [True, False])
def test_fragments_are_one_message(keeps_context: bool) -> None:
    """A later fragment refers to an earlier one in any case."""
    deflater, peer = Deflater(15, 8, keeps_context), Inflater()
    parts = [
        deflater.compress(message(TEXT, fin=False)),
        deflater.compress(message(TEXT, first=False, fin=False)),
        deflater.compress(message(TEXT, first=False)),
    ]
    assert peer.read(*parts) == TEXT * 3
    assert peer.read(deflater.compress(message(b"next"))) == b"next"


@pytest.mark.parametrize("window_bits", [9, 15])
def test_windows_are_as_agreed_on(window_bits: int) -> None:
    """A peer with a small window can read it."""
    deflater, peer = Deflater(window_bits, 8, True), Inflater(window_bits)
    payload = bytes(range(256)) * 40
    for _ in range(3):
        assert peer.read(deflater.compress(message(payload))) == payload


def test_a_shared_message_is_compressed_once() -> None:
    """Connections with windows of one size send the very same octets."""
    one, two, small = Deflater(15, 8, True), Deflater(15, 8, True), Deflater(9, 8, True)
    broadcast = shared(TEXT)
    octets = one.compress(broadcast)
    assert two.compress(broadcast) is octets
    assert one.compress(broadcast) is octets
    for_small = small.compress(broadcast)
    assert Inflater(9).read(for_small) == TEXT
    assert broadcast.prepared == {15: octets, 9: for_small}


def test_a_connections_own_messages_are_intact_around_shared_ones() -> None:
    """The peer reads personal, shared, shared, personal messages, whatever refers to what."""
    deflater, peer = Deflater(15, 8, True), Inflater()
    other = Deflater(15, 8, True)
    other.compress(message(b"something else that is in no other window"))
    first, second = shared(TEXT + b"to all"), shared(TEXT + b"to all, once more")
    for each in [first, second]:
        other.compress(each)
    mine = [message(TEXT + b"mine"), message(b"mine again: " + TEXT), message(TEXT)]
    order = [mine[0], first, mine[1], mine[2], second, first, message(TEXT + b"last")]
    for each in order:
        assert peer.read(deflater.compress(each)) == each.payload


def test_nothing_can_be_compressed() -> None:
    """An empty message is one, personal or shared."""
    deflater, peer = Deflater(15, 8, True), Inflater()
    for each in [
        message(b""),
        message(b"x"),
        message(b""),
        message(b""),
        shared(b""),
        message(b""),
    ]:
        assert peer.read(deflater.compress(each)) == each.payload
