"""
Backpressure: a caller that waits for each message, sent or received, never makes memory grow.
"""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from wsmultipool._streams import MessageStream, ReceivedMessage
from wsmultipool.errors import BufferFull, PoolClosed
from wsmultipool.testing import MemoryPool

from .test_sending import BIG, fate, keys_by_connection, kinds, stall, texts


def as_deferred(stream: MessageStream) -> Deferred[ReceivedMessage]:
    """
    Wait for the next message of a stream.
    """
    return Deferred.fromCoroutine(stream.__anext__())


# Sending


def test_a_message_waits_while_every_connection_is_full() -> None:
    """
    The Deferred is pending as long as all transports are above their high-water mark, and fires
    when one of the peers reads again.
    """
    memory = MemoryPool(pool_size=2)
    memory.open()
    stall(memory)
    sent = fate(memory.pool.send("waits"))
    memory.advance(60)
    assert sent == []
    assert memory.pool.get_stats().queued_messages == 1
    memory.server.peers[1].resume_reading()
    memory.settle()
    assert sent == [1]
    assert texts(memory.server.peers[1]) == ["waits"]
    memory.close()


def test_a_full_connection_is_passed_over() -> None:
    """
    While one connection is full, the others take everything.
    """
    memory = MemoryPool(pool_size=3)
    memory.open()
    memory.server.peers[1].stop_reading()
    for _ in range(3):
        memory.pool.send(BIG)
    assert [fate(memory.pool.send("text")) for _ in range(3)] == [[], [], []]
    memory.settle()
    assert [fate(memory.pool.send("text")) for _ in range(4)] == [[0], [2], [0], [2]]
    memory.settle()
    assert texts(memory.server.peers[1]) == []
    memory.close()


def test_messages_wait_in_the_order_sent() -> None:
    """
    What waits for a connection to be writable leaves in order, and nothing overtakes it.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    stall(memory)
    peer = memory.server.peers[0]
    waiting = [fate(memory.pool.send(f"{number}", key=number % 2)) for number in range(6)]
    waiting += [fate(memory.pool.send(f"{number}")) for number in range(6, 9)]
    assert waiting == [[]] * 9
    peer.resume_reading()
    memory.settle()
    assert waiting == [[0]] * 9
    assert texts(peer) == [f"{number}" for number in range(9)]
    memory.close()


def test_a_caller_that_awaits_each_send_never_makes_memory_grow() -> None:
    """
    Against peers that do not read, an awaiting caller stops when the transports are full, and goes
    on when one of the peers reads.
    """
    memory = MemoryPool(pool_size=2, max_buffered_bytes=200_000)
    memory.open()
    for peer in memory.server.peers:
        peer.stop_reading()
    done: list[int] = []

    async def send_all() -> None:
        for number in range(200):
            await memory.pool.send(b"%05d" % number * 2000)
            done.append(number)

    finished = fate(Deferred.fromCoroutine(send_all()))
    memory.advance(60)
    assert finished == []
    stopped_at = len(done)
    assert stopped_at < 16
    stats = memory.pool.get_stats()
    assert stats.queued_messages == 1
    assert sum(each.buffered_bytes for each in stats.connections) < 2 * (65536 + 2 * 10_014)
    memory.server.peers[0].resume_reading()
    memory.settle()
    assert finished == [None]
    assert done == list(range(200))
    memory.server.peers[1].resume_reading()
    memory.settle()
    received = [data[:5] for peer in memory.server.peers for data, _ in peer.received]
    assert sorted(received) == [b"%05d" % number for number in range(200)]
    memory.close()


def test_callers_that_await_messages_of_any_allowed_size_see_no_error() -> None:
    """
    An awaiting caller gets backpressure, never L{BufferFull}, even if two of its messages together
    are more than C{max_buffered_bytes}.
    """
    memory = MemoryPool(pool_size=1, max_buffered_bytes=100_000)
    memory.open()
    memory.server.peers[0].stop_reading()

    async def send_all() -> None:
        for _ in range(5):
            await memory.pool.send(b"x" * 100_000)

    finished = fate(Deferred.fromCoroutine(send_all()))
    memory.advance(60)
    assert finished == []
    memory.server.peers[0].resume_reading()
    memory.settle()
    assert finished == [None]
    assert len(memory.server.peers[0].received) == 5
    memory.close()


def test_a_full_queue_is_shared_by_the_connections_that_open() -> None:
    """
    The connection that opens first takes what its transport takes, not the whole queue.
    """
    memory = MemoryPool(pool_size=2, max_connecting=1)
    sent = [fate(memory.pool.send(b"x" * 40_000)) for _ in range(6)]
    memory.pool.on("open", lambda connection_id: memory.server.peers[connection_id].stop_reading())
    memory.open()
    assert sent == [[0], [0], [1], [1], [], []]
    for peer in memory.server.peers:
        peer.resume_reading()
    memory.settle()
    assert [len(each) for each in sent] == [1] * 6
    assert sum(len(peer.received) for peer in memory.server.peers) == 6
    memory.close()


def test_an_open_handler_does_not_overtake_a_queue_that_one_connection_can_not_take() -> None:
    """
    What is sent while part of the queue still waits, waits behind it.
    """
    memory = MemoryPool(pool_size=1)
    for number in range(4):
        memory.pool.send(f"{number}" * 40_000)
    memory.pool.on("open", lambda connection_id: fate(memory.pool.send("greeting")))
    memory.open()
    assert [text[0] for text in texts(memory.server.peers[0])] == ["0", "1", "2", "3", "g"]
    memory.close()


def test_sending_when_a_message_is_taken_does_not_overtake_what_waits() -> None:
    """
    When a full connection takes the first of several messages, what its caller sends next is last.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    stall(memory)
    memory.pool.send("first").addCallback(lambda _: fate(memory.pool.send("last")))
    memory.pool.send("second")
    memory.server.peers[0].resume_reading()
    memory.settle()
    assert texts(memory.server.peers[0]) == ["first", "second", "last"]
    memory.close()


