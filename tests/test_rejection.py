"""
Tests for L{wsmultipool._rejection}.
"""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wsmultipool._rejection import LONGEST_BODY, RejectionReader
from wsmultipool._response_head import HeadReader
from wsmultipool.errors import HandshakeInvalid
from wsmultipool.handshake import UpgradeResponse

from .thoroughness import cases

LENGTH = (
    b"HTTP/1.1 401 Unauthorized\r\n"
    b'WWW-Authenticate: Bearer realm="feed"\r\n'
    b"Content-Length: 13\r\n"
    b"\r\n"
    b"no token here"
)
CHUNKED = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"Transfer-Encoding: chunked\r\n"
    b"Retry-After: 120\r\n"
    b"\r\n"
    b"4\r\nbusy\r\n"
    b"00b;extension=1\r\n, try later\r\n"
    b"0\r\n"
    b"Trailer: 1\r\n"
    b"\r\n"
)
UNTIL_EOF = b"HTTP/1.0 502 Bad Gateway\r\nServer: old\r\n\r\nthe server behind is down"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH

HEAD = b"HTTP/1.1 400 Bad Request\r\n"


def end_of_head(data: bytes) -> int:
    """
    Return how many octets the head has.
    """
    return data.index(b"\r\n\r\n") + 4


class Reader:
    """
    Reads a response as it arrives: first its head, then its body.
    """

    def __init__(self, *secrets: str) -> None:
        self._secrets = secrets
        self._head_reader = HeadReader()
        self._body_reader: RejectionReader | None = None

    def read(self, data: bytes, at_end: bool) -> UpgradeResponse | None:
        """
        Read on.
        """
        if self._body_reader is None:
            head = self._head_reader.read(data)
            if head is None:
                return None
            data = bytes(self._head_reader.unread)
            self._body_reader = RejectionReader(head, self._secrets)
        return self._body_reader.read(data, at_end)


def read_rejection(data: bytes, at_end: bool) -> UpgradeResponse | None:
    """
    Read what arrives in one piece.
    """
    return Reader().read(data, at_end)


def read(data: bytes, at_end: bool = False) -> UpgradeResponse:
    """
    Read a response that must be complete.
    """
    response = read_rejection(data, at_end)
    assert response is not None
    return response


def test_status_reason_headers_and_body() -> None:
    """All that the server said is in the response; names of headers are in lower case."""
    response = read(LENGTH)
    assert (response.status, response.reason) == (401, "Unauthorized")
    assert response.headers == {
        "www-authenticate": 'Bearer realm="feed"',
        "content-length": "13",
    }
    assert response.body == b"no token here"
    assert (response.protocol, response.extensions) == (None, ())


def test_a_chunked_body_is_put_together() -> None:
    """Of a chunked body, the octets are kept, not the framing."""
    response = read(CHUNKED)
    assert (response.status, response.reason) == (503, "Service Unavailable")
    assert response.body == b"busy, try later"
    assert response.headers["retry-after"] == "120"


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    """An old server says nothing of length: the body is complete when nothing more comes."""
    assert read_rejection(UNTIL_EOF, at_end=False) is None
    response = read(UNTIL_EOF, at_end=True)
    assert (response.status, response.body) == (502, b"the server behind is down")


@pytest.mark.parametrize("status", [204, 304])
def test_some_responses_have_no_body(status: int) -> None:
    """After a status that has no body, none is waited for."""
    assert read(b"HTTP/1.1 %d Whatever\r\n\r\n" % status).body == b""


def test_an_empty_body() -> None:
    """With a length of 0 nothing more is waited for, and what follows is not the body."""
    assert read(HEAD + b"Content-Length: 0\r\n\r\nmore").body == b""


