"""
Confirmed sends: when they fire, and what mistakes of their callers do.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

import pytest
from twisted.internet.defer import CancelledError, Deferred

from wsmultipool import PooledConnection
from wsmultipool._dispatch import Dispatch
from wsmultipool.errors import (
    PoolClosed,
)
from wsmultipool.testing import MemoryPool

from .quiet_server import LONG, pool_of, unconfirmed
from .test_sending import BIG, everything, fate, kinds, tapped_pool, texts

# When it fires, and which pings it costs


def test_a_confirmed_send_fires_when_the_peer_has_answered() -> None:
    """
    Not when a connection has taken the message, nor when it has arrived, but when its pong is here.
    """
    memory, server = pool_of(1)
    server.hold()
    sent = fate(memory.pool.send("text", confirm=True))
    memory.settle()
    assert texts(server.peers[0]) == ["text"]
    assert len(server.pongs[0].asked) == 1
    memory.advance(LONG)
    assert sent == []
    assert unconfirmed(memory) == (1, 4)
    server.release()
    memory.settle()
    assert sent == [0]
    assert unconfirmed(memory) == (0, 0)
    memory.close()


def test_one_ping_confirms_all_that_is_written_with_it() -> None:
    """
    However many messages leave in one turn, each connection sends one ping behind them.
    """
    memory, server = pool_of(2)
    sent = [fate(memory.pool.send(f"{number}", confirm=True)) for number in range(1000)]
    memory.settle()
    assert {len(peer.pings) for peer in server.peers} == {1}
    assert sent == [[number % 2] for number in range(1000)]
    memory.close()


def test_one_ping_confirms_what_takes_several_writes() -> None:
    """
    Also when a turn writes more than goes into one.
    """
    memory, server = pool_of(1)
    server.peers[0].stop_reading()
    sent = [fate(memory.pool.send(BIG[:20_000], confirm=True)) for _ in range(4)]
    memory.settle()
    server.peers[0].resume_reading()
    memory.settle()
    assert len(server.peers[0].pings) == 1
    assert sent == [[0]] * 4
    memory.close()


def test_plain_sends_cost_no_ping() -> None:
    """
    Only who wants a confirmation pays for it.
    """
    memory, server = pool_of(1)
    for number in range(10):
        memory.pool.send(f"{number}")
        memory.settle()
    assert server.peers[0].pings == []
    memory.pool.send("confirmed", confirm=True)
    memory.settle()
    memory.pool.send("plain")
    memory.settle()
    assert len(server.peers[0].pings) == 1
    memory.close()


def test_a_pong_confirms_only_what_was_written_before_its_ping() -> None:
    """
    A message of the next turn waits for the next pong; a pong confirms all before it.
    """
    memory, server = pool_of(1)
    server.hold()
    sent = []
    for text in ("one", "two", "three"):
        sent.append(fate(memory.pool.send(text, confirm=True)))
        memory.settle()
    (pongs,) = server.pongs
    pongs.answer(pongs.asked[0])
    memory.settle()
    assert sent == [[0], [], []]
    pongs.answer(pongs.asked[2])
    memory.settle()
    assert sent == [[0], [0], [0]]
    memory.close()


def test_the_pongs_of_confirmed_sends_are_no_events() -> None:
    """
    Nobody asked for those pings but the pool; the pongs of the user's pings, and those that come
    unasked, are events as ever.
    """
    memory, server = pool_of(1)
    heard: list[bytes] = []
    memory.pool.on("pong", lambda data, connection_id: heard.append(data))
    sent = fate(memory.pool.send("text", confirm=True))
    memory.settle()
    assert (sent, heard) == ([0], [])
    memory.pool.ping(b"mine")
    memory.settle()
    server.peers[0].pong(b"unasked")
    memory.settle()
    assert heard == [b"mine", b"unasked"]
    memory.close()


def test_a_confirmed_send_waits_for_a_connection_like_any_other() -> None:
    """
    What is sent before the first connection opens is confirmed when that one has answered.
    """
    memory = MemoryPool(pool_size=1)
    sent = [fate(memory.pool.send(f"{number}", confirm=True)) for number in range(3)]
    assert memory.pool.get_stats().queued_messages == 3
    memory.open()
    assert sent == [[0]] * 3
    assert texts(memory.server.peers[0]) == ["0", "1", "2"]
    memory.close()


def test_a_caller_may_await_each_confirmation() -> None:
    """
    One message after the other, in a coroutine.
    """
    memory, _ = pool_of(2)
    ids = []

    async def send_all() -> None:
        for number in range(5):
            ids.append(await memory.pool.send(f"{number}", confirm=True))

    memory.result(Deferred.fromCoroutine(send_all()))
    assert ids == [0, 1, 0, 1, 0]
    memory.close()


def test_who_awaits_the_oldest_finds_that_the_others_have_fired() -> None:
    """
    And need not be woken up for each of them; those who wait hear of theirs in order.
    """
    memory, _ = pool_of(1)
    confirmations = [memory.pool.send(f"{number}", confirm=True) for number in range(5)]
    heard: list[tuple[int, list[bool]]] = []

    def hear(number: int) -> None:
        heard.append((number, [confirmation.called for confirmation in confirmations]))

    confirmations[3].addCallback(lambda _: hear(3))
    confirmations[1].addCallback(lambda _: hear(1))
    memory.settle()
    assert heard == [(1, [True, True, True, False, True]), (3, [True] * 5)]
    memory.close()


def test_who_hears_of_one_confirmation_may_cancel_another() -> None:
    """
    Its message was received all the same, and there is nothing else that it could be told.
    """
    memory, _ = pool_of(1)
    first, second, third = (memory.pool.send(f"{number}", confirm=True) for number in range(3))

    def cancel_the_others(_: int) -> None:
        second.cancel()
        third.cancel()

    first.addCallback(cancel_the_others)
    results = fate(third)
    memory.settle()
    assert fate(second) == [0]
    assert [type(result) for result in results] == [CancelledError]
    memory.close()


def test_what_was_confirmed_fires_whatever_becomes_of_what_has_waited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    There may be no memory for the frames that a pong lets leave; it is a proof all the same.
    """
    memory, server = pool_of(1)
    server.hold()
    sent = [fate(memory.pool.send(f"{number}", confirm=True)) for number in range(2)]
    memory.settle()

    def pull(self: Dispatch, connection: PooledConnection) -> None:
        monkeypatch.undo()
        raise MemoryError

    monkeypatch.setattr(Dispatch, "pull", pull)
    server.release()
    memory.settle()
    assert sent == [[0], [0]]
    memory.advance(LONG)
    assert [texts(peer) for peer in server.peers] == [["0", "1"], []]
    memory.close()


