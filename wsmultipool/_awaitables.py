"""
Whatever a user's function returned, as a Deferred.

Hooks and event handlers may be plain functions, return a Deferred, or be C{async def}; with these
two functions the rest of the library sees one kind only.
"""

from __future__ import annotations

from asyncio import isfuture
from collections.abc import Awaitable, Callable
from inspect import isawaitable, iscoroutine
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

__all__ = ["as_deferred", "call_user"]


def as_deferred(value: object) -> Deferred[Any]:
    """
    Turn what a function returned into a L{Deferred}.

    @param value: a L{Deferred} (returned as it is), a coroutine (started at once), an asyncio
        future, any other awaitable (awaited at once), or a plain value.
    @return: a L{Deferred} that fires, or fails, with the outcome of C{value}; at once with C{value}
        itself if there is nothing to wait for.  Cancelling it cancels what it waits for.
    """
    if isinstance(value, Deferred):
        return value
    if iscoroutine(value):
        return Deferred.fromCoroutine(value)
    if isfuture(value):
        # Not awaited in a coroutine like the rest: Twisted would not know what to do with the
        # future that asyncio's C{__await__} yields.
        return Deferred.fromFuture(value)
    if isawaitable(value):
        return Deferred.fromCoroutine(_wait_for(value))
    return succeed(value)


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
        return fail()
    return as_deferred(value)


async def _wait_for(awaitable: Awaitable[object]) -> object:
    return await awaitable
