"""
Tests for L{wsmultipool.events}.
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Callable
from typing import Any, get_args

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure

from wsmultipool.errors import NoAsyncioLoop
from wsmultipool.events import EventEmitter, EventName

from .leftovers import LoggedFailures


class Broken(Exception):
    """
    What goes wrong in these tests.
    """


class Listener:
    """
    An object with a handler as a method.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def handle(self, *args: object) -> None:
        self.calls.append(args)


Failures = Callable[[Callable[[], object]], list[tuple[str, Failure]]]


@pytest.fixture
def failures(logged_failures: LoggedFailures) -> Failures:
    """
    A function that calls another one, and returns the texts and failures logged meanwhile.
    """

    def collect(function: Callable[[], object]) -> list[tuple[str, Failure]]:
        with capturedLogs() as events:
            function()
        assert {event["log_namespace"] for event in events} <= {"wsmultipool.events"}
        assert {event["log_level"] for event in events} <= {LogLevel.critical}
        logged_failures.flush(Broken, TypeError, NoAsyncioLoop)
        return [(formatEvent(event), event["log_failure"]) for event in events]

    return collect


@pytest.mark.parametrize("event", get_args(EventName))
def test_handlers_get_the_arguments_of_every_event(event: Any) -> None:
    """
    Whatever is emitted reaches the handlers of that event, and no others.
    """
    emitter = EventEmitter()
    listener, other = Listener(), Listener()
    for name in get_args(EventName):
        emitter.on(name, listener.handle if name == event else other.handle)
    emitter.emit(event, 1, "two")
    assert listener.calls == [(1, "two")]
    assert other.calls == []


def test_nobody_need_listen() -> None:
    """
    An event without handlers is nothing to worry about.
    """
    EventEmitter().emit("message", b"data", True, 0)


def test_handlers_are_called_in_order() -> None:
    """
    Handlers are called in the order they were added.
    """
    emitter = EventEmitter()
    calls: list[str] = []
    emitter.on("pool:ready", lambda: calls.append("first"))
    emitter.on("pool:ready", lambda: calls.append("second"))
    emitter.on("pool:ready", lambda: calls.append("third"))
    emitter.emit("pool:ready")
    emitter.emit("pool:ready")
    assert calls == ["first", "second", "third"] * 2


def test_on_and_once_return_the_handler() -> None:
    """
    What was added is returned, to be kept for C{off}.
    """
    emitter = EventEmitter()

    def handler(connection_id: int) -> None:
        raise AssertionError

    assert emitter.on("open", handler) is handler
    assert emitter.once("open", handler) is handler
    emitter.off("open", handler)
    emitter.off("open", handler)
    emitter.emit("open", 0)


def test_on_is_a_decorator() -> None:
    """
    Without a handler, C{on} adds the function beneath it, and leaves it what it was.
    """
    emitter = EventEmitter()
    seen: list[bytes] = []

    @emitter.on("message")
    def handler(data: bytes, is_binary: bool, connection_id: int) -> str:
        seen.append(data)
        return "plain"

    emitter.emit("message", b"1", True, 0)
    emitter.emit("message", b"2", True, 0)
    assert seen == [b"1", b"2"]
    assert handler(b"3", False, 1) == "plain"


def test_once_is_a_decorator() -> None:
    """
    Without a handler, C{once} adds the function beneath it for one event.
    """
    emitter = EventEmitter()
    seen: list[int] = []

    @emitter.once("drain")
    def handler(messages_sent: int) -> None:
        seen.append(messages_sent)

    emitter.emit("drain", 1)
    emitter.emit("drain", 2)
    handler(3)
    assert seen == [1, 3]


def test_once_is_once() -> None:
    """
    A handler added by C{once} hears one event, even if it emits that event itself.
    """
    emitter = EventEmitter()
    seen: list[int] = []

    def handler(connection_id: int) -> None:
        seen.append(connection_id)
        emitter.emit("open", connection_id + 1)

    emitter.once("open", handler)
    emitter.emit("open", 1)
    emitter.emit("open", 5)
    assert seen == [1]
    assert emitter.listeners("open") == ()


def test_once_is_once_in_nested_emissions() -> None:
    """
    If an earlier handler emits the same event again, a later one added by C{once} hears the inner
    one, and not the outer one as well.
    """
    emitter = EventEmitter()
    seen: list[int] = []

    def again(connection_id: int) -> None:
        if connection_id == 1:
            emitter.emit("open", 2)

    emitter.on("open", again)
    emitter.once("open", seen.append)
    emitter.emit("open", 1)
    assert seen == [2]


