"""
Frames of any kind, and floods of them.
"""

from __future__ import annotations

import pytest

from wsmultipool import ProtocolViolation

from .fuzzing import surfaces
from .fuzzing.case import LARGEST, Case, Heard
from .fuzzing.examples import hold, hold_with_user_code
from .fuzzing.floods import KIB, MIB, announcing, endless, peak_of, plainly
from .fuzzing.frames import frame
from .fuzzing.peers import Ending, Request, Script
from .fuzzing.reference import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from .fuzzing.wires import wire
from .leftovers import LoggedFailures

FIN = 0x80


def hear(*frames: bytes, ending: Ending = "close") -> Heard:
    """
    Let a pool hear these frames, each in a read of its own, and then a good server.
    """
    return Case([Script(lambda request: [request.upgrade, *frames], ending)]).run()


def test_any_frames_are_what_the_reference_makes_of_them() -> None:
    """Messages, pings and violations are those that RFC 6455 says, however the reads are cut."""
    hold(surfaces.frames, 120)


def test_any_frames_are_the_same_to_a_protocol_that_is_paused_in_between() -> None:
    """So they are when reading stops and goes on in the middle of a read, compressed or not."""
    hold(wire, 150)


def test_user_code_may_do_anything_meanwhile(logged_failures: LoggedFailures) -> None:
    """Handlers that raise, close, pause and send in the middle of a read break nothing."""
    hold_with_user_code(surfaces.frames_with_user_code, 60, logged_failures)


@pytest.mark.parametrize("together", [True, False])
def test_what_follows_a_close_frame_is_discarded(together: bool) -> None:
    """After the server's Close frame there is no message (RFC 6455, section 1.4)."""
    frames = [
        frame(FIN | BINARY, b"before"),
        frame(FIN | CLOSE, b"\x03\xe8"),
        frame(FIN | BINARY, b"after"),
    ]
    heard = hear(b"".join(frames)) if together else hear(*frames)
    assert heard.messages[:-1] == [(b"before", True)]


def test_nonsense_after_a_close_frame_is_no_violation() -> None:
    """The connection was over: what then comes is nobody's business, and the close was clean."""
    heard = hear(frame(FIN | CLOSE, b"\x03\xe8"), b"\xff\xff\xff\xff\xff\xff\xff\xff")
    assert heard.errors == []
    assert heard.closes[0] == (1000, "")


@pytest.mark.parametrize("code", [1000, 1001, 1012, 1013, 1014, 3000, 4999])
def test_registered_close_codes_are_accepted(code: int) -> None:
    """All codes that a server may send close cleanly, 1014 (a gateway's) among them."""
    heard = hear(frame(FIN | CLOSE, code.to_bytes(2, "big") + b"bye"))
    assert heard.errors == []
    assert heard.closes[0] == (code, "bye")


@pytest.mark.parametrize(
    "beginning",
    [
        frame(FIN | CLOSE, b""),
        announcing(FIN | BINARY, 1 << 40),
        announcing(FIN | PING, 1 << 40),
        announcing(FIN | 0xF, 1 << 40),
        frame(FIN | CLOSE, b"") + announcing(FIN | PING, 1 << 40),
        frame(FIN | TEXT, b"\xff") + announcing(BINARY, 1 << 40),
    ],
    ids=["close", "too big", "long ping", "reserved", "close and ping", "violation"],
)
def test_what_is_not_wanted_any_more_costs_no_memory(beginning: bytes) -> None:
    """After a violation, or the Close frame, nothing that still comes is kept."""
    flood = endless(lambda request: request.upgrade + beginning, b"x" * KIB, 4 * MIB)
    assert peak_of(flood) < 700 * KIB


@pytest.mark.parametrize(
    ("beginning", "again"),
    [
        (b"", frame(FIN | PING, b"x" * 125)),
        (b"", frame(FIN | PONG, b"x" * 125)),
        (b"", frame(FIN | BINARY, b"x" * LARGEST)),
        (b"", frame(FIN | TEXT, b"")),
        (frame(FIN | CLOSE, b""), frame(FIN | BINARY, b"x" * 100)),
    ],
    ids=["pings", "pongs", "messages", "empty messages", "messages after close"],
)
def test_many_frames_cost_no_memory(beginning: bytes, again: bytes) -> None:
    """Frames are dealt with as they come: none is kept."""

    def begin(request: Request) -> bytes:
        return request.upgrade + beginning

    total = 16 * KIB if len(again) < 9 else MIB
    assert peak_of(endless(begin, again, total)) < 700 * KIB


def test_empty_fragments_cost_no_memory() -> None:
    """A message of nothing but empty fragments never reaches the largest size, nor the memory."""

    def flood(request: Request) -> bytes:
        return plainly(request) + frame(BINARY, b"")

    empty = frame(CONTINUATION, b"")
    short = peak_of(endless(flood, empty, 32 * KIB))
    long = peak_of(endless(flood, empty, 96 * KIB))
    assert long - short < 100 * KIB


def test_a_violation_is_told_with_its_code() -> None:
    """A masked frame is an error with code 1002, and the next connection works."""
    heard = hear(frame(FIN | TEXT, b"masked", mask=b"abcd"))
    [error] = heard.errors
    assert isinstance(error, ProtocolViolation)
    assert error.code == 1002
