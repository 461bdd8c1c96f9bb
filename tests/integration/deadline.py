"""
Asynchronous tests that fail, instead of hanging, when what they wait for never happens.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from .running_reactor import reactor

Arguments = ParamSpec("Arguments")
T = TypeVar("T")


def within(
    seconds: float,
) -> Callable[
    [Callable[Arguments, Coroutine[Deferred[Any], Any, None]]],
    Callable[Arguments, Deferred[None]],
]:
    """
    Run the decorated test on the reactor and fail it after so long.

    The time is a guard and never part of what is tested: it is far more than a test needs.
    pytest-twisted waits for the Deferred that the decorated function returns.
    """

    def decorate(
        test: Callable[Arguments, Coroutine[Deferred[Any], Any, None]],
    ) -> Callable[Arguments, Deferred[None]]:
        @functools.wraps(test)
        def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Deferred[None]:
            return limited(Deferred.fromCoroutine(test(*args, **kwargs)), seconds)

        return run

    return decorate


def limited(waiting: Deferred[T], seconds: float) -> Deferred[T]:
    """
    Let C{waiting} fail after so long, with the line of the test that waited in vain.
    """

    def out_of_time(result: T | Failure, timeout: float) -> T | Failure:
        if isinstance(result, Failure):
            result.trap(CancelledError)
            raise AssertionError(f"not done after {timeout:g} s:\n{result.getTraceback()}")
        return result

    return waiting.addTimeout(seconds, reactor, out_of_time)
