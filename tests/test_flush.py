"""
C{flush}: knowing that everything sent so far has arrived.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from wsmultipool import PooledConnection
from wsmultipool.testing import MemoryPool

from .quiet_server import LONG, pool_of
from .test_sending import BIG, everything, fate, keys_by_connection, texts


def send(memory: MemoryPool, *texts: str, **options: Any) -> None:
    """
    Send messages whose Deferreds nobody looks at.
    """
    for text in texts:
        memory.pool.send(text, **options).addErrback(lambda _: None)


@pytest.mark.parametrize("started", [True, False])
def test_nothing_was_sent(started: bool) -> None:
    """
    There is nothing to wait for, and nothing is asked, whether a connection is open or not.
    """
    memory = MemoryPool(pool_size=2)
    if started:
        memory.open()
    assert fate(memory.pool.flush()) == [None]
    assert fate(memory.pool.flush(timeout=1)) == [None]
    memory.settle()
    assert [peer.pings for peer in memory.server.peers] == [[], []][: len(memory.server.peers)]
    memory.close()


def test_plain_sends_are_proven() -> None:
    """
    One ping on each connection that has written something; the flush fires when all are answered.
    """
    memory, server = pool_of(3)
    server.hold()
    send(memory, "one", "two")
    flushed = fate(memory.pool.flush())
    memory.settle()
    assert everything(memory) == ["one", "two"]
    assert [len(pongs.asked) for pongs in server.pongs] == [1, 1, 0]
    server.pongs[0].release()
    memory.settle()
    assert flushed == []
    server.release()
    memory.settle()
    assert flushed == [None]
    assert fate(memory.pool.flush()) == [None]
    memory.close()


def test_its_own_pongs_are_not_asked_for_twice() -> None:
    """
    What was proven is proven: a second flush has nothing to ask.
    """
    memory, server = pool_of(1)
    send(memory, "text")
    assert memory.result(memory.pool.flush()) is None
    assert fate(memory.pool.flush()) == [None]
    assert len(server.peers[0].pings) == 1
    memory.close()


def test_confirmed_sends_are_flushed_as_well() -> None:
    """
    When the flush fires, their Deferreds have fired.
    """
    memory, _ = pool_of(2)
    sent = [fate(memory.pool.send("text", confirm=True)) for _ in range(4)]
    seen: list[object] = []
    memory.pool.flush().addCallback(lambda _: seen.extend(sent))
    memory.settle()
    assert seen == [[0], [1], [0], [1]]
    memory.close()


def test_what_waits_for_a_connection_is_waited_for() -> None:
    """
    None is open yet: the flush fires when the backlog was sent, and that is proven.
    """
    memory = MemoryPool(pool_size=2)
    send(memory, "one", "two")
    send(memory, "three", key="key")
    flushed = fate(memory.pool.flush())
    memory.advance(LONG)
    assert flushed == []
    memory.open()
    assert flushed == [None]
    assert everything(memory) == ["one", "three", "two"]
    memory.close()


def test_what_waits_for_room_is_waited_for() -> None:
    """
    A peer that does not read holds the flush up.
    """
    memory, server = pool_of(1)
    server.peers[0].stop_reading()
    memory.pool.send(BIG)
    memory.settle()
    send(memory, "waits")
    flushed = fate(memory.pool.flush())
    memory.advance(LONG)
    assert (flushed, memory.pool.get_stats().queued_messages) == ([], 1)
    server.peers[0].resume_reading()
    memory.settle()
    assert flushed == [None]
    memory.close()


def test_what_is_sent_after_it_is_not_waited_for() -> None:
    """
    A flush is about what was accepted before the call.
    """
    memory, server = pool_of(2)
    keys = keys_by_connection(memory)
    memory.result(memory.pool.flush())
    server.peers[1].stop_reading()
    send(memory, "before", key=keys[0])
    flushed = fate(memory.pool.flush())
    memory.pool.send(BIG, key=keys[1])
    send(memory, "after", key=keys[1])
    memory.settle()
    assert flushed == [None]
    assert memory.pool.get_stats().queued_messages == 1
    memory.close()


def test_traffic_of_others_does_not_starve_it() -> None:
    """
    However much is sent all the time: the flush fires after one round trip.
    """
    memory, _ = pool_of(2, latency=0.01)
    running = True

    def again(_: object = None) -> None:
        if running:
            memory.pool.send("more", confirm=True).addCallback(again)

    for _ in range(3):
        again()
        memory.advance(0.003)
    flushed = fate(memory.pool.flush())
    memory.advance(0.021)
    assert flushed == [None]
    running = False
    memory.advance(1)
    memory.close()


def test_a_queue_that_is_never_empty_does_not_starve_it() -> None:
    """
    More is sent than the peer reads; the flush fires when what was before it has gone.
    """
    memory, server = pool_of(1)
    server.peers[0].stop_reading()
    memory.pool.send(BIG)
    memory.settle()
    send(memory, *(f"{number}" for number in range(10)))
    flushed = fate(memory.pool.flush())
    send(memory, *(["more" * 10_000] * 20))
    server.peers[0].resume_reading()
    while not flushed:
        assert memory.clock.getDelayedCalls()
        memory.clock.advance(0)
        send(memory, *(["more" * 10_000] * 4))
        assert len(server.peers[0].received) < 100
    assert flushed == [None]
    assert memory.pool.get_stats().queued_messages
    memory.close()


def test_two_at_once() -> None:
    """
    Each has its own answer.
    """
    memory, server = pool_of(1)
    server.hold()
    send(memory, "one")
    first = fate(memory.pool.flush())
    memory.settle()
    send(memory, "two")
    second = fate(memory.pool.flush())
    memory.settle()
    (pongs,) = server.pongs
    pongs.answer(pongs.asked[0])
    memory.settle()
    assert (first, second) == ([None], [])
    pongs.answer(pongs.asked[1])
    memory.settle()
    assert second == [None]
    memory.close()


def test_fragments_are_waited_for() -> None:
    """
    Those of a message that is complete, and those so far of one that is not.
    """
    memory, server = pool_of(1)
    server.hold()
    send(memory, "one, ", key="key", fin=False)
    flushed = fate(memory.pool.flush())
    memory.settle()
    assert flushed == []
    server.release()
    memory.settle()
    assert flushed == [None]
    send(memory, "two", key="key")
    assert memory.result(memory.pool.flush()) is None
    assert texts(server.peers[0]) == ["one, two"]
    memory.close()


def test_broadcasts_are_waited_for() -> None:
    """
    On every connection.
    """
    memory, server = pool_of(3)
    server.hold()
    memory.pool.broadcast("to all")
    flushed = fate(memory.pool.flush())
    memory.settle()
    for pongs in server.pongs[:2]:
        pongs.release()
    memory.settle()
    assert flushed == []
    server.release()
    memory.settle()
    assert flushed == [None]
    memory.close()


def test_what_on_connect_sends_is_covered() -> None:
    """
    Also while the connection is not open yet.
    """
    flushed: list[list[Any]] = []

    async def greet(connection: PooledConnection) -> None:
        await connection.send("hello")
        flushed.append(fate(memory.pool.flush()))
        assert flushed == [[]]
        await memory.pool.flush()
        assert texts(memory.server.peers[0]) == ["hello"]

    memory = MemoryPool(pool_size=1, on_connect=greet)
    memory.open()
    assert flushed == [[None]]
    memory.close()


def test_it_may_be_awaited_again_and_again() -> None:
    """
    In a coroutine that sends in between.
    """
    memory, server = pool_of(2)

    async def work() -> None:
        for number in range(5):
            await memory.pool.send(f"{number}")
            await memory.pool.flush()
            assert f"{number}" in everything(memory)

    memory.result(Deferred.fromCoroutine(work()))
    assert sum(len(peer.pings) for peer in server.peers) == 5
    memory.close()
