"""
Confirmed sends that their callers withdraw, and what else they do when they hear of one.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from wsmultipool.errors import (
    DeliveryUnknown,
    SendTimeout,
)
from wsmultipool.testing import MemoryPool

from .quiet_server import LONG, lose_all, pool_of, unconfirmed
from .test_sending import everything, fate, keys_by_connection, kinds, texts

# Withdrawing


@pytest.mark.parametrize("timeout", [None, 60])
def test_cancelling_withdraws_what_was_not_taken(timeout: float | None) -> None:
    """
    As with a plain send.
    """
    memory = MemoryPool(pool_size=1)
    deferred = memory.pool.send("text", confirm=True, timeout=timeout)
    sent = fate(deferred)
    deferred.cancel()
    assert kinds(sent) == [CancelledError]
    memory.open()
    assert everything(memory) == []
    memory.close()


@pytest.mark.parametrize("most", [1, 3])
def test_what_was_cancelled_after_it_was_written_is_not_sent_again(most: int) -> None:
    """
    Nobody wants to know any more what becomes of it.
    """
    memory, server = pool_of(2, max_deliveries=most)
    server.pongs[0].hold()
    deferred = memory.pool.send("text", confirm=True)
    sent = fate(deferred)
    memory.settle()
    deferred.cancel()
    assert kinds(sent) == [CancelledError]
    assert unconfirmed(memory) == (1, 4)
    server.peers[0].drop()
    memory.advance(LONG)
    assert everything(memory) == ["text"]
    assert unconfirmed(memory) == (0, 0)
    memory.close()


def test_cancelling_what_was_written_does_no_harm_when_it_is_confirmed() -> None:
    """
    The pong comes all the same, for the others as well.
    """
    memory, server = pool_of(1)
    server.hold()
    deferreds = [memory.pool.send("text", confirm=True) for _ in range(3)]
    sent = [fate(deferred) for deferred in deferreds]
    memory.settle()
    deferreds[1].cancel()
    server.release()
    memory.settle()
    assert (sent[0], kinds(sent[1]), sent[2]) == ([0], [CancelledError], [0])
    assert unconfirmed(memory) == (0, 0)
    memory.close()


def test_cancelling_what_waits_to_be_sent_again_withdraws_it() -> None:
    """
    Between two connections, it is not sent again.
    """
    memory, server = pool_of(1)
    server.hold()
    deferred = memory.pool.send("text", confirm=True)
    sent = fate(deferred)
    memory.settle()
    lose_all(memory)
    assert memory.pool.get_stats().queued_messages == 1
    deferred.cancel()
    assert kinds(sent) == [CancelledError]
    assert memory.pool.get_stats().queued_messages == 0
    memory.advance(LONG)
    assert everything(memory) == ["text"]
    memory.close()


def test_a_timeout_is_about_being_taken() -> None:
    """
    A message that nobody takes in time fails; one that was taken has all the time it needs, also
    when it waits to be sent again.
    """
    memory = MemoryPool(pool_size=1)
    sent = fate(memory.pool.send("text", confirm=True, timeout=2))
    memory.advance(2)
    assert kinds(sent) == [SendTimeout]
    memory.close()

    memory, server = pool_of(1)
    server.hold()
    sent = fate(memory.pool.send("text", confirm=True, timeout=2))
    memory.advance(LONG)
    lose_all(memory)
    server.quiet = False
    server.refuse()
    memory.advance(LONG)
    assert sent == []
    server.accept()
    memory.advance(LONG)
    assert sent == [0]
    memory.close()


def test_a_message_that_waited_and_was_then_taken_does_not_time_out() -> None:
    """
    The timer ends when the first connection takes it.
    """
    memory = MemoryPool(pool_size=1)
    sent = fate(memory.pool.send("text", confirm=True, timeout=5))
    memory.server.refuse()
    memory.pool.start()
    memory.advance(1)
    memory.server.accept()
    memory.advance(4)
    assert sent == [0]
    memory.close()


# What callbacks do


def test_a_message_sent_from_a_callback_waits_for_a_pong_of_its_own() -> None:
    """
    It was not yet sent when the ping was.
    """
    memory, server = pool_of(1)
    sent: list[object] = []

    def again(connection_id: int) -> None:
        memory.pool.send("two", confirm=True).addBoth(sent.append)

    server.hold()
    memory.pool.send("one", confirm=True).addCallback(again)
    memory.settle()
    (pongs,) = server.pongs
    pongs.answer(*pongs.asked)
    memory.settle()
    assert (texts(server.peers[0]), sent) == (["one", "two"], [])
    server.release()
    memory.settle()
    assert sent == [0]
    memory.close()


def test_a_message_sent_again_from_an_errback_is_another_one() -> None:
    """
    Who wants to go on trying sends what C{DeliveryUnknown} carries once more.
    """
    memory, server = pool_of(1, max_deliveries=2)
    server.hold()
    sent: list[list[Any]] = []

    def again(failure: Failure) -> None:
        assert isinstance(failure.value, DeliveryUnknown)
        assert failure.value.data is not None
        sent.append(fate(memory.pool.send(failure.value.data, confirm=True)))

    memory.pool.send("text", confirm=True).addErrback(again)
    for _ in range(3):
        memory.settle()
        lose_all(memory)
        memory.advance(LONG)
    assert sent == [[]]
    lose_all(memory)
    memory.advance(LONG)
    assert [kinds(each) for each in sent] == [[DeliveryUnknown]]
    assert everything(memory) == ["text"] * 4
    memory.close()


@pytest.mark.parametrize("end", ["close", "destroy", "drain"])
@pytest.mark.parametrize("confirmed", [True, False])
def test_the_first_callback_may_end_the_pool(end: str, confirmed: bool) -> None:
    """
    What the same pong confirms, or the same loss fails, is settled as it would have been.
    """
    memory, server = pool_of(2, max_deliveries=1)
    key = keys_by_connection(memory)[0]
    server.hold()

    def finish(result: object) -> None:
        if end == "destroy":
            memory.pool.destroy()
        else:
            memory.pool.close(drain=1 if end == "drain" else None)

    memory.pool.send("first", key=key, confirm=True).addBoth(finish)
    others = [fate(memory.pool.send("other", key=key, confirm=True)) for _ in range(3)]
    memory.settle()
    if confirmed:
        server.release()
    else:
        server.peers[0].drop()
    memory.settle()
    if confirmed:
        assert others == [[0]] * 3
    else:
        assert [kinds(each) for each in others] == [[DeliveryUnknown]] * 3
    memory.advance(60)
    memory.close()
    assert unconfirmed(memory) == (0, 0)


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_callback_may_cancel_another_message(confirmed: bool) -> None:
    """
    Each Deferred fires once, also when the same pong or the same loss would have settled both.
    """
    memory, server = pool_of(1, max_deliveries=1)
    server.hold()
    deferreds: list[Deferred[int]] = []

    def cancel_the_last(result: int | Failure) -> int | Failure:
        deferreds[2].cancel()
        return result

    for _ in range(3):
        deferreds.append(memory.pool.send("text", confirm=True))
    for deferred in deferreds:
        deferred.addBoth(cancel_the_last)
    sent = [fate(deferred) for deferred in deferreds]
    memory.settle()
    if confirmed:
        server.release()
    else:
        lose_all(memory)
    memory.settle()
    expected = [[int], [int], [CancelledError]]
    if not confirmed:
        expected = [[DeliveryUnknown], [DeliveryUnknown], [CancelledError]]
    assert [kinds(each) for each in sent] == expected
    memory.close()


def test_what_is_cancelled_when_another_message_is_told_of_the_loss_is_not_sent_again() -> None:
    """
    The same loss voids a message in fragments, whose caller then cancels a whole one: that one was
    written, and nobody wants it any more.
    """
    memory, server = pool_of(2)
    key = keys_by_connection(memory)[0]
    memory.result(memory.pool.send("one, ", key=key, fin=False, confirm=True))
    server.pongs[0].hold()
    rest = memory.pool.send("two", key=key, confirm=True)
    whole = memory.pool.send("whole", key=key, confirm=True)
    cancelled = fate(whole)
    rest.addErrback(lambda _: whole.cancel())
    memory.settle()
    assert texts(server.peers[0]) == ["one, two", "whole"]
    server.peers[0].drop()
    memory.advance(LONG)
    assert kinds(cancelled) == [CancelledError]
    assert everything(memory) == ["one, two", "whole"]
    memory.close()
