"""
Tests for L{wsmultipool._waiters}.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.defer import CancelledError

from tests.support import outcome
from wsmultipool._waiters import Waiters


def end(how: str, waiters: Waiters) -> Callable[[], None]:
    """Return what ends the waiting."""
    return waiters.fire if how == "fire" else lambda: waiters.fail(LookupError())


def test_all_are_fired_once() -> None:
    """Everybody who waited hears of the moment, and of that one only."""
    waiters = Waiters()
    results = [outcome(waiters.wait()) for _ in range(3)]
    waiters.fire()
    waiters.fire()
    assert results == [[None]] * 3


def test_all_fail_with_the_error() -> None:
    """If the moment does not come, everybody is told why."""
    waiters = Waiters()
    results = [outcome(waiters.wait()) for _ in range(2)]
    error = LookupError()
    waiters.fail(error)
    assert [[failure.value for failure in result] for result in results] == [[error]] * 2


def test_who_cancels_waits_no_longer() -> None:
    """A cancelled Deferred fails at once, and the others are not concerned."""
    waiters = Waiters()
    first, second = waiters.wait(), waiters.wait()
    results = outcome(first), outcome(second)
    first.cancel()
    waiters.fire()
    assert [failure.type for failure in results[0]] == [CancelledError]
    assert results[1] == [None]


@pytest.mark.parametrize("how", ["fire", "fail"])
def test_one_may_cancel_another(how: str) -> None:
    """What the first of them calls may cancel the second, while they are being fired."""
    waiters = Waiters()
    first, second = waiters.wait(), waiters.wait()
    first.addBoth(lambda _: second.cancel())
    result = outcome(second)
    end(how, waiters)()
    assert [failure.type for failure in result] == [CancelledError]


@pytest.mark.parametrize("how", ["fire", "fail"])
def test_one_may_wait_anew(how: str) -> None:
    """Who waits again from its callback waits for the next time."""
    waiters = Waiters()
    again: list[list[object]] = []
    waiters.wait().addBoth(lambda _: again.append(outcome(waiters.wait())))
    end(how, waiters)()
    assert again == [[]]
    waiters.fire()
    assert again == [[None]]
