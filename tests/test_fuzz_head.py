"""
Heads that accept the upgrade, rightly or wrongly, and heads that never end.
"""

from __future__ import annotations

import pytest

from wsmultipool import HandshakeInvalid

from .fuzzing import surfaces
from .fuzzing.case import Case
from .fuzzing.examples import hold, hold_with_user_code
from .fuzzing.floods import KIB, MIB, endless, peak_of
from .fuzzing.heads import SUBPROTOCOL
from .fuzzing.peers import Request, Script
from .leftovers import LoggedFailures

LONG = b"\x1b[31mred\r" + b"x" * 20_000


def with_header(request: Request, header: bytes) -> bytes:
    """
    Accept, with one header more.
    """
    return request.upgrade.removesuffix(b"\r\n") + header + b"\r\n\r\n"


def test_any_head_opens_the_connection_or_is_an_error() -> None:
    """A right answer opens, however strange it looks; any other leads to the next attempt."""
    hold(surfaces.head, 100)


def test_user_code_may_do_anything_meanwhile(logged_failures: LoggedFailures) -> None:
    """Handlers that raise, close and send while servers talk nonsense break nothing."""
    hold_with_user_code(surfaces.head_with_user_code, 40, logged_failures)


def test_an_endless_head_costs_no_memory() -> None:
    """A server whose headers never end is given up."""
    flood = endless(lambda r: r.upgrade[:-2], b"X-More: " + b"x" * 990 + b"\r\n", 4 * MIB)
    assert peak_of(flood) < 700 * KIB


def test_an_endless_line_costs_no_memory() -> None:
    """Neither does a status line that never ends."""
    flood = endless(lambda _: b"HTTP/1.1 101 ", b"x" * KIB, 4 * MIB)
    assert peak_of(flood) < 700 * KIB


@pytest.mark.parametrize(
    "header",
    [
        b"Sec-WebSocket-Protocol: " + LONG,
        b"Sec-WebSocket-Extensions: " + LONG,
        b"Sec-WebSocket-Extensions: permessage-deflate; " + LONG,
        b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=" + LONG,
    ],
)
def test_an_error_quotes_little_of_a_head_and_nothing_unprintable(header: bytes) -> None:
    """What a server says cannot fill the log, nor colour or forge its lines."""
    script = Script(lambda request: [with_header(request, header)])
    heard = Case([script], compression=True, protocols=[SUBPROTOCOL.decode()]).run()
    [error] = heard.errors
    assert isinstance(error, HandshakeInvalid)
    assert str(error).isprintable()
    assert len(str(error)) < 500


@pytest.mark.parametrize("place", [b"Sec-WebSocket-Protocol: ", b"Upgrade: ", b"Connection: "])
def test_a_server_that_repeats_the_request_reveals_no_secret(place: bytes) -> None:
    """The query string stays out of errors and logs, even where the server's words hold it."""

    def answer(request: Request) -> list[bytes]:
        resource = request.head.split()[1]
        head = request.upgrade.replace(place, b"X-Was-" + place)
        return [head.removesuffix(b"\r\n") + place + resource + b"\r\n\r\n"]

    heard = Case([Script(answer)], protocols=[SUBPROTOCOL.decode()]).run()
    [error] = heard.errors
    assert isinstance(error, HandshakeInvalid)