# Turns


def test_a_caller_in_a_loop_lets_the_reactor_have_its_turn() -> None:
    """
    However fast the connections, a caller that awaits one send after another does not keep
    everything else from happening: after some thousands of messages it has to wait for a turn.
    """
    memory = MemoryPool(pool_size=4)
    memory.open()
    done: list[int] = []

    async def send_all() -> None:
        for number in range(40_000):
            done.append(await memory.pool.send(b"%d" % number))

    finished = fate(Deferred.fromCoroutine(send_all()))
    assert finished == []
    assert 1_000 < len(done) < 20_000
    stats = memory.pool.get_stats()
    assert stats.queued_messages == 1
    assert all(connection.buffered_bytes < 65536 for connection in stats.connections)
    memory.settle()
    assert finished == [None]
    assert set(done) == {0, 1, 2, 3}
    received = sorted(int(data) for peer in memory.server.peers for data, _ in peer.received)
    assert received == list(range(40_000))
    memory.close()


@pytest.mark.parametrize("keyed", [False, True])
def test_many_messages_in_one_turn_keep_their_order(keyed: bool) -> None:
    """
    What has to wait for the next turn, with a key or without, is not overtaken by anything.
    """
    memory = MemoryPool(pool_size=4)
    memory.open()
    keys = keys_by_connection(memory)
    for number in range(17_000):
        fate(memory.pool.send(b"", key=keys[number % 4] if keyed else None))
    waiting = []
    for number in range(4):
        for key in keys.values():
            waiting.append(fate(memory.pool.send(f"{number}", key=key)))
        waiting.append(fate(memory.pool.send("free")))
    assert waiting == [[]] * 20
    memory.settle()
    assert [len(each) for each in waiting] == [1] * 20
    for peer in memory.server.peers:
        ordered = [text for text in texts(peer) if text not in ("", "free")]
        assert ordered == ["0", "1", "2", "3"]
    memory.close()


def test_a_pool_may_end_before_the_turn_that_a_caller_waits_for() -> None:
    """
    Ending the pool in the same turn fails what waits for the next one; it is not sent.
    """
    for end in ("close", "destroy"):
        memory = MemoryPool(pool_size=4)
        memory.open()
        for _ in range(17_000):
            fate(memory.pool.send(b""))
        waiting = fate(memory.pool.send("waits"))
        if end == "close":
            fate(memory.pool.close())
        else:
            memory.pool.destroy()
        assert kinds(waiting) == [PoolClosed]
        memory.close()
        assert all("waits" not in texts(peer) for peer in memory.server.peers)


