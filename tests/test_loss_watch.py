"""
Tests for L{wsmultipool.service.loss_watch}.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.logger import ILogObserver, LogEvent, eventAsText, globalLogPublisher
from zope.interface import implementer

from wsmultipool.service.loss_watch import LossWatch
from wsmultipool.testing import MemoryPool


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    """
    The warnings logged in the test.
    """
    logged: list[str] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event["log_level"].name == "warn":
            logged.append(eventAsText(event, includeTimestamp=False, includeSystem=False))

    globalLogPublisher.addObserver(observe)
    yield logged
    globalLogPublisher.removeObserver(observe)


def watched(pool_size: int = 1) -> tuple[MemoryPool, LossWatch]:
    """
    Open a pool that is watched.
    """
    memory = MemoryPool(pool_size=pool_size, logger=False, name="feed")
    watch = LossWatch(memory.pool)
    watch.start()
    memory.open()
    return memory, watch


def test_what_may_be_lost_is_told(warnings: list[str]) -> None:
    """Messages that were written to a connection that is then lost are counted in the log, once."""
    memory, _ = watched()
    memory.server.peers[0].stop_reading()
    memory.pool.send("one")
    memory.pool.send("two")
    memory.settle()
    memory.server.peers[0].drop()
    memory.advance(2)
    (warning,) = warnings
    lost = "feed: a connection was lost: 2 messages were written once and may have arrived, or not"
    assert warning.startswith(f"{lost}: the connection was dropped: ")
    memory.result(memory.pool.flush())
    memory.close()


def test_a_connection_that_took_nothing_with_it(warnings: list[str]) -> None:
    """Where everything is known to have arrived there is nothing to tell."""
    memory, _ = watched(2)
    memory.pool.send("one")
    memory.result(memory.pool.flush())
    memory.server.peers[0].drop()
    memory.advance(2)
    assert warnings == []
    memory.close()


def test_many_connections_at_once(warnings: list[str]) -> None:
    """When many connections are lost together, all their messages are told of."""
    memory, _ = watched(3)
    for peer in memory.server.peers:
        peer.stop_reading()
    for _ in range(3):
        memory.pool.send("message")
    memory.settle()
    for peer in list(memory.server.peers):
        peer.drop()
    memory.advance(5)
    assert sum(int(line.split("lost: ")[1].split()[0]) for line in warnings) == 3
    memory.close()


def test_it_stops(warnings: list[str]) -> None:
    """Once it is stopped it has nothing under way, and leaves losses to others."""
    memory, watch = watched(2)
    for peer in memory.server.peers:
        peer.stop_reading()
    memory.pool.send("message")
    memory.settle()
    memory.server.peers[1].drop()
    memory.settle()
    memory.server.peers[0].drop()
    watch.stop()
    memory.advance(2)
    assert warnings == []
    memory.close()
