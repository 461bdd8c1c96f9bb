"""
Tests for L{wsmultipool._unheard}: failures that nobody looks at are one line, and no tracebacks.
"""

from __future__ import annotations

import gc
from threading import Thread, get_ident
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed

from wsmultipool import BufferFull, NotConnected, PoolClosed, PooledConnection, QueueOverflow
from wsmultipool.testing import MemoryPool

from .integration.recording_logger import RecordingLogger
from .leftovers import LoggedFailures
from .quiet_server import pool_of
from .support import error_of, outcome


def without_server(**options: Any) -> tuple[MemoryPool, RecordingLogger]:
    """
    Make a pool whose server is down.
    """
    logger = RecordingLogger()
    memory = MemoryPool(pool_size=1, logger=logger, name="feed", **options)
    memory.server.refuse()
    memory.pool.start()
    memory.settle()
    return memory, logger


def told(logger: RecordingLogger) -> list[str]:
    """
    What the log says of failures that nobody looked at.
    """
    gc.collect()
    return [text for text in logger.texts("error") if "nobody waits" in text]


OVERFLOW = (
    "feed: a send has failed, and nobody waits for its Deferred: the message queue is full"
    " (message_queue_size=100)"
)


def test_messages_that_overflow_the_queue_are_one_line() -> None:
    """A thousand sends that nobody awaits, while there is no server, do not fill the log."""
    memory, logger = without_server()
    for number in range(1000):
        memory.pool.send(f"tick {number}")
    memory.settle()
    assert told(logger) == [f"{OVERFLOW} (900 times)"]
    memory.close()


def test_an_outage_that_goes_on_is_one_line_a_minute() -> None:
    """How many, why, and since when: with whatever else is told after a minute."""
    memory, logger = without_server()
    for number in range(500):
        memory.pool.send(f"tick {number}")
        memory.advance(0.25)
    assert told(logger) == [
        OVERFLOW,
        f"{OVERFLOW} (139 more times in the last 35 s, first 35 s ago)",
        f"{OVERFLOW} (240 more times in the last 60 s, first 95 s ago)",
    ]
    memory.close()


@pytest.mark.parametrize("end", ["close", "destroy"])
@pytest.mark.parametrize("confirm", [False, True])
def test_messages_that_fail_with_the_pool_are_one_line(end: str, confirm: bool) -> None:
    """What waits when the pool ends is told in all, at the end."""
    memory, logger = without_server()
    for number in range(50):
        memory.pool.send(f"tick {number}", confirm=confirm)
    getattr(memory.pool, end)()
    memory.settle()
    assert told(logger) == [
        "feed: a send has failed, and nobody waits for its Deferred: the pool is closed (50 times)"
    ]
    memory.close()


def test_messages_that_an_exhausted_pool_fails_are_one_line() -> None:
    """Those that waited, and each one that is sent later."""
    memory, logger = without_server(max_reconnect_attempts=2)
    for number in range(50):
        memory.pool.send(f"tick {number}")
    memory.advance(3)
    for number in range(50):
        memory.pool.send(f"tick {number}")
    memory.advance(60)
    first, more = told(logger)
    assert "every connection of the pool has given up: no connection could be made (" in first
    assert first.endswith("(50 times)")
    assert "(50 more times in the last " in more
    memory.close()


def test_sends_to_a_pool_that_has_ended_are_one_line() -> None:
    """A program that goes on sending does not fill the log, and leaves no timer."""
    memory, logger = without_server()
    memory.close()
    for number in range(1000):
        memory.pool.send(f"tick {number}")
    assert told(logger) == [
        "feed: a send has failed, and nobody waits for its Deferred: the pool is closed"
    ]
    assert memory.clock.getDelayedCalls() == []


def test_unknown_deliveries_are_one_line() -> None:
    """Confirmed messages whose connection is lost, of whatever size."""
    logger = RecordingLogger()
    memory, server = pool_of(1, max_deliveries=1, logger=logger, name="feed")
    server.hold()
    for size in range(1, 51):
        memory.pool.send(b"x" * size, confirm=True)
    memory.settle()
    server.peers[0].close(4001, "invalid API key")
    memory.settle()
    memory.settle()
    (line,) = told(logger)
    assert 'the peer closed the connection: 4001 "invalid API key" (50 times)' in line
    memory.close()


def test_messages_that_are_refused_are_one_line() -> None:
    """Whatever they are refused for, whichever way they come."""
    connections: list[PooledConnection] = []
    logger = RecordingLogger()
    memory, _ = pool_of(
        1, max_buffered_bytes=10, logger=logger, name="feed", on_connect=connections.append
    )
    for size in range(11, 61):
        memory.pool.send(b"x" * size)
        connections[0].send(b"x" * size)
    memory.settle()
    (line,) = told(logger)
    assert "a message of 60 bytes does not fit" in line
    assert line.endswith("(100 times)")
    memory.close()