def test_a_handler_added_twice_is_called_twice() -> None:
    """
    Each C{on} counts, and each C{off} takes one of them back.
    """
    emitter = EventEmitter()
    listener = Listener()
    emitter.on("open", listener.handle)
    emitter.on("open", listener.handle)
    emitter.emit("open", 1)
    assert listener.calls == [(1,), (1,)]
    emitter.off("open", listener.handle)
    emitter.emit("open", 2)
    assert listener.calls == [(1,), (1,), (2,)]
    emitter.off("open", listener.handle)
    emitter.emit("open", 3)
    assert listener.calls == [(1,), (1,), (2,)]


def test_off_takes_back_the_last_of_equal_ones() -> None:
    """
    Of a handler that was added several times, the others keep their place.
    """
    emitter = EventEmitter()
    calls: list[str] = []

    def first() -> None:
        calls.append("first")

    def second() -> None:
        calls.append("second")

    for handler in (first, second, first):
        emitter.on("pool:ready", handler)
    emitter.off("pool:ready", first)
    emitter.emit("pool:ready")
    assert calls == ["first", "second"]


def test_off_takes_back_once() -> None:
    """
    A handler that was added by C{once} is removed by C{off} like any other.
    """
    emitter = EventEmitter()
    listener = Listener()
    emitter.once("open", listener.handle)
    emitter.off("open", listener.handle)
    emitter.emit("open", 1)
    assert listener.calls == []


def test_off_of_an_unknown_handler_is_no_error() -> None:
    """
    To remove a handler that was never added, or is gone already, changes nothing.
    """
    emitter = EventEmitter()
    listener = Listener()
    emitter.on("open", listener.handle)
    emitter.off("open", print)
    emitter.off("close", listener.handle)
    emitter.emit("open", 1)
    assert listener.calls == [(1,)]


def test_a_handler_added_while_an_event_is_emitted_hears_the_next() -> None:
    """
    An emission reaches those who listened when it began.
    """
    emitter = EventEmitter()
    late = Listener()
    emitter.once("open", lambda connection_id: emitter.on("open", late.handle))
    emitter.emit("open", 1)
    assert late.calls == []
    emitter.emit("open", 2)
    assert late.calls == [(2,)]


def test_a_handler_removed_while_an_event_is_emitted_hears_it_for_the_last_time() -> None:
    """
    An emission is not changed by what its handlers remove, and skips nobody.
    """
    emitter = EventEmitter()
    removed, last = Listener(), Listener()

    def remover(connection_id: int) -> None:
        emitter.off("open", remover)
        emitter.off("open", removed.handle)

    for handler in (remover, removed.handle, last.handle):
        emitter.on("open", handler)
    emitter.emit("open", 1)
    emitter.emit("open", 2)
    assert removed.calls == [(1,)]
    assert last.calls == [(1,), (2,)]


@pytest.mark.parametrize(
    ("event", "nearest"),
    [
        ("messages", "message"),
        ("ready", "pool:ready"),
        ("unexpectedResponse", "unexpected-response"),
        (None, "pong"),
    ],
)
def test_an_unknown_event_is_refused(event: Any, nearest: str) -> None:
    """
    A misspelt event is refused by every method, with the name that was probably meant.
    """
    emitter = EventEmitter()
    calls: list[Callable[[], object]] = [
        lambda: emitter.on(event, print),
        lambda: emitter.on(event),
        lambda: emitter.once(event, print),
        lambda: emitter.once(event),
        lambda: emitter.off(event, print),
        lambda: emitter.emit(event),
        lambda: emitter.listeners(event),
    ]
    complaint = f"there is no event {event!r}; did you mean {nearest!r}?"
    for call in calls:
        with pytest.raises(ValueError, match=f"^{re.escape(complaint)}$"):
            call()


@pytest.mark.parametrize("handler", [None, 5, "handler"])
def test_what_cannot_be_called_is_refused(handler: Any) -> None:
    """
    A handler that is not callable is refused at once; C{None} is no decorator by mistake.
    """
    emitter = EventEmitter()
    for add in (emitter.on, emitter.once):
        with pytest.raises(TypeError) as caught:
            add("message", handler)
        assert str(caught.value) == f"handler must be callable, not {handler!r}"
    assert emitter.listeners("message") == ()


