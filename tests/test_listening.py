"""
Tests for L{wsmultipool._listening}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from wsmultipool._listening import Listening
from wsmultipool._streams import MessageStream, ReceivedMessage
from wsmultipool.events import EventEmitter


def listening() -> tuple[Listening, EventEmitter, list[bool]]:
    """
    Listen to events; the list is of what was said about reading.
    """
    events = EventEmitter()
    reading: list[bool] = []
    return Listening(events, reading.append), events, reading


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
    it, _, reading = listening()
    it.hold("one", True)
    it.hold("one", True)
    it.hold("other", True)
    it.hold("one", False)
    assert reading == [False]
    it.hold("other", False)
    assert reading == [False, True]
    it.hold("other", False)
    assert reading == [False, True]


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
