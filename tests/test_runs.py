"""
Many messages at once, as the relay sends them: each fares as if it were sent alone.
"""

from __future__ import annotations

import sys

import pytest

from wsmultipool import PoolClosed
from wsmultipool.messages import Message
from wsmultipool.testing import MemoryPool

from .test_sending import BIG, fate, keys_by_connection, kinds, lose, stall, texts


@pytest.fixture
def bottomless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have transports that are never full, as they are when the peer reads fast enough."""
    monkeypatch.setattr("wsmultipool._memory_transport._HIGH_WATER", sys.maxsize)


either_way = pytest.mark.parametrize("key", ["key", None])


def numbered(first: int, end: int) -> list[bytes]:
    """
    Payloads that tell their place.
    """
    return [b"%d" % number for number in range(first, end)]


def opened(size: int = 2) -> MemoryPool:
    """
    Make a pool whose connections are open.
    """
    memory = MemoryPool(pool_size=size)
    memory.open()
    return memory


@pytest.mark.parametrize("is_binary", [True, False])
def test_a_run_with_a_key_takes_the_connection_of_its_key(is_binary: bool) -> None:
    """In order, also with what is sent alone, and as binary or text."""
    memory = opened()
    for connection_id, key in keys_by_connection(memory).items():
        memory.pool.send("first", key=key)
        assert memory.pool._send_run(numbered(0, 50), is_binary, key) == 50
        memory.pool.send("last", key=key)
        memory.settle()
        received = memory.server.peers[connection_id].received
        assert received[1:-1] == [(payload, is_binary) for payload in numbered(0, 50)]
        assert (received[0], received[-1]) == ((b"first", False), (b"last", False))
    memory.close()


def test_a_run_without_a_key_is_spread() -> None:
    """Each message goes to the connection whose turn it is."""
    memory = opened()
    assert memory.pool._send_run(numbered(0, 4), True, None) == 4
    assert memory.pool._send_run(numbered(4, 8), True, None) == 4
    memory.settle()
    received = sorted(texts(peer) for peer in memory.server.peers)
    assert received == [["0", "2", "4", "6"], ["1", "3", "5", "7"]]
    memory.close()


@pytest.mark.parametrize("how", [None, 1001])
def test_a_run_that_comes_back_keeps_its_order_and_its_key(how: int | None) -> None:
    """What a connection had taken and not written goes before what is sent later."""
    memory = opened()
    key = keys_by_connection(memory)[0]
    lose(memory.server.peers[0], how)
    assert memory.pool._send_run(numbered(0, 3), True, key) == 3
    memory.settle()
    memory.pool.send("3", key=key)
    memory.settle()
    assert texts(memory.server.peers[1]) == ["0", "1", "2", "3"]
    assert memory.pool.get_stats().requeued_messages == 3
    memory.close()


@either_way
def test_nothing_of_a_run_is_taken_while_no_connection_takes_more(key: str | None) -> None:
    """Nor may it overtake what waits already."""
    memory = opened()
    stall(memory)
    assert memory.pool._send_run(numbered(0, 2), True, key) == 0
    waiting = fate(memory.pool.send("0", key=key))
    assert memory.pool._send_run(numbered(1, 2), True, key) == 0
    assert waiting == []
    for peer in memory.server.peers:
        peer.resume_reading()
    memory.settle()
    assert kinds(waiting) == [int]
    assert memory.pool._send_run(numbered(1, 2), True, key) == 1
    memory.close()


@either_way
def test_a_run_does_not_overtake_what_any_connection_may_take(key: str | None) -> None:
    """It may wait though connections are writable, if it does not suit them."""
    memory = opened()
    backlog = memory.pool._dispatch.backlog
    backlog.append(Message(b"first", True), backlog.shared)
    assert memory.pool._send_run([b"second"], True, key) == 0
    memory.pool._dispatch.pull_all()
    assert memory.pool._send_run([b"second"], True, key) == 1
    memory.close()


@either_way
@pytest.mark.usefixtures("bottomless")
def test_a_run_ends_when_a_write_leads_to_the_end_of_the_pool(key: str | None) -> None:
    """Who hears of what was written may close the pool, which takes nothing more from then on."""
    memory = opened(1)
    ended = []
    confirmed = fate(
        memory.pool.send("until it is confirmed, the pool is not closed", confirm=True)
    )
    memory.pool.send("in", key="fragments", fin=False)
    written = memory.pool.send(" pieces", key="fragments")
    written.addCallback(lambda _: ended.append(memory.pool.close(drain=9)))
    assert memory.pool._send_run([bytes(40_000)] * 4, True, key) == 2
    assert len(ended) == 1
    assert memory.pool._send_run([b"late"], True, key) == 0
    memory.settle()
    assert confirmed == [0]
    assert len(memory.server.peers[0].received) == 4
    memory.close()


@either_way
def test_a_run_ends_where_connections_are_full(key: str | None) -> None:
    """What was not taken is still in the hands of who has it."""
    memory = opened(1)
    (peer,) = memory.server.peers
    peer.stop_reading()
    payloads = [b"%03d" % number * 400 for number in range(300)]
    taken = 0
    while sent := memory.pool._send_run(payloads[taken:], True, key):
        taken += sent
    assert 0 < taken < 300
    peer.resume_reading()
    memory.settle()
    assert [data for data, _ in peer.received] == payloads[:taken]
    memory.close()


@either_way
def test_a_run_with_a_message_that_is_too_large_is_not_taken(key: str | None) -> None:
    """That one would get past the limit."""
    memory = MemoryPool(pool_size=1, max_buffered_bytes=len(BIG) - 1)
    memory.open()
    assert memory.pool._send_run([b"small", BIG], True, key) == 0
    memory.close()


@either_way
def test_a_closed_pool_takes_no_run(key: str | None) -> None:
    """A single send says why."""
    memory = opened()
    memory.close()
    assert memory.pool._send_run(numbered(0, 2), True, key) == 0
    assert kinds(fate(memory.pool.send("0", key=key))) == [PoolClosed]


@either_way
def test_runs_leave_the_reactor_its_turns(key: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much transports take, after some thousand messages it is the turn of others."""
    memory = opened()
    sent = 0
    while sent < 60_000 and (taken := memory.pool._send_run([b"x"] * 64, True, key)):
        sent += taken
    assert 0 < sent < 60_000
    while waiting := fate(memory.pool.send("x", key=key)):
        assert memory.pool._send_run([b"x"] * 64, True, key) == 0
    memory.settle()
    assert kinds(waiting) == [int]
    assert memory.pool._send_run([b"x"] * 64, True, key) == 64
    memory.close()
