"""
Rejections of the upgrade of any kind, and such that never end.
"""

from __future__ import annotations

import pytest

from wsmultipool import UpgradeRejected

from .fuzzing import surfaces
from .fuzzing.case import Case
from .fuzzing.effort import Effort
from .fuzzing.examples import hold
from .fuzzing.floods import KIB, MIB, endless, peak_of
from .fuzzing.peers import Ending, Request, Script

CHUNKED = b"HTTP/1.1 503 Later\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_any_rejection_is_reported_and_tried_again() -> None:
    """A right rejection is told as it is, and its Retry-After kept; any other is an error."""
    hold(surfaces.rejection, 100)


def test_how_it_is_cut_does_not_change_a_rejection() -> None:
    """Nothing that a server writes raises anything unforeseen, or is read in two ways."""
    hold(surfaces.rejection_parser, 200)


@pytest.mark.parametrize(
    ("beginning", "again"),
    [
        (b"HTTP/1.1 503 Later\r\n", b"X-More: " + b"x" * 990 + b"\r\n"),
        (b"", b"HTTP/1.1 102 Wait\r\nX: " + b"x" * 975 + b"\r\n\r\n"),
        (b"HTTP/1.1 503 Later\r\nContent-Length: 99999999999\r\n\r\n", b"x" * KIB),
        (b"HTTP/1.1 503 Later\r\n\r\n", b"x" * KIB),
        (CHUNKED, b"1;" + b"x" * 1000 + b"\r\nx\r\n"),
        (CHUNKED + b"1;", b"x" * KIB),
        (CHUNKED + b"ffffffffffffffff\r\n", b"x" * KIB),
    ],
    ids=["head", "interim", "length", "end", "chunks", "line", "chunk"],
)
def test_an_endless_rejection_costs_no_memory(beginning: bytes, again: bytes) -> None:
    """A server that never ends its answer is given up, or what is over the limit not read."""
    assert peak_of(endless(lambda _: beginning, again, 4 * MIB)) < 1500 * KIB


@pytest.mark.parametrize(
    ("beginning", "again", "module"),
    [
        (CHUNKED, b"1\r\nx\r\n", "_rejection"),
        (b"HTTP/1.1 503 Later\r\n", b"A: b\r\n", "_response_head"),
    ],
    ids=["chunks", "head"],
)
def test_a_long_rejection_in_small_reads_costs_little_work(
    beginning: bytes, again: bytes, module: str
) -> None:
    """What was read is not read over and over: a server could keep the whole process busy."""
    octets = beginning + again * (64 * KIB // len(again))
    script = Script(lambda _: [octets[at : at + 1448] for at in range(0, len(octets), 1448)])
    most = 10 * len(octets)
    with Effort(f"wsmultipool/{module}.py", limit=most) as effort:
        Case([script]).run()
    assert effort.lines < most


def test_an_error_quotes_little_of_a_rejection_and_nothing_unprintable() -> None:
    """What a server says cannot fill the log, nor colour or forge its lines."""
    reason = b"\x1b[31mred\r\x07\x85" + b"x" * 20_000
    octets = b"HTTP/1.1 503 " + reason + b"\r\nContent-Length: 0\r\n\r\n"
    heard = Case([Script(lambda _: [octets])]).run()
    [error] = heard.errors
    assert isinstance(error, UpgradeRejected)
    assert str(error).isprintable()
    assert len(str(error)) < 500


@pytest.mark.parametrize("status", [b"404 not found: ", b""], ids=["reason", "bad status"])
def test_a_server_that_repeats_the_request_reveals_no_secret(status: bytes) -> None:
    """The query string stays out of errors and logs, even where the server's words hold it."""

    def answer(request: Request) -> list[bytes]:
        return [b"HTTP/1.1 " + status + request.head.split()[1] + b"\r\nContent-Length: 0\r\n\r\n"]

    heard = Case([Script(answer)]).run()
    assert len(heard.errors) == 1


@pytest.mark.parametrize("media_type", [b"text/plain", b"text/html", b"application/json", b""])
@pytest.mark.parametrize("ending", ["close", "silence"])
def test_a_body_that_repeats_the_request_reveals_no_secret(
    media_type: bytes, ending: Ending
) -> None:
    """What a page says of the request goes into errors and logs without the query and the token."""

    def answer(request: Request) -> list[bytes]:
        head = b"HTTP/1.1 400 Bad Request\r\nContent-Type: " + media_type + b"\r\n\r\n"
        return [head + request.head, b"once more: " + request.head[:-30]]

    heard = Case([Script(answer, ending)]).run()
    [error] = heard.errors
    assert isinstance(error, UpgradeRejected)
    assert "GET" in error.explanation
    assert "***" in error.explanation


def test_any_body_is_explained_in_one_short_line() -> None:
    """Whatever a body is, what is told of it is printable, short, and costs little."""
    hold(surfaces.explanation, 300)
