"""
Tests for L{wsmultipool.service.event_log}.
"""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from wsmultipool.interfaces import IPoolObserver
from wsmultipool.service.event_log import MOST_EVENTS, EventLog
from wsmultipool.testing import MemoryPool


def logged(**options: Any) -> tuple[MemoryPool, EventLog]:
    """
    Make a pool, and the log of its events, started.
    """
    memory = MemoryPool(**options)
    log = EventLog(memory.pool, memory.clock.seconds)
    assert verifyObject(IPoolObserver, log)
    log.start()
    return memory, log


def lines(log: EventLog) -> list[tuple[str, str, int]]:
    """
    Return the events, oldest first: whose, what, how often.
    """
    return [(each.subject, each.text, each.times) for each in reversed(log.newest_first())]


def test_what_happens_to_many_connections_is_one_line() -> None:
    """Four that open one after the other are one event, and the pool's own is another."""
    memory, log = logged(pool_size=4)
    memory.open()
    assert lines(log) == [
        ("Connections 0, 1, 2, 3", "opened", 4),
        ("Pool", "all 4 connections are open", 1),
    ]
    memory.close()


def test_an_outage_is_told_from_its_beginning_to_its_end() -> None:
    """Drops, failed attempts, the recovery, and the messages that had waited."""
    memory, log = logged(pool_size=1)
    memory.open()
    memory.advance(7)
    memory.server.refuse()
    memory.server.peers[0].drop()
    memory.settle()
    memory.pool.send("waits")
    memory.advance(2)
    memory.server.accept()
    memory.advance(2)
    told = lines(log)[2:]
    assert [subject for subject, _, _ in told] == [
        *("Connection 0", "Pool", "Connection 0"),
        *("Connection 0", "Pool", "Pool"),
    ]
    assert [text for _, text, _ in told][1] == "no connection is open"
    assert "Connection was refused" in told[2][1]
    assert told[3][1] == "opened"
    assert {told[4][1], told[5][1]} == {
        "sent 1 messages that had been waiting",
        "all 1 connections are open",
    }
    (dropped,) = [each for each in log.newest_first() if "dropped" in each.text]
    assert (dropped.at, dropped.tone) == (7, "bad")
    memory.close()


def test_a_closing_handshake_is_told_by_its_code() -> None:
    """The reason that the peer gave is not repeated: it may hold anything."""
    memory, log = logged(pool_size=1)
    memory.open()
    memory.server.peers[0].close(1012, "secret")
    memory.settle()
    assert lines(log)[2] == ("Connection 0", "closed (1012)", 1)
    assert "secret" not in repr(log.newest_first())
    memory.close()


def test_only_the_latest_events_are_kept() -> None:
    """A pool that flaps for weeks takes no more memory than one that flapped for a minute."""
    memory, log = logged(pool_size=1, min_uptime=0)
    memory.open()
    for _ in range(MOST_EVENTS):
        memory.server.peers[-1].drop()
        memory.advance(1)
    assert len(log.newest_first()) == MOST_EVENTS
    memory.close()


def test_a_crowd_is_named_by_its_first() -> None:
    """A thousand numbers would tell nobody anything."""
    memory, log = logged(pool_size=20)
    memory.open()
    assert lines(log)[0] == ("Connections 0, 1, 2, 3, 4, 5, 6, 7…", "opened", 20)
    memory.close()


def test_after_the_end_nothing_is_written_down() -> None:
    """What was, is kept."""
    memory, log = logged(pool_size=1)
    memory.open()
    before = lines(log)
    log.stop()
    memory.close()
    assert lines(log) == before
