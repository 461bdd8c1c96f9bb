"""
Keys that stay with one connection, and where messages of a key go.
"""

from __future__ import annotations

from weakref import ref

import pytest

from wsmultipool import PinnedKey
from wsmultipool.testing import MemoryPool


def with_one_of_two_open() -> MemoryPool:
    """
    Return a pool of two connections, of which only the first is open.
    """
    memory = MemoryPool(pool_size=2, logger=False)
    memory.open()
    memory.server.refuse()
    memory.server.peers[1].drop()
    memory.settle()
    assert memory.pool.open_connections == 1
    return memory


def test_pinned_keys_stay_when_a_connection_opens() -> None:
    """Of other keys, some move; answers to what was sent before would come where they are not."""
    memory = with_one_of_two_open()
    pinned = [PinnedKey() for _ in range(64)]
    others = [object() for _ in range(64)]
    for key in [*pinned, *others]:
        memory.result(memory.pool.send("x", key=key))
    memory.server.accept()
    memory.advance(5)
    assert memory.pool.open_connections == 2
    assert {memory.pool.connection_of(key) for key in pinned} == {0}
    assert {memory.pool.connection_of(key) for key in others} == {0, 1}
    memory.close()


def test_pinned_keys_move_when_their_connection_is_lost() -> None:
    """To one that is open."""
    memory = with_one_of_two_open()
    key = PinnedKey()
    assert memory.pool.connection_of(key) == 0
    memory.server.accept()
    memory.advance(5)
    memory.server.peers[0].drop()
    memory.settle()
    assert memory.pool.connection_of(key) == 1
    assert memory.result(memory.pool.send("x", key=key)) == 1
    memory.close()


def test_a_pinned_key_that_the_program_lets_go_of_is_let_go_of() -> None:
    """A program may make a new one for each thing that it does, for years."""
    memory = MemoryPool(pool_size=2)
    memory.open()
    key = PinnedKey()
    memory.result(memory.pool.send("x", key=key))
    gone = ref(key)
    del key
    assert gone() is None
    memory.close()


def test_nobody_has_a_key_while_nothing_is_open() -> None:
    """It gets its connection when there is one."""
    memory = MemoryPool(pool_size=1)
    assert memory.pool.connection_of("key") is None
    memory.open()
    assert memory.pool.connection_of("key") == 0
    memory.close()


def test_a_key_on_its_way_is_nowhere() -> None:
    """Its messages wait until what was sent before has arrived, so no connection has it."""
    memory = with_one_of_two_open()
    keys = [object() for _ in range(64)]
    for key in keys:
        memory.result(memory.pool.send("x", key=key))
    memory.server.peers[0].stop_reading()
    memory.server.accept()
    memory.advance(5)
    assert {memory.pool.connection_of(key) for key in keys} == {0, None}
    memory.server.peers[0].resume_reading()
    memory.settle()
    assert {memory.pool.connection_of(key) for key in keys} == {0, 1}
    memory.close()


def test_a_key_must_be_hashable() -> None:
    """As for send."""
    memory = MemoryPool()
    with pytest.raises(TypeError, match="unhashable"):
        memory.pool.connection_of([])  # type: ignore[arg-type]
    memory.close()
