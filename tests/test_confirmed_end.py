"""
Confirmed sends when the pool, or a connection of it, comes to its end.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock

from wsmultipool import PooledConnection
from wsmultipool.errors import ConnectionClosed, DeliveryUnknown, PoolClosed, PoolExhausted
from wsmultipool.testing import MemoryPool

from .quiet_server import LONG, QuietServer, lose_all, pool_of, unconfirmed, unknown
from .test_sending import everything, fate, kinds, texts

# Closing


@pytest.mark.parametrize("latency", [0.0, 0.01])
def test_closing_confirms_what_is_answered_before_the_close_frame(latency: float) -> None:
    """
    What was taken is written before the Close frame, with a ping in between, so that the peer
    answers that first.
    """
    memory, server = pool_of(2, latency=latency)
    sent = [fate(memory.pool.send(f"{number}", confirm=True)) for number in range(4)]
    closed = fate(memory.pool.close())
    memory.advance(1)
    assert (sent, closed) == ([[0], [1], [0], [1]], [None])
    assert [len(peer.pings) for peer in server.peers] == [1, 1]
    memory.close()


def test_closing_asks_only_when_something_is_unconfirmed() -> None:
    """
    A connection that has nothing to confirm sends just its Close frame.
    """
    memory, server = pool_of(1)
    memory.result(memory.pool.send("text", confirm=True))
    memory.close()
    assert len(server.peers[0].pings) == 1


def test_closing_leaves_the_rest_unknown() -> None:
    """
    A peer that answers the Close frame and not the ping may have received the message, or not.
    """
    memory, server = pool_of(1)
    server.hold()
    sent = fate(memory.pool.send("text", confirm=True))
    memory.settle()
    closed = fate(memory.pool.close())
    assert sent == []
    memory.advance(1)
    assert closed == [None]
    error = unknown(sent)
    assert (error.deliveries, error.data) == (1, b"text")
    assert isinstance(error.__cause__, ConnectionClosed)
    assert not error.__cause__.by_peer
    assert unconfirmed(memory) == (0, 0)
    memory.close()


def test_what_waits_fails_when_the_pool_is_closed() -> None:
    """
    As a plain message does, if it was never written; else nobody knows.
    """
    memory, server = pool_of(1)
    server.hold()
    written = fate(memory.pool.send("written", confirm=True))
    memory.settle()
    server.refuse()
    lose_all(memory)
    waiting = fate(memory.pool.send("waiting", confirm=True))
    memory.pool.close()
    assert kinds(waiting) == [PoolClosed]
    assert isinstance(unknown(written).__cause__, PoolClosed)
    memory.close()


def test_draining_waits_for_confirmations() -> None:
    """
    The connections close as soon as everything is confirmed.
    """
    memory, server = pool_of(2)
    server.hold()
    sent = [fate(memory.pool.send("text", confirm=True)) for _ in range(2)]
    closed = fate(memory.pool.close(drain=60))
    memory.advance(30)
    assert (sent, closed) == ([[], []], [])
    server.pongs[0].release()
    memory.settle()
    assert (sent, closed) == ([[0], []], [])
    server.release()
    memory.settle()
    assert (sent, closed) == ([[0], [1]], [None])
    memory.close()


def test_draining_sends_again_what_is_lost() -> None:
    """
    On another connection, or on the same one when it is open again.
    """
    memory, server = pool_of(2)
    server.hold()
    sent = fate(memory.pool.send("text", confirm=True))
    closed = fate(memory.pool.close(drain=LONG))
    memory.settle()
    server.peers[0].drop()
    memory.settle()
    assert texts(server.peers[1]) == ["text"]
    server.quiet = False
    server.peers[1].drop()
    memory.advance(60)
    assert (len(sent), closed) == (1, [None])
    assert isinstance(sent[0], int)
    memory.close()


def test_draining_goes_on_whoever_hears_of_a_loss_first() -> None:
    """
    Who hears that a message in fragments is lost may close a connection: then there is nothing,
    for a moment, that a connection has or that waits, and yet what one has given back is sent.
    """
    connections: list[PooledConnection] = []
    memory, server = pool_of(2, on_connect=connections.append)
    pool = memory.pool
    home = pool.connection_of("fragments")
    assert home is not None
    same = next(key for key in range(1000) if pool.connection_of(key) == home)
    begun = fate(pool.send("be", key="fragments", fin=False))
    memory.settle()
    assert begun == [home]

    server.peers[home].close(1012)
    lost = pool.send("gun", key="fragments")
    lost.addErrback(lambda _: connections[1 - home].close())
    sent = fate(pool.send("text", key=same, confirm=True))
    closed = fate(pool.close(drain=60))
    memory.advance(60)
    assert lost.called
    assert (len(sent), closed) == (1, [None])
    assert isinstance(sent[0], int)
    memory.close()


def test_what_comes_back_when_the_pool_is_being_destroyed_is_dropped_once() -> None:
    """
    Two messages wait for their key to go home; home is lost again, so that the stand-in takes the
    first, and who hears of that destroys the pool.
    """
    memory, server = pool_of(2, reconnect_interval=1)
    pool = memory.pool
    key = next(key for key in range(1000) if pool.connection_of(key) == 0)
    server.peers[0].drop()
    memory.settle()
    server.hold()
    pool.send("for the stand-in", key=key)
    memory.advance(1)
    taken = pool.send("taken", key=key)
    taken.addCallback(lambda _: pool.destroy())
    waiting = fate(pool.send("waiting", key=key))
    assert (taken.called, pool.get_stats().queued_messages) == (False, 2)
    server.peers[2].close(1012)
    memory.settle()
    assert (taken.called, kinds(waiting)) == (True, [PoolClosed])
    assert pool.get_stats().dropped == {"closed": 2}
    memory.close()


def test_draining_has_its_time() -> None:
    """
    After that, nobody knows of what was written, and the pool ends.
    """
    memory, server = pool_of(1)
    server.hold()
    written = fate(memory.pool.send("written", confirm=True))
    closed = fate(memory.pool.close(drain=10))
    memory.advance(9.9)
    assert (written, closed) == ([], [])
    memory.advance(1)
    assert (kinds(written), closed) == ([DeliveryUnknown], [None])
    memory.close()


def test_draining_gives_up_when_every_connection_has() -> None:
    """
    There is nothing to wait for any more.
    """
    memory, server = pool_of(1, max_reconnect_attempts=1)
    server.hold()
    sent = fate(memory.pool.send("text", confirm=True))
    closed = fate(memory.pool.close(drain=LONG))
    memory.settle()
    server.refuse()
    server.peers[0].drop()
    memory.settle()
    assert (kinds(sent), closed) == ([DeliveryUnknown], [None])
    memory.close()


def test_nothing_is_sent_again_while_the_pool_closes() -> None:
    """
    One connection after the other is gone; what the first had not confirmed is not given to the
    next.
    """
    memory, server = pool_of(2, close_timeout=5)
    server.hold()
    server.peers[1].answers_close = False
    sent = fate(memory.pool.send("text", confirm=True))
    memory.settle()
    memory.pool.close()
    memory.advance(6)
    assert kinds(sent) == [DeliveryUnknown]
    assert everything(memory) == ["text"]
    memory.close()


# Destroying


def test_destroying_leaves_what_was_written_unknown() -> None:
    """
    And fails all the rest with C{PoolClosed}; nothing of it is counted any more.
    """
    memory, server = pool_of(1)
    server.hold()
    written = fate(memory.pool.send("written", confirm=True))
    memory.settle()
    taken = fate(memory.pool.send("taken", confirm=True))
    memory.pool.destroy()
    assert kinds(taken) == [PoolClosed]
    memory.settle()
    assert unknown(written).data == b"written"
    stats = memory.pool.get_stats()
    assert (stats.queued_messages, *unconfirmed(memory)) == (0, 0, 0)
    memory.close()
    assert everything(memory) == ["written"]


def test_destroying_a_pool_that_never_opened() -> None:
    """
    What waits was never written.
    """
    memory, _ = pool_of(1)
    lose_all(memory)
    sent = fate(memory.pool.send("text", confirm=True))
    memory.pool.destroy()
    assert kinds(sent) == [PoolClosed]
    memory.close()


# Giving up


def test_every_connection_gives_up() -> None:
    """
    What was written may have arrived; what was not has not.
    """
    memory, server = pool_of(2, max_reconnect_attempts=1)
    server.hold()
    written = fate(memory.pool.send("written", confirm=True))
    memory.settle()
    server.refuse()
    for peer in server.peers:
        peer.drop()
        memory.settle()
    error = unknown(written)
    assert isinstance(error.__cause__, PoolExhausted)
    assert error.deliveries == 2
    assert kinds(fate(memory.pool.send("later", confirm=True))) == [PoolExhausted]
    memory.close()


def test_what_a_connection_that_is_let_go_has_not_confirmed_when_all_others_gave_up() -> None:
    """
    The pool was made smaller, and the connection that it lets go is slow to close.  Meanwhile the
    other one gives up: there is none to send the message again, and its caller is told.
    """
    memory, server = pool_of(2, max_reconnect_attempts=1, close_timeout=5)
    server.pongs[1].hold()
    server.peers[1].answers_close = False
    sent = [fate(memory.pool.send("text", confirm=True)) for _ in range(2)]
    memory.settle()
    memory.pool.resize(1)
    server.refuse()
    server.peers[0].drop()
    memory.advance(1)
    assert kinds(fate(memory.pool.send("later"))) == [PoolExhausted]
    memory.advance(LONG)
    assert sent[0] == [0]
    assert isinstance(unknown(sent[1]).__cause__, PoolExhausted)
    memory.close()


# One connection ends


def test_a_pool_that_shrinks_confirms_what_it_had_sent() -> None:
    """
    Before the Close frame, if the peer answers; what it does not answer goes elsewhere.
    """
    memory, server = pool_of(3, latency=0.01)
    server.pongs[1].hold()
    sent = [fate(memory.pool.send("text", confirm=True)) for _ in range(3)]
    memory.pool.resize(1)
    memory.advance(1)
    assert sent == [[0], [0], [2]]
    assert [texts(peer) for peer in server.peers] == [["text", "text"], ["text"], ["text"]]
    memory.close()


@pytest.mark.parametrize("answers", [True, False])
def test_closing_one_connection(answers: bool) -> None:
    """
    What it had taken is written and confirmed before its Close frame, or sent again elsewhere.
    """
    connections: list[PooledConnection] = []
    memory, server = pool_of(2, on_connect=connections.append)
    if not answers:
        server.pongs[0].hold()
    sent = fate(memory.pool.send("text", confirm=True))
    closed: list[Any] = fate(connections[0].close())
    memory.settle()
    assert closed == [None]
    assert sent == [0 if answers else 1]
    memory.close()


def test_a_connection_that_ends_in_on_connect_has_not_confirmed() -> None:
    """
    Its hook is cancelled, as ever, and the message, which was for just that connection, goes to no
    other one.
    """
    ends: list[BaseException] = []
    greetings = iter(["first", "second"])

    async def greet(connection: PooledConnection) -> None:
        try:
            await connection.send(next(greetings), confirm=True)
        except CancelledError as error:
            ends.append(error)
            raise

    clock = Clock()
    server = QuietServer(clock)
    server.hold()
    memory = MemoryPool(server=server, clock=clock, pool_size=1, on_connect=greet)
    memory.pool.start()
    memory.settle()
    assert texts(server.peers[0]) == ["first"]
    assert unconfirmed(memory) == (1, 5)
    server.peers[0].drop()
    memory.settle()
    assert len(ends) == 1
    assert unconfirmed(memory) == (0, 0)
    server.release()
    memory.advance(LONG)
    assert memory.pool.open_connections == 1
    assert texts(server.peers[1]) == ["second"]
    memory.close()


def test_a_peer_that_closes_first_confirms_nothing_by_that() -> None:
    """
    It may not have read what was sent at the same time: that is sent again.
    """
    memory, server = pool_of(1, latency=0.01)
    server.peers[0].close(1001)
    sent = fate(memory.pool.send("text", confirm=True))
    memory.advance(LONG)
    assert sent == [0]
    assert texts(server.peers[1]) == ["text"]
    memory.close()