def test_connections_may_be_lost_in_the_turn_that_a_caller_waits_for() -> None:
    """
    What waits for the next turn is sent by another connection when its own is lost in that one.
    """
    memory = MemoryPool(pool_size=4)
    memory.open()
    keys = keys_by_connection(memory)
    for _ in range(17_000):
        fate(memory.pool.send(b""))
    for peer in memory.server.peers[:3]:
        peer.drop()
    waiting = [fate(memory.pool.send(f"{key}", key=key)) for key in keys.values()]
    memory.settle()
    assert [len(each) for each in waiting] == [1] * 4
    memory.advance(2)
    received = [text for peer in memory.server.peers for text in texts(peer) if text]
    assert sorted(received) == sorted(map(str, keys.values()))
    memory.close()


# The bound


def test_a_message_larger_than_the_bound_is_always_refused() -> None:
    """
    More than C{max_buffered_bytes} in one message fails with L{BufferFull}, open or not.
    """
    memory = MemoryPool(pool_size=1, max_buffered_bytes=100)
    (error,) = fate(memory.pool.send(b"x" * 101))
    assert isinstance(error, BufferFull)
    assert (error.size, error.buffered, error.limit) == (101, 0, 100)
    assert "101 bytes does not fit" in str(error)
    exact = fate(memory.pool.send(b"x" * 100))
    assert exact == []
    memory.open()
    assert exact == [0]
    assert kinds(fate(memory.pool.send(b"x" * 101))) == [BufferFull]
    assert kinds(fate(memory.pool.send(b"x" * 101, key=1))) == [BufferFull]
    assert kinds(fate(memory.pool.send(b"x" * 101, key=1, fin=False))) == [BufferFull]
    assert memory.pool.get_stats().dropped_messages == 0
    memory.close()


def test_when_the_bound_is_reached_messages_are_refused() -> None:
    """
    What would exceed C{max_buffered_bytes} together with what waits fails with L{BufferFull}, and
    is accepted again when there is room.
    """
    memory = MemoryPool(pool_size=1, max_buffered_bytes=100)
    waiting = fate(memory.pool.send(b"x" * 60))
    (error,) = fate(memory.pool.send(b"y" * 41))
    assert isinstance(error, BufferFull)
    assert (error.size, error.buffered, error.limit) == (41, 60, 100)
    fits = fate(memory.pool.send(b"z" * 40))
    assert kinds(fate(memory.pool.send(b"!", timeout=1))) == [BufferFull]
    assert fate(memory.pool.send(b"")) == []
    assert memory.pool.get_stats().queued_bytes == 100
    memory.open()
    assert (waiting, fits) == ([0], [0])
    assert fate(memory.pool.send(b"y" * 41)) == [0]
    memory.close()


def test_bytes_that_a_full_transport_holds_count() -> None:
    """
    What was handed to a transport that does not get rid of it counts against the bound, until it
    does, or is lost.
    """
    memory = MemoryPool(pool_size=1, max_buffered_bytes=200_000)
    memory.open()
    stall(memory)
    assert fate(memory.pool.send(b"x" * 129_000)) == []
    (error,) = fate(memory.pool.send(b"y" * 2_000))
    assert isinstance(error, BufferFull)
    assert 199_000 <= error.buffered <= 199_100
    memory.server.peers[0].resume_reading()
    memory.settle()
    assert fate(memory.pool.send(b"y" * 200_000)) == [0]
    memory.settle()
    stall(memory)
    memory.server.peers[0].drop()
    memory.settle()
    assert [fate(memory.pool.send(b"z" * 100_000)) for _ in range(2)] == [[], []]
    memory.advance(1)
    assert [len(data) for data, _ in memory.server.peers[1].received] == [100_000, 100_000]
    memory.close()


def test_a_ping_does_not_hide_what_a_full_transport_holds() -> None:
    """
    Small frames that go to a full transport are added to what it holds.
    """
    memory = MemoryPool(pool_size=1, max_buffered_bytes=200_000)
    memory.open()
    stall(memory)
    fate(memory.pool.ping())
    memory.settle()
    assert fate(memory.pool.send(b"x" * 129_000)) == []
    assert kinds(fate(memory.pool.send(b"y" * 2_000))) == [BufferFull]
    memory.close()


def test_one_message_may_wait_beyond_the_bound() -> None:
    """
    While nothing waits, one more message is accepted whatever the transports hold; the next is not.
    """
    memory = MemoryPool(pool_size=1, max_buffered_bytes=100_000)
    memory.open()
    stall(memory)
    assert fate(memory.pool.send(b"x" * 100_000)) == []
    assert kinds(fate(memory.pool.send(b""))) == [BufferFull]
    assert memory.pool.get_stats().queued_messages == 1
    memory.close()


