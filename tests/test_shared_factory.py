"""
One C{WebSocketFactory} for several pools.
"""

from __future__ import annotations

import gc
from typing import Any
from weakref import ref

from twisted.internet.task import Clock

from wsmultipool import WebSocketFactory, WebSocketOptions
from wsmultipool.errors import ProtocolViolation
from wsmultipool.testing import MemoryPool, MemoryServer


def pool_with(
    factory: WebSocketFactory, *, compression: bool = False, **options: Any
) -> MemoryPool:
    """
    Return an open pool of one connection that uses C{factory}.
    """
    clock = Clock()
    server = MemoryServer(clock, compression=True)
    memory = MemoryPool(
        server=server,
        clock=clock,
        pool_size=1,
        logger=False,
        ws_factory=factory,
        ws_options=WebSocketOptions(endpoint=server, compression=compression),
        **options,
    )
    memory.open()
    return memory


def test_each_pool_has_its_own_limit_on_messages() -> None:
    """What one pool takes for too large is received by the other, whichever came first."""
    factory = WebSocketFactory()
    strict = pool_with(factory, max_message_size=10)
    generous = pool_with(factory)
    errors: list[Exception] = []
    received: list[bytes] = []
    strict.pool.on("error", lambda error, connection_id: errors.append(error))
    generous.pool.on("message", lambda data, is_binary, connection_id: received.append(data))
    for memory in (generous, strict):
        memory.server.peers[0].send(b"x" * 100)
        memory.advance(0.1)
    assert received == [b"x" * 100]
    assert [type(error) for error in errors] == [ProtocolViolation]
    generous.close()
    strict.close()


def test_each_pool_has_its_own_compression() -> None:
    """One that wants none, beside one that does."""
    factory = WebSocketFactory()
    extensions: list[tuple[str, ...]] = []
    for compression in (False, True, False):
        memory = pool_with(factory, compression=compression)
        connection = memory.pool.get_stats().connections[0]
        assert connection.state == "open"
        memory.pool.on("upgrade", lambda response, _: extensions.append(response.extensions))
        memory.server.peers[0].drop()
        memory.advance(2)
        memory.close()
    assert extensions == [(), ("permessage-deflate",), ()]


def test_a_pool_that_has_ended_leaves_nothing_in_the_factory() -> None:
    """A program that makes one pool after another with it needs no more memory for that."""
    factory = WebSocketFactory()
    memory = pool_with(factory)
    options = ref(memory.pool.options)
    memory.close()
    del memory
    gc.collect()
    assert options() is None
