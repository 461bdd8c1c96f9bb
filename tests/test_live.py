"""
Tests for L{wsmultipool.service.live}: what browsers are told while they watch.
"""

from __future__ import annotations

import json

from wsmultipool.service.http_channel import LONGEST_UNREAD
from wsmultipool.service.live import MOST_WATCHERS

from .http_requests import Connection
from .status_pages import Shown

PARTS = {"status", "figures", "traffic", "connections", "events", "updated"}


def watching(shown: Shown) -> Connection:
    """
    Open a stream, as a browser does.
    """
    connection = shown.endpoint.connect()
    connection.request("/events")
    return connection


def changes(connection: Connection) -> list[dict[str, str]]:
    """
    Return what has changed, event by event, since the last time.
    """
    return [json.loads(event) for event in connection.events()]


def test_the_stream_begins_with_the_whole_state() -> None:
    """A browser that was away for a while is up to date at once."""
    shown = Shown()
    shown.memory.open()
    connection = shown.endpoint.connect()
    connection.request("/events")
    head, _, _ = connection.transport.value().partition(b"\r\n\r\n")
    assert b"Content-Type: text/event-stream" in head
    assert b"Cache-Control: no-store" in head
    (first,) = changes(connection)
    assert set(first) == PARTS
    assert "All 2 open" in first["status"]
    connection.close()
    shown.close()


def test_every_second_what_has_changed_is_told() -> None:
    """A connection that is lost is seen within a second; what is as before is not sent again."""
    shown = Shown(pool_options={"pool_size": 2, "reconnect_interval": 5})
    shown.memory.open()
    connection = watching(shown)
    shown.memory.advance(2)
    changes(connection)
    shown.memory.server.peers[0].drop()
    shown.memory.advance(1)
    (change,) = changes(connection)
    assert "1 of 2 open" in change["status"]
    assert "again in" in change["connections"]
    shown.memory.advance(1)
    (change,) = changes(connection)
    assert "status" not in change
    assert {"connections", "updated"} <= set(change)
    connection.close()
    shown.close()


def test_samples_are_rare_while_nobody_watches() -> None:
    """One every five seconds; every second as long as there is a browser."""
    shown = Shown()
    clock = shown.memory.clock

    def next_sample() -> float:
        (call,) = (
            each for each in clock.getDelayedCalls() if "_sample" in repr(getattr(each, "func", ""))
        )
        return call.getTime() - clock.seconds()

    assert next_sample() == 5
    first, second = watching(shown), watching(shown)
    assert next_sample() == 1
    shown.memory.advance(1)
    first.close()
    shown.memory.advance(1)
    assert len(changes(second)) == 3
    second.close()
    shown.memory.advance(1)
    assert next_sample() == 5
    shown.close()


def test_a_browser_that_does_not_read_is_sent_nothing() -> None:
    """When it reads again, it gets what has changed meanwhile, once, and not all that it missed."""
    shown = Shown()
    connection, other = watching(shown), watching(shown)
    changes(connection)
    connection.transport.producer.pauseProducing()
    shown.memory.open()
    shown.memory.advance(10)
    assert connection.received() == b""
    connection.transport.producer.resumeProducing()
    shown.memory.advance(1)
    (change,) = changes(connection)
    assert "All 2 open" in change["status"]
    assert len(changes(other)) > 10
    connection.close()
    other.close()
    shown.close()


def test_a_browser_that_reads_no_more_is_given_up() -> None:
    """It takes a place, of which there are few; one that reads now and then keeps its own."""
    shown = Shown()
    stuck, slow = watching(shown), watching(shown)
    for connection in (stuck, slow):
        connection.transport.producer.pauseProducing()
    shown.memory.advance(LONGEST_UNREAD - 1)
    assert [each.connected for each in (stuck, slow)] == [True, True]
    slow.transport.producer.resumeProducing()
    shown.memory.advance(1)
    slow.transport.producer.pauseProducing()
    shown.memory.advance(1)
    shown.memory.advance(LONGEST_UNREAD - 2)
    assert [each.connected for each in (stuck, slow)] == [False, True]
    others = [watching(shown) for _ in range(MOST_WATCHERS - 1)]
    assert all(changes(connection) for connection in others)
    shown.memory.advance(2)
    assert not slow.connected
    for connection in others:
        connection.close()
    shown.close()


def test_only_so_many_may_watch() -> None:
    """One too many is told so; when one has gone, the next may."""
    shown = Shown()
    connections = [watching(shown) for _ in range(MOST_WATCHERS)]
    refused = shown.get("/events")
    assert (refused.status, refused.text) == (503, "too many are watching\n")
    connections.pop().close()
    connections.append(watching(shown))
    assert len(changes(connections[-1])) == 1
    for connection in connections:
        connection.close()
    shown.close()


def test_head_does_not_watch() -> None:
    """It gets the headers of a stream, and no stream."""
    shown = Shown()
    response = shown.get("/events", "HEAD")
    assert (response.status, response.headers["content-type"]) == (200, "text/event-stream")
    shown.close()


def test_a_browser_that_goes_is_forgotten() -> None:
    """Nothing is written to it any more, and no timer is left for it."""
    shown = Shown()
    connection = watching(shown)
    connection.close()
    connection.received()
    shown.memory.advance(10)
    assert connection.received() == b""
    shown.close()
