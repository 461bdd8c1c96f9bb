"""
Tests for L{wsmultipool._pings}.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from wsmultipool._pings import PingTracker
from wsmultipool.errors import ConnectionDropped, PingTimeout

from .support import error_of, outcome


@pytest.fixture
def clock() -> Iterator[Clock]:
    """
    A clock; at the end of the test, nothing may be left on it.
    """
    clock = Clock()
    yield clock
    assert clock.getDelayedCalls() == []


def tracker(clock: Clock) -> tuple[PingTracker, list[bytes]]:
    """
    Make a tracker, and the list of what it sends.
    """
    sent: list[bytes] = []
    return PingTracker(clock, sent.append, lambda: len(sent), [].append), sent


def test_a_pong_answers_its_ping_with_the_time_it_took(clock: Clock) -> None:
    """A ping fires with the seconds until the pong with the same payload."""
    pings, sent = tracker(clock)
    answered = outcome(pings.ping(b"one", None))
    assert sent == [b"one"]
    clock.advance(0.25)
    assert answered == []
    pings.pong(b"one")
    assert answered == [0.25]


def test_latency_is_that_of_the_last_round_trip(clock: Clock) -> None:
    """There is no latency before the first pong; then it is always the latest."""
    pings, _ = tracker(clock)
    assert pings.latency is None
    for seconds in (0.5, 0.125):
        pings.ping(b"", None)
        clock.advance(seconds)
        pings.pong(b"")
        assert pings.latency == seconds


@pytest.mark.parametrize("payload", [b"other", b""])
def test_a_pong_that_matches_nothing_says_nothing(clock: Clock, payload: bytes) -> None:
    """A pong nobody asked for, which RFC 6455 allows, answers no ping."""
    pings, _ = tracker(clock)
    pings.pong(payload)
    answered = outcome(pings.ping(b"one", None))
    pings.pong(payload)
    assert (answered, pings.latency) == ([], None)


def test_a_second_pong_says_nothing(clock: Clock) -> None:
    """A peer that answers twice does no harm."""
    pings, _ = tracker(clock)
    answered = outcome(pings.ping(b"one", None))
    pings.pong(b"one")
    clock.advance(1)
    pings.pong(b"one")
    assert (answered, pings.latency) == ([0.0], 0.0)


def test_a_pong_answers_the_pings_before_it_too(clock: Clock) -> None:
    """A peer may answer just the latest ping; each one then fires with its own time."""
    pings, _ = tracker(clock)
    first = outcome(pings.ping(b"first", 10))
    clock.advance(1)
    second = outcome(pings.ping(b"second", 10))
    clock.advance(1)
    third = outcome(pings.ping(b"third", None))
    clock.advance(1)
    pings.pong(b"second")
    assert (first, second, third) == ([3.0], [2.0], [])
    assert pings.latency == 2.0
    pings.pong(b"third")
    assert third == [1.0]


def test_of_equal_pings_the_oldest_is_answered_first(clock: Clock) -> None:
    """Pings without a payload of their own are answered one by one, in order."""
    pings, _ = tracker(clock)
    first, second = outcome(pings.ping(b"", None)), outcome(pings.ping(b"", None))
    pings.pong(b"")
    assert (first, second) == ([0.0], [])
    pings.pong(b"")
    assert second == [0.0]


def test_no_pong_in_time(clock: Clock) -> None:
    """A ping with a timeout fails with PingTimeout then, and its late pong says nothing."""
    pings, _ = tracker(clock)
    deferred = pings.ping(b"one", 2.5)
    clock.advance(2.4)
    assert not deferred.called
    clock.advance(0.1)
    error = error_of(deferred)
    assert isinstance(error, PingTimeout)
    assert error.timeout == 2.5
    pings.pong(b"one")
    assert pings.latency is None


def test_an_answered_ping_does_not_time_out(clock: Clock) -> None:
    """The pong stops the timer."""
    pings, _ = tracker(clock)
    answered = outcome(pings.ping(b"one", 2))
    pings.pong(b"one")
    assert clock.getDelayedCalls() == []
    clock.advance(3)
    assert answered == [0.0]


@pytest.mark.parametrize("timeout", [None, 2])
def test_cancelling_forgets_a_ping(clock: Clock, timeout: float | None) -> None:
    """A cancelled ping fails with CancelledError, leaves no timer, and its pong says nothing."""
    pings, _ = tracker(clock)
    deferred = pings.ping(b"one", timeout)
    deferred.cancel()
    assert isinstance(error_of(deferred), CancelledError)
    pings.pong(b"one")
    assert pings.latency is None


def test_all_pings_fail_with_the_connection(clock: Clock) -> None:
    """When the connection is lost, every ping fails with the reason, and no timer is left."""
    pings, _ = tracker(clock)
    deferreds = [pings.ping(b"one", None), pings.ping(b"two", 5)]
    error = ConnectionDropped("gone")
    pings.fail_all(error)
    assert [error_of(deferred) for deferred in deferreds] == [error, error]
    pings.fail_all(error)
    pings.pong(b"one")
    assert pings.latency is None


def test_a_ping_sent_from_the_answer_to_one_is_another(clock: Clock) -> None:
    """Who pings again as soon as the pong is there waits for a pong of its own."""
    pings, sent = tracker(clock)
    again: list[Deferred[float]] = []
    pings.ping(b"", None).addCallback(lambda _: again.append(pings.ping(b"", None)))
    pings.pong(b"")
    assert sent == [b"", b""]
    assert [outcome(deferred) for deferred in again] == [[]]
    pings.pong(b"")


def test_a_pong_may_make_its_user_cancel_another_ping(clock: Clock) -> None:
    """Of two pings answered by one pong, the first may have the second cancelled."""
    pings, _ = tracker(clock)
    first, second = pings.ping(b"first", None), pings.ping(b"second", None)
    first.addCallback(lambda _: second.cancel())
    failed = outcome(second)
    pings.pong(b"second")
    assert len(failed) == 1
    assert pings.latency == 0.0


def test_a_loss_may_make_its_user_cancel_another_ping(clock: Clock) -> None:
    """When two pings fail with the connection, the first may have the second cancelled."""
    pings, _ = tracker(clock)
    first, second = pings.ping(b"first", None), pings.ping(b"second", None)
    first.addErrback(lambda _: second.cancel())
    failed = outcome(second)
    pings.fail_all(ConnectionDropped("gone"))
    assert len(failed) == 1


steps = st.lists(
    st.one_of(
        st.tuples(st.just("ping"), st.integers(0, 3), st.sampled_from([None, 1.0, 3.0])),
        st.tuples(st.just("pong"), st.integers(0, 3), st.none()),
        st.tuples(st.just("cancel"), st.integers(0, 10), st.none()),
        st.tuples(st.just("wait"), st.integers(0, 2), st.none()),
    ),
    max_size=30,
)


@settings(derandomize=True, deadline=None)
@given(steps=steps)
def test_every_ping_ends_once(steps: list[tuple[str, int, float | None]]) -> None:
    """Whatever comes in whatever order: each ping has one outcome, and no timer outlives it."""
    clock = Clock()
    pings, _ = tracker(clock)
    deferreds: list[Deferred[float]] = []
    outcomes: list[list[object]] = []
    for step, number, timeout in steps:
        if step == "ping":
            deferreds.append(pings.ping(b"%d" % number, timeout))
            outcomes.append(outcome(deferreds[-1]))
        elif step == "pong":
            pings.pong(b"%d" % number)
        elif step == "cancel":
            for deferred in deferreds[number : number + 1]:
                deferred.cancel()
        else:
            clock.advance(number)
        assert len(clock.getDelayedCalls()) <= outcomes.count([])
    pings.fail_all(ConnectionDropped("gone"))
    assert all(len(each) == 1 for each in outcomes)
    assert clock.getDelayedCalls() == []
