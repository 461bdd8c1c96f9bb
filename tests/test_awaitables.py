"""
Tests for L{wsmultipool._awaitables}.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from types import coroutine
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.python.failure import Failure

from wsmultipool._awaitables import as_deferred, call_user
from wsmultipool.errors import NoAsyncioLoop


class Broken(Exception):
    """
    What goes wrong in these tests.
    """


class Wrapper:
    """
    An awaitable that is neither a coroutine nor a Deferred nor a future.
    """

    def __init__(self, inner: Deferred[str]) -> None:
        self.inner = inner

    def __await__(self) -> Generator[Any, None, str]:
        return self.inner.__await__()


async def wait_for(inner: Deferred[str]) -> str:
    """
    Wait in a coroutine.
    """
    return await inner


@coroutine
def wait_in_generator(inner: Deferred[str]) -> Generator[Any, None, str]:
    """
    Wait in a coroutine of the old kind, which is a generator.
    """
    return (yield from inner.__await__())


waiting = pytest.mark.parametrize(
    "wrap", [lambda inner: inner, wait_for, wait_in_generator, Wrapper]
)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """
    An event loop that does not run.
    """
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def outcome(deferred: Deferred[Any]) -> list[Any]:
    """
    Collect what a Deferred fires or fails with: empty until it does.
    """
    results: list[Any] = []
    deferred.addBoth(results.append)
    return results


@waiting
def test_a_result_is_passed_on(wrap: Callable[[Deferred[str]], object]) -> None:
    """
    What any kind of awaitable ends with is what the Deferred fires with, not earlier.
    """
    inner: Deferred[str] = Deferred()
    results = outcome(as_deferred(wrap(inner)))
    assert results == []
    inner.callback("done")
    assert results == ["done"]


@waiting
def test_what_is_there_already_comes_at_once(wrap: Callable[[Deferred[str]], object]) -> None:
    """
    If an awaitable need not wait, its outcome is there without a turn of any loop.
    """
    assert outcome(as_deferred(wrap(succeed("done")))) == ["done"]


@waiting
def test_a_failure_is_passed_on(wrap: Callable[[Deferred[str]], object]) -> None:
    """
    What any kind of awaitable fails with is what the Deferred fails with.
    """
    (failure,) = outcome(as_deferred(wrap(fail(Broken()))))
    assert failure.check(Broken)


@waiting
def test_cancelling_reaches_what_is_waited_for(wrap: Callable[[Deferred[str]], object]) -> None:
    """
    Cancelling the Deferred cancels what the user's code waits for.
    """
    cancelled: list[Deferred[str]] = []
    inner: Deferred[str] = Deferred(cancelled.append)
    deferred = as_deferred(wrap(inner))
    results = outcome(deferred)
    deferred.cancel()
    assert cancelled == [inner]
    assert results[0].check(CancelledError)


def test_a_deferred_is_returned_as_it_is() -> None:
    """
    A Deferred is not wrapped in another.
    """
    deferred: Deferred[None] = Deferred()
    assert as_deferred(deferred) is deferred


def test_an_asyncio_future_is_waited_for() -> None:
    """
    Futures of asyncio end in a Deferred as well, with their result.
    """

    async def test() -> None:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        results = outcome(as_deferred(future))
        future.set_result("done")
        assert results == []
        await asyncio.sleep(0)
        assert results == ["done"]

    asyncio.run(test())


def test_an_asyncio_future_may_fail() -> None:
    """
    The exception of an asyncio future is the Deferred's failure.
    """

    async def test() -> None:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        results = outcome(as_deferred(future))
        future.set_exception(Broken())
        await asyncio.sleep(0)
        assert results[0].check(Broken)

    asyncio.run(test())


def test_an_asyncio_future_is_cancelled() -> None:
    """
    Cancelling the Deferred cancels the asyncio future.
    """

    async def test() -> None:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        deferred = as_deferred(future)
        results = outcome(deferred)
        deferred.cancel()
        assert future.cancelled()
        await asyncio.sleep(0)
        assert results[0].check(asyncio.CancelledError)

    asyncio.run(test())


def plain() -> object:
    """Begin something of asyncio's in a plain function."""
    return asyncio.get_running_loop().create_future()


async def sleeping() -> None:
    """Sleep as one does in asyncio."""
    await asyncio.sleep(0.01)


async def in_time() -> None:
    """Limit the time of something."""
    async with asyncio.timeout(1):
        pass


@pytest.mark.parametrize("function", [plain, sleeping, in_time])
def test_asyncio_where_its_loop_does_not_run(function: Callable[[], object]) -> None:
    """
    The error says what to do, and keeps the one that asyncio has raised.
    """
    (failure,) = outcome(call_user(function))
    assert failure.check(NoAsyncioLoop)
    assert "asyncioreactor.install()" in str(failure.value)
    assert isinstance(failure.value.__cause__, RuntimeError)
    assert f"in {function.__name__}" in failure.getTraceback()


def test_a_future_of_a_loop_that_does_not_run(loop: asyncio.AbstractEventLoop) -> None:
    """
    It would never come: awaited in a coroutine, or returned as it is.
    """
    future = loop.create_future()

    async def wait() -> None:
        await future

    for value in (future, wait()):
        (failure,) = outcome(as_deferred(value))
        assert failure.check(NoAsyncioLoop)


def test_another_runtime_error_is_left_alone() -> None:
    """
    Not everything that goes wrong has to do with asyncio.
    """
    error = RuntimeError("the cat sat on the keyboard")

    async def function() -> None:
        raise error

    (failure,) = outcome(call_user(function))
    assert failure.value is error


@pytest.mark.parametrize("value", [None, 0, "text", [1], Wrapper])
def test_a_plain_value_is_there_at_once(value: object) -> None:
    """
    A value that nobody has to wait for is the result, even if it is the class of an awaitable.
    """
    assert outcome(as_deferred(value)) == [value]


def test_a_failure_as_a_value_counts_as_one() -> None:
    """
    As everywhere in Twisted, to return a L{Failure} is to fail.
    """
    (failure,) = outcome(fail(Broken()))
    assert isinstance(failure, Failure)
    assert outcome(as_deferred(failure)) == [failure]


def test_a_function_is_called_with_its_arguments() -> None:
    """
    C{call_user} passes the arguments on, and fires with what a plain function returns.
    """
    assert outcome(call_user(divmod, 7, 2)) == [(3, 1)]


def test_a_coroutine_function_is_started_at_once() -> None:
    """
    C{call_user} runs an C{async def} up to its first wait, and fires with its result.
    """
    inner: Deferred[str] = Deferred()
    seen: list[str] = []

    async def function(argument: str) -> str:
        seen.append(argument)
        return await inner

    results = outcome(call_user(function, "argument"))
    assert seen == ["argument"]
    assert results == []
    inner.callback("done")
    assert results == ["done"]


def test_an_exception_of_a_function_becomes_a_failure() -> None:
    """
    C{call_user} does not raise what the function raises; the Deferred fails with it.
    """
    error = Broken()

    def function() -> None:
        raise error

    (failure,) = outcome(call_user(function))
    assert failure.value is error
    assert failure.getTraceback().count("in function") == 1


def test_wrong_arguments_become_a_failure() -> None:
    """
    A function that does not take what it is called with fails like one that raises.
    """
    (failure,) = outcome(call_user(lambda: None, 1))
    assert failure.check(TypeError)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_is_not_caught(kind: type[BaseException]) -> None:
    """
    C{KeyboardInterrupt} and C{SystemExit} pass through C{call_user}.
    """

    def function() -> None:
        raise kind

    with pytest.raises(kind):
        call_user(function)