def test_other_calls_are_told_by_what_they_are() -> None:
    """A ping, a flush, waiting for connections, and resizing are not called sends."""
    connections: list[PooledConnection] = []
    logger = RecordingLogger()
    memory, server = pool_of(1, logger=logger, name="feed", on_connect=connections.append)
    server.pongs[0].hold()
    memory.pool.send("x")
    memory.pool.flush()
    memory.pool.ping()
    memory.settle()
    server.peers[0].close(4001)
    memory.settle()
    memory.settle()
    memory.pool.ping()
    connections[0].ping()
    connections[0].send("x")
    memory.pool.when_ready()
    memory.close()
    for call in (memory.pool.flush, memory.pool.ping, memory.pool.when_open):
        call()
    memory.pool.resize(2)
    texts = [text.partition(",")[0] for text in told(logger)]
    assert sorted(set(texts)) == [
        "feed: a flush has failed",
        "feed: a ping has failed",
        "feed: a resize has failed",
        "feed: a send has failed",
        "feed: a wait for open connections has failed",
    ]


def test_who_looks_at_a_failure_gets_it_as_ever() -> None:
    """A failure that somebody handles is not told of, before or after it has come."""
    memory, logger = without_server(message_queue_size=1)
    first = memory.pool.send("first")
    handled = outcome(memory.pool.send("second"))
    assert isinstance(error_of(first), QueueOverflow)
    del first
    memory.settle()
    assert handled == []
    assert told(logger) == []
    memory.close()
    assert told(logger) == []


async def _ask(deferred: Deferred[Any]) -> str:
    try:
        await deferred
    except PoolClosed:
        return "closed"
    return "sent"


def test_who_awaits_a_failure_gets_it_as_ever() -> None:
    """In a coroutine, it is raised, also if it was there before."""
    memory, logger = without_server()
    before = Deferred.fromCoroutine(_ask(memory.pool.send("x")))
    memory.close()
    after = Deferred.fromCoroutine(_ask(memory.pool.send("x")))
    assert outcome(before) == outcome(after) == ["closed"]
    del before, after
    assert told(logger) == []


def test_what_a_callback_raises_is_told_in_full(logged_failures: LoggedFailures) -> None:
    """The failure is then the program's own, and needs its traceback."""
    memory, logger = without_server()
    memory.pool.send("x").addErrback(lambda failure: 1 // 0)
    memory.close()
    assert told(logger) == []
    assert len(logged_failures.flush(ZeroDivisionError)) == 1


def test_what_succeeds_is_not_told() -> None:
    """Not even after a failure that a callback has mended."""
    memory, logger = without_server()
    memory.pool.send("x").addErrback(lambda failure: succeed(None))
    memory.close()
    assert told(logger) == []


def test_debugging_of_deferreds_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, logged_failures: LoggedFailures
) -> None:
    """Who has switched it on wants to know where each Deferred was made."""
    monkeypatch.setattr(Deferred, "debug", True)
    memory, logger = without_server(message_queue_size=0)
    memory.pool.send("x")
    assert told(logger) == []
    assert len(logged_failures.flush(NotConnected)) == 1
    memory.close()


def test_a_silenced_pool_is_silent() -> None:
    """Without a logger, nothing is told of failures that nobody looks at, either."""
    memory = MemoryPool(pool_size=1, logger=False, max_buffered_bytes=10)
    assert isinstance(error_of(memory.pool.send(b"x" * 11)), BufferFull)
    memory.pool.send(b"x" * 11)
    memory.settle()
    memory.close()


def test_what_another_thread_finds_to_be_garbage_is_told_in_the_pools(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python looks for it in whichever thread it likes, and no other may touch a reactor."""
    memory, logger = without_server(message_queue_size=0)
    threads: list[int] = []
    folded = memory.pool._supervisor.journal.folded
    tell = folded.tell

    def noted(*args: Any, **options: Any) -> None:
        threads.append(get_ident())
        tell(*args, **options)

    monkeypatch.setattr(folded, "tell", noted)
    kept = [memory.pool.send("x") for _ in range(3)]
    collector = Thread(target=kept.clear)
    collector.start()
    collector.join()
    memory.settle()
    assert threads == [get_ident()] * 3
    assert [line.rpartition("(")[2] for line in told(logger)] == ["3 times)"]
    memory.close()
