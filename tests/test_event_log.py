"""
Tests for L{wsmultipool.service.event_log}.
"""

from __future__ import annotations

from typing import Any

import pytest
from zope.interface.verify import verifyObject

from wsmultipool import PooledConnection
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
        "sent 1 message that had been waiting",
        "the connection is open",
    }
    (dropped,) = [each for each in log.newest_first() if "dropped" in each.text]
    assert (dropped.at, dropped.tone) == (7, "bad")
    memory.close()


@pytest.mark.parametrize(("code", "tone"), [(1012, "plain"), (4001, "bad")])
def test_a_closing_handshake_is_told_in_the_words_of_the_peer(code: int, tone: str) -> None:
    """Its code and its reason, in which what is a secret of the request is not repeated."""
    memory, log = logged(url="ws://memory.test/?token=0123456789", pool_size=1)
    memory.open()
    memory.server.peers[0].close(code, "not with 0123456789")
    memory.settle()
    told = f'the peer closed the connection: {code} "not with ***"'
    assert lines(log)[2] == ("Connection 0", told, 1)
    assert log.newest_first()[-3].tone == tone
    assert "0123456789" not in repr(log.newest_first())
    memory.close()


def test_what_this_side_ends_is_told_as_that() -> None:
    """A close on purpose, and the end of the pool, are no bad news."""
    connections: list[PooledConnection] = []
    memory, log = logged(pool_size=2, on_connect=connections.append)
    memory.open()
    connections[0].close(3000)
    memory.settle()
    memory.pool.destroy()
    memory.settle()
    ends = [(each.text, each.tone) for each in reversed(log.newest_first())]
    assert ends[2] == ("this side closed the connection: 3000", "plain")
    assert ("destroyed", "plain") in ends
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
