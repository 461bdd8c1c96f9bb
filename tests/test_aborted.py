"""
What is sent on a connection that was aborted, and of whose end only the next turn tells.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from wsmultipool._autobahn import PoolProtocol
from wsmultipool.errors import NotConnected
from wsmultipool.testing import MemoryPool

from .support import error_of, outcome


def test_messages_go_elsewhere_when_a_parser_was_upset(monkeypatch: pytest.MonkeyPatch) -> None:
    """What handlers sent before and after that is neither lost nor counted as sent."""

    def upset(self: Any, payload: bytes) -> None:
        raise IndexError

    monkeypatch.setattr(PoolProtocol, "onPong", upset)
    memory = MemoryPool(pool_size=1)
    memory.open()
    memory.pool.once("message", lambda *_: outcome(memory.pool.send("answer")))
    peer = memory.server.peers[0]
    peer.send("question")
    peer._protocol.sendPong(b"?")
    memory.clock.callLater(0, memory.pool.send, "later")
    memory.settle()
    memory.advance(5)
    first, second = memory.server.peers
    assert first.received == []
    assert second.received == [(b"answer", False), (b"later", False)]
    stats = memory.pool.get_stats()
    assert (stats.sent_messages, stats.requeued_messages) == (2, 1)
    memory.close()


def test_a_connection_that_is_given_up_takes_nothing() -> None:
    """Who sends on it after C{open_timeout}, though in the same turn, is told so."""
    late: list[Deferred[int]] = []
    connections: list[Any] = []

    def never_done(connection: Any) -> Deferred[None]:
        connections.append(connection)
        return Deferred()

    memory = MemoryPool(
        pool_size=1, open_timeout=3, max_reconnect_attempts=1, on_connect=never_done
    )
    memory.pool.start()
    memory.settle()
    memory.clock.callLater(3, lambda: late.append(connections[0].send("late")))
    memory.clock.advance(3)
    assert isinstance(error_of(late[0]), NotConnected)
    assert memory.server.peers[0].received == []
    assert outcome(memory.pool.close()) == [None]
