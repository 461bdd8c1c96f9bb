"""
Tests for L{wsmultipool._timer}.
"""

from __future__ import annotations

from twisted.internet.task import Clock

from wsmultipool._timer import Timer


def timer() -> tuple[Timer, Clock, list[str]]:
    """
    Make a timer, its clock, and the list that tests have it write to.
    """
    clock = Clock()
    return Timer(clock), clock, []


def test_it_strikes_once() -> None:
    """After its time it calls the function, and is not set any more."""
    it, clock, called = timer()
    it.set(2, lambda: called.append("first"))
    clock.advance(1.5)
    assert (it.remaining, called) == (0.5, [])
    clock.pump([0.5, 5])
    assert (it.remaining, called) == (None, ["first"])


def test_setting_it_anew_forgets_what_it_was_set_to() -> None:
    """There is one thing that it waits for."""
    it, clock, called = timer()
    it.set(1, lambda: called.append("first"))
    it.set(2, lambda: called.append("second"))
    clock.pump([1, 1])
    assert called == ["second"]


def test_a_cleared_timer_calls_nothing() -> None:
    """Nothing is left on the clock either.  Clearing it once more is a no-op."""
    it, clock, called = timer()
    it.set(1, lambda: called.append("first"))
    it.clear()
    it.clear()
    assert (it.remaining, clock.getDelayedCalls()) == (None, [])
    clock.advance(1)
    assert called == []


def test_it_may_be_set_again_by_what_it_calls() -> None:
    """So a function may be called again and again."""
    it, clock, called = timer()

    def again() -> None:
        assert it.remaining is None
        called.append("again")
        it.set(1, again)

    it.set(1, again)
    clock.pump([1, 1])
    assert called == ["again", "again"]
    it.clear()


def test_a_timer_that_is_late_has_nothing_remaining() -> None:
    """On a busy machine its time may be over before it strikes."""
    it, clock, _ = timer()
    it.set(1, lambda: None)
    clock.rightNow = 3
    assert it.remaining == 0
    it.clear()
