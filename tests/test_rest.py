"""
However much a transport takes, callers in loops over awaited sends leave the reactor its turns.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from wsmultipool.testing import MemoryPool

LIMIT = 60_000

Send = Callable[[bytes], Awaitable[int]]


def sends_of_a_pool(memory: MemoryPool) -> list[Send]:
    """Two callers, so that there is always one whose message waits."""
    return [memory.pool.send, memory.pool.send]


def sends_of_a_key(memory: MemoryPool) -> list[Send]:
    """Two callers with one key."""
    return [lambda data: memory.pool.send(data, key="a")] * 2


def sends_of_a_connection(memory: MemoryPool) -> list[Send]:
    """One caller, on one connection."""
    return [memory.pool._supervisor.connections[0].send]


@pytest.fixture(autouse=True)
def bottomless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have transports that are never full, as they are when the peer reads fast enough."""
    monkeypatch.setattr("wsmultipool._memory_transport._HIGH_WATER", sys.maxsize)


def sent_in_one_turn(memory: MemoryPool, sends: list[Send]) -> int:
    """
    Let callers send until something else gets its turn, but not for ever.
    """
    count = 0
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True

    async def caller(send: Send) -> None:
        nonlocal count
        while not stopped and count < LIMIT:
            count += 1
            await send(b"x")

    callers = [Deferred.fromCoroutine(caller(send)) for send in sends]
    memory.clock.callLater(0, stop)
    memory.settle()
    assert all(each.called for each in callers)
    return count


@pytest.mark.parametrize("sends", [sends_of_a_pool, sends_of_a_key, sends_of_a_connection])
def test_callers_get_no_more_than_a_turn(sends: Callable[[MemoryPool], list[Send]]) -> None:
    """Though their messages are taken at once, others get their turn."""
    memory = MemoryPool(pool_size=2)
    memory.open()
    count = sent_in_one_turn(memory, sends(memory))
    assert count < LIMIT
    assert memory.pool.get_stats().sent_messages == count
    memory.close()


def test_a_connection_that_is_not_open_yet_goes_on_after_a_rest() -> None:
    """What is replayed in C{on_connect} is sent to its end, with rests."""
    replayed: list[Any] = []

    async def replay(connection: Any) -> None:
        for number in range(20_000):
            replayed.append(await connection.send(b"%d" % number))

    memory = MemoryPool(pool_size=1, on_connect=replay)
    memory.open()
    assert len(replayed) == 20_000
    memory.close()


def test_a_long_backlog_is_worked_off_in_several_turns() -> None:
    """An outage has left more than is sent without a rest; all of it is sent, in order."""
    memory = MemoryPool(pool_size=1, overflow="wait")
    taken: list[int] = []

    async def send(number: int) -> None:
        await memory.pool.send(b"%d" % number)
        taken.append(number)

    for number in range(20_000):
        Deferred.fromCoroutine(send(number))
    at_first: list[int] = []
    memory.pool.on("open", lambda connection_id: at_first.append(len(taken)))
    memory.open()
    assert taken == list(range(20_000))
    assert 0 < at_first[0] < 20_000
    memory.close()


@pytest.mark.parametrize("confirm", [False, True])
def test_callers_that_leave_others_their_turns_need_no_rest(confirm: bool) -> None:
    """However much they send: no message of theirs waits."""
    memory = MemoryPool(pool_size=2)
    memory.open()
    for _ in range(10):
        for _ in range(5_000):
            memory.pool.send(b"x", confirm=confirm)
        assert memory.pool.get_stats().queued_messages == 0
        memory.settle()
    assert memory.pool.get_stats().sent_messages == 50_000
    memory.close()


@pytest.mark.parametrize("confirm", [False, True])
def test_what_is_sent_in_one_turn_beyond_measure_waits_for_the_next(confirm: bool) -> None:
    """Whether its confirmation is asked for or not."""
    memory = MemoryPool(pool_size=2)
    memory.open()
    for _ in range(20_000):
        memory.pool.send(b"x", confirm=confirm)
    assert 0 < memory.pool.get_stats().queued_messages < 20_000
    memory.settle()
    assert memory.pool.get_stats().queued_messages == 0
    assert memory.pool.get_stats().sent_messages == 20_000
    memory.close()


def test_a_rest_whose_end_is_broken_off_ends_in_the_next_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    What some user code raises in between, C{SystemExit} say, does not leave messages waiting.
    """
    memory = MemoryPool(pool_size=3)
    memory.open()
    dispatch = memory.pool._dispatch
    memory.pool._intake._rest()
    connections = memory.pool._supervisor.connections
    sent = [connection.send(b"x") for connection in connections]
    pull = dispatch.pull
    pulled: list[object] = []

    def breaking_off(connection: Any) -> None:
        pulled.append(connection)
        if len(pulled) == 2:
            raise SystemExit
        pull(connection)

    monkeypatch.setattr(dispatch, "pull", breaking_off)
    with pytest.raises(SystemExit):
        memory.settle()
    memory.settle()
    assert [deferred.called for deferred in sent] == [True] * 3
    assert [peer.received for peer in memory.server.peers] == [[(b"x", True)]] * 3
    memory.close()