def test_interim_responses_are_passed_over() -> None:
    """What a server says before its answer (RFC 9110, section 15.2) is not the answer."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
    assert read_rejection(hints, at_end=False) is None
    assert read(hints + CONTINUED) == read(LENGTH)


@pytest.mark.parametrize("coding", [b"chunked", b"Chunked ", b"gzip, chunked"])
def test_chunks_are_told_by_the_last_coding(coding: bytes) -> None:
    """The name of a coding has no case, may have spaces around it, and the last one counts."""
    data = HEAD + b"Transfer-Encoding: " + coding + b"\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
    assert read(data).body == b"hi"


def test_an_unknown_coding_ends_with_the_connection() -> None:
    """Without chunks there is no other end; a length beside it does not count."""
    data = HEAD + b"Transfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nbody"
    assert read_rejection(data, at_end=False) is None
    assert read(data, at_end=True).body == b"body"


@pytest.mark.parametrize("length", [b"-1", b"five", b"", b"\xb2", b"1.5"])
def test_a_length_that_is_none_does_not_count(length: bytes) -> None:
    """Then the body ends with the connection."""
    data = HEAD + b"Content-Length: " + length + b"\r\n\r\nbody"
    assert read_rejection(data, at_end=False) is None
    assert read(data, at_end=True).body == b"body"


@pytest.mark.parametrize(
    "data", [LENGTH, CHUNKED, UNTIL_EOF, CONTINUED], ids=["length", "chunked", "eof", "continued"]
)
def test_a_response_may_arrive_in_any_two_pieces(data: bytes) -> None:
    """Wherever it is cut, the first piece is either not enough or all that matters."""
    whole = read(data, at_end=True)
    for size in range(len(data)):
        reader = Reader()
        response = reader.read(data[:size], at_end=False) or reader.read(data[size:], at_end=True)
        assert response == whole, f"cut after {data[:size]!r}"


@pytest.mark.parametrize(
    "data", [LENGTH, CHUNKED, CONTINUED], ids=["length", "chunked", "continued"]
)
def test_a_response_may_arrive_octet_by_octet(data: bytes) -> None:
    """It is complete with its last octet; that of a chunked body, with the zero at its end."""
    reader = Reader()
    responses = [reader.read(data[at : at + 1], at_end=False) for at in range(len(data))]
    complete = [response for response in responses if response is not None]
    assert complete == responses[-len(complete) :] == [read(data)] * len(complete)
    assert len(complete) == 1 or data[: 1 - len(complete)].endswith(b"\r\n0\r\n")


@pytest.mark.parametrize("data", [LENGTH, UNTIL_EOF], ids=["length", "eof"])
def test_a_response_that_breaks_off_is_kept_as_far_as_it_came(data: bytes) -> None:
    """When the connection ends in the middle of the body, what was received counts."""
    head = end_of_head(data)
    for size in range(head, len(data)):
        response = read(data[:size], at_end=True)
        assert response.body == data[head:size]
        assert response.headers == read(data, at_end=True).headers


def test_a_chunked_body_that_breaks_off_is_kept_as_far_as_it_came() -> None:
    """When the connection ends in the middle of a chunk, what was received of it counts."""
    head = end_of_head(CHUNKED)
    response = read(CHUNKED[:head] + b"4\r\nbusy\r\nb\r\n, try", at_end=True)
    assert response.status == 503
    assert response.body == b"busy, try"


@pytest.mark.parametrize("beyond", [0, 1, 100_000])
def test_no_more_than_64_kib_of_a_body_are_kept(beyond: int) -> None:
    """A long body is cut, however its length is told; the rest is not waited for."""
    body = bytes(i % 251 for i in range(LONGEST_BODY + beyond))
    kept = body[:LONGEST_BODY]
    assert read(HEAD + b"\r\n" + body).body == kept
    assert read(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body).body == kept
    chunk = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body)
    assert read(HEAD + chunk + body).body == kept
    pieces = (body[start : start + 1000] for start in range(0, len(body), 1000))
    chunks = b"".join(b"%x\r\n" % len(piece) + piece + b"\r\n" for piece in pieces)
    assert read(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks).body == kept


def test_a_body_that_never_ends_is_kept_as_far_as_it_came() -> None:
    """A server may keep a stream open behind a rejection: what came of it is told on demand."""
    stream = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hi\n\n"
    reader = Reader()
    assert reader.read(stream, at_end=False) is None
    assert reader.read(b"data: 1", at_end=False) is None
    response = reader.read(b"", at_end=True)
    assert response is not None
    assert (response.status, response.body) == (200, b": hi\n\ndata: 1")
    assert response.explanation == ": hi data: 1"


def test_what_a_text_says_is_the_explanation() -> None:
    """It is told by the type of the content, in one line, and without what the request was."""
    head = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 26\r\n"
    body = b"the token\nabc123 is revoked"[:26]
    response = Reader("abc123").read(head + b"\r\n" + body, at_end=False)
    assert response is not None
    assert response.explanation == "the token *** is revoke"
    coded = Reader().read(head + b"Content-Encoding: br\r\n\r\n" + body, at_end=False)
    assert coded is not None
    assert coded.explanation == ""


def test_a_secret_that_did_not_come_in_full_is_not_told_either() -> None:
    """A body that is cut in the middle of a token tells nothing of it."""
    head = b"HTTP/1.1 403 No\r\nContent-Type: text/plain\r\nContent-Length: 99\r\n\r\n"
    response = Reader("Bearer abcdefgh").read(head + b"no entry for Bearer abcd", at_end=True)
    assert response is not None
    assert response.explanation == "no entry for ***"


def test_a_field_that_occurs_several_times_can_be_had_one_by_one() -> None:
    """Of a rejection the challenges, of which each may contain commas, are told apart."""
    response = read(
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n"
        b'WWW-Authenticate: Digest realm="a", qop="auth"\r\nwww-authenticate: Bearer\r\n\r\n'
    )
    assert response.get_all("WWW-Authenticate") == ['Digest realm="a", qop="auth"', "Bearer"]


def test_a_long_body_is_not_waited_for() -> None:
    """A response that promises gigabytes is complete with its first 64 KiB."""
    body = bytes(LONGEST_BODY)
    promise = HEAD + b"Content-Length: 99999999999999999999\r\n\r\n"
    assert read_rejection(promise + body[:-1], at_end=False) is None
    assert read(promise + body).body == body
    chunk = HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"
    assert read_rejection(chunk + body[:-1], at_end=False) is None
    assert read(chunk + body).body == body


def test_overhead_without_end_is_not_waited_for() -> None:
    """A server can't make a client collect megabytes of chunk headers around a short body."""
    chunks = (b"1;" + b"x" * 60_000 + b"\r\n.\r\n") * 50
    data = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
    assert len(data) > 40 * LONGEST_BODY
    with suppress(HandshakeInvalid):
        assert read_rejection(data, at_end=False) is not None


