"""
Whatever a user's function returned, as a Deferred.

Hooks and event handlers may be plain functions, return a Deferred, or be C{async def}; with these
functions the rest of the library sees one kind only.
"""

from __future__ import annotations

import re
from asyncio import _get_running_loop, isfuture
from collections.abc import Awaitable, Callable
from inspect import isawaitable, iscoroutine
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from ._asyncio_coroutine import AsyncioCoroutine
from .errors import NoAsyncioLoop

__all__ = ["as_deferred", "call_user", "explain"]

# What asyncio, and libraries upon it, say to those who want them where they do not run; and what
# asyncio's future says to Twisted, which does not know what to do with it.
_WITHOUT_LOOP = re.compile(
    "no running event loop|no current event loop|inside a task|await wasn't used with future"
    "|unknown async library"
)


def as_deferred(value: object) -> Deferred[Any]:
    """
    Turn what a function returned into a L{Deferred}.

    @param value: a L{Deferred} (returned as it is), a coroutine (started at once), an asyncio
        future, any other awaitable (awaited at once), or a plain value.
    @return: a L{Deferred} that fires, or fails, with the outcome of C{value}; at once with C{value}
        itself if there is nothing to wait for.  It fails with L{NoAsyncioLoop} if asyncio is waited
        for where its loop does not run.  Cancelling it cancels what it waits for.
    """
    if isinstance(value, Deferred):
        return value
    if iscoroutine(value):
        loop = _get_running_loop()
        if loop is not None:
            return AsyncioCoroutine(value, loop).outcome
        return Deferred.fromCoroutine(value).addErrback(explain)
    if isfuture(value):
        if _get_running_loop() is not value.get_loop():
            return fail(NoAsyncioLoop())
        return Deferred.fromFuture(value)
    if isawaitable(value):
        return as_deferred(_wait_for(value))
    return succeed(value)


def explain(failure: Failure) -> Failure:
    """
    @param failure: of a user's function.
    @return: what to report: L{NoAsyncioLoop}, with that failure for its cause, if it is that.
    """
    error = failure.value
    if not (isinstance(error, RuntimeError) and _WITHOUT_LOOP.search(str(error))):
        return failure
    advice = NoAsyncioLoop().with_traceback(error.__traceback__)
    advice.__cause__ = error
    return Failure(advice)


def call_user(function: Callable[..., object], *args: object) -> Deferred[Any]:
    """
    Call a function that the user gave us, whatever kind of function it is.

    Unlike L{twisted.internet.defer.maybeDeferred} it takes every awaitable, and leaves
    C{KeyboardInterrupt} and C{SystemExit} to those they are meant for.

    @return: a L{Deferred} that fires with what C{function} returned, or what that fired with, and
        fails with any L{Exception} it raised.  Cancelling it cancels what C{function} started.
    """
    try:
        value = function(*args)
    except Exception:
        return fail().addErrback(explain)
    return as_deferred(value)


async def _wait_for(awaitable: Awaitable[object]) -> object:
    return await awaitable