def test_a_handler_that_raises_disturbs_nobody(failures: Failures) -> None:
    """
    What a handler raises is logged with the names of event and handler; the others are called.
    """
    emitter = EventEmitter()
    listener = Listener()
    error = Broken()

    def handler(connection_id: int) -> None:
        raise error

    emitter.on("open", handler)
    emitter.on("open", listener.handle)
    ((text, failure),) = failures(lambda: emitter.emit("open", 1))
    assert text.startswith("A handler of 'open' failed: test_a_handler_that_raises_disturbs_nobody")
    assert text.endswith("<locals>.handler")
    assert failure.value is error
    assert listener.calls == [(1,)]


def test_a_handler_that_needs_asyncio_is_told_what_to_do(failures: Failures) -> None:
    """No asyncio loop runs here, and asyncio's own words for that help nobody."""
    emitter = EventEmitter()

    @emitter.on("pool:ready")
    def begin() -> None:
        asyncio.get_running_loop()

    @emitter.on("pool:ready")
    async def sleep() -> None:
        await asyncio.sleep(1)

    logged = failures(lambda: emitter.emit("pool:ready"))
    assert len(logged) == 2
    assert all("asyncioreactor.install()" in str(failure.value) for _, failure in logged)


def test_every_kind_of_handler_has_a_name(failures: Failures) -> None:
    """
    The log names the user's function, method or class, also if it was added by C{once}, but not the
    arguments of a partial function.
    """
    emitter = EventEmitter()

    class Owner:
        def method(self, password: str = "") -> None:
            raise Broken

    emitter.on("pool:ready", Owner().method)
    emitter.once("pool:ready", Owner().method)
    emitter.once("pool:ready", functools.partial(Owner().method, "secret"))
    names = [text.rpartition(".")[2] for text, _ in failures(lambda: emitter.emit("pool:ready"))]
    assert names == ["method", "method", "A handler of 'pool:ready' failed: partial"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_is_not_caught(kind: type[BaseException]) -> None:
    """
    C{KeyboardInterrupt} and C{SystemExit} pass through C{emit} and C{call}.
    """
    emitter = EventEmitter()

    def handler() -> None:
        raise kind

    emitter.on("pool:empty", handler)
    with pytest.raises(kind):
        emitter.emit("pool:empty")
    with pytest.raises(kind):
        emitter.call("pool:empty", handler, ())


def test_a_failed_deferred_is_logged(failures: Failures) -> None:
    """
    If the Deferred that a handler returns fails, now or later, that is logged.
    """
    emitter = EventEmitter()
    later: Deferred[None] = Deferred()
    emitter.on("pool:ready", lambda: fail(Broken()))
    emitter.on("pool:ready", lambda: later)
    ((text, failure),) = failures(lambda: emitter.emit("pool:ready"))
    assert text.startswith("A handler of 'pool:ready' failed: ")
    assert failure.type is Broken
    ((text, failure),) = failures(lambda: later.errback(Broken()))
    assert text.startswith("A handler of 'pool:ready' failed: ")
    assert failure.type is Broken


def test_a_coroutine_is_started_at_once_and_its_failure_logged(failures: Failures) -> None:
    """
    A handler may be C{async def}; it runs up to its first wait within the emission.
    """
    emitter = EventEmitter()
    gate: Deferred[None] = Deferred()
    seen: list[bytes] = []

    @emitter.on("message")
    async def handler(data: bytes, is_binary: bool, connection_id: int) -> None:
        seen.append(data)
        await gate
        raise Broken

    assert failures(lambda: emitter.emit("message", b"data", True, 0)) == []
    assert seen == [b"data"]
    ((text, failure),) = failures(lambda: gate.callback(None))
    assert text.endswith("<locals>.handler")
    assert failure.type is Broken


@pytest.mark.parametrize("value", [None, 0, "text", ()])
def test_other_results_are_ignored(value: object, failures: Failures) -> None:
    """
    A handler may return anything.
    """
    emitter = EventEmitter()
    emitter.on("pool:ready", lambda: value)
    assert failures(lambda: emitter.emit("pool:ready")) == []


def test_an_error_that_nobody_listens_to_is_logged() -> None:
    """
    Without a handler for C{error}, errors are logged, text and connection, and never raised.
    """
    emitter = EventEmitter()
    with capturedLogs() as events:
        emitter.emit("error", Broken("no {braces} harmed"), 3)
    (event,) = events
    assert event["log_level"] is LogLevel.error
    assert formatEvent(event) == "Connection 3: no {braces} harmed"


def test_an_error_that_somebody_listens_to_is_not_logged() -> None:
    """
    With a handler for C{error}, errors are that handler's.
    """
    emitter = EventEmitter()
    listener = Listener()
    error = Broken()
    emitter.on("error", listener.handle)
    with capturedLogs() as events:
        emitter.emit("error", error, 3)
    assert list(events) == []
    assert listener.calls == [(error, 3)]


def test_unheard_errors_can_go_elsewhere() -> None:
    """
    A subclass may have its own place for errors that nobody listens to.
    """
    unheard: list[tuple[Exception, int]] = []

    class Pool(EventEmitter):
        def _unheard_error(self, error: Exception, connection_id: int) -> None:
            unheard.append((error, connection_id))

    error = Broken()
    pool = Pool()
    pool.emit("error", error, 3)
    pool.on("error", lambda error, connection_id: None)
    pool.emit("error", error, 4)
    assert unheard == [(error, 3)]


def test_a_handler_of_error_that_raises_is_logged_once(failures: Failures) -> None:
    """
    A failing C{error} handler is logged like any other: it does not cause another C{error}.
    """
    emitter = EventEmitter()

    def handler(error: Exception, connection_id: int) -> None:
        raise Broken

    emitter.on("error", handler)
    assert len(failures(lambda: emitter.emit("error", ValueError(), 0))) == 1


def test_listeners_can_be_called_one_by_one(failures: Failures) -> None:
    """
    C{listeners} and C{call} do what C{emit} does, in steps: with C{once}, and with failures logged.
    """
    emitter = EventEmitter()
    listener = Listener()
    gate: Deferred[None] = Deferred()

    def broken(*args: object) -> None:
        raise Broken

    emitter.on("ping", listener.handle)
    emitter.once("ping", listener.handle)
    emitter.on("ping", broken)
    emitter.on("ping", lambda data, connection_id: gate)

    def emit() -> None:
        for handler in emitter.listeners("ping"):
            emitter.call("ping", handler, (b"data", 0))

    assert [failure.type for _, failure in failures(emit)] == [Broken]
    assert [failure.type for _, failure in failures(emit)] == [Broken]
    assert listener.calls == [(b"data", 0)] * 3
    assert [failure.type for _, failure in failures(lambda: gate.errback(Broken()))] == [Broken]


def test_messages_that_arrived_together_are_emitted_one_by_one() -> None:
    """
    Each handler hears a message before any of them hears the next; who comes and goes in between
    does so from the next message on.
    """
    emitter = EventEmitter()
    heard: list[tuple[object, ...]] = []

    def second(*args: object) -> None:
        heard.append(("second", *args))
        emitter.off("message", second)
        emitter.on("message", lambda *args: heard.append(("third", *args)))

    emitter.on("message", lambda *args: heard.append(("first", *args)))
    emitter.on("message", second)
    emitter.emit_messages([b"1", b"2"], True, 7)
    assert heard == [
        ("first", b"1", True, 7),
        ("second", b"1", True, 7),
        ("first", b"2", True, 7),
        ("third", b"2", True, 7),
    ]


def test_messages_are_taken_only_as_they_are_emitted() -> None:
    """
    Who withdraws those that were not emitted yet, as a pause does, has the emission end.
    """
    emitter = EventEmitter()
    payloads = iter([b"1", b"2", b"3"])
    heard: list[bytes] = []
    withdrawn: list[bytes] = []

    def handler(payload: bytes, is_binary: bool, connection_id: int) -> None:
        heard.append(payload)
        withdrawn.extend(payloads)

    emitter.on("message", handler)
    emitter.emit_messages(payloads, False, 0)
    assert (heard, withdrawn) == ([b"1"], [b"2", b"3"])
    # Taken even if nobody listens.
    payloads = iter([b"4"])
    EventEmitter().emit_messages(payloads, False, 0)
    assert list(payloads) == []


def test_a_handler_that_fails_with_one_message_hears_the_next(failures: Failures) -> None:
    """
    What a handler raises, or its Deferred fails with, is logged for each message by itself.
    """
    emitter = EventEmitter()
    heard: list[bytes] = []

    def handler(payload: bytes, is_binary: bool, connection_id: int) -> object:
        heard.append(payload)
        if payload == b"raise":
            raise Broken("raised")
        return fail(Broken("fired")) if payload == b"fail" else None

    emitter.on("message", handler)
    logged = failures(lambda: emitter.emit_messages([b"raise", b"fail", b"last"], True, 0))
    assert heard == [b"raise", b"fail", b"last"]
    assert [str(failure.value) for _, failure in logged] == ["raised", "fired"]
    assert all("'message'" in text for text, _ in logged)


def test_emitters_are_independent() -> None:
    """
    Two pools do not share their handlers.
    """
    one, other = EventEmitter(), EventEmitter()
    listener = Listener()
    one.on("open", listener.handle)
    other.emit("open", 1)
    assert listener.calls == []
