"""
The queue while no connection is open: how much it holds, and what happens when it is full.
"""

from __future__ import annotations

from typing import Literal

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from wsmultipool import PooledConnection
from wsmultipool.errors import BufferFull, FragmentLost, NotConnected, PoolClosed, QueueOverflow
from wsmultipool.testing import MemoryPool

from .test_sending import BIG, everything, fate, kinds, stall, texts

Overflow = Literal["drop_oldest", "drop_newest", "wait"]


def test_the_oldest_message_is_dropped_for_a_new_one() -> None:
    """
    By default a full queue drops its oldest message, whose send fails with L{QueueOverflow}.
    """
    memory = MemoryPool(pool_size=1, message_queue_size=3)
    sent = [fate(memory.pool.send(f"{number}")) for number in range(5)]
    assert [kinds(each) for each in sent] == [[QueueOverflow], [QueueOverflow], [], [], []]
    (error,) = sent[0]
    assert isinstance(error, QueueOverflow)
    assert error.limit == 3
    assert str(error) == "the message queue is full (message_queue_size=3)"
    stats = memory.pool.get_stats()
    assert (stats.queued_messages, stats.dropped_messages) == (3, 2)
    memory.open()
    assert sent[2:] == [[0]] * 3
    assert texts(memory.server.peers[0]) == ["2", "3", "4"]
    memory.close()


def test_the_oldest_message_is_dropped_whatever_its_key() -> None:
    """
    Messages with and without a key are one queue.
    """
    memory = MemoryPool(pool_size=1, message_queue_size=3)
    keys = ["b", None, "a", None, "b"]
    sent = [fate(memory.pool.send(f"{n}", key=key)) for n, key in enumerate(keys)]
    assert [kinds(each) for each in sent] == [[QueueOverflow], [QueueOverflow], [], [], []]
    memory.open()
    assert texts(memory.server.peers[0]) == ["2", "3", "4"]
    memory.close()


def test_the_newest_message_is_refused() -> None:
    """
    With C{drop_newest}, a full queue refuses what comes, and keeps what it has.
    """
    memory = MemoryPool(pool_size=1, message_queue_size=3, overflow="drop_newest")
    sent = [fate(memory.pool.send(f"{number}")) for number in range(5)]
    assert [kinds(each) for each in sent] == [[], [], [], [QueueOverflow], [QueueOverflow]]
    assert memory.pool.get_stats().dropped_messages == 2
    memory.open()
    assert texts(memory.server.peers[0]) == ["0", "1", "2"]
    memory.close()


def test_nothing_is_dropped_if_the_caller_wants_to_wait() -> None:
    """
    With C{wait}, C{message_queue_size} drops nothing, and only C{max_buffered_bytes} limits it.
    """
    memory = MemoryPool(
        pool_size=1, message_queue_size=3, overflow="wait", max_buffered_bytes=10_000
    )
    sent = [fate(memory.pool.send(b"%04d" % number)) for number in range(2500)]
    assert sent == [[]] * 2500
    (error,) = fate(memory.pool.send(b"x"))
    assert isinstance(error, BufferFull)
    assert (error.size, error.buffered, error.limit) == (1, 10_000, 10_000)
    memory.open()
    assert sent == [[0]] * 2500
    assert texts(memory.server.peers[0]) == [f"{number:04}" for number in range(2500)]
    memory.close()


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "wait"])
def test_without_a_queue_a_send_fails_while_nothing_is_open(overflow: Overflow) -> None:
    """
    With C{message_queue_size=0}, a send fails with L{NotConnected} at once, and works otherwise.
    """
    memory = MemoryPool(pool_size=1, message_queue_size=0, overflow=overflow)
    assert kinds(fate(memory.pool.send("too early"))) == [NotConnected]
    assert kinds(fate(memory.pool.send("too early", key="key", timeout=9))) == [NotConnected]
    assert kinds(fate(memory.pool.send("too", key="part", fin=False))) == [NotConnected]
    assert memory.clock.getDelayedCalls() == []
    assert memory.pool.get_stats().queued_messages == 0
    memory.open()
    assert fate(memory.pool.send("in time")) == [0]
    memory.close()
    assert everything(memory) == ["in time"]


