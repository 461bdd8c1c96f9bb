"""
C{flush} when connections are lost.
"""

from __future__ import annotations

from typing import Any

import pytest

from wsmultipool import PooledConnection
from wsmultipool.errors import (
    DeliveryUnknown,
)
from wsmultipool.testing import MemoryPool

from .quiet_server import LONG, begin_closing, lose_all, pool_of, unknown
from .test_flush import send
from .test_sending import everything, fate, kinds, texts


def fate_after(memory: MemoryPool) -> list[Any]:
    """
    Flush, and return what comes of it.
    """
    flushed = fate(memory.pool.flush())
    memory.settle()
    return flushed


@pytest.mark.parametrize("code", [None, 1012])
def test_a_lost_connection_leaves_its_plain_messages_unknown(code: int | None) -> None:
    """
    The flush says how many it had written that are not proven to have arrived.
    """
    memory, server = pool_of(2)
    server.pongs[0].hold()
    send(memory, *"abcdef")
    flushed = fate(memory.pool.flush())
    memory.settle()
    if code is None:
        server.peers[0].drop()
    else:
        server.peers[0].close(code)
    memory.settle()
    error = unknown(flushed)
    assert (error.messages, error.deliveries, error.data) == (3, 1, None)
    assert fate(memory.pool.flush()) == [None]
    memory.advance(LONG)
    memory.close()


def test_a_loss_before_the_call_is_reported_by_the_next_flush() -> None:
    """
    Once: the flush after that is about what happened since.
    """
    memory, server = pool_of(2)
    send(memory, "one", "two", "three")
    memory.settle()
    server.peers[0].drop()
    memory.settle()
    assert unknown(fate_after(memory)).messages == 2
    assert fate_after(memory) == [None]
    send(memory, "four")
    memory.settle()
    lose_all(memory)
    memory.advance(LONG)
    assert unknown(fate_after(memory)).messages == 1
    assert fate_after(memory) == [None]
    memory.close()


def test_what_was_proven_before_the_loss_is_not_unknown() -> None:
    """
    A confirmed send, a flush or a heartbeat behind it has proven a plain message.
    """
    memory, server = pool_of(1, heartbeat_interval=5)
    send(memory, "plain")
    memory.result(memory.pool.send("confirmed", confirm=True))
    send(memory, "plain")
    memory.result(memory.pool.flush())
    send(memory, "plain")
    memory.advance(10)
    server.peers[0].drop()
    memory.settle()
    assert fate_after(memory) == [None]
    memory.close()


def test_what_was_not_written_is_not_unknown() -> None:
    """
    It goes to another connection, where the flush waits for it.
    """
    memory, server = pool_of(2)
    server.pongs[1].hold()
    server.peers[0].drop()
    sent = fate(memory.pool.send("text"))
    flushed = fate(memory.pool.flush())
    memory.settle()
    assert (sent, flushed, texts(server.peers[1])) == ([0], [], ["text"])
    server.release()
    memory.settle()
    assert flushed == [None]
    memory.close()


def test_confirmed_messages_that_are_lost_are_waited_for() -> None:
    """
    They are sent again, and when that was answered, everything has arrived.
    """
    memory, server = pool_of(1)
    server.hold()
    sent = fate(memory.pool.send("text", confirm=True))
    flushed = fate(memory.pool.flush())
    memory.settle()
    lose_all(memory)
    memory.advance(LONG)
    assert (sent, flushed, len(everything(memory))) == ([], [], 2)
    server.release()
    memory.settle()
    assert (sent, flushed) == ([0], [None])
    memory.close()


def test_confirmed_messages_that_are_given_up_are_unknown() -> None:
    """
    What their own Deferreds say is true of the flush as well.
    """
    memory, server = pool_of(1, max_deliveries=2)
    server.hold()
    sent = fate(memory.pool.send("text", confirm=True))
    flushed = fate(memory.pool.flush())
    for _ in range(2):
        memory.settle()
        lose_all(memory)
        memory.advance(LONG)
    assert kinds(sent) == [DeliveryUnknown]
    assert unknown(flushed).messages == 1
    server.release()
    memory.close()


def test_losses_of_later_messages_do_not_delay_it() -> None:
    """
    It is about what was accepted before the call.  A connection that had some of it is lost: it
    waits for the one that has it now.  Others are lost as well, and it does not start anew.
    """
    memory, server = pool_of(3)
    server.hold()
    sent = fate(memory.pool.send("earlier", confirm=True))
    flushed = fate(memory.pool.flush())
    memory.settle()
    later = [fate(memory.pool.send("later", confirm=True)) for _ in range(2)]
    memory.settle()
    server.peers[0].drop()
    memory.settle()
    behind_earlier = len(server.pongs[1].asked)
    server.peers[2].drop()
    memory.settle()
    assert texts(server.peers[1]) == ["later", "earlier", "later"]
    assert (sent, flushed) == ([], [])
    server.pongs[1].answer(*server.pongs[1].asked[:behind_earlier])
    memory.settle()
    assert (sent, flushed, later) == ([1], [None], [[1], []])
    memory.close()


