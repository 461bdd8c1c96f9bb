"""
Confirmed sends against the limits of the pool: bytes, and messages that wait.
"""

from __future__ import annotations

from typing import Any

import pytest

from wsmultipool.errors import BufferFull, DeliveryUnknown, NotConnected, QueueOverflow
from wsmultipool.testing import MemoryPool

from .quiet_server import LONG, lose_all, pool_of, unconfirmed
from .test_sending import everything, fate, kinds, texts


def refused(memory: MemoryPool, size: int, **options: Any) -> BufferFull:
    """
    Send a message that must be refused, and return why.
    """
    (error,) = fate(memory.pool.send(b"x" * size, confirm=True, **options))
    assert isinstance(error, BufferFull), error
    return error


def send(memory: MemoryPool, size: int, **options: Any) -> list[Any]:
    """
    Send a confirmed message of so many bytes.
    """
    return fate(memory.pool.send(b"x" * size, confirm=True, **options))


# Bytes


@pytest.mark.parametrize("key", [None, "key"])
def test_what_is_unconfirmed_counts(key: str | None) -> None:
    """
    A message that does not fit beside it is refused, with the numbers; one that fits is not.
    """
    memory, server = pool_of(2, max_buffered_bytes=1000)
    server.hold()
    sent = [send(memory, 400, key=key), send(memory, 400, key=key)]
    memory.settle()
    error = refused(memory, 201, key=key)
    assert (error.size, error.buffered, error.limit) == (201, 800, 1000)
    sent.append(send(memory, 200, key=key))
    error = refused(memory, 1, key=key)
    assert (error.size, error.buffered, error.limit) == (1, 1000, 1000)
    assert unconfirmed(memory) == (3, 1000)
    server.release()
    memory.settle()
    assert [kinds(each) for each in sent] == [[int]] * 3
    assert unconfirmed(memory) == (0, 0)
    memory.close()


def test_empty_messages_are_never_too_many_bytes() -> None:
    """
    They fit where nothing else does.
    """
    memory, server = pool_of(1, max_buffered_bytes=10)
    server.hold()
    sent = [send(memory, 10), send(memory, 0), send(memory, 0)]
    memory.settle()
    refused(memory, 1)
    server.release()
    memory.settle()
    assert sent == [[0]] * 3
    memory.close()


def test_a_message_as_large_as_the_limit_is_sent_when_nothing_is_held() -> None:
    """
    And one that is larger never.
    """
    memory, server = pool_of(1, max_buffered_bytes=1000)
    assert refused(memory, 1001).buffered == 0
    assert memory.result(memory.pool.send(b"x" * 1000, confirm=True)) == 0
    server.hold()
    sent = send(memory, 1000)
    memory.settle()
    assert refused(memory, 1).buffered == 1000
    server.release()
    memory.settle()
    assert sent == [0]
    memory.close()


def test_a_caller_who_awaits_each_is_never_refused() -> None:
    """
    That is backpressure: however small the limit, one message at a time fits.
    """
    memory, server = pool_of(1, latency=0.01, max_buffered_bytes=100)
    sent = 0

    def again(_: object = None) -> None:
        nonlocal sent
        if sent < 50:
            sent += 1
            memory.pool.send(b"x" * 100, confirm=True).addCallback(again)

    again()
    memory.advance(10)
    assert len(server.peers[0].received) == 50
    memory.close()


def test_plain_sends_do_not_wait_for_confirmations_of_others() -> None:
    """
    An open connection with room takes a plain message at once, as it is written at once.
    """
    memory, server = pool_of(1, max_buffered_bytes=1000)
    server.hold()
    send(memory, 1000)
    assert fate(memory.pool.send("plain")) == [0]
    server.release()
    memory.settle()
    memory.close()


@pytest.mark.parametrize("how", ["pong", "loss", "given up", "destroy", "cancelled"])
def test_bytes_are_given_back(how: str) -> None:
    """
    When a pong comes, when the connection is lost, when nobody knows, and at the end.
    """
    memory, server = pool_of(1, max_buffered_bytes=1000, max_deliveries=1 if how != "loss" else 3)
    server.hold()
    deferred = memory.pool.send(b"x" * 1000, confirm=True)
    sent = fate(deferred)
    memory.settle()
    assert refused(memory, 1).buffered == 1000
    if how == "pong":
        server.release()
    elif how == "destroy":
        memory.pool.destroy()
    else:
        if how == "cancelled":
            deferred.cancel()
        lose_all(memory)
    memory.settle()
    assert unconfirmed(memory) == (0, 0)
    queued = memory.pool.get_stats().queued_bytes
    assert queued == (1000 if how == "loss" else 0)
    if how == "loss":
        assert refused(memory, 1).buffered == 1000
        server.release()
        memory.advance(LONG)
        assert sent == [0]
    elif how != "destroy":
        server.release()
        memory.advance(LONG)
        assert send(memory, 1000) == []
        memory.settle()
    memory.close()