def test_without_a_queue_messages_still_wait_for_a_connection_that_is_full() -> None:
    """
    C{message_queue_size=0} is about outages: it is backpressure while a connection is open.
    """
    memory = MemoryPool(pool_size=1, message_queue_size=0)
    memory.open()
    stall(memory)
    sent = fate(memory.pool.send("waits"))
    assert sent == []
    memory.server.peers[0].resume_reading()
    memory.settle()
    assert sent == [0]
    memory.close()
    assert everything(memory) == ["waits"]


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
def test_the_queue_has_no_limit_while_a_connection_is_open(overflow: Overflow) -> None:
    """
    Under backpressure nothing is dropped, however many messages wait; nor is anything of it when
    the last connection is lost.
    """
    memory = MemoryPool(pool_size=1, message_queue_size=3, overflow=overflow)
    memory.open()
    stall(memory)
    sent = [fate(memory.pool.send(f"{number:02}")) for number in range(20)]
    assert sent == [[]] * 20
    memory.server.peers[0].drop()
    memory.settle()
    stats = memory.pool.get_stats()
    assert (stats.open, stats.queued_messages, stats.dropped_messages) == (0, 20, 0)
    memory.advance(1)
    assert sent == [[0]] * 20
    assert texts(memory.server.peers[1]) == [f"{number:02}" for number in range(20)]
    memory.close()


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
def test_what_came_back_from_a_lost_connection_is_never_dropped(overflow: Overflow) -> None:
    """
    The queue limit does not count, nor drop, messages that were reported as taken.
    """
    memory = MemoryPool(pool_size=1, message_queue_size=2, overflow=overflow)
    memory.open()
    memory.server.peers[0].drop()
    taken = [fate(memory.pool.send(f"taken {number}")) for number in range(5)]
    assert taken == [[0]] * 5
    memory.settle()
    sent = [fate(memory.pool.send(f"{number}")) for number in range(3)]
    assert memory.pool.get_stats().queued_messages == 7
    memory.advance(1)
    kept = ["1", "2"] if overflow == "drop_oldest" else ["0", "1"]
    assert texts(memory.server.peers[1]) == [*(f"taken {number}" for number in range(5)), *kept]
    assert sorted(map(str, map(kinds, sent))) == sorted(map(str, [[QueueOverflow], [int], [int]]))
    memory.close()


def test_a_message_for_one_connection_is_not_dropped_for_one_to_the_pool() -> None:
    """
    What C{on_connect} sends is not what the queue drops; without anything else to drop, the new
    message is refused.
    """
    hook: Deferred[None] = Deferred()
    own: list[list[int | BaseException]] = []

    def greet(connection: PooledConnection) -> Deferred[None]:
        memory.server.peers[0].stop_reading()
        own.extend([fate(connection.send(BIG)), fate(connection.send("hello"))])
        return hook

    memory = MemoryPool(pool_size=1, message_queue_size=1, on_connect=greet)
    memory.pool.start()
    memory.settle()
    assert own == [[0], []]
    assert kinds(fate(memory.pool.send("other"))) == [QueueOverflow]
    assert memory.pool.get_stats().dropped_messages == 1
    memory.server.peers[0].resume_reading()
    memory.settle()
    assert own == [[0], [0]]
    hook.callback(None)
    memory.close()
    assert everything(memory) == ["hello"]


@pytest.mark.parametrize("size", [0, 1])
def test_a_connection_may_greet_whatever_the_queue_holds(size: int) -> None:
    """
    What C{on_connect} sends does not go through the queue, so its limit does not concern it.
    """
    sent: list[list[int | BaseException]] = []

    def greet(connection: PooledConnection) -> None:
        sent.extend(fate(connection.send("hello")) for _ in range(2))

    memory = MemoryPool(pool_size=1, message_queue_size=size, on_connect=greet)
    waiting = fate(memory.pool.send("waits"))
    memory.open()
    assert sent == [[0], [0]]
    assert kinds(waiting) == ([int] if size else [NotConnected])
    memory.close()
    assert everything(memory) == ["hello", "hello", "waits"][: 2 + size]


