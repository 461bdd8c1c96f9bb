"""
Tests for L{wsmultipool._gate}.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsmultipool._gate import ConnectGate


class Attempts:
    """
    A gate and those who go through it.

    @ivar begun: who began an attempt, in that order.
    """

    def __init__(self, limit: int | None) -> None:
        self.gate = ConnectGate(limit)
        self.begun: list[str] = []

    def enter(self, who: str, then: Callable[[], None] = lambda: None) -> None:
        """Want to begin an attempt, during which C{then} is called."""

        def proceed() -> None:
            self.begun.append(who)
            then()

        self.gate.enter(who, proceed)


def test_without_a_limit_everyone_begins_at_once() -> None:
    """The gate is open unless it is given a limit."""
    attempts = Attempts(None)
    for who in "abc":
        attempts.enter(who)
    assert attempts.begun == ["a", "b", "c"]
    attempts.gate.leave("a")
    assert attempts.begun == ["a", "b", "c"]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_others_wait_for_their_turn(limit: int) -> None:
    """No more attempts than the limit are under way; for each that is over, the next begins."""
    attempts = Attempts(limit)
    for who in "abcdef":
        attempts.enter(who)
    for over in range(6):
        assert attempts.begun == list("abcdef"[: limit + over])
        attempts.gate.leave("abcdef"[over])
    assert attempts.begun == list("abcdef")


def test_who_does_not_want_any_more_is_passed_over() -> None:
    """An attempt that is withdrawn while it waits never begins, and takes nobody's turn."""
    attempts = Attempts(1)
    for who in "abc":
        attempts.enter(who)
    attempts.gate.leave("b")
    assert attempts.begun == ["a"]
    attempts.gate.leave("a")
    assert attempts.begun == ["a", "c"]


def test_leaving_again_lets_nobody_in() -> None:
    """To leave twice, or without having entered, makes no room."""
    attempts = Attempts(1)
    attempts.gate.leave("stranger")
    for who in "abc":
        attempts.enter(who)
    attempts.gate.leave("stranger")
    attempts.gate.leave("a")
    attempts.gate.leave("a")
    assert attempts.begun == ["a", "b"]


def test_who_left_may_come_again() -> None:
    """A connection that failed waits for its next attempt behind the others."""
    attempts = Attempts(1)
    for who in "ab":
        attempts.enter(who)
    attempts.gate.leave("a")
    attempts.enter("a")
    assert attempts.begun == ["a", "b"]
    attempts.gate.leave("b")
    assert attempts.begun == ["a", "b", "a"]


def test_an_attempt_may_be_over_at_once() -> None:
    """Attempts that fail before they have waited for anything let the following ones in."""
    attempts = Attempts(1)
    attempts.enter("a")
    for who in "bcd":
        attempts.enter(who, lambda who=who: attempts.gate.leave(who))  # type: ignore[misc]
    attempts.enter("e")
    attempts.gate.leave("a")
    assert attempts.begun == list("abcde")


def test_very_many_attempts_may_be_over_at_once() -> None:
    """A large pool whose attempts all fail at once does not exhaust Python's stack."""
    attempts = Attempts(1)
    attempts.enter("first")
    names = [str(number) for number in range(2000)]
    for who in names:
        attempts.enter(who, lambda who=who: attempts.gate.leave(who))  # type: ignore[misc]
    attempts.gate.leave("first")
    assert attempts.begun == ["first", *names]


def test_an_attempt_that_breaks_off_the_others_leaves_the_gate_usable() -> None:
    """Those behind one that raises C{SystemExit} come in when the next attempt is over."""

    def leave() -> None:
        raise SystemExit

    attempts = Attempts(1)
    attempts.enter("a")
    attempts.enter("b", leave)
    for who in "cd":
        attempts.enter(who)
    with pytest.raises(SystemExit):
        attempts.gate.leave("a")
    attempts.gate.leave("b")
    attempts.gate.leave("c")
    assert attempts.begun == list("abcd")


@settings(derandomize=True)
@given(
    limit=st.integers(min_value=1, max_value=4),
    steps=st.lists(st.tuples(st.booleans(), st.sampled_from("abcdefgh")), max_size=60),
)
def test_the_limit_holds_and_no_room_is_wasted(limit: int, steps: list[tuple[bool, str]]) -> None:
    """However attempts come and go: never too many, and none waits while there is room."""
    attempts = Attempts(limit)
    line: list[str] = []
    inside: list[str] = []
    begun: list[str] = []
    for entering, who in steps:
        if not entering:
            attempts.gate.leave(who)
            line, inside = [w for w in line if w != who], [w for w in inside if w != who]
        elif who not in line and who not in inside:
            attempts.enter(who)
            line.append(who)
        while line and len(inside) < limit:
            inside.append(line.pop(0))
            begun.append(inside[-1])
        assert attempts.begun == begun