def test_bytes_are_counted_once() -> None:
    """
    What a full transport holds, and what is unconfirmed, are the same bytes: they are not counted
    twice.
    """
    memory, server = pool_of(1, max_buffered_bytes=300_000)
    server.peers[0].stop_reading()
    sent = [send(memory, 200_000)]
    memory.settle()
    sent.append(send(memory, 50_000))
    assert sent == [[], []]
    error = refused(memory, 60_000)
    assert 250_000 <= error.buffered < 251_000
    server.peers[0].resume_reading()
    memory.settle()
    assert sent == [[0], [0]]
    memory.close()


def test_what_is_lost_may_come_back_beyond_the_limit() -> None:
    """
    It was accepted before: it is not refused when it has to wait again, but new messages are.
    """
    memory, server = pool_of(1, max_buffered_bytes=1000)
    server.hold()
    sent = send(memory, 1000)
    memory.settle()
    lose_all(memory)
    assert memory.pool.get_stats().queued_bytes == 1000
    assert refused(memory, 10).buffered == 1000
    server.release()
    memory.advance(LONG)
    assert sent == [0]
    memory.close()


# Messages that wait


def test_the_queue_counts_what_was_never_taken() -> None:
    """
    A message that waits to be sent again was accepted for good: it neither fills the queue, nor is
    it dropped for another.
    """
    memory, server = pool_of(1, message_queue_size=2)
    server.hold()
    again = [fate(memory.pool.send(f"again {n}", confirm=True)) for n in range(3)]
    memory.settle()
    server.refuse()
    lose_all(memory)
    waiting = [fate(memory.pool.send(f"{n}", confirm=n % 2 == 0)) for n in range(4)]
    assert again == [[], [], []]
    assert [kinds(each) for each in waiting] == [[QueueOverflow], [QueueOverflow], [], []]
    server.release()
    server.accept()
    memory.advance(LONG)
    assert again == [[0]] * 3
    assert waiting[2:] == [[0]] * 2
    assert texts(server.peers[-1]) == ["again 0", "again 1", "again 2", "2", "3"]
    memory.close()


def test_a_full_queue_refuses_the_newest() -> None:
    """
    With C{drop_newest}; what comes back is no reason to refuse any.
    """
    memory, server = pool_of(1, message_queue_size=1, overflow="drop_newest")
    server.hold()
    again = fate(memory.pool.send("again", confirm=True))
    memory.settle()
    server.refuse()
    lose_all(memory)
    waiting = [fate(memory.pool.send(f"{n}", confirm=True)) for n in range(2)]
    assert (again, [kinds(each) for each in waiting]) == ([], [[], [QueueOverflow]])
    server.release()
    server.accept()
    memory.advance(LONG)
    assert texts(server.peers[-1]) == ["again", "0"]
    memory.close()


def test_without_a_queue_what_was_taken_still_waits() -> None:
    """
    With C{message_queue_size=0}, new messages fail at once while none is open; one that was
    accepted before is sent again.
    """
    memory, server = pool_of(1, message_queue_size=0)
    server.hold()
    again = fate(memory.pool.send("again", confirm=True))
    memory.settle()
    lose_all(memory)
    assert kinds(fate(memory.pool.send("new", confirm=True))) == [NotConnected]
    server.release()
    memory.advance(LONG)
    assert again == [0]
    assert everything(memory) == ["again", "again"]
    memory.close()


def test_nothing_open_and_too_many_bytes() -> None:
    """
    The limit on bytes holds for what waits for its first connection, as ever.
    """
    memory = MemoryPool(pool_size=1, max_buffered_bytes=1000, overflow="wait")
    sent = [send(memory, 600), send(memory, 400)]
    assert refused(memory, 1).buffered == 1000
    memory.open()
    assert sent == [[0], [0]]
    memory.close()


def test_a_callback_finds_its_bytes_given_back() -> None:
    """
    Whoever hears of a confirmation, or of a loss, can send as much again.
    """
    memory, server = pool_of(1, max_buffered_bytes=1000, max_deliveries=1)
    again: list[list[Any]] = []
    for _ in range(2):
        server.hold()
        memory.pool.send(b"x" * 1000, confirm=True).addBoth(
            lambda _: again.append(send(memory, 1000))
        )
        memory.settle()
        if again:
            lose_all(memory)
        else:
            server.release()
            memory.settle()
        assert again[-1] == [] or again[-1] == [0]
        server.release()
        memory.advance(LONG)
    assert not any(isinstance(each, (BufferFull, DeliveryUnknown)) for (each,) in again)
    assert again == [[0], [0]]
    memory.close()
