"""
Tests for L{wsmultipool._time_watch}.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from weakref import ref

import pytest
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import Clock
from twisted.python import runtime
from zope.interface import implementer

from wsmultipool import _time_watch
from wsmultipool._time_watch import TimeWatch, Unwatched, time_watch


@implementer(IReactorFromThreads)
class Reactor(Clock):
    """
    A reactor that goes by the system's time, and can be told of things by threads.
    """

    seconds = staticmethod(runtime.seconds)

    def __init__(self) -> None:
        super().__init__()
        self.told = threading.Event()

    def callFromThread(self, callable: Callable[..., object], *args: object, **kw: object) -> None:
        callable(*args, **kw)
        self.told.set()


class Call:
    """
    A call that waits, and counts how often the reactor was asked for it again.
    """

    def __init__(self) -> None:
        self.asked = 0

    def ask_again(self) -> None:
        self.asked += 1


class Times:
    """
    The system's time, and one that is not set.
    """

    def __init__(self) -> None:
        self.wall = self.steady = 1000.0


def watched(monkeypatch: pytest.MonkeyPatch) -> tuple[TimeWatch, Times, Reactor]:
    """
    Make a watch whose thread does not start, so that a test looks itself.
    """
    times = Times()
    reactor = Reactor()
    monkeypatch.setattr(threading.Thread, "start", lambda _: None)
    monkeypatch.setattr(threading.Thread, "is_alive", lambda _: True)
    return TimeWatch(reactor, lambda: times.wall, lambda: times.steady), times, reactor


def test_what_waits_is_asked_for_again_when_the_time_is_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once for each time; and so is what was added in between."""
    watch, times, _reactor = watched(monkeypatch)
    first, second, gone = Call(), Call(), Call()
    watch.add(first)
    watch.add(gone)
    watch.discard(gone)
    assert watch.look()
    times.wall -= 3600
    assert watch.look()
    assert watch.look()
    watch.add(second)
    times.wall -= 0.5
    assert watch.look()
    assert (first.asked, second.asked, gone.asked) == (2, 1, 0)


def test_nothing_is_done_as_long_as_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor for a correction of some milliseconds, until they add up."""
    watch, times, _reactor = watched(monkeypatch)
    call = Call()
    watch.add(call)
    for _ in range(3):
        times.wall += 10 - 0.03
        times.steady += 10
        assert watch.look()
    assert call.asked == 0
    times.wall -= 0.03
    assert watch.look()
    assert call.asked == 1


def test_time_that_is_set_forward_is_taken_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reactor calls too early then, and who is called sees that; setting it back is noticed."""
    watch, times, _reactor = watched(monkeypatch)
    call = Call()
    watch.add(call)
    times.wall += 3600
    assert watch.look()
    assert call.asked == 0
    times.wall -= 3600
    assert watch.look()
    assert call.asked == 1


def test_a_thread_looks_as_long_as_anything_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends when nothing does, and another one begins with the next that waits."""
    monkeypatch.setattr(_time_watch, "_INTERVAL", 0.001)
    times, reactor, call = Times(), Reactor(), Call()
    watch = TimeWatch(reactor, lambda: times.wall, time.monotonic)
    for _ in range(2):
        before = set(threading.enumerate())
        watch.add(call)
        (thread,) = set(threading.enumerate()) - before
        assert thread.daemon
        watch.add(call)
        times.wall -= 3600
        assert reactor.told.wait(60)
        reactor.told.clear()
        watch.discard(call)
        thread.join(60)
        assert not thread.is_alive()
    assert call.asked >= 2


def test_a_process_without_threads_goes_by_the_systems_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That no more can be started is no reason to fail."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    TimeWatch(Reactor(), runtime.seconds).add(Call())


def test_a_reactor_is_not_kept_for_the_sake_of_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may make many, one after the other."""
    monkeypatch.setattr(threading.Thread, "start", lambda _: None)
    reactor = Reactor()
    watch = time_watch(reactor)
    assert isinstance(watch, TimeWatch)
    assert watch is time_watch(reactor)
    watch.add(Call())
    gone = ref(reactor)
    del reactor
    gc.collect()
    assert gone() is None
    assert not watch.look()


def test_a_reactor_with_a_time_of_its_own_is_not_watched() -> None:
    """A test's clock, for instance; nor is one that no thread can tell of anything."""
    clock = Clock()
    watch = time_watch(clock)
    assert isinstance(watch, Unwatched)
    clock.advance(3)
    assert watch.steady() == 3
    watch.add(Call())
    watch.discard(Call())


def test_a_deadline_that_is_set_while_another_one_is_being_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python may look for garbage at any moment, and what is told of that has a deadline, too."""
    monkeypatch.setattr(threading.Thread, "start", lambda _: None)
    garbage = [Call()]

    def wall() -> float:
        if garbage:
            watch.add(garbage.pop())
        return 1000.0

    watch = TimeWatch(Reactor(), wall)
    watch.add(Call())
    assert garbage == []
