"""
Tests for L{wsmultipool._lazy_deferred}: nobody can tell it from Twisted's own, whatever is done
with it, in which order.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import (
    AlreadyCalledError,
    CancelledError,
    Deferred,
    DeferredList,
    getDebugging,
    setDebugging,
    succeed,
)
from twisted.python.failure import Failure

from wsmultipool._lazy_deferred import Fired, LazyDeferred

from .leftovers import LoggedFailures
from .thoroughness import cases


def fire(deferred: Deferred[Any], result: object) -> None:
    """
    Fire it in the way that costs less, where that is allowed.
    """
    if isinstance(deferred, LazyDeferred) and not (deferred.watched or deferred.called):
        deferred.called = True
        deferred.result = result
    else:
        deferred.callback(result)


class Scene:
    """
    One Deferred, things to do with it, and what is seen of it.
    """

    def __init__(self, deferred: Deferred[Any]) -> None:
        self.deferred = deferred
        self.paused = 0
        self.seen: list[object] = []
        self.inner: list[Deferred[Any]] = []

    def note(self, name: str) -> Callable[[Any], Any]:
        def callback(result: object) -> object:
            self.seen.append((name, shown(result)))
            return result

        return callback

    def add_callback(self) -> None:
        self.deferred.addCallback(self.note("callback"))

    def add_errback(self) -> None:
        def handle(failure: Failure) -> str:
            self.seen.append(("errback", shown(failure)))
            return "handled"

        self.deferred.addErrback(handle)

    def add_both(self) -> None:
        self.deferred.addBoth(self.note("both"))

    def add_callbacks(self) -> None:
        self.deferred.addCallbacks(self.note("this"), self.note("that"))

    def add_mistake(self) -> None:
        def fail(result: object) -> None:
            raise KeyError("a mistake")

        self.deferred.addCallback(fail)

    def add_waiting(self) -> None:
        def wait(result: object) -> Deferred[Any]:
            inner: Deferred[Any] = Deferred()
            self.inner.append(inner)
            return inner

        self.deferred.addCallback(wait)

    def end_waiting(self) -> None:
        if self.inner:
            self.inner.pop(0).callback("from within")

    def be_waited_for(self) -> None:
        outer = succeed(None)
        outer.addCallback(lambda _: self.deferred)
        outer.addBoth(self.note("outer")).addErrback(lambda _: None)

    def be_listed(self) -> None:
        DeferredList([self.deferred]).addCallback(self.note("list"))

    def be_awaited(self) -> None:
        async def wait() -> None:
            try:
                self.seen.append(("awaited", shown(await self.deferred)))
            except Exception as error:
                self.seen.append(("raised", type(error)))

        Deferred.fromCoroutine(wait())

    def pause(self) -> None:
        self.paused += 1
        self.deferred.pause()

    def unpause(self) -> None:
        if self.paused:
            self.paused -= 1
            self.deferred.unpause()

    def cancel(self) -> None:
        self.deferred.cancel()

    def fire(self) -> None:
        try:
            fire(self.deferred, "the result")
        except AlreadyCalledError:
            self.seen.append("fired before")

    def fail(self) -> None:
        try:
            self.deferred.errback(ValueError())
        except AlreadyCalledError:
            self.seen.append("fired before")

    def show(self) -> None:
        text = str(self.deferred)
        self.seen.append(text.replace(type(self.deferred).__name__, "").partition(" at ")[0])
        self.seen.append((" current result: " in text, " waiting on " in text))

    def ask(self) -> None:
        deferred = self.deferred
        self.seen.append((deferred.called, deferred.paused, shown(getattr(deferred, "result", 0))))

    def run(self, steps: Sequence[Callable[[Scene], None]]) -> list[object]:
        """
        Take the steps and, so that nothing is left for the log, those that are missing at the end.
        """
        for step in steps:
            step(self)
        self.seen.append("the end")
        while self.paused:
            self.unpause()
        self.deferred.addErrback(lambda _: None)
        while self.inner:
            self.end_waiting()
        return self.seen


def shown(result: object) -> object:
    """
    What of a result is the same in another run.
    """
    if isinstance(result, Failure):
        return result.type
    if isinstance(result, list):
        return [(success, shown(inner)) for success, inner in result]
    return "a Deferred" if isinstance(result, Deferred) else result


STEPS = [
    step
    for name, step in vars(Scene).items()
    if not name.startswith("_") and name not in ("note", "run")
]


@settings(max_examples=cases(500))
@given(st.lists(st.sampled_from(STEPS), max_size=12))
def test_it_is_like_any_other_deferred(steps: list[Callable[[Scene], None]]) -> None:
    """Whatever is done with it, and in whatever order."""
    assert Scene(LazyDeferred()).run(steps) == Scene(Deferred()).run(steps)


@settings(max_examples=cases(300))
@given(st.lists(st.sampled_from(STEPS), max_size=12))
def test_one_that_has_fired_is_like_one_that_succeeds(steps: list[Callable[[Scene], None]]) -> None:
    """From the beginning."""
    fired: Fired[str] = Fired()
    fired.result = "at once"
    assert Scene(fired).run(steps) == Scene(succeed("at once")).run(steps)


def test_it_is_set_up_when_somebody_waits() -> None:
    """Until then there is nothing to it."""
    lazy: LazyDeferred[int] = LazyDeferred()
    assert isinstance(lazy, Deferred)
    assert (vars(lazy), lazy.watched, lazy.called) == ({}, False, False)
    lazy.addCallback(lambda result: result)
    assert lazy.watched


def test_one_that_nobody_waits_for_is_fired_by_two_attributes() -> None:
    """Who comes later finds the result."""
    lazy: LazyDeferred[int] = LazyDeferred()
    lazy.called, lazy.result = True, 7
    results: list[int] = []
    assert not lazy.watched
    lazy.addCallback(results.append)
    assert (results, lazy.watched) == ([7], True)


def test_the_cancelled_one_is_set_up() -> None:
    """It has fired: so who fires those that nobody waits for does not fire it again."""
    lazy: LazyDeferred[int] = LazyDeferred()
    lazy.cancel()
    assert (lazy.called, lazy.watched) == (True, True)
    lazy.addErrback(lambda failure: failure.trap(CancelledError))


def test_an_attribute_that_there_is_not() -> None:
    """The error is the usual one."""
    lazy: LazyDeferred[int] = LazyDeferred()
    for _ in range(2):
        with pytest.raises(AttributeError, match="'LazyDeferred' object has no attribute 'absent'"):
            _ = lazy.absent


def test_a_failure_that_nobody_handles_is_logged(logged_failures: LoggedFailures) -> None:
    """As that of any Deferred is."""
    lazy: LazyDeferred[int] = LazyDeferred()
    lazy.errback(ValueError("nobody has asked"))
    del lazy
    gc.collect()
    assert len(logged_failures.flush(ValueError)) == 1


def test_debugging() -> None:
    """Twisted's record of who fired a Deferred twice is there."""
    before = getDebugging()
    setDebugging(True)
    try:
        lazy: LazyDeferred[int] = LazyDeferred()
        lazy.callback(1)
        with pytest.raises(AlreadyCalledError, match="Deferred was created"):
            lazy.callback(2)
    finally:
        setDebugging(before)
