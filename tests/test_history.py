"""
Tests for L{wsmultipool.service.history}.
"""

from __future__ import annotations

from dataclasses import replace

from wsmultipool.service.history import SPARKLINE, WINDOW, History, Rates
from wsmultipool.stats import PoolStats

from .test_stats import OPEN, POOL


def sampled(sent: int, received: int = 0, ids: tuple[int, ...] = (0,)) -> PoolStats:
    """
    Make a snapshot of a pool that has sent and received so much, in messages of ten bytes.
    """
    connections = tuple(replace(OPEN, id=id, sent_bytes=10 * sent, received_bytes=0) for id in ids)
    return replace(
        POOL,
        sent_messages=sent,
        sent_bytes=10 * sent,
        received_messages=received,
        received_bytes=10 * received,
        connections=connections,
    )


def test_two_samples_make_a_rate() -> None:
    """However far apart they are."""
    history = History()
    history.add(10, sampled(100, 40))
    assert list(history.pool) == []
    history.add(15, sampled(150, 50))
    assert list(history.pool) == [Rates(15, 10, 2, 100, 20)]
    assert history.connection(0) == [(15, 100)]


def test_two_samples_of_the_same_moment_make_none() -> None:
    """A clock that stands still, or goes back, is no reason to divide by nothing."""
    history = History()
    for now in (10, 10, 9):
        history.add(now, sampled(now))
    assert list(history.pool) == []


def test_what_is_too_old_is_forgotten() -> None:
    """The memory it takes is bounded, however long the pool runs."""
    history = History()
    for now in range(1000):
        history.add(now, sampled(now))
    assert len(history.pool) == WINDOW + 1
    assert len(history.connection(0)) == SPARKLINE + 1
    assert history.pool[0].at == 999 - WINDOW


def test_connections_come_and_go() -> None:
    """A new one begins with nothing, and one that has left the pool is forgotten."""
    history = History()
    history.add(0, sampled(10, ids=(0, 1)))
    history.add(1, sampled(20, ids=(1, 2)))
    assert history.connection(0) == []
    assert history.connection(1) == [(1, 100)]
    assert history.connection(2) == [(1, 0)]