def test_a_dropped_first_fragment_takes_the_rest_of_its_message_with_it() -> None:
    """
    When the queue drops the beginning of a message, its other fragments fail with L{FragmentLost},
    those that waited and those to come, until the one with C{fin=True}.
    """
    memory = MemoryPool(pool_size=1, message_queue_size=2)
    pool = memory.pool
    first = fate(pool.send("first,", key="long", fin=False))
    second = fate(pool.send("second,", key="long", fin=False))
    whole = fate(pool.send("whole"))
    assert kinds(first) == [QueueOverflow]
    assert kinds(second) == [FragmentLost]
    assert kinds(fate(pool.send("third,", key="long", fin=False))) == [FragmentLost]
    assert kinds(fate(pool.send("last", key="long"))) == [FragmentLost]
    again = fate(pool.send("again", key="long"))
    assert pool.get_stats().dropped_messages == 2
    memory.open()
    assert (whole, again) == ([0], [0])
    assert texts(memory.server.peers[0]) == ["whole", "again"]
    memory.close()


@pytest.mark.parametrize("fin", [True, False])
def test_a_fragment_that_would_drop_its_own_beginning_is_lost_as_well(fin: bool) -> None:
    """
    When room for a fragment could only be made by dropping the first one of the same message, both
    fail, and nothing is left of the message.
    """
    memory = MemoryPool(pool_size=1, message_queue_size=1)
    first = fate(memory.pool.send("first,", key="long", fin=False))
    second = fate(memory.pool.send("second", key="long", fin=fin))
    assert (kinds(first), kinds(second)) == ([QueueOverflow], [FragmentLost])
    if not fin:
        assert kinds(fate(memory.pool.send("last", key="long"))) == [FragmentLost]
    assert memory.pool.get_stats().queued_messages == 0
    whole = fate(memory.pool.send("whole", key="long"))
    memory.open()
    assert whole == [0]
    memory.close()
    assert everything(memory) == ["whole"]


def test_a_dropped_message_leaves_no_timer() -> None:
    """
    C{timeout} of a message that was dropped means nothing any more.
    """
    memory = MemoryPool(pool_size=1, message_queue_size=1)
    dropped = fate(memory.pool.send("dropped", timeout=60))
    fate(memory.pool.send("kept"))
    assert kinds(dropped) == [QueueOverflow]
    assert memory.clock.getDelayedCalls() == []
    memory.close()


@pytest.mark.parametrize("fragmented", [False, True])
@pytest.mark.parametrize("end", ["close", "destroy"])
def test_ending_the_pool_when_a_message_is_dropped_forgets_nobody(
    fragmented: bool, end: str
) -> None:
    """
    An errback of the dropped message may end the pool: the message that took its place fails, too.
    """
    memory = MemoryPool(pool_size=1, message_queue_size=1)

    def end_it(failure: Failure) -> None:
        failure.trap(QueueOverflow)
        if end == "close":
            fate(memory.pool.close())
        else:
            memory.pool.destroy()

    key = "long" if fragmented else None
    memory.pool.send("first", key=key, fin=not fragmented).addErrback(end_it)
    second = fate(memory.pool.send("second", key=key))
    memory.close()
    assert kinds(second) in ([PoolClosed], [FragmentLost])
    assert memory.pool.get_stats().queued_messages == 0


def test_sending_when_a_message_is_dropped_keeps_the_order() -> None:
    """
    A message sent by the errback of a dropped one comes after the one that was being sent.
    """
    memory = MemoryPool(pool_size=1, message_queue_size=2)
    memory.pool.send("first").addErrback(lambda _: fate(memory.pool.send("fourth")))
    memory.pool.send("second").addErrback(lambda _: None)
    memory.pool.send("third").addErrback(lambda _: None)
    memory.open()
    received = texts(memory.server.peers[0])
    assert received == sorted(received, key=["second", "third", "fourth"].index)
    memory.close()


# The event


def drains(memory: MemoryPool) -> list[int]:
    """
    Collect what C{drain} is emitted with.
    """
    counts: list[int] = []
    memory.pool.on("drain", counts.append)
    return counts


