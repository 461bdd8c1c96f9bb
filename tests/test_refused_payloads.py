"""
What cannot be sent is let go of: a failure that its caller keeps does not keep the message.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from typing import Any
from weakref import ref

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from wsmultipool import PooledConnection
from wsmultipool.errors import (
    BufferFull,
    FlushTimeout,
    FragmentLost,
    NotConnected,
    PoolClosed,
    PoolExhausted,
    QueueOverflow,
    SendTimeout,
)
from wsmultipool.testing import MemoryPool

SIZE = 65536

Send = Callable[[MemoryPool, bytes], Deferred[Any]]


def the_connection(memory: MemoryPool) -> PooledConnection:
    """The first one of a pool."""
    return memory.pool._supervisor.connections[0]


VERBS: list[Send] = [
    lambda memory, payload: memory.pool.send(payload),
    lambda memory, payload: memory.pool.send(payload, confirm=True),
    lambda memory, payload: memory.pool.send(payload, key="a"),
    lambda memory, payload: memory.pool.send(payload, key="a", confirm=True),
    lambda memory, payload: memory.pool.send(payload, timeout=1),
    lambda memory, payload: memory.pool.send(payload, key="f", fin=False),
    lambda memory, payload: memory.pool.send(payload, key="t", fin=False, binary=False),
]
ON_ONE: list[Send] = [
    lambda memory, payload: memory.pool.broadcast(payload),
    lambda memory, payload: memory.pool.broadcast(payload, confirm=True),
    lambda memory, payload: the_connection(memory).send(payload),
    lambda memory, payload: the_connection(memory).send(payload, confirm=True),
]


def failures_in(result: Any) -> Iterator[Failure]:
    """
    Return the failures that a Deferred came to: of a broadcast, of each connection.
    """
    if isinstance(result, Failure):
        yield result
    elif isinstance(result, list):
        yield from (failure for _, failure in result)


def keeps_nothing(
    memory: MemoryPool, sends: list[Send], *errors: type[Exception], then: Callable[[], None]
) -> None:
    """
    Assert that of a payload that was refused, or dropped later, nobody has it but the test.
    """
    payload = bytes(SIZE)
    kept: list[Any] = []
    references = sys.getrefcount(payload)
    for send in sends * 20:
        send(memory, payload).addBoth(kept.append)
    then()
    gc.collect()
    failures = [failure for result in kept for failure in failures_in(result)]
    assert len(failures) >= len(sends) * 20
    assert {type(failure.value) for failure in failures} == set(errors)
    assert sys.getrefcount(payload) == references
    for failure in failures:
        assert failure.getTracebackObject() is None
        assert failure.value is not None
        assert failure.value.__traceback__ is None


def test_what_the_buffer_has_no_room_for() -> None:
    """A message that is larger than all that may be buffered."""
    memory = MemoryPool(pool_size=2, max_buffered_bytes=SIZE - 1)
    memory.open()
    keeps_nothing(memory, VERBS + ON_ONE, BufferFull, then=memory.settle)
    memory.close()


@pytest.mark.parametrize("queue_size", [0, 1])
def test_what_the_queue_has_no_room_for(queue_size: int) -> None:
    """No connection is open, and the queue is full, or there is none."""
    memory = MemoryPool(pool_size=1, message_queue_size=queue_size, overflow="drop_newest")
    memory.pool.send("first").addErrback(lambda _: None)
    expected = QueueOverflow if queue_size else NotConnected
    keeps_nothing(memory, VERBS, expected, then=memory.settle)
    memory.close()


def test_what_newer_messages_take_the_place_of() -> None:
    """The last ones are still waiting when the pool is closed."""
    memory = MemoryPool(pool_size=1, message_queue_size=3)
    keeps_nothing(memory, VERBS[:4], QueueOverflow, PoolClosed, then=memory.close)


def test_what_waits_too_long() -> None:
    """It waits for a connection."""
    memory = MemoryPool(pool_size=1)
    sends: list[Send] = [
        lambda memory, payload: memory.pool.send(payload, timeout=1),
        lambda memory, payload: memory.pool.send(payload, timeout=1, confirm=True),
    ]
    keeps_nothing(memory, sends, SendTimeout, then=lambda: memory.advance(2))
    memory.close()


def test_what_comes_too_late() -> None:
    """After the end of the pool."""
    memory = MemoryPool(pool_size=1)
    memory.open()
    memory.close()
    keeps_nothing(memory, VERBS, PoolClosed, then=memory.settle)
    keeps_nothing(memory, ON_ONE[2:], NotConnected, then=memory.settle)


def test_what_no_connection_is_left_for() -> None:
    """All have given up; what had waited fails as what is sent later."""
    memory = MemoryPool(
        pool_size=1, max_reconnect_attempts=1, message_queue_size=1000, logger=False
    )
    memory.server.refuse()
    memory.pool.on("error", lambda error, connection_id: None)

    def give_up() -> None:
        memory.pool.start()
        memory.settle()

    keeps_nothing(memory, VERBS, PoolExhausted, then=give_up)
    keeps_nothing(memory, VERBS, PoolExhausted, then=memory.settle)
    memory.close()


def test_the_rest_of_a_message_whose_beginning_is_lost() -> None:
    """Each fragment fails, until the message is complete."""
    memory = MemoryPool(pool_size=1)
    memory.open()
    memory.result(memory.pool.send(b"begun", key="f", fin=False))
    memory.server.peers[0].drop()
    memory.settle()
    sends: list[Send] = [
        lambda memory, payload: memory.pool.send(payload, key="f", fin=False),
    ]
    keeps_nothing(memory, sends, FragmentLost, then=memory.settle)
    memory.close()


@pytest.mark.parametrize("how", [FlushTimeout, PoolClosed])
def test_a_flush_that_fails_does_not_keep_the_pool(how: type[Exception]) -> None:
    """Nor what the pool had, for as long as somebody keeps the failure."""
    memory = MemoryPool(pool_size=1)
    kept: list[Any] = []
    memory.pool.send("waits").addErrback(lambda _: None)
    memory.pool.flush(timeout=1).addBoth(kept.append)
    if how is FlushTimeout:
        memory.advance(1)
    memory.close()
    pool = ref(memory.pool)
    del memory
    gc.collect()
    assert kept[0].check(how)
    assert pool() is None
