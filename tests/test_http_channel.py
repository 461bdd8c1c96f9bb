"""
Tests for L{wsmultipool.service.http_channel}: a connection that asks for more than it reads, that
says nothing, or that goes.
"""

from __future__ import annotations

import gc
import re
import weakref

import pytest

from wsmultipool.service.connections import MOST_CONNECTIONS
from wsmultipool.service.http_channel import LONGEST_SILENCE, LONGEST_UNREAD

from .http_requests import Connection
from .status_pages import Shown

GET = "GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n"
# What a socket is read by.
READ = 65536


def flood(connection: Connection, path: str, size: int) -> int:
    """
    Send requests, as many as are read until nothing more is, and at most so many bytes.

    @return: how many bytes were sent.
    """
    sent = 0
    while sent < size and connection.transport.producerState == "producing":
        requests = GET.format(path).encode() * (READ // len(GET.format(path)))
        connection.send(requests)
        sent += len(requests)
    return sent


def is_open(connection: Connection) -> bool:
    """
    Say whether the server has not closed it.
    """
    return connection.connected


@pytest.mark.parametrize("path", ["/", "/metrics", "/stats.json", "/healthz", "/nothing"])
def test_requests_whose_answers_are_not_read_are_not_read_either(path: str) -> None:
    """Of a million only a few are taken, and no more is written than a transport likes to hold."""
    shown = Shown()
    connection = shown.endpoint.connect(reads=False)
    sent = flood(connection, path, 50_000_000)
    shown.memory.advance(1)
    assert sent <= 16 * READ
    page = len(shown.get(path).body) + 2000
    assert (
        connection.transport.LIMIT < len(connection.received()) < connection.transport.LIMIT + page
    )
    connection.transport.abortConnection()
    shown.close()


def test_all_requests_are_answered_as_fast_as_the_answers_are_read() -> None:
    """In order, and none is left out: who asks for much at once gets all of it."""
    shown = Shown()
    connection = shown.endpoint.connect(reads=False)
    paths = ["/healthz", "/readyz", "/nothing", "/"] * 100
    for path in paths:
        connection.send(GET.format(path).encode())
    received = b""
    while more := connection.transport.empty():
        received += more
        shown.memory.settle()
    statuses = re.findall(rb"HTTP/1.1 ([0-9]+) ", received)
    assert statuses == [b"200", b"503", b"404", b"200"] * 100
    assert connection.transport.producerState == "producing"
    connection.close()
    shown.close()


def test_what_is_not_read_for_long_is_given_up() -> None:
    """Also with a request that still waits for its answer; reading in between is enough to stay."""
    shown = Shown()
    slow, stuck, last = (shown.endpoint.connect(reads=False) for _ in range(3))
    for connection in (slow, stuck):
        flood(connection, "/", 10 * READ)
    last.send(GET.format("/").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").encode())
    shown.memory.advance(LONGEST_UNREAD - 1)
    slow.transport.empty()
    shown.memory.advance(2)
    assert [each.connected for each in (slow, stuck, last)] == [True, False, False]
    slow.transport.abortConnection()
    shown.close()


@pytest.mark.parametrize("begin", [b"", b"GET /", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_a_request_that_does_not_come_is_not_waited_for(begin: bytes) -> None:
    """Neither if there is nothing, nor if it comes octet by octet."""
    shown = Shown()
    connection = shown.endpoint.connect()
    if begin:
        connection.send(begin)
    for _ in range(int(LONGEST_SILENCE) - 1):
        shown.memory.advance(1)
        if begin:
            connection.send(b"x")
    assert is_open(connection)
    shown.memory.advance(1)
    assert not is_open(connection)
    shown.close()


def test_after_an_answer_the_time_for_a_request_begins_anew() -> None:
    """A connection that is used again and again stays open."""
    shown = Shown()
    connection = shown.endpoint.connect()
    for _ in range(5):
        shown.memory.advance(LONGEST_SILENCE - 1)
        connection.request("/healthz")
        assert connection.response().status == 200
    shown.memory.advance(LONGEST_SILENCE)
    assert not is_open(connection)
    shown.close()


def test_silence_counts_from_when_the_answer_was_read() -> None:
    """Who reads a long answer slowly may still ask for the next one."""
    shown = Shown()
    connection = shown.endpoint.connect(reads=False)
    connection.transport.LIMIT = 100
    connection.request("/")
    shown.memory.advance(LONGEST_SILENCE + 1)
    assert connection.transport.empty().startswith(b"HTTP/1.1 200 ")
    shown.memory.advance(LONGEST_SILENCE - 1)
    assert is_open(connection)
    shown.memory.advance(1)
    assert not is_open(connection)
    shown.close()


def test_a_connection_that_is_closed_and_does_not_go_is_aborted() -> None:
    """Who reads not even the end of what was written takes no descriptor for ever."""
    shown = Shown()
    connection = shown.endpoint.connect(reads=False)
    connection.request("/healthz")
    shown.memory.advance(LONGEST_SILENCE)
    assert is_open(connection)
    shown.memory.advance(LONGEST_UNREAD)
    assert not is_open(connection)
    shown.close()


def test_a_connection_that_goes_before_its_turn_is_not_answered() -> None:
    """Nothing fails, and nothing is left of it."""
    shown = Shown()
    connection = shown.endpoint.connect()
    clock = shown.memory.clock
    get_stats = shown.memory.pool.get_stats

    def slow() -> object:
        clock.rightNow += 1
        return get_stats()

    shown.memory.pool.get_stats = slow  # type: ignore[assignment, method-assign]
    shown.get("/stats.json")
    connection.request("/stats.json")  # its turn is the next one
    assert connection.received() == b""
    connection.close()
    shown.memory.settle()
    assert connection.received() == b""
    del shown.memory.pool.get_stats
    shown.close()


def test_who_does_not_read_makes_room_before_who_is_being_answered() -> None:
    """And after those that ask for nothing."""
    shown = Shown()
    watching, unread = shown.endpoint.connect(), shown.endpoint.connect(reads=False)
    watching.request("/events")
    flood(unread, "/", 10 * READ)
    idle = shown.endpoint.connect()
    others = [shown.endpoint.connect() for _ in range(MOST_CONNECTIONS - 3)]
    for connection in others:
        connection.request("/events")
    others += [shown.endpoint.connect()]
    assert [each.connected for each in (watching, unread, idle)] == [True, True, False]
    for connection in (watching, *others):
        connection.close()
    unread.transport.abortConnection()
    shown.close()


def test_a_connection_that_is_gone_leaves_nothing_behind() -> None:
    """What it had sent and not read is let go at once, and not when Python looks for garbage."""
    shown = Shown()
    connection = shown.endpoint.connect(reads=False)
    flood(connection, "/", 10 * READ)
    transport = connection.transport
    channel = weakref.ref(transport.producer)
    del connection
    gc.collect()
    gc.disable()
    try:
        transport.abortConnection()
        transport.protocol = transport.producer = None  # as transports do
        assert channel() is None
    finally:
        gc.enable()
    shown.close()
