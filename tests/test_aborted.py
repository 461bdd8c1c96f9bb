"""
What is sent on a connection that was aborted, and of whose end only the next turn tells.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from wsmultipool._autobahn import PoolProtocol
from wsmultipool.errors import FragmentLost, NotConnected
from wsmultipool.testing import MemoryPool

from .leftovers import LoggedFailures
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

    def send_in(turns: int) -> None:
        if turns:
            memory.clock.callLater(0, send_in, turns - 1)
        else:
            assert connections[0].state == "connecting"  # its transport is not gone yet
            late.append(connections[0].send("late"))

    memory.clock.callLater(3, send_in, 2)  # the deadline itself waits for two turns
    memory.clock.advance(3)
    assert isinstance(error_of(late[0]), NotConnected)
    assert memory.server.peers[0].received == []
    assert outcome(memory.pool.close()) == [None]


def test_nothing_is_confirmed_that_a_transport_has_refused(
    logged_failures: LoggedFailures,
) -> None:
    """Whatever it raised: all is sent again on another one, and who has to hear of it does."""
    memory = MemoryPool(pool_size=1)
    memory.open()
    (peer,) = memory.server.peers
    transport = peer._protocol.transport.peer
    plain_write = transport.write

    def refuse(data: bytes) -> None:
        transport.write = plain_write
        raise MemoryError

    transport.write = refuse
    confirmed = outcome(memory.pool.send("confirmed", confirm=True))
    fragment = outcome(memory.pool.send("frag", key="k", fin=False))
    memory.settle()
    assert (confirmed, fragment) == ([], [0])
    later = outcome(memory.pool.send("later", confirm=True))
    memory.advance(5)
    assert (confirmed, later) == ([0], [0])
    assert peer.received == []
    assert memory.server.peers[1].received == [(b"confirmed", False), (b"later", False)]
    assert memory.pool.get_stats().resent_messages == 1
    assert isinstance(error_of(memory.pool.send("ment", key="k")), FragmentLost)
    assert len(logged_failures.flush(MemoryError)) == 1
    memory.close()
