"""
Messages that make the server drop the connection whenever it sees them: they fail, and nothing else
does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wsmultipool.testing import MemoryPeer, MemoryPool

from .quiet_server import LONG, QuietServer, lose_all, pool_of, unconfirmed, unknown
from .test_sending import BIG, everything, fate, texts

POISON = "poison"

Death = Callable[[MemoryPeer], None]


def too_big(peer: MemoryPeer) -> None:
    """Close, as a server does that finds a message too big."""
    peer.close(1009)


DEATHS = [pytest.param(too_big, id="1009"), pytest.param(MemoryPeer.drop, id="reset")]


def poisoned(size: int, death: Death, **options: Any) -> tuple[MemoryPool, QuietServer]:
    """
    Make a pool whose server dies of every poison.
    """
    memory, server = pool_of(size, latency=0.01, **options)

    def arrived(peer: MemoryPeer, text: str) -> None:
        if text.startswith(POISON):
            death(peer)

    server.arrived = arrived
    return memory, server


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("most", [2, 3, 5])
@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("poisons", [1, 2])
def test_poison_fails_and_everything_else_arrives(
    size: int, keyed: bool, most: int, poisons: int, death: Death
) -> None:
    """
    Among others, sent together: it is written C{max_deliveries} times, and no other message is lost
    or given up for that.
    """
    memory, _ = poisoned(size, death, max_deliveries=most)
    names = [f"{number}" for number in range(20)]
    names[3:3] = [f"{POISON} {number}" for number in range(poisons)]
    sent = {
        name: fate(memory.pool.send(name, confirm=True, key=number % 5 if keyed else None))
        for number, name in enumerate(names)
    }
    memory.advance(LONG)
    for name, followed in sent.items():
        if name.startswith(POISON):
            error = unknown(followed)
            assert (error.deliveries, error.data) == (most, name.encode())
            assert everything(memory).count(name) <= most
        else:
            assert followed
            assert isinstance(followed[0], int), (name, followed)
            assert name in everything(memory)
    assert unconfirmed(memory) == (0, 0)
    memory.close()


@pytest.mark.parametrize("keyed", [False, True])
def test_the_last_attempt_goes_out_alone(keyed: bool) -> None:
    """
    What has cost the connection twice may well do so again: nothing else is at stake this time.
    """
    memory, server = pool_of(1, latency=0.01, max_deliveries=3)
    at_stake: list[int] = []

    def arrived(peer: MemoryPeer, text: str) -> None:
        if text == POISON:
            at_stake.append(memory.pool.get_stats().unconfirmed_messages)
            peer.drop()

    server.arrived = arrived
    key = "key" if keyed else None
    poison = fate(memory.pool.send(POISON, key=key, confirm=True))
    others = [fate(memory.pool.send(f"{n}", key=key, confirm=True)) for n in range(5)]
    memory.advance(LONG)
    assert unknown(poison).deliveries == 3
    assert others == [[0]] * 5
    assert at_stake == [6, 6, 1]
    memory.close()


def test_nothing_is_taken_behind_a_last_attempt() -> None:
    """
    Messages of all kinds wait until it is confirmed, then they go at once.
    """
    memory, server = pool_of(1, max_deliveries=2)
    server.hold()
    first = fate(memory.pool.send("first", confirm=True))
    memory.settle()
    lose_all(memory)
    memory.advance(LONG)
    assert texts(server.peers[1]) == ["first"]
    later = [
        fate(memory.pool.send("plain")),
        fate(memory.pool.send("keyed", key="key")),
        fate(memory.pool.send("confirmed", confirm=True)),
        fate(memory.pool.broadcast("to all")),
    ]
    memory.settle()
    assert texts(server.peers[1]) == ["first"]
    assert (first, later) == ([], [[], [], [], []])
    server.release()
    memory.settle()
    assert texts(server.peers[1]) == ["first", "plain", "keyed", "confirmed", "to all"]
    assert (first, later) == ([0], [[0], [0], [0], [[(True, 0)]]])
    memory.close()


def test_a_last_attempt_waits_for_what_is_unconfirmed_before_it() -> None:
    """
    On the connection that would take it; then it goes alone.
    """
    memory, server = pool_of(2, max_deliveries=2)
    server.hold()
    first = fate(memory.pool.send("first", confirm=True))
    other = fate(memory.pool.send("other", confirm=True))
    memory.settle()
    server.refuse()
    server.peers[0].drop()
    memory.settle()
    assert texts(server.peers[1]) == ["other"]
    assert memory.pool.get_stats().queued_messages == 1
    server.release()
    memory.settle()
    assert texts(server.peers[1]) == ["other", "first"]
    assert (first, other) == ([1], [1])
    memory.close()


def test_a_last_attempt_goes_where_nothing_is_unconfirmed() -> None:
    """
    Another connection takes it at once, if any has nothing to lose.
    """
    memory, server = pool_of(3, max_deliveries=2)
    server.hold()
    first = fate(memory.pool.send("first", confirm=True))
    memory.pool.send("other", confirm=True)
    memory.settle()
    server.peers[0].drop()
    memory.settle()
    assert [texts(peer) for peer in server.peers[:3]] == [["first"], ["other"], ["first"]]
    server.release()
    memory.settle()
    assert first == [2]
    memory.close()


def test_a_last_attempt_that_was_withdrawn_holds_nothing_up() -> None:
    """
    What had to wait behind it goes at once when its caller cancels it.
    """
    memory, server = pool_of(2, max_deliveries=2)
    server.hold()
    first = memory.pool.send("first", confirm=True)
    first.addErrback(lambda _: None)
    memory.pool.send("other", confirm=True).addErrback(lambda _: None)
    memory.settle()
    server.refuse()
    server.peers[0].drop()
    memory.settle()
    plain = fate(memory.pool.send("plain"))
    memory.settle()
    assert (plain, memory.pool.get_stats().queued_messages) == ([], 2)
    first.cancel()
    memory.settle()
    assert plain == [1]
    memory.close()


def test_a_last_attempt_that_was_cancelled_on_its_way_holds_nothing_up_for_ever() -> None:
    """
    Its pong, or the end of its connection, frees the way.
    """
    memory, server = pool_of(1, max_deliveries=2)
    server.hold()
    first = memory.pool.send("first", confirm=True)
    first.addErrback(lambda _: None)
    memory.settle()
    lose_all(memory)
    memory.advance(LONG)
    plain = fate(memory.pool.send("plain"))
    first.cancel()
    server.release()
    memory.settle()
    assert plain == [0]
    memory.close()


def test_traffic_does_not_starve_a_last_attempt() -> None:
    """
    The home of its key is never without something unconfirmed, as others use it all the time; it
    gets its turn all the same.
    """
    memory, server = pool_of(2, latency=0.01, max_deliveries=2, max_reconnect_interval=100)
    key = 0
    while memory.result(memory.pool.send("which?", key=key)) != 0:
        key += 1
    memory.advance(1)
    server.pongs[0].hold()
    keyed = fate(memory.pool.send("keyed", key=key, confirm=True))
    memory.advance(0.1)
    server.peers[0].stop_reading()
    memory.pool.send(BIG, key=key)  # so that all traffic goes to the other connection
    memory.advance(0.1)
    running = True

    def again(_: object = None) -> None:
        if running:
            memory.pool.send("traffic", confirm=True).addCallback(again)

    for _ in range(3):
        again()
        memory.advance(0.004)
    server.refuse()
    server.peers[0].drop()
    memory.advance(10)
    running = False
    assert keyed == [1]
    memory.advance(1)
    memory.close()


def test_plain_messages_do_not_fail_for_poison() -> None:
    """
    Those written before it arrive; none of them is told to have failed.
    """
    memory, _ = poisoned(1, too_big, max_deliveries=2)
    sent = [fate(memory.pool.send(f"{number}")) for number in range(3)]
    poison = fate(memory.pool.send(POISON, confirm=True))
    sent += [fate(memory.pool.send(f"{number}")) for number in range(3, 6)]
    memory.advance(LONG)
    assert unknown(poison).deliveries == 2
    assert sent == [[0]] * 6
    memory.close()


@pytest.mark.parametrize("fragments", [1, 3])
def test_poison_in_fragments(fragments: int) -> None:
    """
    A message in fragments that the server dies of fails, and nothing else does.
    """
    memory, _ = poisoned(2, too_big, max_deliveries=3)
    pieces = [
        fate(memory.pool.send(POISON, key="p", fin=number == fragments - 1, confirm=True))
        for number in range(fragments)
    ]
    others = [fate(memory.pool.send(f"{number}", confirm=True)) for number in range(10)]
    memory.advance(LONG)
    assert all(isinstance(each[0], int) for each in others)
    assert all(len(each) == 1 for each in pieces)
    unknown(pieces[-1])
    memory.close()


def test_keys_of_poison_keep_their_order() -> None:
    """
    What follows poison of the same key is first received after it was given up.
    """
    memory, server = pool_of(2, latency=0.01, max_deliveries=3)
    first: list[str] = []

    def arrived(peer: MemoryPeer, text: str) -> None:
        if peer.connected and peer.is_open and text not in first:
            first.append(text)
        if text == POISON:
            peer.drop()

    server.arrived = arrived
    for text in ("0", POISON, "1", "2", "3"):
        memory.pool.send(text, key="key", confirm=True).addErrback(lambda _: None)
    memory.advance(LONG)
    assert first == ["0", POISON, "1", "2", "3"]
    memory.close()