def test_a_broken_chunk_is_not_waited_for() -> None:
    """When the framing of a body is broken, more octets can't mend it."""
    for broken in (b"no number\r\n", b"3\r\n now\r\n"):
        data = HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbusy\r\n" + broken
        assert read(data).body.startswith(b"busy")


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-ffffffffffffffffffffffff\r\nabc",
        HEAD + b"Content-Type: multipart/mixed; boundary*=a; boundary*0=b\r\n\r\n",
    ],
    ids=["negative chunk", "contradictory parameters"],
)
def test_what_confuses_the_parser_is_an_invalid_handshake(data: bytes) -> None:
    """Whatever the parser beneath raises, nothing but HandshakeInvalid comes out."""
    with suppress(HandshakeInvalid):
        read_rejection(data, at_end=True)


def test_a_chunk_of_negative_size_does_not_lift_the_limit() -> None:
    """Nonsense about sizes does not make more than 64 KiB be kept."""
    data = HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n" + bytes(2 * LONGEST_BODY)
    with suppress(HandshakeInvalid):
        assert len(read(data, at_end=True).body) <= LONGEST_BODY


pieces = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *(b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: x\r\n"),
                *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n"),
                *(b"Content-Type: multipart/mixed\r\n", b"Content-Type: ; boundary*0*=\r\n"),
                *(b"Content-Type: multipart/mixed; boundary*", b"boundary", b"=?", b"''"),
                *(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n"),
                *(b"\r\n", b"\r\n\r\n", b"\n", b"\r", b": ", b";", b"0", b"5\r\nhello\r\n", b"-"),
                *(b"ffffffffffffffffffff", b"Connection: close\r\n", b" folded\r\n", b"\x00"),
            ]
        ),
        st.binary(max_size=10),
    ),
    max_size=12,
).map(b"".join)


@settings(derandomize=True, deadline=None, max_examples=cases(1000))
@given(data=st.one_of(pieces.map(lambda tail: HEAD + tail), st.binary(max_size=60), pieces))
@example(data=b"")
def test_any_octets_are_read_or_refused(data: bytes) -> None:
    """Whatever a server sends, it is a rejection, or not yet one, or HandshakeInvalid."""
    for at_end in (False, True):
        try:
            response = read_rejection(data, at_end)
        except HandshakeInvalid:
            continue
        if response is not None:
            assert 100 <= response.status <= 999
            assert len(response.body) <= LONGEST_BODY
            assert all(isinstance(value, str) for value in response.headers.values())
            assert all(name == name.lower() for name in response.headers)


@settings(derandomize=True, deadline=None)
@given(
    body=st.binary(max_size=200),
    cuts=st.lists(st.integers(min_value=1, max_value=50), max_size=10),
    until=st.integers(min_value=0, max_value=1000),
)
def test_any_chunks_at_any_time(body: bytes, cuts: list[int], until: int) -> None:
    """However a body is cut into chunks, and wherever it stops for now, it is read in full."""
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    framed, rest = b"", body
    for size in [*cuts, len(body)]:
        if rest:
            framed += b"%x\r\n" % len(rest[:size]) + rest[:size] + b"\r\n"
            rest = rest[size:]
    data = head + framed + b"0\r\n\r\n"
    assert read(data).body == body
    early = read_rejection(data[: len(head) + until], at_end=False)
    assert early is None or early.body == body