def test_a_full_connection_does_not_keep_messages_from_the_others() -> None:
    """
    One peer that does not read, and whose transport holds all that C{max_buffered_bytes} allows,
    does not stop what other connections can write.
    """
    memory = MemoryPool(pool_size=2, max_buffered_bytes=100_000)
    memory.open()
    memory.server.peers[0].stop_reading()
    assert fate(memory.pool.send(b"x" * 90_000)) == [0]
    memory.settle()
    sent = [fate(memory.pool.send(b"y" * 20_000)) for _ in range(2)]
    memory.settle()
    assert sent == [[1], [1]]
    keyed = fate(memory.pool.send("keyed", key=keys_by_connection_1(memory)))
    memory.settle()
    assert keyed == [1]
    memory.close()


def keys_by_connection_1(memory: MemoryPool) -> int:
    """
    Find a key of connection 1, while connection 0 is full: messages of that one's keys wait.
    """
    for key in range(1000):
        trial = memory.pool.send("which?", key=key)
        if fate(trial) == [1]:
            return key
        trial.cancel()
    raise AssertionError("no key is taken at once")


def test_a_refused_message_leaves_no_timer() -> None:
    """
    A refused send leaves nothing behind.
    """
    memory = MemoryPool(pool_size=1, max_buffered_bytes=10)
    assert kinds(fate(memory.pool.send("x" * 11, timeout=60))) == [BufferFull]
    assert memory.clock.getDelayedCalls() == []
    memory.close()


def test_a_full_connection_that_is_lost_gives_its_keys_to_another() -> None:
    """
    What waits for one full connection is sent by the others when that one is lost.
    """
    memory = MemoryPool(pool_size=2)
    memory.open()
    key = keys_by_connection(memory)[0]
    memory.server.peers[0].stop_reading()
    memory.pool.send(BIG, key=key)
    waiting = [fate(memory.pool.send(f"{number}", key=key)) for number in range(3)]
    assert waiting == [[]] * 3
    memory.server.peers[0].drop()
    memory.settle()
    assert waiting == [[1]] * 3
    assert texts(memory.server.peers[1]) == ["0", "1", "2"]
    memory.close()


# Pongs to a peer that does not read


def test_a_peer_that_pings_and_does_not_read_gets_one_pong() -> None:
    """
    To a peer that does not read, pongs do not pile up: the latest ping is answered when it reads.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    stall(memory)
    peer = memory.server.peers[0]
    for number in range(100):
        peer.ping(b"%d" % number)
    memory.settle()
    assert peer.pongs == []
    peer.resume_reading()
    memory.settle()
    assert peer.pongs == [b"99"]
    peer.ping(b"at once")
    memory.settle()
    assert peer.pongs == [b"99", b"at once"]
    memory.close()


# Receiving


def test_messages_are_iterated_over_in_the_order_received() -> None:
    """
    C{pool.messages()} yields every message from that call on, and ends with the pool.
    """
    memory = MemoryPool(pool_size=2)
    memory.open()
    memory.server.peers[0].send("missed")
    memory.settle()
    stream = memory.pool.messages()
    received: list[ReceivedMessage] = []

    async def receive() -> None:
        async for message in stream:
            received.append(message)

    finished = fate(Deferred.fromCoroutine(receive()))
    memory.server.peers[0].send("one")
    memory.settle()
    memory.server.peers[1].send(b"two")
    memory.settle()
    assert received == [(b"one", False, 0), (b"two", True, 1)]
    assert finished == []
    memory.close()
    assert finished == [None]


def test_what_was_received_can_be_consumed_after_the_end() -> None:
    """
    Messages that had arrived when the pool ended are still yielded; then the iteration ends.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    stream = memory.pool.messages()
    memory.server.peers[0].send("late")
    memory.settle()
    memory.close()
    assert fate(as_deferred(stream)) == [(b"late", False, 0)]
    assert kinds(fate(as_deferred(stream))) == [StopAsyncIteration]
    assert kinds(fate(as_deferred(memory.pool.messages()))) == [StopAsyncIteration]


