"""
Tests for L{wsmultipool._heartbeat}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsmultipool._heartbeat import Heartbeat
from wsmultipool.errors import HeartbeatTimeout, PongOverdue

from .support import BusyClock

INTERVAL = 10.0
TIMEOUT = 4.0


@pytest.fixture
def clock() -> Iterator[BusyClock]:
    """
    A clock; at the end of the test, nothing may be left on it.
    """
    clock = BusyClock()
    yield clock
    assert clock.getDelayedCalls() == []


def beating(
    clock: BusyClock,
    interval: float = INTERVAL,
    timeout: float = TIMEOUT,
    waiting_since: Callable[[], float | None] = lambda: None,
) -> tuple[Heartbeat, list[tuple[str, float]]]:
    """
    Make a heartbeat, and the list of what it does and when.
    """
    done: list[tuple[str, float]] = []

    def failed(error: Exception) -> None:
        if isinstance(error, PongOverdue):
            assert error.timeout == interval + timeout
        else:
            assert isinstance(error, HeartbeatTimeout)
            assert error.timeout == timeout
        done.append(("mute" if isinstance(error, PongOverdue) else "dead", clock.seconds()))

    heartbeat = Heartbeat(
        clock,
        interval,
        timeout,
        lambda: done.append(("ping", clock.seconds())),
        waiting_since,
        failed,
    )
    return heartbeat, done


def test_a_silent_peer_is_pinged_and_then_found_dead(clock: BusyClock) -> None:
    """After the interval there is a ping; without an octet until the timeout, the peer is dead."""
    _, done = beating(clock)
    clock.advance(9.9)
    assert done == []
    clock.pump([0.1, 3.9])
    assert done == [("ping", 10)]
    clock.pump([0.1, 100])
    assert [what for what, _ in done] == ["ping", "dead"]
    assert done[1][1] == pytest.approx(14)


def test_a_peer_that_answers_is_pinged_again(clock: BusyClock) -> None:
    """A pong, as any octet, starts the interval anew."""
    heartbeat, done = beating(clock)
    clock.advance(10)
    clock.advance(1)
    heartbeat.heard()
    clock.pump([3, 6.9])
    assert done == [("ping", 10)]
    clock.advance(0.1)
    assert [what for what, _ in done] == ["ping", "ping"]
    heartbeat.heard()
    clock.advance(TIMEOUT)
    heartbeat.stop()
    assert len(done) == 2


def test_a_busy_peer_is_not_pinged(clock: BusyClock) -> None:
    """While something arrives within each interval, there is no need to ask."""
    heartbeat, done = beating(clock)
    for _ in range(20):
        clock.advance(9)
        heartbeat.heard()
    assert done == []
    clock.advance(10)
    assert done == [("ping", 190)]
    heartbeat.stop()


def test_any_octet_after_the_ping_proves_life(clock: BusyClock) -> None:
    """A peer busy with a long message is not killed because its pong has to wait."""
    heartbeat, done = beating(clock)
    clock.advance(10)
    for _ in range(100):
        clock.advance(3)
        heartbeat.heard()
    assert done == [("ping", 10)]
    heartbeat.stop()


def test_a_timeout_longer_than_the_interval_is_waited_for(clock: BusyClock) -> None:
    """No second ping is sent while the answer to the first is awaited."""
    heartbeat, done = beating(clock, interval=2, timeout=20)
    clock.pump([1] * 21)
    assert done == [("ping", 2)]
    heartbeat.heard()
    clock.pump([1] * 2)
    assert done == [("ping", 2), ("ping", 23)]
    clock.pump([1] * 20)
    assert done[2:] == [("dead", 43)]


@pytest.mark.parametrize("moment", [0, 5, 10, 13])
def test_stopped_it_does_nothing_more(clock: BusyClock, moment: float) -> None:
    """When the connection's life is over, at any moment, its heartbeat can't strike another."""
    heartbeat, done = beating(clock)
    clock.advance(moment)
    heartbeat.stop()
    before = list(done)
    clock.advance(100)
    heartbeat.stop()
    assert done == before


@pytest.mark.parametrize("moment", [5, 10])
def test_octets_that_come_too_late_do_not_start_it_again(clock: BusyClock, moment: float) -> None:
    """Whatever is heard, or said of receiving, after it was stopped is no concern of it."""
    heartbeat, _ = beating(clock)
    clock.advance(moment)
    heartbeat.stop()
    heartbeat.heard()
    heartbeat.set_deaf(True)
    heartbeat.set_deaf(False)
    calls = clock.getDelayedCalls()
    for call in calls:
        call.cancel()
    assert calls == []


def test_it_may_be_stopped_by_its_ping(clock: BusyClock) -> None:
    """A connection that breaks while the ping is written stops its heartbeat from there."""
    stopped: list[bool] = []

    def stop() -> None:
        heartbeat.stop()
        stopped.append(True)

    heartbeat = Heartbeat(
        clock,
        INTERVAL,
        TIMEOUT,
        stop,
        lambda: None,
        lambda _: stopped.append(False),
    )
    clock.pump([10, 10, 10])
    assert stopped == [True]


def test_it_may_be_stopped_when_the_peer_is_dead(clock: BusyClock) -> None:
    """To stop it as a consequence of what it found out is a no-op."""
    heartbeat, done = beating(clock)
    clock.pump([10, 4])
    heartbeat.stop()
    assert [what for what, _ in done] == ["ping", "dead"]


def test_a_peer_that_talks_and_does_not_answer_is_mute(clock: BusyClock) -> None:
    """Octets prove life, but not that what waits for a pong is ever going to be confirmed."""
    since: list[float | None] = [None]
    heartbeat, done = beating(clock, waiting_since=lambda: since[0])

    def talk(seconds: int) -> None:
        for _ in range(seconds):
            clock.advance(1)
            heartbeat.heard()

    talk(25)
    since[0] = clock.seconds()
    talk(14)
    assert done == []
    talk(10)
    assert [what for what, _ in done] == ["mute"]
    assert 25 + INTERVAL + TIMEOUT <= done[0][1] < 25 + 2 * INTERVAL + TIMEOUT
    clock.advance(100)
    assert len(done) == 1


def test_who_does_not_read_finds_nobody_mute(clock: BusyClock) -> None:
    """While receiving is paused, the pong may have come for long."""
    heartbeat, done = beating(clock, waiting_since=lambda: 0.0)
    heartbeat.set_deaf(True)
    clock.pump([1.0] * 100)
    assert done == []
    heartbeat.stop()


def test_while_nothing_is_read_silence_says_nothing(clock: BusyClock) -> None:
    """With receiving paused, there is no ping, and nobody is found dead."""
    heartbeat, done = beating(clock)
    clock.advance(9)
    heartbeat.set_deaf(True)
    clock.pump([1] * 100)
    assert done == []
    heartbeat.set_deaf(False)
    clock.advance(9.9)
    assert done == []
    clock.pump([0.1, 4])
    assert [what for what, _ in done] == ["ping", "dead"]


def test_receiving_paused_during_a_ping(clock: BusyClock) -> None:
    """When reading stops while a pong is awaited, its absence is no proof of death."""
    heartbeat, done = beating(clock)
    clock.advance(10)
    heartbeat.set_deaf(True)
    clock.pump([4, 50])
    assert done == [("ping", 10)]
    heartbeat.set_deaf(False)
    clock.pump([10, 4])
    assert [what for what, _ in done] == ["ping", "ping", "dead"]


def test_receiving_paused_and_resumed_during_a_ping(clock: BusyClock) -> None:
    """A pause that ends in time leaves the peer a whole interval more."""
    heartbeat, done = beating(clock)
    clock.advance(10)
    heartbeat.set_deaf(True)
    clock.advance(1)
    heartbeat.set_deaf(False)
    clock.pump([3, 6])
    assert done == [("ping", 10)]
    clock.pump([1, 4])
    assert [what for what, _ in done] == ["ping", "ping", "dead"]


@pytest.mark.parametrize(("interval", "heard"), [(3.8, 1.4), (31.9, 20.7), (20.9, 19.7)])
def test_rounding_does_not_stop_the_clock(clock: BusyClock, interval: float, heard: float) -> None:
    """A remainder too small for the clock to advance by is not waited for again and again."""
    heartbeat, done = beating(clock, interval=interval)
    clock.advance(heard)
    heartbeat.heard()
    while not done:
        # From one delayed call to the next, as a test of a user may well do it.
        clock.rightNow = min(call.getTime() for call in clock.getDelayedCalls())
        clock.advance(0)
    ((what, when),) = done
    assert what == "ping"
    assert when == pytest.approx(heard + interval)
    heartbeat.stop()


@settings(derandomize=True, deadline=None)
@given(
    gaps=st.lists(st.integers(min_value=1, max_value=40), max_size=20),
    interval=st.integers(min_value=1, max_value=12),
    timeout=st.integers(min_value=1, max_value=12),
)
def test_dead_is_who_is_silent_long_enough(gaps: list[int], interval: int, timeout: int) -> None:
    """Whenever octets arrive: who answers in time lives, who does not is found out soon."""
    clock = BusyClock()
    heartbeat, done = beating(clock, interval=interval, timeout=timeout)
    heard = [0.0]
    for gap in gaps:
        clock.pump([1] * gap)
        if done and done[-1][0] == "dead":
            break
        assert clock.seconds() < heard[-1] + interval + timeout
        heard.append(clock.seconds())
        heartbeat.heard()
    for what, when in done:
        silent_since = max(each for each in heard if each < when)
        assert when - silent_since >= (interval if what == "ping" else interval + timeout)
    pinged = [when for what, when in done if what == "ping"]
    assert all(later - earlier >= interval for earlier, later in pairwise(pinged))
    if done and done[-1][0] == "dead":
        assert done[-1][1] == pinged[-1] + timeout
    heartbeat.stop()
    assert clock.getDelayedCalls() == []
