"""
C{broadcast(confirm=True)}: what each connection has received.
"""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from wsmultipool.errors import (
    BufferFull,
    DeliveryUnknown,
    NotConnected,
    PoolClosed,
    SendTimeout,
)
from wsmultipool.testing import MemoryPool

from .quiet_server import LONG, pool_of, unconfirmed
from .test_broadcast import entries
from .test_sending import BIG, everything, fate, keys_by_connection, lose, texts


def test_one_entry_per_connection() -> None:
    """
    It fires when all have answered, each one ping.
    """
    memory, server = pool_of(3)
    server.hold()
    sent = fate(memory.pool.broadcast("to all", confirm=True))
    memory.settle()
    assert [texts(peer) for peer in server.peers] == [["to all"]] * 3
    assert [len(pongs.asked) for pongs in server.pongs] == [1, 1, 1]
    assert unconfirmed(memory) == (3, 18)
    for pongs in server.pongs[:2]:
        pongs.release()
    memory.settle()
    assert sent == []
    server.release()
    memory.settle()
    assert entries(sent) == [(True, 0), (True, 1), (True, 2)]
    assert unconfirmed(memory) == (0, 0)
    memory.close()


def test_none_is_open() -> None:
    """
    There is nobody to confirm anything.
    """
    memory = MemoryPool(pool_size=2)
    assert fate(memory.pool.broadcast("to all", confirm=True)) == [[]]
    memory.close()
    assert fate(memory.pool.broadcast("to all", confirm=True)) == [[]]


@pytest.mark.parametrize("how", [None, 1012])
def test_it_is_not_sent_again_elsewhere(how: int | None) -> None:
    """
    The others have it already: the entry of a connection that is lost says that nobody knows.
    """
    memory, server = pool_of(3)
    server.pongs[1].hold()
    sent = fate(memory.pool.broadcast("to all", confirm=True))
    memory.settle()
    lose(server.peers[1], how)
    memory.advance(LONG)
    assert entries(sent) == [(True, 0), (False, DeliveryUnknown), (True, 2)]
    (result,) = sent
    assert isinstance(result, list)
    failure = result[1][1]
    assert isinstance(failure, Failure)
    assert isinstance(failure.value, DeliveryUnknown)
    assert (failure.value.data, failure.value.deliveries) == (b"to all", 1)
    assert everything(memory) == ["to all"] * 3
    assert unconfirmed(memory) == (0, 0)
    memory.close()


def test_a_connection_lost_before_it_has_written() -> None:
    """
    Its entry is C{NotConnected}: it has not arrived there.
    """
    memory, server = pool_of(2)
    server.peers[1].drop()
    sent = fate(memory.pool.broadcast("to all", confirm=True))
    memory.advance(LONG)
    assert entries(sent) == [(True, 0), (False, NotConnected)]
    assert everything(memory) == ["to all"]
    memory.close()


def test_a_connection_without_room() -> None:
    """
    It may take the message later, or not in time.
    """
    memory, server = pool_of(2)
    keys = keys_by_connection(memory)
    server.peers[1].stop_reading()
    memory.pool.send(BIG, key=keys[1])
    memory.settle()
    late = fate(memory.pool.broadcast("late", confirm=True))
    never = fate(memory.pool.broadcast("never", confirm=True, timeout=1))
    memory.advance(2)
    assert (late, entries(never)) == ([], [(True, 0), (False, SendTimeout)])
    server.peers[1].resume_reading()
    memory.settle()
    assert entries(late) == [(True, 0), (True, 1)]
    assert texts(server.peers[1]) == ["late"]
    memory.close()


def test_a_pool_that_holds_too_much() -> None:
    """
    The entries of the connections for which there was no room are C{BufferFull}.
    """
    memory, server = pool_of(3, max_buffered_bytes=1000)
    server.hold()
    sent = fate(memory.pool.broadcast("x" * 400, confirm=True))
    memory.settle()
    server.release()
    memory.settle()
    assert entries(sent) == [(True, 0), (True, 1), (False, BufferFull)]
    too_large = fate(memory.pool.broadcast("x" * 1001, confirm=True))
    assert entries(too_large) == [(False, BufferFull)] * 3
    memory.close()


@pytest.mark.parametrize("end", ["close", "destroy"])
def test_the_pool_ends(end: str) -> None:
    """
    What was answered before the Close frame has arrived; of the rest nobody knows.
    """
    memory, server = pool_of(2)
    server.pongs[1].hold()
    sent = fate(memory.pool.broadcast("to all", confirm=True))
    memory.settle()
    if end == "close":
        memory.pool.close()
    else:
        memory.pool.destroy()
    memory.advance(10)
    assert entries(sent) == [(True, 0), (False, DeliveryUnknown)]
    memory.close()


def test_the_pool_ends_before_it_is_written() -> None:
    """
    Destroyed in the same turn.
    """
    memory, _ = pool_of(2)
    sent = fate(memory.pool.broadcast("to all", confirm=True))
    memory.pool.destroy()
    memory.settle()
    assert entries(sent) in ([(False, PoolClosed)] * 2, [(False, NotConnected)] * 2)
    memory.close()
    assert everything(memory) == []


def test_cancelling_it() -> None:
    """
    The entries not settled yet are C{CancelledError}, and nothing is left.
    """
    memory, server = pool_of(2)
    server.pongs[1].hold()
    deferred = memory.pool.broadcast("to all", confirm=True)
    sent = fate(deferred)
    memory.settle()
    deferred.cancel()
    assert entries(sent) == [(True, 0), (False, CancelledError)]
    server.release()
    memory.settle()
    assert unconfirmed(memory) == (0, 0)
    memory.close()


def test_plain_broadcasts_cost_no_ping() -> None:
    """
    And fire when they were taken.
    """
    memory, server = pool_of(2)
    assert entries(fate(memory.pool.broadcast("to all"))) == [(True, 0), (True, 1)]
    memory.settle()
    assert [peer.pings for peer in server.peers] == [[], []]
    memory.close()


def test_broadcasts_in_a_loop_let_the_reactor_turn() -> None:
    """
    Whoever awaits each of very many, which all fire at once, does not stop everything else.
    """
    memory, _ = pool_of(64)
    sent = 0
    turns = 0

    def turned() -> None:
        nonlocal turns
        turns += 1
        if sent < 600:
            memory.clock.callLater(0, turned)

    async def work() -> None:
        nonlocal sent
        for _ in range(600):
            await memory.pool.broadcast("to all")
            sent += 1

    memory.clock.callLater(0, turned)
    memory.result(Deferred.fromCoroutine(work()))
    assert sent == 600
    assert turns > 2
    memory.close()
