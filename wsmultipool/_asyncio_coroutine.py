"""
A user's coroutine where asyncio's loop runs, as it does with Twisted's asyncio reactor.

It may wait for what asyncio offers, for Deferreds, or for both in turn.  Twisted by itself drives
no coroutine that waits for asyncio's futures, and asyncio none that waits for Deferreds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

__all__ = ["AsyncioCoroutine"]


class AsyncioCoroutine:
    """
    Runs a coroutine, at once, until it waits; and on as soon as that has come.

    There is an asyncio task to wait for asyncio's futures.  To the coroutine it is the current one:
    C{asyncio.timeout}, among others, needs that.  What a Deferred brings is passed on without it,
    within the call that fires the Deferred, as Twisted does.

    @ivar outcome: a L{Deferred} that fires with what the coroutine returns, and fails with what it
        raises.  Cancelling it cancels what is waited for.
    """

    def __init__(
        self, coroutine: Coroutine[Any, Any, object], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.outcome: Deferred[Any] = Deferred(self._cancel)
        self._coroutine = coroutine
        self._loop = loop
        self._over = False
        # What it waits for: a Deferred, or else something of asyncio's.
        self._deferred: Deferred[Any] | None = None
        self._awaited: object = None
        self._wake_up: asyncio.Future[None] | None = None
        self._context = copy_context()
        self._task = asyncio.Task(self._wait(), loop=loop, context=self._context)
        self._resume(coroutine.send, None)

    def _resume(self, advance: Callable[[Any], object], argument: object) -> None:
        """
        Let the coroutine run, in its task and its context, outside of which this is called.
        """
        task, loop = self._task, self._loop
        current = asyncio.current_task(loop)
        if current is not None:
            asyncio.tasks._leave_task(loop, current)
        asyncio.tasks._enter_task(loop, task)
        try:
            self._context.run(self._advance, advance, argument)
        finally:
            asyncio.tasks._leave_task(loop, task)
            if current is not None:
                asyncio.tasks._enter_task(loop, current)
        if self._wake_up is not None and self._deferred is None and not self._wake_up.done():
            self._wake_up.set_result(None)

    def _advance(self, advance: Callable[[Any], object], argument: object) -> None:
        try:
            awaited = advance(argument)
        except StopIteration as stop:
            self._end(stop.value)
        except BaseException:
            self._end(Failure())
        else:
            if isinstance(awaited, Deferred):
                self._deferred = awaited
                awaited.addBoth(self._fired, awaited)
            else:
                self._awaited = awaited

    def _end(self, result: object) -> None:
        self._over = True
        if not self.outcome.called:  # cancelling it has fired it
            self.outcome.callback(result)

    def _fired(self, result: object, deferred: Deferred[Any]) -> None:
        if self._deferred is not deferred:
            return
        self._deferred = None
        if isinstance(result, Failure):
            self._resume(self._coroutine.throw, result.value)
        else:
            self._resume(self._coroutine.send, result)

    async def _wait(self) -> None:
        """The task: wait for what is asyncio's, and let it run on in between."""
        await self

    def __await__(self) -> Generator[Any, None, None]:
        while not self._over:
            try:
                if self._deferred is not None:
                    self._wake_up = self._loop.create_future()
                    yield from self._wake_up
                    continue
                yield self._awaited
            except BaseException as raised:  # the task was cancelled, by C{asyncio.timeout} perhaps
                deferred, self._deferred = self._deferred, None
                if deferred is not None:
                    deferred.cancel()
                self._advance(self._coroutine.throw, raised)
            else:
                self._advance(self._coroutine.send, None)
            finally:
                self._wake_up = None

    def _cancel(self, outcome: Deferred[Any]) -> None:
        if self._deferred is not None:
            self._deferred.cancel()
        else:
            self._task.cancel()