def test_sockets_are_not_read_while_messages_are_not_consumed() -> None:
    """
    Reading stops when a mebibyte has arrived that nobody has consumed, and goes on when half of
    that is.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    stream = memory.pool.messages()
    for number in range(40):
        memory.server.peers[0].send(b"%02d" % number + b"x" * 65_534)
    memory.settle()
    arrived = memory.pool.get_stats().received_messages
    assert 16 <= arrived <= 18
    for number in range(9):
        assert memory.pool.get_stats().received_messages == arrived
        ((data, _, _),) = [memory.result(as_deferred(stream))]
        assert data.startswith(b"%02d" % number)
    assert memory.pool.get_stats().received_messages > arrived
    for number in range(9, 40):
        ((data, _, _),) = [memory.result(as_deferred(stream))]
        assert data.startswith(b"%02d" % number)
    memory.close()


def test_many_small_messages_stop_the_reading_as_well() -> None:
    """
    Reading also stops at 1024 messages, however small; a connection opened meanwhile is not read.
    """
    memory = MemoryPool(pool_size=2)
    memory.open()
    stream = memory.pool.messages()
    for number in range(3000):
        memory.server.peers[0].send(b"%d" % number)
        if number == 2000:
            memory.settle()
    memory.settle()
    memory.server.peers[1].drop()
    memory.advance(1)
    memory.server.peers[2].send(b"other")
    memory.settle()
    assert memory.pool.get_stats().received_messages == 1024
    received = [memory.result(as_deferred(stream))[0] for _ in range(3001)]
    assert [data for data in received if data != b"other"] == [b"%d" % n for n in range(3000)]
    memory.close()


def test_leaving_a_stream_lets_the_sockets_be_read_again() -> None:
    """
    After C{aclose()} nothing is kept for a stream, and nothing waits for it.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    stream, other = memory.pool.messages(), memory.pool.messages()
    for _ in range(2000):
        memory.server.peers[0].send(b"x")
    memory.settle()
    assert memory.pool.get_stats().received_messages == 1024
    assert fate(Deferred.fromCoroutine(stream.aclose())) == [None]
    assert memory.pool.get_stats().received_messages == 1024
    assert fate(Deferred.fromCoroutine(other.aclose())) == [None]
    memory.settle()
    assert memory.pool.get_stats().received_messages == 2000
    assert kinds(fate(as_deferred(stream))) == [StopAsyncIteration]
    assert fate(Deferred.fromCoroutine(stream.aclose())) == [None]
    memory.close()


def test_a_stream_that_is_full_when_the_pool_ends_holds_nothing() -> None:
    """
    The end of the pool comes through to a consumer that is behind.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    stream = memory.pool.messages()
    for _ in range(2000):
        memory.server.peers[0].send(b"x")
    memory.settle()
    memory.close()
    received = 0
    while kinds(fate(as_deferred(stream))) == [tuple]:
        received += 1
    assert received >= 1024


def test_several_may_wait_for_the_next_message() -> None:
    """
    Consumers may share a stream: each message goes to one; a cancelled one waits no more.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    stream = memory.pool.messages()
    waiting = [as_deferred(stream) for _ in range(3)]
    followed = [fate(each) for each in waiting]
    waiting[0].cancel()
    assert kinds(followed[0]) == [CancelledError]
    memory.server.peers[0].send("one")
    memory.settle()
    assert followed[1:] == [[(b"one", False, 0)], []]
    memory.close()
    assert kinds(followed[2]) == [StopAsyncIteration]


def test_a_consumer_may_send_what_it_receives_with_backpressure_on_both_sides() -> None:
    """
    An echo that awaits both neither loses nor keeps messages when the peer does not read.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    peer = memory.server.peers[0]
    stream = memory.pool.messages()

    async def echo() -> None:
        async for data, is_binary, _ in stream:
            await memory.pool.send(data, binary=is_binary)

    finished = fate(Deferred.fromCoroutine(echo()))
    for number in range(100):
        peer.send(b"%02d" % number * 5000)
    peer.stop_reading()
    memory.settle()
    assert memory.pool.get_stats().queued_messages == 1
    peer.resume_reading()
    memory.settle()
    assert [data[:2] for data, _ in peer.received] == [b"%02d" % number for number in range(100)]
    memory.close()
    assert len(finished) == 1


def test_a_waiting_sender_hears_of_the_end() -> None:
    """
    A coroutine that awaits a send under backpressure gets L{PoolClosed} when the pool ends.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    stall(memory)
    heard: list[type[BaseException] | None] = []

    async def send() -> None:
        await memory.pool.send("waits")

    sending = Deferred.fromCoroutine(send())

    def failed(failure: Failure) -> None:
        heard.append(failure.type)

    sending.addErrback(failed)
    memory.close()
    assert heard == [PoolClosed]
