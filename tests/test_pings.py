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
    return PingTracker(clock, sent.append, lambda: 0, lambda mark: None), sent


class Sender:
    """
    What uses a tracker: it sends messages, which are only counted, and pings.

    @ivar taken: how many messages were sent.
    @ivar sent: the payloads of the pings.
    @ivar proved: what pongs have proved, in order.
    """

    def __init__(self, clock: Clock) -> None:
        self.taken = 0
        self.sent: list[bytes] = []
        self.proved: list[int] = []
        self.pings = PingTracker(clock, self.sent.append, self.mark, self.proved.append)

    def mark(self) -> int:
        return self.taken


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


# Pings of our own


def test_a_barrier_proves_what_was_sent_before_it(clock: Clock) -> None:
    """Its pong tells how much was sent at the time of the ping, and then how long it took."""
    sender = Sender(clock)
    sender.taken = 5
    deferred = sender.pings.barrier(10)
    sender.taken = 7
    answered = outcome(deferred.addCallback(lambda seconds: (seconds, [*sender.proved])))
    clock.advance(0.5)
    assert not sender.pings.pong(sender.sent[0])
    assert answered == [(0.5, [5])]


def test_a_probe_proves_and_nobody_waits_for_it(clock: Clock) -> None:
    """Its pong is nobody's concern, and no timer goes with it."""
    sender = Sender(clock)
    sender.taken = 3
    sender.pings.probe()
    assert clock.getDelayedCalls() == []
    clock.advance(0.25)
    assert sender.pings.pong(sender.sent[0])
    assert (sender.proved, sender.pings.latency) == ([3], 0.25)


def test_payloads_of_our_own_can_not_be_guessed(clock: Clock) -> None:
    """Each is another, and not an empty or a short one."""
    sender = Sender(clock)
    for _ in range(100):
        sender.pings.probe()
        sender.pings.barrier(None).addErrback(lambda _: None)
    assert len(set(sender.sent)) == 200
    assert {len(payload) for payload in sender.sent} == {8}
    sender.pings.fail_all(ConnectionDropped("gone"))


def test_the_pong_of_a_ping_of_the_users_proves_nothing(clock: Clock) -> None:
    """Its payload can be guessed, so a peer may have sent that pong before it read anything."""
    sender = Sender(clock)
    sender.taken = 1
    answered = outcome(sender.pings.ping(b"", None))
    assert not sender.pings.pong(b"")
    assert (answered, sender.proved) == ([0.0], [])


@pytest.mark.parametrize("payload", [b"", b"other", b"\x00" * 8])
def test_a_pong_nobody_asked_for_proves_nothing(clock: Clock, payload: bytes) -> None:
    """Whatever it says: only the payload of a ping of our own counts."""
    sender = Sender(clock)
    sender.taken = 1
    sender.pings.probe()
    assert not sender.pings.pong(payload)
    assert (sender.proved, sender.pings.latency, len(sender.sent)) == ([], None, 1)
    assert sender.pings.pong(sender.sent[0])


def test_the_same_pong_twice_proves_once(clock: Clock) -> None:
    """The second one is like one that nobody asked for."""
    sender = Sender(clock)
    sender.pings.probe()
    assert sender.pings.pong(sender.sent[0])
    assert not sender.pings.pong(sender.sent[0])
    assert sender.proved == [0]


def test_a_pong_of_our_own_answers_all_pings_before_it(clock: Clock) -> None:
    """A peer may answer only the latest ping; what the others asked is answered with it."""
    sender = Sender(clock)
    user = outcome(sender.pings.ping(b"user", 5))
    sender.taken = 1
    barrier = outcome(sender.pings.barrier(5))
    sender.taken = 2
    sender.pings.probe()
    later = outcome(sender.pings.ping(b"later", None))
    clock.advance(1)
    assert sender.pings.pong(sender.sent[2])
    assert (user, barrier, later, sender.proved) == ([1.0], [1.0], [], [2])
    assert len(sender.sent) == 4
    for payload in sender.sent[:3]:
        assert not sender.pings.pong(payload)
    assert sender.proved == [2]
    sender.pings.pong(b"later")


