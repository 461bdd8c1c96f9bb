"""
What a wire makes of the octets that it reads: the same as Autobahn, faster.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsmultipool._autobahn import PoolProtocol

from .thoroughness import cases
from .wire_runs import ACTIONS, PlainWire, Run, frame, perform
from .wire_streams import deflated, random_run

MIB = 1024 * 1024

Told = list[tuple[object, ...]]


def told(run: Run, *kinds: str) -> Told:
    """
    Perform a run, in which our wire must do what Autobahn does.

    @return: what happened, but for the reads, and of the given kinds only if there are any.
    """
    ours, _ = perform(run, PoolProtocol)
    plain, seen = perform(run, PlainWire)
    assert ours == plain
    assert seen == 0
    return [what for what in ours if (what[0] in kinds if kinds else what[0] != "read")]


def texts(*payloads: str) -> bytes:
    """What a server sends for some text messages."""
    return b"".join(frame(payload.encode(), 0x81) for payload in payloads)


@settings(derandomize=True, deadline=None, max_examples=cases(300))
@given(random=st.randoms(use_true_random=False))
def test_it_does_what_autobahn_does(random: Random) -> None:
    """On any stream, in any pieces, whatever handlers do: the same messages, codes and answers."""
    told(random_run(random))


STREAMS = {
    "messages": texts("one", "", "zwölf", "x" * 126) + frame(bytes(3)) + frame(b"", 0x8A),
    "messages of one size": texts(*["abc"] * 20) + frame(b"?", 0x89) + texts("end"),
    "fragments": frame(b"gr\xc3", 0x01) + frame(b"?", 0x89) + frame(b"\xbc", 0x80) + texts("a"),
    "close": texts("bye") + frame(b"\x03\xe8", 0x88) + texts("late"),
    "compressed": frame(deflated(b"ab" * 50), 0xC1) + texts("a") + frame(deflated(b"c"), 0xC2),
    "masked": texts("a") + frame(b"b", mask=True) + texts("c"),
    "length not minimal": texts("a") + frame(b"b", size_octets=3) + texts("c"),
    "long length not minimal": texts("a") + frame(b"b", size_octets=9) + texts("c"),
    "not UTF-8": texts("a") + frame(b"b\xff!", 0x81) + texts("c"),
    "not whole UTF-8": texts("a") + frame(b"b\xc3", 0x81) + texts("c"),
    "surrogate": texts("a") + frame(b"\xed\xa0\x80", 0x81) + texts("c"),
    "unknown opcode": texts("a") + frame(b"b", 0x83) + texts("c"),
    "reserved bit": texts("a") + frame(b"b", 0xA1) + texts("c"),
    "long ping": texts("a") + frame(bytes(126), 0x89) + texts("c"),
    "fragmented ping": texts("a") + frame(b"b", 0x09) + texts("c"),
    "continuation of nothing": texts("a") + frame(b"b", 0x80) + texts("c"),
    "message in a message": texts("a") + frame(b"b", 0x01) + texts("c"),
    "too long": texts("a") + frame(bytes(201)) + texts("c"),
    "a gigabyte": texts("a") + b"\x82\x7f" + (1 << 30).to_bytes(8, "big") + texts("c"),
    "not a length": texts("a") + b"\x82\x7f" + b"\xff" * 8 + texts("c"),
    "inflates to too much": frame(deflated(bytes(5000)), 0xC2) + texts("a"),
    "does not inflate": frame(b"not compressed", 0xC2) + texts("a"),
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("deflate", [None, ""])
def test_it_does_not_matter_where_a_read_ends(name: str, deflate: str | None) -> None:
    """Cut in two at any octet, or into single octets, a stream means what it means to Autobahn."""
    octets = STREAMS[name]
    for cut in range(len(octets) + 1):
        told(Run(octets, (0, cut), limit=200, deflate=deflate))
    told(Run(octets, range(len(octets)), limit=200, deflate=deflate))


@pytest.mark.parametrize("action", [name for name in ACTIONS if name != "fail"])
@pytest.mark.parametrize("at", range(4))
def test_it_does_not_matter_what_a_handler_does(action: str, at: int) -> None:
    """Whatever is called in the middle of a read holds from the next message on."""
    octets = texts("1", "2", "3") + frame(b"4", 0x89) + frame(b"5") + frame(b"6", 0x01)
    octets += frame(b"7", 0x8A) + frame(b"8", 0x80) + texts("9", *["same"] * 20)
    for cuts in [(), (0,), (0, 4, 11), range(0, len(octets), 5)]:
        for leaky in (False, True):
            told(Run(octets, cuts, {at: action}, leaky=leaky))
            told(Run(octets, cuts, {at: action, at + 2: "read_more", at + 3: "close"}, leaky=leaky))


def test_most_frames_are_not_seen_by_autobahn() -> None:
    """Ordinary messages, pings and pongs take the short way, however the reads are cut."""
    octets = texts("one", "two") + frame(bytes(70_000)) + frame(b"", 0x89) + frame(b"", 0x8A)
    for cuts in [(), (0,), (0, 1, 2, 3, 8, 20, 70_010), range(0, len(octets), 100)]:
        happened, ordinary = perform(Run(octets, cuts), PoolProtocol)
        assert ordinary == 5
        assert [what[0] for what in happened if what[0] in ("message", "ping", "pong")] == [
            *["message"] * 3,
            *("ping", "pong"),
        ]


def test_octets_behind_the_response_take_the_short_way() -> None:
    """What the server sends with its response is read like all the rest."""
    happened, ordinary = perform(Run(texts("a", "b"), ()), PoolProtocol)
    assert ordinary == 2
    assert happened[:4] == [
        ("read",),
        ("open",),
        ("message", b"a", False),
        ("message", b"b", False),
    ]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        *(("masked", 1002), ("length not minimal", 1002), ("long length not minimal", 1002)),
        *(("not UTF-8", 1007), ("not whole UTF-8", 1007), ("surrogate", 1007)),
        *(("too long", 1009), ("a gigabyte", 1009), ("unknown opcode", 1002)),
    ],
)
@pytest.mark.parametrize("cuts", [(0,), (0, 4), range(30)])
def test_violations_are_answered_with_the_right_code(
    name: str, code: int, cuts: tuple[int, ...]
) -> None:
    """The peer hears what it did wrong; what came before that was delivered."""
    happened = told(Run(STREAMS[name], cuts, limit=200), "message", "wrote")
    assert happened[0] == ("message", b"a", False)
    ((_, first, payload),) = [what for what in happened if what[0] == "wrote"]
    assert first == "0x88"
    assert isinstance(payload, bytes)
    assert int.from_bytes(payload[:2], "big") == code


def test_a_gigabyte_is_refused_by_its_header() -> None:
    """Nothing of a message that is too long is waited for."""
    octets = b"\x82\x7f" + (1 << 30).to_bytes(8, "big")
    happened = told(Run(octets, (0,)))
    assert ("closing",) in happened[: happened.index(("end",))]


@pytest.mark.parametrize("size", [20, 16 * MIB])
@pytest.mark.parametrize("where", [0, 13])
def test_text_is_refused_at_its_first_wrong_octet(size: int, where: int) -> None:
    """A peer that sends a long text with a mistake hears of it at once, not at its end."""
    payload = b"a" * where + b"\xff" + b"a" * 6
    octets = frame(bytes(size), 0x81)[: -size or None] + payload
    happened = told(Run(octets, (0, 5, 9), limit=1 << 30))
    assert happened[:2] == [("open",), ("closing",)]
    assert happened[2][:2] == ("wrote", "0x88")


def test_close_in_the_first_of_three_messages() -> None:
    """Autobahn delivers what had arrived when it closed; nothing gets lost in a batch."""
    happened = told(Run(texts("1", "2", "3"), (0,), {1: "close"}), "message", "wrote", "closing")
    assert happened == [
        ("message", b"1", False),
        ("closing",),
        ("wrote", "0x88", b"\x03\xe8bye"),
        ("message", b"2", False),
        ("message", b"3", False),
    ]


def test_abort_in_the_first_of_three_messages() -> None:
    """What was read together with a message whose handler aborts is not delivered."""
    happened = told(Run(texts("1", "2", "3"), (0,), {1: "abort"}), "message", "dropped")
    assert happened == [("message", b"1", False), ("dropped", "ConnectionAborted")]


def test_pause_in_the_first_of_three_messages() -> None:
    """The others are delivered when the pool resumes, before what arrives then."""
    octets = texts("1", "2", "3", "4")
    happened, _ = perform(Run(octets, (0, 9), {1: "pause"}), PoolProtocol)
    assert happened[1:] == [
        *(("open",), ("read",), ("message", b"1", False), ("does", "pause")),
        *(("read",), ("message", b"2", False), ("message", b"3", False)),
        *(("read",), ("message", b"4", False), ("end",)),
        ("lost", "ConnectionDropped", *happened[-1][2:]),
    ]


def test_paused_then_dropped() -> None:
    """What a paused wire had not delivered when the connection is lost is not delivered."""
    run = Run(texts("1", "2", "3"), (0,), {1: "pause"}, resume_after=5)
    happened, _ = perform(run, PoolProtocol)
    assert [what for what in happened if what[0] == "message"] == [
        ("message", b"1", False),
        ("message", b"2", False),
        ("message", b"3", False),
    ]
    # Resumed at the end of the run; aborted before that, it is different.
    run = Run(texts("1", "2", "3"), (0, 9), {1: "pause_and_abort"}, resume_after=5)
    assert told(run, "message") == [("message", b"1", False)]


def test_a_listener_that_raises_costs_the_connection() -> None:
    """It is told as the end of the connection, and what was read with it is not delivered."""
    happened = told(Run(texts("1", "2"), (0,), {1: "fail"}), "message", "dropped", "lost")
    assert [what[0] for what in happened] == ["message", "dropped", "lost"]
    assert happened[2][1] == "ProtocolViolation"


def reads(octets: bytes, size: int = 65536) -> range:
    """Where reads of one size end."""
    return range(0, len(octets), size)


def test_a_frame_of_16_mib_is_one_message() -> None:
    """It is put together from many reads without Autobahn, which would copy it again and again."""
    payload = bytes(range(256)) * 65536
    for first in (0x81, 0x82):
        data = payload if first == 0x82 else b"text" * (4 * MIB)
        octets = frame(data, first) + texts("next")
        happened, ordinary = perform(Run(octets, reads(octets), limit=1 << 30), PoolProtocol)
        assert ordinary == 2
        messages = [what[1] for what in happened if what[0] == "message"]
        identical = messages == [data, b"next"]
        assert identical


def test_close_while_a_long_message_arrives() -> None:
    """Autobahn goes on where our own reading stopped, and nothing of the message is lost."""
    octets = frame(b"?", 0x89) + frame(b"a" * 1000, 0x81) + texts("next")
    for action in ("close", "send_and_close"):
        run = Run(octets, reads(octets, 100), {1: action})
        assert told(run, "message") == [
            ("message", b"a" * 1000, False),
            ("message", b"next", False),
        ]
    # The close comes from elsewhere, between two reads.
    run = Run(octets, reads(octets, 100), {}, closes_after=5)
    assert told(run, "message") == [("message", b"a" * 1000, False), ("message", b"next", False)]
