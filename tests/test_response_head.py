"""
Tests for L{wsmultipool._response_head}.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsmultipool._response_head import (
    LONGEST_HEAD,
    MOST_INTERIM_RESPONSES,
    HeadReader,
    ResponseHead,
)
from wsmultipool.errors import HandshakeInvalid

from .thoroughness import cases

ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSet-Cookie: a=1; Expires=Mon, 1\r\n"
    b"set-cookie: b=2\r\n\r\n"
)
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def read(data: bytes, behind: bytes = b"") -> ResponseHead:
    """
    Read a head that must be complete, with something behind it.
    """
    reader = HeadReader()
    head = reader.read(data + behind)
    assert head is not None
    assert reader.unread == behind
    return head


def test_status_reason_and_fields() -> None:
    """All that a head says is there, and what came behind it is left alone."""
    head = read(ACCEPTED, b"\x81\x02hi")
    assert (head.octets, head.status, head.reason) == (ACCEPTED, 101, "Switching Protocols")
    assert head.fields == (
        ("upgrade", "websocket"),
        ("set-cookie", "a=1; Expires=Mon, 1"),
        ("set-cookie", "b=2"),
    )
    assert head.headers == {"upgrade": "websocket", "set-cookie": "a=1; Expires=Mon, 1, b=2"}


def test_a_head_may_arrive_octet_by_octet() -> None:
    """It is complete with its last octet, and not before."""
    reader = HeadReader()
    octets = CONTINUE + EARLY_HINTS + ACCEPTED
    heads = [reader.read(octets[at : at + 1]) for at in range(len(octets))]
    assert heads == [None] * (len(octets) - 1) + [read(ACCEPTED)]


@pytest.mark.parametrize("interim", [CONTINUE, EARLY_HINTS, b"HTTP/1.1 199 \r\n\r\n"])
def test_interim_responses_are_read_over(interim: bytes) -> None:
    """What a server says before its answer (RFC 9110, section 15.2) is not the answer."""
    reader = HeadReader()
    assert reader.read(interim) is None
    assert reader.read(interim + ACCEPTED + b"more") == read(ACCEPTED)
    assert reader.unread == b"more"


def test_a_server_cannot_go_on_saying_that_it_is_about_to_answer() -> None:
    """There are only so many interim responses that anybody has use for."""
    assert read(CONTINUE * MOST_INTERIM_RESPONSES + ACCEPTED) == read(ACCEPTED)
    with pytest.raises(HandshakeInvalid, match="more than 16 interim responses"):
        HeadReader().read(CONTINUE * (MOST_INTERIM_RESPONSES + 1))


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("before", [b"", EARLY_HINTS], ids=["alone", "after another"])
def test_heads_have_a_limit_together(before: bytes, complete: bool) -> None:
    """A server can't make a client collect more than 64 KiB of heads."""
    end = b"\r\n\r\n"
    line = b"HTTP/1.1 200 OK\r\nX: "
    room = LONGEST_HEAD - len(line) - max(0, len(before) - len(end))
    within = before + line + b"x" * room
    assert HeadReader().read(within) is None
    assert read(within + end).status == 200
    with pytest.raises(HandshakeInvalid, match="longer than 65536 bytes"):
        HeadReader().read(within + b"x" + end * complete)


def test_the_reason_may_be_missing() -> None:
    """A status without a reason phrase is a whole status line."""
    assert read(b"HTTP/1.1 403\r\n\r\n").reason == ""
    assert read(b"HTTP/1.1 101 \r\n\r\n").reason == ""


def test_a_line_that_is_no_header_is_ignored() -> None:
    """What has no colon has no name."""
    assert read(b"HTTP/1.1 400 Bad\r\nno header\r\nX: 1\r\n\r\n").fields == (("x", "1"),)


def test_headers_need_not_be_ascii() -> None:
    """Stray octets are taken for ISO 8859-1, as HTTP once did; errors and logs are ASCII."""
    head = read(b"HTTP/1.1 403 Verg\xe4llt\r\nX: \xff\r\n\r\n")
    assert (head.reason, head.headers) == ("Verg?llt", {"x": "\xff"})


def test_a_folded_header_is_one_line() -> None:
    """A header continued on a second line, as old servers did it, holds no line break."""
    value = read(b"HTTP/1.1 400 Bad\r\nX-Long: one\r\n two\r\n\r\n").headers["x-long"]
    assert value.split() == ["one", "two"]
    assert not {"\r", "\n"} & set(value)


def test_no_secret_is_repeated() -> None:
    """What the server must not repeat is not in the reason, nor in the error."""
    head = HeadReader(["a-token"]).read(b"HTTP/1.1 403 Not a-token\r\n\r\n")
    assert head is not None
    assert head.reason == "Not ***"
    with pytest.raises(HandshakeInvalid) as caught:
        HeadReader(["a-token"]).read(b"HTTP/1.1 Not a-token\r\n\r\n")
    assert caught.value.reason == 'bad status line "HTTP/1.1 Not ***"'


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 abc Bad\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 1000 High\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 401x\r\n\r\n",
        b"HTTP/1.1 " + b"x" * 60_000 + b"\r\n\r\n",
    ],
    ids=lambda data: repr(data[:24]),
)
def test_a_bad_status_line_is_an_invalid_handshake(data: bytes) -> None:
    """The error says, briefly, what is wrong."""
    with pytest.raises(HandshakeInvalid, match="bad status line") as caught:
        HeadReader().read(data)
    assert len(caught.value.reason) <= 200


@pytest.mark.parametrize(
    "data",
    [b"\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"<html>", b"HTTQ", CONTINUE + b"\x81\x02hi"],
)
def test_what_is_no_http_is_known_at_once(data: bytes) -> None:
    """Such a peer may never end its "head", and need not."""
    with pytest.raises(HandshakeInvalid, match="it is not HTTP"):
        HeadReader().read(data)


pieces = st.lists(
    st.one_of(
        st.sampled_from(
            [CONTINUE, EARLY_HINTS, ACCEPTED, b"HTTP/1.1 101", b"HTTP/1.", b"\r\n", b": ", b" x"]
        ),
        st.binary(max_size=10),
    ),
    max_size=8,
).map(b"".join)


@settings(derandomize=True, deadline=None, max_examples=cases(500))
@given(data=pieces, at=st.integers(min_value=0, max_value=200))
def test_how_a_head_is_cut_makes_no_difference(data: bytes, at: int) -> None:
    """Whatever a server sends, it is the same head, or the same error, or not yet one."""

    def outcome(*parts: bytes) -> object:
        reader = HeadReader()
        head = None
        try:
            for part in parts:
                if head is None:
                    head = reader.read(part)
        except HandshakeInvalid as error:
            return str(error)
        return head

    assert outcome(data) == outcome(data[:at], data[at:])