def test_a_ping_of_our_own_that_is_passed_over_is_sent_again(clock: Clock) -> None:
    """
    A pong that answers a later ping of the user's may have been sent by a peer that answers only
    the latest one.  It proves nothing, so another ping of our own is sent, which it will answer.
    """
    sender = Sender(clock)
    sender.taken = 1
    sender.pings.probe()
    user = outcome(sender.pings.ping(b"", None))
    sender.taken = 2
    assert not sender.pings.pong(b"")
    assert (user, sender.proved, len(sender.sent)) == ([0.0], [], 3)
    assert sender.pings.pong(sender.sent[2])
    assert sender.proved == [2]


def test_a_ping_of_our_own_that_was_passed_over_may_still_be_answered(clock: Clock) -> None:
    """The pong of the user's ping was not asked for; the right ones come later, in order."""
    sender = Sender(clock)
    sender.taken = 1
    sender.pings.probe()
    user = [outcome(sender.pings.ping(b"", None)) for _ in range(2)]
    sender.pings.pong(b"")
    assert (user, len(sender.sent)) == ([[0.0], []], 4)
    assert sender.pings.pong(sender.sent[0])
    assert (user, sender.proved) == ([[0.0], []], [1])
    sender.pings.pong(b"")
    assert user == [[0.0], [0.0]]
    assert sender.pings.pong(sender.sent[3])
    assert sender.proved == [1, 1]


def test_pings_of_the_users_before_our_own_do_not_wait_for_it(clock: Clock) -> None:
    """They are answered one by one, and nothing is passed over."""
    sender = Sender(clock)
    user = outcome(sender.pings.ping(b"user", None))
    sender.pings.probe()
    sender.pings.pong(b"user")
    assert (user, sender.proved, len(sender.sent)) == ([0.0], [], 2)
    assert sender.pings.pong(sender.sent[1])


def test_no_pong_for_a_barrier_in_time(clock: Clock) -> None:
    """It fails as a ping does, with no timer left."""
    sender = Sender(clock)
    deferred = sender.pings.barrier(2)
    clock.advance(2)
    assert isinstance(error_of(deferred), PingTimeout)


def give_up(sender: Sender, clock: Clock, cancel: bool) -> None:
    """
    Ask for a barrier, and wait for it no longer.
    """
    deferred = sender.pings.barrier(2)
    if cancel:
        deferred.cancel()
        assert isinstance(error_of(deferred), CancelledError)
    else:
        clock.advance(2)
        assert isinstance(error_of(deferred), PingTimeout)


@pytest.mark.parametrize("cancel", [False, True])
def test_a_late_pong_still_proves(clock: Clock, cancel: bool) -> None:
    """
    Who asked for a barrier does not wait any more, after its time or by cancelling it; but others
    may rely on its pong, as nobody sends a second ping for the same messages.
    """
    sender = Sender(clock)
    sender.taken = 4
    give_up(sender, clock, cancel)
    clock.advance(1)
    assert not sender.pings.pong(sender.sent[0])
    assert sender.proved == [4]


@pytest.mark.parametrize("cancel", [False, True])
def test_an_older_barrier_that_nobody_waits_for_may_be_answered(clock: Clock, cancel: bool) -> None:
    """Its pong is the first to come, and proves what was sent before it."""
    sender = Sender(clock)
    sender.taken = 4
    deferred = sender.pings.barrier(2)
    sender.pings.probe()
    if cancel:
        deferred.cancel()
    clock.advance(2)
    assert isinstance(error_of(deferred), CancelledError if cancel else PingTimeout)
    sender.taken = 7
    sender.pings.probe()
    assert not sender.pings.pong(sender.sent[0])
    assert sender.proved == [4]
    assert sender.pings.pong(sender.sent[2])
    assert sender.proved == [4, 7]


def test_since_when_somebody_waits_for_a_pong(clock: Clock) -> None:
    """
    Who waits without a limit counts; a message to be confirmed makes every ping of our own behind
    it count, and never one of the user's.
    """
    sender = Sender(clock)
    sender.taken = 1
    pings = sender.pings
    pings.ping(b"user", None).addErrback(lambda _: None)
    assert (pings.waiting_since(None), pings.waiting_since(1)) == (None, None)
    clock.advance(1)
    pings.barrier(10).addErrback(lambda _: None)
    assert (pings.waiting_since(None), pings.waiting_since(1)) == (None, 1)
    clock.advance(1)
    waiting = pings.barrier(None)
    waiting.addErrback(lambda _: None)
    assert (pings.waiting_since(None), pings.waiting_since(1)) == (2, 1)
    waiting.cancel()
    assert (pings.waiting_since(None), pings.waiting_since(1)) == (None, 1)
    pings.fail_all(ConnectionDropped("gone"))
    assert pings.waiting_since(1) is None