def test_messages_of_any_length_are_confirmed() -> None:
    """
    An empty one and a long one alike.
    """
    memory, server = pool_of(1)
    for data in ("", b"", "Grüße", b"\xff", BIG * 5):
        assert memory.result(memory.pool.send(data, confirm=True)) == 0
    assert [len(data) for data, _ in server.peers[0].received] == [0, 0, 7, 1, 350_000]
    memory.close()


@pytest.mark.parametrize("compression", [False, True])
def test_what_was_confirmed_is_kept_by_nobody(compression: bool) -> None:
    """
    It does not wait for Python's garbage collector, which would find it late, payload and all.
    """
    memory, _ = tapped_pool(compression)
    sent = memory.pool.send(BIG, confirm=True)
    is_kept = ref(sent)
    assert memory.result(sent) == 0
    del sent
    assert not is_kept()
    memory.close()


def test_while_nothing_is_read_nothing_is_confirmed() -> None:
    """
    Pongs wait with all the rest between C{pause_receiving} and C{resume_receiving}.
    """
    memory, _ = pool_of(2)
    memory.pool.pause_receiving()
    sent = [fate(memory.pool.send(f"{number}", confirm=True)) for number in range(4)]
    memory.advance(LONG)
    assert everything(memory) == ["0", "1", "2", "3"]
    assert sent == [[]] * 4
    memory.pool.resume_receiving()
    memory.settle()
    assert sent == [[0], [1], [0], [1]]
    memory.close()


def test_a_connection_confirms_what_is_sent_on_just_this_one() -> None:
    """
    In C{on_connect}, for instance, which may so wait until a subscription was received.
    """
    confirmed: list[int] = []

    async def subscribe(connection: PooledConnection) -> None:
        confirmed.append(await connection.send("subscribe", confirm=True))

    memory, server = pool_of(2, on_connect=subscribe)
    assert confirmed == [0, 1]
    assert [texts(peer) for peer in server.peers] == [["subscribe"]] * 2
    memory.close()


# Mistakes


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"confirm": 1}, TypeError),
        ({"confirm": 0}, TypeError),
        ({"confirm": None}, TypeError),
        ({"confirm": "yes"}, TypeError),
        ({"confirm": True, "timeout": 0}, ValueError),
        ({"confirm": True, "timeout": -1}, ValueError),
        ({"confirm": True, "timeout": float("nan")}, ValueError),
        ({"confirm": True, "timeout": "1"}, TypeError),
        ({"confirm": True, "timeout": True}, TypeError),
    ],
)
def test_mistakes_are_raised_at_once(
    options: dict[str, Any], error: type[Exception], is_open: bool
) -> None:
    """
    By C{send} and C{broadcast} alike, naming the argument; nothing is sent.
    """
    memory = MemoryPool(pool_size=1)
    if is_open:
        memory.open()
    name = "timeout" if "timeout" in options else "confirm"
    for verb in (memory.pool.send, memory.pool.broadcast):
        with pytest.raises(error, match=f"^{name}"):
            verb("text", **options)
    if not is_open:
        memory.open()
    memory.settle()
    assert everything(memory) == []
    assert unconfirmed(memory) == (0, 0)
    memory.close()


def test_a_connection_refuses_what_is_merely_true() -> None:
    """
    As the pool does.
    """
    connections: list[PooledConnection] = []
    memory, _ = pool_of(1, on_connect=connections.append)
    with pytest.raises(TypeError, match=r"^confirm"):
        connections[0].send("text", confirm=1)  # type: ignore[arg-type]
    memory.close()


@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError), ("3", TypeError)],
)
def test_max_deliveries_is_a_positive_number(value: Any, error: type[Exception]) -> None:
    """
    A message can't be written less than once, nor half.
    """
    with pytest.raises(error, match="max_deliveries"):
        MemoryPool(max_deliveries=value)


def test_after_the_end_a_confirmed_send_fails() -> None:
    """
    As a plain one, with C{PoolClosed}.
    """
    memory, _ = pool_of(1)
    memory.close()
    assert kinds(fate(memory.pool.send("text", confirm=True))) == [PoolClosed]