def test_drain_tells_how_many_messages_had_been_waiting() -> None:
    """
    When the queue that an outage left is empty again, C{drain} tells how many were sent.
    """
    memory = MemoryPool(pool_size=1)
    counts = drains(memory)
    for number in range(3):
        memory.pool.send(f"{number}")
    memory.open()
    assert counts == [3]
    memory.pool.send("at once")
    memory.settle()
    memory.server.peers[0].drop()
    memory.settle()
    memory.pool.send("waits", key="key")
    memory.pool.send("waits")
    assert counts == [3]
    memory.advance(1)
    assert counts == [3, 2]
    memory.close()
    assert counts == [3, 2]


def test_drain_counts_what_came_back_from_a_lost_connection() -> None:
    """
    A message that had been taken, came back, and waited for a connection, counts as well.
    """
    memory = MemoryPool(pool_size=1)
    counts = drains(memory)
    memory.open()
    memory.server.peers[0].drop()
    memory.pool.send("taken")
    memory.settle()
    memory.pool.send("waits")
    memory.advance(1)
    assert counts == [2]
    memory.close()


def test_no_drain_without_an_outage_or_without_a_queue() -> None:
    """
    A connection that opens or reads again, with nothing in the queue, is no reason for C{drain}.
    """
    memory = MemoryPool(pool_size=2)
    counts = drains(memory)
    memory.open()
    stall(memory)
    fate(memory.pool.send("waits for one that reads"))
    for peer in memory.server.peers:
        peer.resume_reading()
    memory.settle()
    memory.server.peers[0].drop()
    memory.server.peers[1].drop()
    memory.advance(1)
    assert memory.pool.open_connections == 2
    assert counts == []
    memory.close()


def test_no_drain_when_a_connection_joins_others_that_are_full() -> None:
    """
    What waits for a writable connection while one is open has not been through an outage.
    """
    memory = MemoryPool(pool_size=2)
    counts = drains(memory)
    memory.open()
    memory.server.peers[0].drop()
    memory.settle()
    stall(memory)
    sent = fate(memory.pool.send("waits"))
    assert sent == []
    memory.advance(1)
    assert sent == [0]
    assert counts == []
    memory.close()


def test_drain_waits_until_the_last_message_is_taken() -> None:
    """
    A queue larger than a connection takes at once is not flushed before all of it is taken.
    """
    memory = MemoryPool(pool_size=1)
    counts = drains(memory)
    for _ in range(5):
        memory.pool.send(BIG)
    memory.pool.on("open", lambda connection_id: memory.server.peers[0].stop_reading())
    memory.open()
    assert memory.pool.get_stats().queued_messages > 0
    assert counts == []
    memory.server.peers[0].resume_reading()
    memory.settle()
    assert counts == [5]
    memory.close()


@pytest.mark.parametrize("how", ["timeout", "cancel"])
def test_drain_does_not_count_what_was_withdrawn(how: str) -> None:
    """
    Messages that timed out, or were cancelled, were not sent.
    """
    memory = MemoryPool(pool_size=1)
    counts = drains(memory)
    memory.pool.on("open", lambda connection_id: memory.server.peers[0].stop_reading())
    memory.pool.send(BIG)
    memory.pool.send(BIG)
    withdrawn = memory.pool.send("withdrawn", timeout=1 if how == "timeout" else None)
    withdrawn.addErrback(lambda _: None)
    memory.open()
    queued = memory.pool.get_stats().queued_messages
    if how == "cancel":
        withdrawn.cancel()
    memory.advance(1)
    memory.server.peers[0].resume_reading()
    memory.settle()
    assert queued > 0
    assert counts == [2]
    memory.close()


def test_no_drain_when_the_queue_is_emptied_by_the_end() -> None:
    """
    A pool that is closed while its queue is being worked off has not flushed it.
    """
    memory = MemoryPool(pool_size=1)
    counts = drains(memory)
    for _ in range(5):
        fate(memory.pool.send(BIG))
    memory.pool.on("open", lambda connection_id: memory.server.peers[0].stop_reading())
    memory.open()
    memory.close()
    assert counts == []
