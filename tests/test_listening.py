"""
Tests for L{wsmultipool._listening}.
"""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable
from threading import Thread
from weakref import ref

import pytest
from twisted.internet.defer import Deferred

from wsmultipool._listening import Listening
from wsmultipool._streams import MessageStream, ReceivedMessage
from wsmultipool.events import EventEmitter


class Told:
    """
    What the listening tells others.

    @ivar reading: whether to read from the sockets, each time.
    @ivar calls: what is to be called in the reactor's thread.
    @ivar left: how often an iterator was left.
    """

    def __init__(self) -> None:
        self.reading: list[bool] = []
        self.calls: list[Callable[[], None]] = []
        self.left = 0

    def leave(self) -> None:
        """An iterator was left."""
        self.left += 1

    def call(self) -> None:
        """Have the reactor's thread call it."""
        calls, self.calls = self.calls, []
        for function in calls:
            function()


def listening() -> tuple[Listening, EventEmitter, Told]:
    """
    Listen to events.
    """
    events = EventEmitter()
    told = Told()
    it = Listening(events, told.reading.append, lambda call: told.calls.append(call), told.leave)
    return it, events, told


def all_of(stream: MessageStream) -> list[ReceivedMessage]:
    """
    Read a stream that is at its end.
    """

    received: list[ReceivedMessage] = []

    async def read() -> None:
        async for message in stream:
            received.append(message)

    assert Deferred.fromCoroutine(read()).called
    return received


def test_reading_goes_on_when_nobody_holds_it_any_more() -> None:
    """Two who hold it are independent, and to hold it twice is as good as once."""
    it, _, told = listening()
    it.hold("one", True)
    it.hold("one", True)
    it.hold("other", True)
    it.hold("one", False)
    assert told.reading == [False]
    it.hold("other", False)
    assert told.reading == [False, True]
    it.hold("other", False)
    assert told.reading == [False, True]


def test_every_iterator_gets_what_arrives_after_it_was_made() -> None:
    """They do not take messages away from each other."""
    it, events, _ = listening()
    first = it.stream()
    events.emit("message", b"one", True, 0)
    second = it.stream()
    events.emit("message", b"two", True, 1)
    it.end()
    assert all_of(first) == [(b"one", True, 0), (b"two", True, 1)]
    assert all_of(second) == [(b"two", True, 1)]


def test_an_iterator_made_after_the_end_is_at_its_end() -> None:
    """Whoever is late does not wait for ever."""
    it, events, _ = listening()
    it.end()
    stream = it.stream()
    events.emit("message", b"late", True, 0)
    assert all_of(stream) == []


def fill(events: EventEmitter) -> None:
    """
    Let more arrive than an iterator holds.
    """
    for _ in range(2000):
        events.emit("message", b"x", True, 0)


def test_an_iterator_that_nobody_refers_to_ends() -> None:
    """
    It lets reading go on, and somebody is told, once: but all that in the reactor's thread, and not
    in the one that has happened to collect it.
    """
    it, events, told = listening()
    streams = [it.stream()]
    fill(events)
    assert told.reading == [False]
    thread = Thread(target=streams.clear)
    thread.start()
    thread.join()
    assert (told.reading, told.left, len(told.calls)) == ([False], 0, 1)
    assert len(events.listeners("message")) == 1
    told.call()
    assert (told.reading, told.left) == ([False, True], 1)
    assert events.listeners("message") == ()
    gc.collect()
    it.end()
    assert (told.calls, told.left) == ([], 1)


def test_an_iterator_that_others_refer_to_goes_on_when_one_is_left() -> None:
    """It gets what arrives, and nothing is said about it."""
    it, events, told = listening()
    first, second = it.stream(), it.stream()
    del first
    told.call()
    events.emit("message", b"one", True, 0)
    it.end()
    assert all_of(second) == [(b"one", True, 0)]
    assert told.left == 1


def test_a_loop_that_waits_for_more_is_not_left() -> None:
    """Though nobody but the pool refers to it: it gets what arrives."""
    it, events, told = listening()
    received: list[bytes] = []

    async def read() -> None:
        async for data, _, _ in it.stream():
            received.append(data)

    Deferred.fromCoroutine(read())
    gc.collect()
    told.call()
    events.emit("message", b"one", True, 0)
    gc.collect()
    events.emit("message", b"two", True, 0)
    assert (received, told.left) == ([b"one", b"two"], 0)
    it.end()


def test_a_loop_that_waits_for_what_never_comes_is_left() -> None:
    """If nobody can make it go on any more, nobody consumes."""
    it, events, told = listening()
    waiting: list[Deferred[None]] = []

    async def read() -> None:
        async for _ in it.stream():
            waiting.append(Deferred())
            await waiting[0]

    reading = Deferred.fromCoroutine(read())
    fill(events)
    gc.collect()
    assert told.calls == []
    del reading
    waiting.clear()
    gc.collect()
    told.call()
    assert (told.reading, told.left) == ([False, True], 1)


@pytest.mark.parametrize("how", ["closed", "ended"])
def test_nothing_is_said_of_an_iterator_at_its_end(how: str) -> None:
    """Neither when it was closed, nor when all has ended, even if that comes second."""
    it, events, told = listening()
    stream, late = it.stream(), it.stream()
    fill(events)
    del late
    if how == "closed":
        assert Deferred.fromCoroutine(stream.aclose()).called
        del stream
    it.end()
    gc.collect()
    told.call()
    assert told.left == 0


def test_an_iterator_is_collected_together_with_what_it_iterates_over() -> None:
    """It brings nothing back to life, and nothing is called."""
    it, events, told = listening()

    class Program:
        """Something that has both."""

        def __init__(self, it: Listening, events: EventEmitter) -> None:
            self.listening = it
            self.stream = it.stream()
            events.on("open", self.opened)

        def opened(self, connection_id: int) -> None:
            """Whatever."""

    program = ref(Program(it, events))
    gone = ref(events)
    del it, events
    gc.collect()
    assert (program(), gone(), told.calls) == (None, None, [])


EXIT = """
from twisted.internet.asyncioreactor import install
{install}
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from wsmultipool import ReconnectingPoolFactory

pool = ReconnectingPoolFactory("ws://127.0.0.1:9/", start=False)
stream = pool.messages()
other = pool.messages()

async def read():
    async for _ in pool.messages():
        pass

reading = Deferred.fromCoroutine(read())
{run}
"""


@pytest.mark.parametrize(
    ("install", "run"),
    [
        ("", ""),
        ("", "reactor.callLater(0, reactor.stop); reactor.run(); del other"),
        ("install()", "reactor.callLater(0, reactor.stop); reactor.run()"),
        ("install()", "reactor._asyncioEventloop.close(); del other"),
    ],
    ids=["never-ran", "left-after", "asyncio", "no-loop"],
)
def test_a_program_that_is_over_says_nothing_of_its_iterators(install: str, run: str) -> None:
    """Python collects them when it exits, when no reactor runs any more."""
    program = EXIT.format(install=install, run=run)
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
