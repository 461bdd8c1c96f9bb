"""
Waiting as long as there is progress: on a clock that stands still until it is told to go on.
"""

from __future__ import annotations

import math

from twisted.internet.task import Clock

from wsmultipool._deadline_clock import DeadlineClock
from wsmultipool._patience import Patience


def patience(seconds: float = 4.0) -> tuple[Patience, Clock, list[float], list[bool]]:
    """
    One that has begun, its clock, when it was lost, and, in a list of its own, whether it is held.
    """
    clock = Clock()
    lost: list[float] = []
    held = [False]
    made = Patience(clock, seconds, lambda: held[0], lambda: lost.append(clock.seconds()))
    made.start()
    return made, clock, lost, held


def test_patience_is_lost_without_progress() -> None:
    """When nothing happens for the time given, that is told, once."""
    _, clock, lost, _ = patience()
    clock.pump([1.0] * 20)
    assert lost == [4.0]
    assert not clock.getDelayedCalls()


def test_progress_is_worth_the_whole_time_again() -> None:
    """Each progress counts from when it was, whenever the timer happens to look."""
    made, clock, lost, _ = patience()
    for _ in range(10):
        clock.advance(3.0)
        made.progress()
    assert lost == []
    clock.pump([0.5] * 20)
    assert lost == [34.0]


def test_begin_again() -> None:
    """What has begun is not begun anew; what was stopped is, with the whole time before it."""
    made, clock, lost, _ = patience()
    clock.advance(3.0)
    made.start()
    made.stop()
    made.stop()
    clock.advance(3.0)
    assert lost == []
    made.start()
    clock.advance(4.0)
    assert lost == [10.0]


def test_no_time_counts_while_it_is_held_up_by_us() -> None:
    """While we are what it waits for, the other side has all the time there is."""
    _, clock, lost, held = patience()
    held[0] = True
    clock.pump([1.0] * 20)
    assert lost == []
    held[0] = False
    clock.pump([1.0] * 20)
    assert lost == [24.0]


def test_what_had_arrived_is_progress_after_a_busy_time() -> None:
    """A process that was busy, or stopped, reads what has come before it loses patience."""
    clock = Clock()
    lost: list[float] = []
    made = Patience(DeadlineClock(clock), 4.0, lambda: False, lambda: lost.append(clock.seconds()))
    made.start()
    clock.callLater(4.0, made.progress)
    clock.advance(60.0)
    assert lost == []
    made.stop()


def test_patience_without_end() -> None:
    """With infinity there is nothing to wait for, and no timer."""
    made, clock, lost, _ = patience(math.inf)
    assert not clock.getDelayedCalls()
    made.progress()
    made.stop()
    assert lost == []
