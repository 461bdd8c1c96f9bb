"""
What a peer says when it closes a connection, or does not accept one, reaches the person who has to
know: in errors, their causes, the statistics and the log.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from wsmultipool import (
    CloseTimeout,
    ConnectionClosed,
    DeliveryUnknown,
    GaveUp,
    PooledConnection,
    PoolExhausted,
    UpgradeRejected,
    WebSocketOptions,
    noop_logger,
)
from wsmultipool.testing import MemoryPool

from .integration.recording_logger import RecordingLogger
from .quiet_server import pool_of, unknown
from .support import error_of
from .test_sending import fate

WORDS = 'the peer closed the connection: 4001 "invalid API key"'


def one_connection(**options: Any) -> MemoryPool:
    """
    Open a pool of one connection.
    """
    options = {"pool_size": 1, "logger": noop_logger, "name": "feed", **options}
    memory = MemoryPool(options.pop("url", "ws://memory.test/"), **options)
    memory.open()
    return memory


def turn_away(memory: MemoryPool, code: int = 4001, reason: str = "invalid API key") -> None:
    """
    Have the server close the latest connection.
    """
    memory.server.peers[-1].close(code, reason)
    memory.settle()
    memory.settle()


def last_error(memory: MemoryPool) -> str | None:
    """
    What the statistics say was wrong last.
    """
    return memory.pool.get_stats().connections[0].last_error


# Who waits for something on the connection


def test_a_ping_that_waits_fails_with_what_the_peer_said() -> None:
    """It is not a bare "dropped": the code and the words can be read, and asked for."""
    memory, server = pool_of(1)
    server.pongs[0].hold()
    pinged = memory.pool.ping()
    memory.settle()
    turn_away(memory)
    error = error_of(pinged)
    assert isinstance(error, ConnectionClosed)
    assert (error.code, error.reason, error.by_peer) == (4001, "invalid API key", True)
    assert str(error) == WORDS
    assert error.url is not None
    memory.close()


def test_a_confirmed_message_is_lost_by_what_the_peer_said() -> None:
    """The cause of an unknown delivery is the close of its connection, and its text says so."""
    memory, server = pool_of(1, max_deliveries=1)
    server.pongs[0].hold()
    sent = fate(memory.pool.send("text", confirm=True))
    memory.settle()
    turn_away(memory)
    error = unknown(sent)
    assert str(error.__cause__) == WORDS
    assert str(error).endswith(f"may have arrived, or not: {WORDS}")
    memory.close()


def test_a_flush_is_failed_by_what_the_peer_said() -> None:
    """What was written and not proven is unknown because the peer closed."""
    memory, server = pool_of(1)
    server.pongs[0].hold()
    fate(memory.pool.send("text"))
    flushed = fate(memory.pool.flush())
    memory.settle()
    turn_away(memory)
    assert str(unknown(flushed).__cause__) == WORDS
    memory.close()


def test_what_this_side_closes_says_so() -> None:
    """Who closed the connection is told from what the peer answered to that."""
    connections: list[PooledConnection] = []
    memory, server = pool_of(1, on_connect=connections.append)
    server.pongs[0].hold()
    pinged = memory.pool.ping()
    memory.settle()
    connections[0].close(3001, "moving house")
    memory.settle()
    error = error_of(pinged)
    assert isinstance(error, ConnectionClosed)
    assert str(error) == 'this side closed the connection: 3001 "moving house"'
    assert not error.by_peer
    assert last_error(memory) is None
    memory.close()


# Who gives up


def test_giving_up_has_the_words_of_the_peer_for_its_cause() -> None:
    """A connection that was closed in good order each time has a reason to give up, too."""
    errors: list[Exception] = []
    memory = one_connection(max_reconnect_attempts=1)
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    turn_away(memory)
    (gave_up,) = errors
    assert isinstance(gave_up, GaveUp)
    assert str(gave_up.__cause__) == WORDS
    assert str(gave_up) == f"connection 0 gave up after 1 attempt: {WORDS}"
    memory.close()


def test_an_exhausted_pool_says_why() -> None:
    """Whatever it is asked for, now or later: the last reason is in the text, and the cause."""
    memory = one_connection(max_reconnect_attempts=1)
    memory.server.peers[-1].close(4001, "invalid API key")
    memory.settle()
    waiting = memory.pool.when_ready()
    memory.settle()
    for failed in (waiting, memory.pool.send("x"), memory.pool.flush(), memory.pool.when_open()):
        error = error_of(failed)
        assert isinstance(error, PoolExhausted)
        assert str(error) == f"every connection of the pool has given up: {WORDS}"
        assert error.reason == WORDS
        assert isinstance(error.__cause__, ConnectionClosed)
    memory.close()


def test_a_message_that_waits_is_failed_by_what_exhausts_the_pool() -> None:
    """The status and reason phrase of a rejection get there as well."""
    memory = MemoryPool(pool_size=1, logger=noop_logger, max_reconnect_attempts=2)
    memory.server.reject(401, "Unauthorized")
    waiting = memory.pool.send("x")
    memory.pool.start()
    memory.advance(3)
    error = error_of(waiting)
    assert isinstance(error.__cause__, UpgradeRejected)
    assert "the server rejected the upgrade: 401 Unauthorized" in str(error)
    memory.close()


def test_an_unknown_delivery_that_exhaustion_ends_says_why_in_full() -> None:
    """One text has all of it: what is unknown, what prevents another try, and the peer's words."""
    memory, server = pool_of(1, max_reconnect_attempts=1)
    server.pongs[0].hold()
    sent = fate(memory.pool.send("text", confirm=True))
    memory.settle()
    turn_away(memory)
    (error,) = sent
    assert isinstance(error, DeliveryUnknown)
    assert str(error).endswith(f"every connection of the pool has given up: {WORDS}")
    memory.close()


