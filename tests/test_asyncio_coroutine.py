"""
Tests for L{wsmultipool._asyncio_coroutine}: users' coroutines where asyncio's loop runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure

from tests.support import outcome
from wsmultipool._awaitables import as_deferred


class Broken(Exception):
    """
    What goes wrong in these tests.
    """


def in_a_loop(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """
    Run a test in asyncio's loop, which complains in the end of what nobody has looked after.
    """

    def run() -> None:
        complaints: list[dict[str, Any]] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: complaints.append(context))
            await test()
            for _ in range(3):
                await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(main())
        assert complaints == []

    run.__doc__ = test.__doc__
    return run


async def turns() -> None:
    """
    Let the loop go round a few times.
    """
    for _ in range(5):
        await asyncio.sleep(0)


@in_a_loop
async def test_what_needs_no_waiting_is_there_at_once() -> None:
    """An async def that awaits nothing, or what is there already, is done when it was called."""

    async def hook() -> str:
        return await succeed("done")

    assert outcome(as_deferred(hook())) == ["done"]


@in_a_loop
async def test_it_is_begun_at_once() -> None:
    """As with every other reactor, it runs up to its first wait within the call."""
    seen: list[str] = []

    async def hook() -> None:
        seen.append("begun")
        await asyncio.sleep(0)
        seen.append("done")

    results = outcome(as_deferred(hook()))
    assert (seen, results) == (["begun"], [])
    await turns()
    assert (seen, results) == (["begun", "done"], [None])


@in_a_loop
async def test_it_may_wait_for_futures() -> None:
    """What asyncio offers works: a future brings its result, and its exception."""
    good: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    bad: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def hook() -> str:
        first = await good
        with pytest.raises(Broken):
            await bad
        return first

    results = outcome(as_deferred(hook()))
    good.set_result("good")
    bad.set_exception(Broken())
    await turns()
    assert results == ["good"]


@in_a_loop
async def test_it_goes_on_as_soon_as_a_deferred_has_fired() -> None:
    """Not a turn of the loop later: what Deferreds do is as it is with every other reactor."""
    first: Deferred[str] = Deferred()
    second: Deferred[str] = Deferred()

    async def hook() -> str:
        return await first + await second

    results = outcome(as_deferred(hook()))
    first.callback("a")
    assert results == []
    second.callback("b")
    assert results == ["ab"]


@in_a_loop
async def test_a_deferred_may_fail() -> None:
    """Its exception is raised where it is awaited."""
    waiting: Deferred[None] = Deferred()

    async def hook() -> str:
        try:
            await waiting
        except Broken:
            return "caught"
        return "missed"

    results = outcome(as_deferred(hook()))
    waiting.errback(Broken())
    assert results == ["caught"]


@in_a_loop
async def test_it_may_wait_for_both_in_turn() -> None:
    """A future, a Deferred, a future, a Deferred."""
    deferreds: list[Deferred[int]] = []

    def deferred() -> Deferred[int]:
        deferreds.append(Deferred())
        return deferreds[-1]

    async def hook() -> list[int]:
        got = []
        for number in (1, 3):
            got.append(await asyncio.sleep(0, number))
            got.append(await deferred())
        return got

    results = outcome(as_deferred(hook()))
    await turns()
    deferreds[0].callback(2)
    await turns()
    deferreds[1].callback(4)
    assert results == [[1, 2, 3, 4]]


@in_a_loop
async def test_a_deferred_that_fires_while_the_task_has_not_begun_to_wait() -> None:
    """The coroutine is already further then than its task has noticed."""
    waiting: Deferred[int] = Deferred()

    async def hook() -> int:
        got = await waiting
        return got + await asyncio.sleep(0, 1)

    results = outcome(as_deferred(hook()))
    waiting.callback(1)
    assert results == []
    await turns()
    assert results == [2]


@in_a_loop
async def test_what_it_raises_is_a_failure() -> None:
    """Before and after its first wait."""

    async def hook(wait: bool) -> None:
        if wait:
            await asyncio.sleep(0)
        raise Broken

    results = outcome(as_deferred(hook(wait=False)))
    assert results[0].check(Broken)
    results = outcome(as_deferred(hook(wait=True)))
    await turns()
    assert results[0].check(Broken)


@in_a_loop
async def test_it_has_a_task_from_the_beginning() -> None:
    """asyncio.timeout and its like want one."""

    async def hook() -> str:
        task = asyncio.current_task()
        async with asyncio.timeout(60):
            await asyncio.sleep(0)
        return "same" if asyncio.current_task() is task is not None else "another"

    mine = asyncio.current_task()
    results = outcome(as_deferred(hook()))
    assert asyncio.current_task() is mine
    await turns()
    assert results == ["same"]


@in_a_loop
async def test_asyncio_timeout_ends_the_wait_for_a_deferred() -> None:
    """What was waited for is cancelled, and what it does then does not matter."""
    cancelled: list[object] = []
    waiting: Deferred[None] = Deferred(cancelled.append)

    async def hook() -> str:
        try:
            async with asyncio.timeout(0):
                await waiting
        except TimeoutError:
            return await asyncio.sleep(0, "in time")
        return "too late"

    results = outcome(as_deferred(hook()))
    await turns()
    assert cancelled == [waiting]
    assert results == ["in time"]


@in_a_loop
async def test_cancelling_reaches_a_deferred() -> None:
    """An attempt that has used up its time cancels what its hook waits for."""
    cancelled: list[object] = []
    waiting: Deferred[None] = Deferred(cancelled.append)

    async def hook() -> None:
        await waiting

    deferred = as_deferred(hook())
    results = outcome(deferred)
    deferred.cancel()
    assert cancelled == [waiting]
    assert results[0].check(CancelledError)


@in_a_loop
async def test_cancelling_reaches_a_future() -> None:
    """The coroutine has a chance to clean up, as in any task."""
    cleaned: list[str] = []
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def hook() -> None:
        try:
            await future
        finally:
            cleaned.append("up")

    deferred = as_deferred(hook())
    results = outcome(deferred)
    await turns()
    deferred.cancel()
    assert results[0].check(CancelledError)
    await turns()
    assert future.cancelled()
    assert cleaned == ["up"]


@in_a_loop
async def test_it_has_a_context_of_its_own() -> None:
    """What it sets in a context variable is there for it, and for nobody else."""
    variable: ContextVar[str] = ContextVar("variable", default="outside")
    waiting: Deferred[None] = Deferred()

    async def hook() -> list[str]:
        variable.set("inside")
        await asyncio.sleep(0)
        seen = [variable.get()]
        await waiting
        return [*seen, variable.get()]

    results = outcome(as_deferred(hook()))
    await turns()
    waiting.callback(None)
    assert results == [["inside", "inside"]]
    assert variable.get() == "outside"


@in_a_loop
async def test_one_may_begin_within_another() -> None:
    """A hook that has a handler called; each is in its own task."""
    tasks: list[object] = []

    async def inner() -> None:
        tasks.append(asyncio.current_task())

    async def outer() -> None:
        tasks.append(asyncio.current_task())
        as_deferred(inner())
        tasks.append(asyncio.current_task())

    assert outcome(as_deferred(outer())) == [None]
    assert tasks[0] is tasks[2] is not tasks[1]


def test_a_deferred_may_fire_where_no_task_runs() -> None:
    """In the reactor, that is: the callback of a socket, say."""
    waiting: Deferred[str] = Deferred()
    results: list[object] = []

    async def hook() -> object:
        return await waiting, asyncio.current_task() is not None

    loop = asyncio.new_event_loop()
    loop.call_soon(lambda: as_deferred(hook()).addBoth(results.append))
    loop.call_soon(waiting.callback, "fired")
    loop.call_later(0, loop.stop)
    loop.run_forever()
    loop.run_until_complete(turns())
    loop.close()
    assert results == [("fired", True)]


@in_a_loop
async def test_a_failure_keeps_its_traceback() -> None:
    """It says where in the hook it was raised."""

    async def hook() -> None:
        await asyncio.sleep(0)
        raise Broken

    results: list[Failure] = outcome(as_deferred(hook()))
    await turns()
    assert "in hook" in results[0].getTraceback()
