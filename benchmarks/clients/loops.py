"""
What the measurements need of an event loop: to run a coroutine, and to wait for one value.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.task import react


class Signal(NamedTuple):
    """
    @ivar value: fires with what was given to C{fire}.
    @ivar fire: to be called once.
    """

    value: Awaitable[Any]
    fire: Callable[[Any], object]


class Loop(NamedTuple):
    """
    @ivar run: runs a coroutine to its end; may not return.
    @ivar signal: makes a new signal.
    """

    run: Callable[[Coroutine[Any, Any, None]], object]
    signal: Callable[[], Signal]


def _asyncio_signal() -> Signal:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    return Signal(future, future.set_result)


def _twisted_signal() -> Signal:
    deferred: Deferred[Any] = Deferred()
    return Signal(deferred, deferred.callback)


def _run_twisted(coroutine: Coroutine[Any, Any, None]) -> None:
    react(lambda reactor: Deferred.fromCoroutine(coroutine))


ASYNCIO = Loop(asyncio.run, _asyncio_signal)
TWISTED = Loop(_run_twisted, _twisted_signal)
