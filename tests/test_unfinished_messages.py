"""
A message of which the rest never comes: what there is of it goes with its connection.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator

import pytest

from wsmultipool.testing import MemoryPool

from .wire_runs import frame

MIB = 1024 * 1024


@pytest.fixture
def _without_garbage_collection() -> Iterator[None]:
    """
    Python may look for garbage long after a connection is lost, and a fleet loses many.
    """
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_without_garbage_collection")
@pytest.mark.parametrize(
    "begun",
    [frame(bytes(4 * MIB), 0x02), frame(bytes(8 * MIB), 0x82)[: 4 * MIB]],
    ids=["in fragments", "in one frame"],
)
def test_an_unfinished_message_is_let_go_when_its_connection_is_lost(begun: bytes) -> None:
    """At once, whether it was in one frame or in several."""
    memory = MemoryPool(pool_size=1, logger=False)
    memory.open()
    [peer] = memory.server.peers
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        peer.write(begun)
        memory.settle()
        assert tracemalloc.get_traced_memory()[0] - before > 3 * MIB
        peer.drop()
        memory.settle()
        assert tracemalloc.get_traced_memory()[0] - before < MIB
    finally:
        tracemalloc.stop()
    memory.close()
