"""
C{flush} when it takes too long, is cancelled, or the pool ends.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from wsmultipool.errors import (
    DeliveryUnknown,
    FlushTimeout,
    PongOverdue,
    PoolClosed,
    PoolExhausted,
)
from wsmultipool.testing import MemoryPool

from .quiet_server import LONG, QuietServer, begin_closing, lose_all, pool_of, unknown
from .test_flush import send
from .test_flush_losses import fate_after
from .test_sending import everything, fate, kinds

# Giving up on it


@pytest.mark.parametrize("waits_for", ["connection", "pong"])
def test_it_takes_too_long(waits_for: str) -> None:
    """
    It fails with C{FlushTimeout}, a C{TimeoutError}, when its time is over, whatever it waits for;
    a later flush works as ever.
    """
    if waits_for == "connection":
        memory = MemoryPool(pool_size=1)
        send(memory, "text")
    else:
        memory, server = pool_of(1)
        server.hold()
        send(memory, "text")
    flushed = fate(memory.pool.flush(timeout=2.5))
    memory.advance(2.4)
    assert flushed == []
    memory.advance(0.2)
    (error,) = flushed
    assert isinstance(error, FlushTimeout)
    assert isinstance(error, TimeoutError)
    assert error.timeout == 2.5
    if waits_for == "connection":
        memory.open()
    else:
        server.release()
        memory.settle()
    assert fate_after(memory) == [None]
    memory.close()


def test_a_closing_connection_takes_too_long() -> None:
    """
    The time of a flush that waits for a connection to be gone is limited, too.
    """
    memory, server = pool_of(1, close_timeout=10)
    server.hold()
    send(memory, "text")
    memory.settle()
    begin_closing(server.peers[0])
    memory.settle()
    flushed = fate(memory.pool.flush(timeout=2))
    memory.advance(3)
    assert kinds(flushed) == [FlushTimeout]
    memory.advance(LONG)
    assert unknown(fate_after(memory)).messages == 1
    memory.close()


@pytest.mark.parametrize("waits_for", ["connection", "pong"])
@pytest.mark.parametrize("timeout", [None, 60])
def test_cancelling(waits_for: str, timeout: float | None) -> None:
    """
    The caller hears of it at once, no timer is left, and the messages are sent all the same.
    """
    if waits_for == "connection":
        memory = MemoryPool(pool_size=1)
    else:
        memory, server = pool_of(1)
        server.hold()
    sent = fate(memory.pool.send("text"))
    deferred = memory.pool.flush(timeout)
    flushed = fate(deferred)
    memory.settle()
    deferred.cancel()
    assert kinds(flushed) == [CancelledError]
    if waits_for == "connection":
        memory.open()
    else:
        server.release()
    memory.settle()
    assert (sent, everything(memory)) == ([0], ["text"])
    assert memory.clock.getDelayedCalls() == []
    assert fate_after(memory) == [None]
    memory.close()


@pytest.mark.parametrize("how", ["timeout", "cancel"])
def test_giving_up_on_it_takes_no_confirmation_away(how: str) -> None:
    """
    A flush in the same turn as a confirmed send asks for both; its pong counts for the message also
    when nobody waits for the flush any more.
    """
    memory, server = pool_of(1)
    server.hold()
    sent = fate(memory.pool.send("text", confirm=True))
    deferred = memory.pool.flush(timeout=1)
    flushed = fate(deferred)
    memory.settle()
    if how == "cancel":
        deferred.cancel()
    memory.advance(2)
    assert kinds(flushed) == [FlushTimeout if how == "timeout" else CancelledError]
    assert len(server.pongs[0].asked) == 1
    server.release()
    memory.settle()
    assert sent == [0]
    memory.close()


def test_flushes_shorter_than_the_round_trip_keep_nothing_from_being_confirmed() -> None:
    """
    A caller who flushes again and again, and never has the patience: each pong that does come, late
    for its flush, still counts for what was written before it.
    """
    memory, _ = pool_of(1, latency=1.5)
    sent = fate(memory.pool.send("text", confirm=True))
    flushed = []
    for _ in range(10):
        flushed.append(fate(memory.pool.flush(timeout=1)))
        memory.advance(1.1)
    assert sent == [0]
    assert kinds(flushed[0]) == [FlushTimeout]
    memory.advance(10)
    memory.close()


def give_up_flushing(memory: MemoryPool, how: str) -> None:
    """
    Flush, and wait for it no longer.
    """
    if how == "timeout":
        flushed = fate(memory.pool.flush(timeout=0.5))
        memory.advance(0.6)
        assert kinds(flushed) == [FlushTimeout]
    else:
        flush = memory.pool.flush()
        flushed = fate(flush)
        memory.settle()
        flush.cancel()
        assert kinds(flushed) == [CancelledError]


def talking_but_mute(
    heartbeat_interval: int = 2,
) -> tuple[MemoryPool, QuietServer, list[Exception]]:
    """
    Return a pool of three connections that all have written something, whose peers answer no ping
    and are not silent; and the errors that it reports.
    """
    memory, server = pool_of(3, heartbeat_interval=heartbeat_interval, heartbeat_timeout=1)
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    server.hold()
    memory.pool.broadcast("text")
    memory.settle()
    return memory, server, errors


def talk(memory: MemoryPool, seconds: int) -> None:
    """
    Let time pass, in which the peers are heard.
    """
    for _ in range(seconds):
        memory.advance(1)
        for peer in memory.server.open_peers:
            peer.send("hello")


@pytest.mark.parametrize("how", ["timeout", "cancel"])
def test_given_up_it_waits_on_no_connection(how: str) -> None:
    """
    That a peer does not answer its ping kills no connection later, on which a flush had waited, or
    was going to.
    """
    memory, server, errors = talking_but_mute()
    give_up_flushing(memory, how)
    talk(memory, 30)
    assert errors == []
    assert memory.pool.open_connections == 3
    server.release()
    memory.close()


@pytest.mark.parametrize("how", ["timeout", "cancel"])
def test_given_up_it_does_not_hurry_what_is_confirmed_later(how: str) -> None:
    """
    A confirmed message has the time of the heartbeat for its own ping, whatever is left unanswered
    from before; and then its connection is mute.
    """
    memory, server, errors = talking_but_mute()
    give_up_flushing(memory, how)
    talk(memory, 30)
    confirmed = fate(memory.pool.send("confirmed", confirm=True))
    talk(memory, 2)
    assert (errors, confirmed) == ([], [])
    talk(memory, 3)
    assert kinds(errors) == [PongOverdue]
    server.release()
    memory.close()


def test_given_up_again_and_again_it_leaves_no_more() -> None:
    """
    Of very many, a connection remembers no more than two pings, for what their late pongs prove.
    """
    memory, server, _ = talking_but_mute(heartbeat_interval=0)
    for _ in range(50):
        give_up_flushing(memory, "timeout")
        give_up_flushing(memory, "cancel")
    connections = memory.pool._supervisor.connections
    assert [len(each._receipts.pings._pending) for each in connections] == [2, 2, 2]
    assert memory.clock.getDelayedCalls() == []
    server.release()
    memory.settle()
    assert fate_after(memory) == [None]
    memory.close()


@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        (0, ValueError),
        (-1, ValueError),
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        ("1", TypeError),
        (True, TypeError),
    ],
)
@pytest.mark.parametrize("ended", [True, False])
def test_a_timeout_is_a_positive_number(timeout: Any, error: type[Exception], ended: bool) -> None:
    """
    Anything else is refused at once, by name.
    """
    memory, _ = pool_of(1)
    if ended:
        memory.close()
    with pytest.raises(error, match=r"^timeout"):
        memory.pool.flush(timeout)
    memory.close()


# The end


@pytest.mark.parametrize("end", ["close", "destroy"])
def test_after_the_end_it_fails(end: str) -> None:
    """
    With C{PoolClosed}, at once.
    """
    memory, _ = pool_of(1)
    if end == "close":
        memory.pool.close()
    else:
        memory.pool.destroy()
    assert kinds(fate(memory.pool.flush())) == [PoolClosed]
    memory.close()
    assert kinds(fate(memory.pool.flush())) == [PoolClosed]


@pytest.mark.parametrize("end", ["close", "destroy", "drain"])
def test_the_pool_ends_while_something_waits_for_a_connection(end: str) -> None:
    """
    What waits will not be sent, so the flush fails as the message does.
    """
    memory = MemoryPool(pool_size=1)
    memory.server.refuse()
    memory.pool.start()
    sent = fate(memory.pool.send("text"))
    flushed = fate(memory.pool.flush())
    if end == "destroy":
        memory.pool.destroy()
    else:
        memory.pool.close(drain=3 if end == "drain" else None)
    memory.advance(4)
    assert kinds(sent) == kinds(flushed) == [PoolClosed]
    memory.close()


def test_the_pool_is_closed_while_pongs_are_due() -> None:
    """
    They come before the peer's Close frame, and the flush fires.
    """
    memory, _ = pool_of(2, latency=0.01)
    send(memory, "one", "two")
    flushed = fate(memory.pool.flush())
    memory.pool.close()
    memory.advance(1)
    assert flushed == [None]
    memory.close()


def test_the_pool_is_closed_and_pongs_do_not_come() -> None:
    """
    The flush fails when the connections are gone.
    """
    memory, server = pool_of(2)
    server.hold()
    send(memory, "one", "two", "three")
    flushed = fate(memory.pool.flush())
    memory.settle()
    memory.pool.close()
    memory.advance(10)
    assert unknown(flushed).messages == 3
    memory.close()


def test_the_pool_is_destroyed_while_pongs_are_due() -> None:
    """
    What was written may have arrived, or not.
    """
    memory, server = pool_of(1)
    server.hold()
    send(memory, "text")
    flushed = fate(memory.pool.flush())
    memory.settle()
    memory.pool.destroy()
    memory.advance(1)
    assert unknown(flushed).messages == 1
    memory.close()


def test_the_pool_is_destroyed_before_anything_was_written() -> None:
    """
    The Deferred of the message has fired, as a connection had taken it; the flush knows better.
    """
    memory, _ = pool_of(1)
    assert fate(memory.pool.send("text")) == [0]
    flushed = fate(memory.pool.flush())
    memory.pool.destroy()
    memory.advance(1)
    assert everything(memory) == []
    assert kinds(flushed) in ([DeliveryUnknown], [PoolClosed])
    memory.close()


def test_draining_sends_what_a_flush_waits_for() -> None:
    """
    The flush fires during the drain.
    """
    memory, _ = pool_of(1)
    memory.server.refuse()
    lose_all(memory)
    send(memory, "text")
    flushed = fate(memory.pool.flush())
    memory.pool.close(drain=LONG)
    memory.advance(20)
    memory.server.accept()
    memory.advance(100)
    assert flushed == [None]
    memory.close()


def test_every_connection_gives_up() -> None:
    """
    What waits will not be sent: the flush fails with C{PoolExhausted}.
    """
    memory = MemoryPool(pool_size=1, max_reconnect_attempts=1)
    memory.server.refuse()
    sent = fate(memory.pool.send("text"))
    flushed = fate(memory.pool.flush())
    memory.pool.start()
    memory.advance(1)
    assert kinds(sent) == kinds(flushed) == [PoolExhausted]
    memory.close()


def test_after_every_connection_has_given_up_it_fails() -> None:
    """
    At once, as every send does.
    """
    memory = MemoryPool(pool_size=1, max_reconnect_attempts=1)
    memory.server.refuse()
    memory.pool.start()
    memory.settle()
    assert kinds(fate(memory.pool.send("text"))) == [PoolExhausted]
    assert kinds(fate(memory.pool.flush())) == [PoolExhausted]
    memory.close()


def test_a_pool_that_grows_again_is_flushed_again() -> None:
    """
    After every connection had given up.
    """
    memory = MemoryPool(pool_size=1, max_reconnect_attempts=1)
    memory.server.refuse()
    memory.pool.start()
    memory.settle()
    memory.server.accept()
    memory.pool.resize(2)
    memory.settle()
    send(memory, "text")
    assert fate_after(memory) == [None]
    memory.close()


def test_a_callback_of_a_flush_may_send_and_flush_and_end_the_pool() -> None:
    """
    What it does is as if it were done elsewhere.
    """
    memory, _ = pool_of(1)
    seen: list[object] = []

    async def work() -> None:
        memory.pool.send("one")
        await memory.pool.flush()
        memory.pool.send("two")
        await memory.pool.flush()
        seen.append(everything(memory))
        memory.pool.destroy()

    memory.result(Deferred.fromCoroutine(work()))
    assert seen == [["one", "two"]]
    memory.close()