@pytest.mark.parametrize("cancel", [False, True])
def test_a_message_does_not_wait_for_a_ping_before_it(clock: Clock, cancel: bool) -> None:
    """One that is left, as nobody waits for it any more, is no reason to call a peer mute."""
    sender = Sender(clock)
    sender.taken = 3
    give_up(sender, clock, cancel)
    clock.advance(60)
    sender.taken = 4
    assert sender.pings.waiting_since(4) is None
    sender.pings.probe()
    assert sender.pings.waiting_since(4) == clock.seconds()
    # But it is waited for if a message relies on it that was there before.
    assert sender.pings.waiting_since(3) == 0


def test_a_mute_peer_costs_no_memory(clock: Clock) -> None:
    """However often somebody gives up waiting for it, few pings are remembered."""
    sender = Sender(clock)
    for _ in range(100):
        give_up(sender, clock, True)
        give_up(sender, clock, False)
    for payload in sender.sent:
        sender.pings.pong(payload)
    assert len(sender.proved) <= 2


def test_probes_end_silently_with_the_connection(clock: Clock) -> None:
    """Who waits for what they prove is told by others; their pongs, if any came, say nothing."""
    sender = Sender(clock)
    sender.pings.probe()
    barrier = sender.pings.barrier(None)
    error = ConnectionDropped("gone")
    sender.pings.fail_all(error)
    assert error_of(barrier) is error
    for payload in sender.sent:
        assert not sender.pings.pong(payload)
    assert sender.proved == []


def test_what_is_proved_may_end_the_connection(clock: Clock) -> None:
    """The pings that the same pong answers are answered all the same, and none fails."""
    sender = Sender(clock)
    user = outcome(sender.pings.ping(b"user", None))
    sender.pings = pings = PingTracker(
        clock,
        sender.sent.append,
        sender.mark,
        lambda _: pings.fail_all(ConnectionDropped("gone")),
    )
    user = outcome(pings.ping(b"user", 5))
    barrier = outcome(pings.barrier(5))
    later = pings.ping(b"later", 5)
    pings.pong(sender.sent[-2])
    assert (user, barrier) == ([0.0], [0.0])
    assert isinstance(error_of(later), ConnectionDropped)


@settings(derandomize=True, deadline=None)
@given(
    steps=st.lists(
        st.sampled_from(["take", "probe", "barrier", "user", "pong", "unasked", "cancel", "wait"]),
        max_size=40,
    ),
    data=st.data(),
)
def test_only_what_arrived_is_proved(steps: list[str], data: st.DataObject) -> None:
    """
    Before a peer that answers some of what it was asked, in order, and sends pongs of its own: what
    is proved was sent before a ping of ours that it has read; and when it answers the latest ping
    of ours, everything before that is proved.
    """
    clock = Clock()
    sender = Sender(clock)
    marks: list[int | None] = []
    latest = 0
    for step in steps:
        if step == "take":
            sender.taken += 1
        elif step == "probe":
            sender.pings.probe()
        elif step == "barrier":
            sender.pings.barrier(3).addErrback(lambda _: None)
        elif step == "user":
            sender.pings.ping(b"user", 3).addErrback(lambda _: None)
        elif step == "pong" and latest < len(sender.sent):
            latest = data.draw(st.integers(latest + 1, len(sender.sent)))
            sender.pings.pong(sender.sent[latest - 1])
            mark = marks[latest - 1] if latest <= len(marks) else None
            if mark is not None:
                assert max(sender.proved) >= mark
        elif step == "unasked":
            sender.pings.pong(b"user")
        elif step == "wait":
            clock.advance(1)
        while len(marks) < len(sender.sent):
            marks.append(None if sender.sent[len(marks)] == b"user" else sender.taken)
        read = [mark for mark in marks[:latest] if mark is not None]
        assert max(sender.proved, default=0) <= max(read, default=0)
    sender.pings.fail_all(ConnectionDropped("gone"))
    assert clock.getDelayedCalls() == []


# Everything at once


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
