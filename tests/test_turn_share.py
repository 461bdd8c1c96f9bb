"""
Tests for L{wsmultipool.service.turn_share}.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.task import Clock

from wsmultipool.service.turn_share import SHARE, TurnShare


class Turns(Clock):
    """
    A clock on which work takes time, and that tells of what was done in which turn.
    """

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []

    def work(self, name: str, seconds: float = 0.0) -> Callable[[], None]:
        """Make a piece of work that takes so long."""

        def run() -> None:
            self.rightNow += seconds
            self.done.append(name)

        return run

    def turn(self) -> list[str]:
        """Return what was done since the last time, after which the next turn comes."""
        done, self.done = self.done, []
        calls, self.calls = self.calls, []
        for call in calls:
            call.called = 1
            call.func()
        return done


def test_work_is_done_at_once() -> None:
    """Whoever asks for little does not wait."""
    turns = Turns()
    share = TurnShare(turns)
    for name in "abc":
        share.do(turns.work(name))
    assert turns.turn() == ["a", "b", "c"]
    assert turns.turn() == []
    assert turns.getDelayedCalls() == []


def test_what_is_beyond_the_share_waits_for_the_next_turns() -> None:
    """In the order in which it came, and nothing overtakes it."""
    turns = Turns()
    share = TurnShare(turns)
    for name in "abcde":
        share.do(turns.work(name, SHARE * 0.6))
    assert turns.turn() == ["a", "b"]
    share.do(turns.work("f"))
    assert turns.turn() == ["c", "d"]
    assert turns.turn() == ["e", "f"]
    assert turns.turn() == []
    assert turns.getDelayedCalls() == []


def test_each_turn_has_a_share_of_its_own() -> None:
    """What was used in the last turn does not count."""
    turns = Turns()
    share = TurnShare(turns)
    share.do(turns.work("a", 10 * SHARE))
    assert turns.turn() == ["a"]
    share.do(turns.work("b"))
    assert turns.turn() == ["b"]


def test_work_may_ask_for_more_work() -> None:
    """As the answer to one request makes way for the next one."""
    turns = Turns()
    share = TurnShare(turns)

    def endless() -> None:
        turns.work("again", 2 * SHARE)()
        share.do(endless)

    share.do(endless)
    share.do(turns.work("other"))
    assert turns.turn() == ["again"]
    assert turns.turn() == ["again"]
    assert turns.turn() == ["other", "again"]
    share.stop()
    assert turns.turn() == ["again"]
    assert turns.turn() == []
    assert turns.getDelayedCalls() == []


def test_work_that_fails_does_not_stop_the_rest() -> None:
    """The error goes to whoever asked for it, or to the reactor, which logs it."""
    turns = Turns()
    share = TurnShare(turns)

    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        share.do(broken)
    share.do(turns.work("a"))
    assert turns.turn() == ["a"]


def test_after_the_end_nothing_is_left() -> None:
    """Work that waits is forgotten, and so is the next turn."""
    turns = Turns()
    share = TurnShare(turns)
    share.stop()
    for name in "ab":
        share.do(turns.work(name, 2 * SHARE))
    share.stop()
    assert turns.turn() == ["a"]
    assert turns.turn() == []
    assert turns.getDelayedCalls() == []
