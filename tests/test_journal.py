"""
What a pool writes to its log about its connections: each thing at its level, and an outage in a few
lines.
"""

from __future__ import annotations

from typing import Any

import pytest

from wsmultipool import PooledConnection
from wsmultipool.testing import MemoryPool

from .integration.recording_logger import RecordingLogger

REFUSED = "no connection could be made (stage: transport): Connection was refused by other side."


def logged(**options: Any) -> tuple[MemoryPool, RecordingLogger]:
    """
    Make a pool whose errors are listened to, and its log.
    """
    logger = RecordingLogger()
    memory = MemoryPool(logger=logger, name="feed", **options)
    memory.pool.on("error", lambda error, connection_id: None)
    return memory, logger


def test_an_outage_is_a_few_lines() -> None:
    """The first failure at once, the others once a minute, the end with how long it has taken."""
    memory, logger = logged(pool_size=4, max_reconnect_interval=5.0)
    memory.open()
    memory.advance(10)
    memory.server.refuse()
    for peer in memory.server.open_peers:
        peer.drop()
    memory.advance(90)
    memory.server.accept()
    memory.advance(10)
    dropped = "the connection was dropped: Connection to the other side was lost in a non-clean"
    warnings = [text.partition(" fashion")[0] for text in logger.texts("warn")]
    assert len(memory.server.attempts) == 84
    assert warnings == [
        f"feed: connection 0: {dropped}",
        "feed: no connection is open",
        f"feed: connection 0: {REFUSED}",
        f"feed: connections 1, 2, 3: {dropped}",  # the same for the others
        f"feed: connections 0, 1, 2, 3: {REFUSED} (51 more times in the last 59 s, first 59 s ago)",
        f"feed: connections 0, 1, 2, 3: {REFUSED} (24 more times in the last 32 s, first 91 s ago)",
    ]
    assert logger.texts("info")[-1] == (
        "feed: all 4 connections are open, after 80 failures in 92.0 s"
    )
    assert logger.texts("error") == []
    memory.close()


def test_every_failure_is_an_event_all_the_same() -> None:
    """What the log folds, the program hears one by one."""
    memory, logger = logged(pool_size=4, max_reconnect_interval=1.0)
    heard: list[int] = []
    memory.pool.on("error", lambda error, connection_id: heard.append(connection_id))
    memory.server.refuse()
    memory.pool.start()
    memory.advance(9)
    assert heard == [0, 1, 2, 3] * 10
    assert len(logger.texts("warn")) == 1
    memory.close()


def test_without_a_listener_an_outage_is_a_few_lines_as_well() -> None:
    """At level error, as nobody else hears of it."""
    logger = RecordingLogger()
    memory = MemoryPool(pool_size=4, logger=logger, name="feed")
    memory.server.refuse()
    memory.pool.start()
    memory.advance(30)
    assert logger.texts("error") == [f"feed: connection 0: {REFUSED}"]
    memory.close()


def test_a_server_that_turns_the_client_away_each_time_is_a_few_lines() -> None:
    """A pool that opens and is closed again and again does not fill the log with warnings."""
    memory, logger = logged(pool_size=1, max_reconnect_interval=1.0)
    memory.pool.start()
    for _ in range(130):
        memory.settle()
        memory.server.peers[-1].close(4001, "invalid API key")
        memory.advance(1)
    assert len(memory.server.attempts) == 131
    told = [text for text in logger.texts("warn") if "invalid API key" in text]
    assert len(told) <= 5
    assert "(60 more times in the last 60 s, first 121 s ago)" in told[-1]
    memory.close()


def test_connections_that_give_up_together_are_one_line() -> None:
    """And one GaveUp each for the program."""
    memory, logger = logged(pool_size=20, max_reconnect_attempts=1)
    memory.server.refuse()
    memory.pool.start()
    memory.settle()
    assert logger.texts("error") == [
        f"feed: connection 0: gave up after 1 attempt: {REFUSED}",
        "feed: connections 1, 2, 3, 4, 5, 6, 7, 8\u2026: gave up after 1 attempt:"
        f" {REFUSED} (19 more times in the last 0 s, first 0 s ago)",
    ]
    memory.close()


@pytest.mark.parametrize("end", ["close", "destroy"])
def test_a_pool_that_is_ended_on_purpose_warns_of_nothing(end: str) -> None:
    """That no connection is open is then what was wanted."""
    memory, logger = logged(pool_size=2)
    memory.open()
    getattr(memory.pool, end)()
    memory.settle()
    assert "feed: no connection is open" in logger.texts("info")
    assert logger.texts("warn") == logger.texts("error") == []
    memory.close()


def test_a_connection_that_is_closed_on_purpose_is_no_warning() -> None:
    """Neither while it is open, nor while it still connects."""
    connections: list[PooledConnection] = []
    memory, logger = logged(pool_size=1, on_connect=connections.append)
    memory.open()
    connections[0].close()
    memory.settle()
    memory.server.be_silent()
    memory.advance(1)
    assert connections[0].state == "connecting"
    connections[0].close()
    memory.settle()
    assert logger.texts("warn") == logger.texts("error") == []
    ends = [text for text in logger.texts("info") if "this side" in text]
    assert ends == [
        "feed: connection 0: this side closed the connection: 1000",
        "feed: connection 0: the connection was dropped (stage: upgrade):"
        " closed by this side before it was open",
    ]
    memory.close()


def test_one_connection_is_not_called_connections() -> None:
    """Numbers and nouns fit."""
    memory, logger = logged(pool_size=1)
    memory.pool.send("waits")
    memory.open()
    assert logger.texts("info") == [
        "feed: keeping 1 connection to ws://memory.test/",
        "feed: connection 0 is open",
        "feed: sent 1 message that had been waiting",
        "feed: the connection is open",
    ]
    memory.close()


def test_a_healthy_pool_has_no_timer_for_its_log() -> None:
    """A minute after the last failure, nothing is left to be told."""
    memory, _ = logged(pool_size=1)
    memory.server.refuse()
    memory.pool.start()
    memory.advance(0.5)
    memory.server.accept()
    memory.advance(125)
    assert memory.clock.getDelayedCalls() == []
    memory.close()
