"""
Tests for L{wsmultipool.balancers}.
"""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from zope.interface.verify import verifyObject

from wsmultipool.balancers import RoundRobin
from wsmultipool.interfaces import IBalancer, IPooledConnection


class Connection:
    """
    As much of a connection as a balancer may look at to tell it from others: nothing.
    """

    def __init__(self, id: int) -> None:
        self.id = id


def connections(count: int) -> list[IPooledConnection]:
    """
    Make connections to add to a balancer.
    """
    return [cast(Any, Connection(number)) for number in range(count)]


def test_round_robin_is_a_balancer() -> None:
    """
    L{RoundRobin} has all that L{IBalancer} asks for.
    """
    assert verifyObject(IBalancer, RoundRobin())


def test_every_connection_gets_its_turn() -> None:
    """
    Connections are chosen in the order they were added, over and over.
    """
    a, b, c = connections(3)
    balancer = RoundRobin()
    for each in (a, b, c):
        balancer.add(each)
    assert [balancer.choose() for _ in range(7)] == [a, b, c, a, b, c, a]


def test_nothing_to_choose_from() -> None:
    """
    Without a writable connection, none is chosen.
    """
    (a,) = connections(1)
    balancer = RoundRobin()
    assert balancer.choose() is None
    balancer.add(a)
    balancer.remove(a)
    assert balancer.choose() is None


def test_a_removed_connection_is_not_chosen_and_takes_no_turn_from_others() -> None:
    """
    When one connection is removed, the others go on in their order.
    """
    a, b, c = connections(3)
    balancer = RoundRobin()
    for each in (a, b, c):
        balancer.add(each)
    assert balancer.choose() is a
    balancer.remove(b)
    assert [balancer.choose() for _ in range(4)] == [c, a, c, a]


def test_a_connection_that_comes_back_is_last_in_line() -> None:
    """
    A connection that becomes writable again waits for its turn.
    """
    a, b, c = connections(3)
    balancer = RoundRobin()
    for each in (a, b, c):
        balancer.add(each)
    balancer.remove(a)
    balancer.add(a)
    assert [balancer.choose() for _ in range(3)] == [b, c, a]


def test_repetitions_are_harmless() -> None:
    """
    To add or to remove the same connection twice changes nothing, and raises nothing.
    """
    a, b = connections(2)
    balancer = RoundRobin()
    balancer.add(a)
    balancer.add(b)
    balancer.add(a)
    assert [balancer.choose() for _ in range(3)] == [a, b, a]
    balancer.remove(a)
    balancer.remove(a)
    assert [balancer.choose() for _ in range(2)] == [b, b]


@settings(derandomize=True)
@given(st.data())
def test_whoever_waits_longest_is_chosen(data: st.DataObject) -> None:
    """
    However connections come and go, the one chosen is the one that was added or chosen the longest
    time ago; so between two turns of one connection, every other has at most one.
    """
    pool = connections(5)
    balancer = RoundRobin()
    since: dict[IPooledConnection, int] = {}
    steps = st.lists(st.one_of(st.just(None), st.sampled_from(pool)), max_size=60)
    for now, step in enumerate(data.draw(steps)):
        if step is None:
            expected = min(since, key=since.__getitem__) if since else None
            assert balancer.choose() is expected
            if expected is not None:
                since[expected] = now
        elif step in since:
            balancer.remove(step)
            del since[step]
        else:
            balancer.add(step)
            since[step] = now


@settings(derandomize=True)
@given(size=st.integers(min_value=1, max_value=20), turns=st.integers(min_value=0, max_value=200))
def test_load_is_spread_evenly(size: int, turns: int) -> None:
    """
    Among connections that stay, no two differ by more than one turn.
    """
    pool = connections(size)
    balancer = RoundRobin()
    for each in pool:
        balancer.add(each)
    chosen = [balancer.choose() for _ in range(turns)]
    counts = [chosen.count(each) for each in pool]
    assert max(counts) - min(counts) <= 1
    assert sum(counts) == turns
