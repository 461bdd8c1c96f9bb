"""
Tests for L{wsmultipool._deadline_clock}.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.internet.task import Clock
from twisted.python import runtime
from zope.interface import implementer
from zope.interface.verify import verifyObject

from wsmultipool._deadline_clock import DeadlineClock
from wsmultipool._time_watch import TimeWatch

from .support import BusyClock


@implementer(IReactorFromThreads)
class SystemTimed(BusyClock):
    """
    As Twisted's reactors: it goes by the system's time, which is C{rightNow}; another clock is not
    set.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.steady = 0.0
        seconds = self.seconds
        self.seconds = seconds  # type: ignore[method-assign]
        monkeypatch.setattr(runtime, "seconds", seconds)
        monkeypatch.setattr(time, "monotonic", lambda: self.steady)
        monkeypatch.setattr(threading.Thread, "start", lambda _: None)

    def callFromThread(self, callable: Callable[..., object], *args: object, **kw: object) -> None:
        raise NotImplementedError

    def pass_time(self, seconds: float) -> None:
        """Let time pass, by both clocks."""
        self.steady += seconds
        self.advance(seconds)

    def set(self, seconds: float) -> None:
        """Set the system's time, forward or, if negative, back."""
        self.rightNow += seconds


@pytest.fixture
def clock() -> Iterator[BusyClock]:
    """
    A clock; at the end of the test, nothing may be left on it.
    """
    clock = BusyClock()
    yield clock
    assert clock.getDelayedCalls() == []


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[SystemTimed]:
    """
    A reactor that goes by the system's time; at the end of the test, nothing may be left on it.
    """
    system = SystemTimed(monkeypatch)
    yield system
    assert system.getDelayedCalls() == []


def on(system: SystemTimed) -> DeadlineClock:
    """
    Make deadlines on it, with nothing in a thread.
    """
    return DeadlineClock(system)


def set_back(deadlines: DeadlineClock) -> None:
    """
    Notice that the system's time was set back.
    """
    assert isinstance(deadlines.watch, TimeWatch)
    deadlines.watch.set_back()


def test_a_call_is_made_when_its_time_has_come(clock: BusyClock) -> None:
    """Once, with its arguments; until then it is active, and says when it is due."""
    deadlines = DeadlineClock(clock)
    clock.advance(1)
    called: list[tuple[object, ...]] = []
    call = deadlines.callLater(2, lambda *args, **kw: called.append((args, kw)), 1, two=2)
    clock.advance(1.9)
    assert (call.active(), call.getTime(), called) == (True, 3, [])
    clock.advance(0.1)
    assert (call.active(), called) == (False, [((1,), {"two": 2})])
    assert deadlines.seconds() == clock.seconds() == 3


def test_it_is_a_clock_as_others_are(clock: BusyClock) -> None:
    """Whatever takes a Twisted clock takes this one."""
    deadlines = DeadlineClock(clock)
    call = deadlines.callLater(1, print)
    assert verifyObject(IReactorTime, deadlines)
    assert verifyObject(IDelayedCall, call)
    assert deadlines.getDelayedCalls() == clock.getDelayedCalls() != []
    call.cancel()
    late: Deferred[None] = Deferred()
    late.addTimeout(1, deadlines).addErrback(lambda _: None)
    clock.advance(1)
    assert late.called


def test_what_arrives_in_the_turn_of_a_deadline_is_read_first(clock: BusyClock) -> None:
    """
    A process that was busy finds its deadlines over and the sockets full, and reads the sockets
    first: Twisted would make the call at once.
    """
    called: list[str] = []
    deadline = DeadlineClock(clock).callLater(1, called.append, "late")

    def read() -> None:
        assert deadline.active()
        deadline.cancel()

    clock.callLater(2, read)  # in the turn after that in which the deadline is over
    clock.advance(5)
    assert called == []


def test_a_deadline_waits_until_all_was_read_that_had_arrived(clock: BusyClock) -> None:
    """One turn reads 64 KiB, and what the deadline waits for may be behind more than that."""
    arrived = 0
    called: list[str] = []
    deadline = DeadlineClock(clock, lambda: arrived).callLater(1, called.append, "late")

    def read() -> None:
        nonlocal arrived
        arrived += 1
        if arrived < 90:
            clock.callLater(0, read)
        else:
            deadline.cancel()

    clock.callLater(2, read)
    clock.advance(5)
    assert called == []
    assert arrived == 90