# What the statistics say


def test_statistics_say_why_the_peer_closed() -> None:
    """A close in good order is no C{error}, and still what an operator looks for."""
    errors: list[Exception] = []
    memory = one_connection()
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    turn_away(memory)
    assert errors == []
    assert last_error(memory) == WORDS
    memory.close()


def test_closed_before_it_was_open_is_a_failed_attempt_with_the_words() -> None:
    """During C{on_connect}, the close is an C{error}, as there is no event C{close}."""
    told: list[tuple[object, ...]] = []
    memory = MemoryPool(pool_size=1, logger=noop_logger, on_connect=lambda _: Deferred())
    memory.pool.on("error", lambda error, connection_id: told.append((str(error),)))
    memory.pool.on("close", lambda *event: told.append(event))
    memory.pool.start()
    memory.settle()
    turn_away(memory)
    words = WORDS.replace(":", " (stage: on_connect):", 1)
    assert told == [(words,)]
    assert last_error(memory) == words
    memory.close()


def test_a_peer_that_closes_and_keeps_tcp_is_still_quoted() -> None:
    """That it does not end the transport is an error of its own, with its words for the cause."""
    errors: list[Exception] = []
    memory = one_connection(close_timeout=2)
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.server.peers[0].drops_tcp = False
    turn_away(memory)
    memory.advance(2)
    (error,) = errors
    assert isinstance(error, CloseTimeout)
    assert str(error.__cause__) == WORDS
    assert last_error(memory) == f"{WORDS}, and did not end TCP within 2 s"
    memory.close()


# What of it may be shown


def test_the_words_repeat_no_secret() -> None:
    """A server that quotes the token of the request does not get it into errors and logs."""
    log = RecordingLogger()
    memory = one_connection(
        url="ws://memory.test/?token=0123456789",
        ws_options=WebSocketOptions(headers={"X-Key": "abcdefgh"}, proxy="http://u:dialling@p:1"),
        logger=log,
    )
    turn_away(memory, 4001, "no 0123456789, no abcdefgh, no dialling")
    assert last_error(memory) == 'the peer closed the connection: 4001 "no ***, no ***, no ***"'
    assert "0123456789" not in repr(log.records)
    memory.close()


def test_the_words_cannot_forge_a_line_of_the_log() -> None:
    """What is not printable ASCII is not passed on; the event has it as it came."""
    reasons: list[str] = []
    memory = one_connection()
    memory.pool.on("close", lambda connection_id, code, reason: reasons.append(reason))
    turn_away(memory, 4001, "\x1b[31mred\r\nERROR all is lost")
    assert last_error(memory) == 'the peer closed the connection: 4001 "?[31mred?ERROR all is lost"'
    assert reasons == ["\x1b[31mred\r\nERROR all is lost"]
    memory.close()


# What the log says


@pytest.mark.parametrize(
    ("code", "uptime", "level"),
    [
        (1000, 10, "info"),
        (1001, 10, "info"),
        (1000, 1, "warn"),
        (1008, 10, "warn"),
        (1011, 10, "warn"),
        (4001, 10, "warn"),
    ],
)
def test_the_log_has_the_words_at_a_level_that_is_read(code: int, uptime: int, level: str) -> None:
    """A close that says that something is wrong, or that comes at once, is a warning."""
    log = RecordingLogger()
    memory = one_connection(logger=log)
    memory.advance(uptime)
    turn_away(memory, code, "words")
    line = f'feed: connection 0: the peer closed the connection: {code} "words"'
    assert log.records.count((level, line)) == 1
    memory.close()


def test_what_this_side_closes_is_no_warning() -> None:
    """Who closes a connection on purpose need not be warned of that."""
    log = RecordingLogger()
    connections: list[PooledConnection] = []
    memory = one_connection(logger=log, on_connect=connections.append)
    connections[0].close()
    memory.settle()
    assert log.texts("info").count("feed: connection 0: this side closed the connection: 1000") == 1
    assert log.texts("warn") == log.texts("error") == []
    memory.close()