def test_a_loss_while_it_waits_for_another_connection_delays_nothing() -> None:
    """
    A connection that is lost with plain messages has nothing to give back: the flush ends as soon
    as the others have answered, whatever they have taken since.
    """
    memory, server = pool_of(2)
    server.hold()
    send(memory, "one", "two")
    flushed = fate(memory.pool.flush())
    memory.settle()
    send(memory, "three", "four")
    memory.settle()
    server.peers[1].drop()
    memory.settle()
    server.pongs[0].answer(*server.pongs[0].asked)
    memory.settle()
    assert unknown(flushed).messages == 2
    memory.close()


def test_two_at_once_both_report_a_loss() -> None:
    """
    Each was called before it.
    """
    memory, server = pool_of(1)
    server.hold()
    send(memory, "one", "two")
    flushed = [fate(memory.pool.flush()) for _ in range(2)]
    memory.settle()
    lose_all(memory)
    assert [unknown(each).messages for each in flushed] == [2, 2]
    assert fate_after(memory) == [None]
    memory.close()


def test_a_connection_that_is_closing_is_waited_for() -> None:
    """
    Its end decides about what it had written, and then the flush tells.
    """
    memory, server = pool_of(2, close_timeout=3)
    server.hold()
    send(memory, "one", "two")
    memory.settle()
    begin_closing(server.peers[0])
    memory.settle()
    flushed = fate(memory.pool.flush())
    server.release()
    memory.advance(2.9)
    assert flushed == []
    memory.advance(0.2)
    assert unknown(flushed).messages == 1
    memory.close()


def test_an_orderly_close_leaves_nothing_unknown() -> None:
    """
    A connection that the pool closes itself asks, before its Close frame, whether all it has
    written has arrived; plain messages of a pool that shrinks are not in doubt.
    """
    memory, server = pool_of(2)
    send(memory, *"abcd")
    memory.settle()
    memory.pool.resize(1)
    memory.advance(10)
    assert len(server.peers[0].received) == len(server.peers[1].received) == 2
    assert fate_after(memory) == [None]
    memory.close()


def test_what_waited_for_a_lost_connection_is_waited_for_whoever_hears_of_the_loss_first() -> None:
    """
    Who hears that a message in fragments is lost may begin it again at once, on another connection.
    That is no reason to take what has waited for the lost one for delivered.
    """
    memory, server = pool_of(2)
    pool = memory.pool
    home = pool.connection_of("fragments")
    assert home is not None
    same = next(key for key in range(1000) if pool.connection_of(key) == home)
    other = next(key for key in range(1000) if pool.connection_of(key) != home)
    begun = fate(pool.send("be", key="fragments", fin=False, confirm=True))
    memory.settle()
    waiting = fate(pool.send("waiting", key=same))
    flushed = fate(pool.flush())
    memory.settle()
    assert (begun, waiting, flushed) == ([home], [], [])

    server.peers[home].close(1012)
    lost = pool.send("gun", key="fragments", fin=False)
    lost.addErrback(lambda _: pool.send("be", key=other, fin=False))
    memory.settle()
    assert lost.called
    assert (waiting, flushed) == ([], [])
    pool.send("gun", key=other)
    memory.settle()
    assert (waiting, flushed) == ([1 - home], [None])
    assert texts(server.peers[1 - home]) == ["begun", "waiting"]
    memory.close()


@pytest.mark.parametrize("broadcast", [True, False])
def test_what_was_taken_and_never_written_has_not_arrived(broadcast: bool) -> None:
    """
    The Deferred of a message for just one connection has fired, then that one is lost before it has
    written it, and no other one may have it: the flush can't say that all has arrived.
    """
    connections: list[PooledConnection] = []
    memory, server = pool_of(1, on_connect=connections.append)
    server.peers[0].drop()
    if broadcast:
        assert fate(memory.pool.broadcast("text")) == [[(True, 0)]]
    else:
        assert fate(connections[0].send("text")) == [0]
    flushed = fate(memory.pool.flush())
    memory.advance(LONG)
    assert everything(memory) == []
    assert kinds(flushed) == [DeliveryUnknown]
    memory.close()