def test_a_deadline_is_over_as_soon_as_nothing_more_arrives(clock: BusyClock) -> None:
    """It does not wait for what may still come."""
    arrived = 0
    called: list[str] = []
    DeadlineClock(clock, lambda: arrived).callLater(1, called.append, "late")

    def read() -> None:
        nonlocal arrived
        arrived += 1
        assert called == []

    clock.callLater(2, read)
    clock.advance(5)
    assert called == ["late"]


def test_a_peer_that_never_stops_talking_is_judged_all_the_same(clock: BusyClock) -> None:
    """When it has had more to say than any buffer could have held, there was no answer in it."""
    arrived = 0
    deadline = DeadlineClock(clock, lambda: arrived).callLater(1, lambda: None)

    def read() -> None:
        nonlocal arrived
        arrived += 1
        if deadline.active():
            clock.callLater(0, read)

    clock.callLater(2, read)
    clock.advance(5)
    assert arrived * 65536 > 32 * 1024 * 1024


def test_a_deadline_may_be_moved(clock: BusyClock) -> None:
    """Like any delayed call of Twisted's."""
    called: list[str] = []
    deadlines = DeadlineClock(clock)
    call = deadlines.callLater(5, called.append, "first")
    clock.advance(1)
    call.reset(1)
    assert call.getTime() == 2
    clock.advance(1)
    assert called == ["first"]
    call = deadlines.callLater(1, called.append, "second")
    call.delay(2)
    clock.advance(2)
    assert called == ["first"]
    clock.advance(1)
    assert called == ["first", "second"]


@pytest.mark.parametrize(
    "change", [lambda c: c.cancel(), lambda c: c.reset(1), lambda c: c.delay(1)]
)
def test_what_is_over_can_not_be_changed(
    clock: BusyClock, change: Callable[[IDelayedCall], object]
) -> None:
    """It raises what Twisted's delayed calls raise."""
    deadlines = DeadlineClock(clock)
    cancelled = deadlines.callLater(1, lambda: None)
    cancelled.cancel()
    with pytest.raises(AlreadyCancelled):
        change(cancelled)
    made = deadlines.callLater(1, lambda: None)
    clock.advance(1)
    with pytest.raises(AlreadyCalled):
        change(made)


def test_a_deadline_holds_when_the_clock_is_set_forward(system: SystemTimed) -> None:
    """The reactor makes all its calls at once then; a deadline is over when it is."""
    called: list[str] = []
    on(system).callLater(5, called.append, "late")
    system.pass_time(1)
    system.set(60)
    system.pass_time(3.9)
    assert called == []
    system.pass_time(0.1)
    assert called == ["late"]


def test_a_deadline_holds_when_the_clock_is_set_back(system: SystemTimed) -> None:
    """The reactor would make no call for an hour."""
    called: list[str] = []
    deadlines = on(system)
    deadlines.callLater(5, called.append, "late")
    system.pass_time(1)
    system.set(-3600)
    set_back(deadlines)
    system.pass_time(3.9)
    assert called == []
    system.pass_time(0.1)
    assert called == ["late"]


def test_a_deadline_that_is_over_when_the_clock_is_set_back_is_over(system: SystemTimed) -> None:
    """However long it took to notice that; what is over or cancelled is not asked for again."""
    called: list[str] = []
    deadlines = on(system)
    deadlines.callLater(5, called.append, "late")
    deadlines.callLater(5, called.append, "cancelled").cancel()
    system.set(-3600)
    system.pass_time(60)
    set_back(deadlines)
    system.pass_time(0)
    assert called == ["late"]
    set_back(deadlines)


def test_a_tests_clock_is_taken_as_it_is() -> None:
    """A test may move it as it likes: nobody looks at the system's time."""
    clock = Clock()
    assert DeadlineClock(clock).seconds() == 0
    clock.advance(5)
    assert DeadlineClock(clock).seconds() == 5
