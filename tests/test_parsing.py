"""
Tests for L{wsmultipool._parsing}: what a wire does where Autobahn's parser alone would not do it.
"""

from __future__ import annotations

import tracemalloc

import pytest

from wsmultipool._autobahn import PoolProtocol

from .wire_runs import Run, frame, perform
from .wire_streams import deflated

CLOSE = frame(b"\x03\xe8bye", 0x88)
VIOLATIONS = {
    "reserved bit": (frame(b"b", 0xA1), 1002),
    "not UTF-8": (frame(b"b\xff!", 0x81), 1007),
    "long ping": (frame(bytes(200_000), 0x89), 1002),
    "long close": (frame(b"\x03\xe8" + bytes(200_000), 0x88), 1002),
    "too long": (frame(bytes(2001)), 1009),
    "inflates to too much": (frame(deflated(bytes(5000)), 0xC2), 1009),
    "a fragment inflates to too much": (
        frame(deflated(bytes(5000)), 0x42) + frame(b"", 0x80),
        1009,
    ),
    "does not inflate": (frame(b"not compressed", 0xC2), 1007),
    "ends too early": (frame(b"\x00\x01\x00", 0xC2), 1007),
}


def told(
    octets: bytes, cuts: tuple[int, ...], closes_after: int | None = None
) -> list[tuple[object, ...]]:
    """
    Tell what happens with these octets, but for the reads.
    """
    run = Run(octets, cuts, limit=2000, deflate="", closes_after=closes_after)
    happened, _ = perform(run, PoolProtocol)
    return [what for what in happened if what[0] not in ("read", "end", "open")]


@pytest.mark.parametrize("name", VIOLATIONS)
@pytest.mark.parametrize("together", [True, False])
def test_the_close_frame_is_found_behind_a_violation(name: str, together: bool) -> None:
    """What else follows is nobody's business, but the closing handshake is completed."""
    octets, code = VIOLATIONS[name]
    later = [
        *(frame(b"late"), frame(b"late", 0x89), frame(b"late", 0x8A), frame(b"late", 0x01)),
        *(frame(b"", 0x80), frame(deflated(b"late"), 0xC2), frame(bytes(1000)), CLOSE),
    ]
    at = len(octets)
    cuts = [0, at]
    for each in later:
        cuts += [at + 1, at := at + len(each)]
    happened = told(octets + b"".join(later), (0,) if together else tuple(cuts))
    (closing, wrote, lost) = happened
    assert closing == ("closing",)
    assert wrote[:2] == ("wrote", "0x88")
    assert isinstance(wrote[2], bytes)
    assert int.from_bytes(wrote[2][:2], "big") == code
    assert (lost[1], lost[3:]) == ("ProtocolViolation", (1000, "bye"))


@pytest.mark.parametrize("cut", range(40))
def test_all_is_heard_until_the_answer_to_our_close_frame(cut: int) -> None:
    """Messages, pings and pongs count while we wait for it; behind it nothing does."""
    late = frame(b"m") + frame(b"ping", 0x89) + frame(b"pong", 0x8A)
    happened = told(late + CLOSE + late + b"\xff\xff", (0, cut), closes_after=1)
    assert [what for what in happened if what[0] not in ("closing", "wrote")] == [
        *(("message", b"m", True), ("ping", b"ping"), ("pong", b"pong")),
        ("lost", "NoneType", "None", 1000, "bye"),
    ]


def test_small_fragments_cost_about_their_size() -> None:
    """A message of tiny fragments takes no more memory than its size, more or less."""
    count = 100_000
    octets = frame(b"ab", 0x02) + frame(b"ab", 0x00) * count + frame(b"", 0x80)
    run = Run(octets, range(0, len(octets), 1000), limit=1 << 20)
    reads = len(b"".join(run.reads()))
    tracemalloc.start()
    try:
        happened, _ = perform(run, PoolProtocol)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert ("message", b"ab" * (count + 1), True) in happened
    assert peak < reads + 5 * 2 * count


def test_fragments_of_all_sizes_are_put_together_in_order() -> None:
    """Those that are gathered and those that are not are the same message."""
    parts = [bytes([number]) * size for number, size in enumerate((1, 0, 1500, 7, 8, 1024, 1023))]
    octets = frame(parts[0], 0x02) + b"".join(frame(part, 0x00) for part in parts[1:])
    happened, _ = perform(Run(octets + frame(b"", 0x80)), PoolProtocol)
    assert ("message", b"".join(parts), True) in happened
