"""
Tests for L{wsmultipool._draining}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from wsmultipool._draining import Draining


def draining() -> tuple[Draining, Clock, Deferred[None], list[float]]:
    """
    Begin to wait for 5 seconds; the list is of the times at which that was over.
    """
    clock = Clock()
    settled: Deferred[None] = Deferred()
    over: list[float] = []
    return Draining(clock, 5, settled, lambda: over.append(clock.seconds())), clock, settled, over


def test_it_is_over_when_everything_is_settled() -> None:
    """Nobody waits longer than there is something to deliver, and no timer is left."""
    _, clock, settled, over = draining()
    clock.advance(2)
    settled.callback(None)
    assert (over, clock.getDelayedCalls()) == ([2], [])


def test_it_is_over_after_its_time() -> None:
    """What was not delivered by then is not waited for."""
    _, clock, settled, over = draining()
    clock.advance(5)
    assert over == [5]
    assert settled.called


def test_it_may_be_over_before_its_time() -> None:
    """There is no sense in waiting when nothing can be delivered any more."""
    it, clock, settled, over = draining()
    it.finish()
    assert (over, clock.getDelayedCalls()) == ([0], [])
    assert settled.called


def test_it_may_be_given_up() -> None:
    """Then nobody is told, and nothing is left."""
    it, clock, settled, over = draining()
    it.give_up()
    assert (over, clock.getDelayedCalls()) == ([], [])
    assert settled.called
