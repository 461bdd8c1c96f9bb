"""
Messages with a key: they arrive in the order sent, whatever happens to connections.
"""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from wsmultipool.testing import MemoryPool, MemoryServer

from .test_sending import BIG, everything, fate, keys_by_connection, lose, stall, texts


def opened(size: int = 2, **options: float) -> tuple[MemoryPool, dict[int, int]]:
    """
    Make a pool of open connections.

    @return: the pool, and a key for each connection.
    """
    memory = MemoryPool(pool_size=size, **options)  # type: ignore[arg-type]
    memory.open()
    return memory, keys_by_connection(memory)


def slow_pool(size: int, latency: float) -> MemoryPool:
    """
    Make a pool of open connections on which everything takes a while to arrive.
    """
    clock = Clock()
    server = MemoryServer(clock, latency=latency)
    memory = MemoryPool(server=server, clock=clock, pool_size=size)
    memory.pool.start()
    memory.advance(3)
    assert memory.pool.open_connections == size
    return memory


def homes(memory: MemoryPool, keys: range) -> dict[int, int]:
    """
    Find out which connections take messages of these keys at once.
    """
    return {key: memory.result(memory.pool.send("probe", key=key)) for key in keys}


# One connection for each key


def test_messages_of_one_key_go_to_one_connection() -> None:
    """
    As long as connections stay open, equal keys mean the same connection.
    """
    memory = MemoryPool(pool_size=4)
    memory.open()
    homes_of = [homes(memory, range(50)) for _ in range(3)]
    assert homes_of[0] == homes_of[1] == homes_of[2]
    assert set(homes_of[0].values()) == {0, 1, 2, 3}
    memory.close()


@pytest.mark.parametrize("key", ["text", 12, ("a", 1), frozenset({1}), False, 0, "", b""])
def test_anything_hashable_is_a_key(key: object) -> None:
    """
    Every hashable value is a key, those that are false as well.
    """
    memory = MemoryPool(pool_size=3)
    memory.open()
    assert len({memory.result(memory.pool.send("text", key=key)) for _ in range(6)}) == 1
    memory.close()


def test_messages_without_a_key_go_anywhere() -> None:
    """
    C{key=None} is no key.
    """
    memory = MemoryPool(pool_size=3)
    memory.open()
    assert {memory.result(memory.pool.send("text", key=None)) for _ in range(6)} == {0, 1, 2}
    memory.close()


def test_only_the_keys_of_a_lost_connection_move() -> None:
    """
    When one connection is lost, its keys go to others, and every other key stays where it is.
    """
    memory = MemoryPool(pool_size=4)
    memory.open()
    before = homes(memory, range(100))
    memory.server.peers[2].drop()
    memory.settle()
    after = homes(memory, range(100))
    moved = {key for key in before if before[key] != after[key]}
    assert moved == {key for key in before if before[key] == 2}
    assert len({after[key] for key in moved}) > 1
    memory.close()


def test_keys_go_home_when_their_connection_is_back() -> None:
    """
    When the lost connection is open again, the distribution is what it was.
    """
    memory = MemoryPool(pool_size=4)
    memory.open()
    before = homes(memory, range(100))
    memory.server.peers[2].drop()
    memory.settle()
    homes(memory, range(0, 100, 2))
    memory.advance(1)
    assert homes(memory, range(100)) == before
    memory.close()


def test_keys_of_a_connection_that_left_the_pool_stay_where_they_went() -> None:
    """
    When a pool shrinks, only the keys of the connection that leaves move.
    """
    memory = MemoryPool(pool_size=3)
    memory.open()
    before = homes(memory, range(60))
    fate(memory.pool.resize(2))
    memory.settle()
    after = homes(memory, range(60))
    gone = set(before.values()) - set(after.values())
    assert gone == {2}
    assert all(before[key] == after[key] for key in before if before[key] != 2)
    memory.close()


# Order


def test_a_message_waits_for_the_connection_of_its_key() -> None:
    """
    While the connection of a key is full, messages of this key wait; all others go on.
    """
    memory, keys = opened(3)
    memory.server.peers[1].stop_reading()
    assert fate(memory.pool.send(BIG, key=keys[1])) == [1]
    waiting = [fate(memory.pool.send(f"{number}", key=keys[1])) for number in range(3)]
    assert fate(memory.pool.send("other key", key=keys[2])) == [2]
    assert [fate(memory.pool.send("no key"))[0] for _ in range(4)].count(1) == 0
    memory.settle()
    assert waiting == [[]] * 3
    memory.server.peers[1].resume_reading()
    memory.settle()
    assert waiting == [[1]] * 3
    assert texts(memory.server.peers[1]) == ["0", "1", "2"]
    memory.close()


@pytest.mark.parametrize("how", [None, 1001])
def test_order_is_kept_when_what_was_taken_comes_back(how: int | None) -> None:
    """
    Messages taken and not written by a connection that is lost, and those sent later, arrive in
    this order.
    """
    memory, keys = opened()
    lose(memory.server.peers[0], how)
    for number in range(3):
        assert fate(memory.pool.send(f"{number} taken", key=keys[0])) == [0]
    memory.pool.on("close", lambda *_: fate(memory.pool.send("3 from a handler", key=keys[0])))
    memory.settle()
    memory.pool.send("4 later", key=keys[0])
    memory.settle()
    received = ["0 taken", "1 taken", "2 taken", "3 from a handler", "4 later"]
    assert texts(memory.server.peers[1]) == received
    assert memory.pool.get_stats().requeued_messages == 3
    memory.close()


def test_order_is_kept_when_messages_wait_for_a_connection_that_is_lost() -> None:
    """
    What waits for one full connection goes to another when that one is lost, before later messages.
    """
    memory, keys = opened()
    memory.server.peers[0].stop_reading()
    memory.pool.send(BIG, key=keys[0])
    waiting = [fate(memory.pool.send(f"{number}", key=keys[0])) for number in range(3)]
    assert waiting == [[]] * 3
    memory.server.peers[0].drop()
    memory.settle()
    assert waiting == [[1]] * 3
    memory.pool.send("later", key=keys[0])
    memory.settle()
    assert texts(memory.server.peers[1]) == ["0", "1", "2", "later"]
    memory.close()


def test_order_is_kept_when_no_connection_is_left() -> None:
    """
    With no connection open, what came back, what waited and what is sent then keep their order.
    """
    memory, _ = opened()
    for peer in memory.server.peers:
        peer.drop()
    sent = {
        key: [fate(memory.pool.send(f"{key} {n}", key=key)) for n in range(3)] for key in range(20)
    }
    assert all(len(each) == 1 for taken in sent.values() for each in taken)
    memory.settle()
    for key in range(20):
        memory.pool.send(f"{key} 3", key=key)
    memory.advance(1)
    received = [text for peer in memory.server.peers for text in texts(peer)]
    assert len(received) == 80
    for key in range(20):
        assert [text for text in received if text.startswith(f"{key} ")] == [
            f"{key} {number}" for number in range(4)
        ]
    memory.close()


def test_a_key_goes_home_only_when_what_was_sent_elsewhere_has_arrived() -> None:
    """
    When the connection of a key comes back, messages of the key wait until a pong proves that the
    stand-in's peer has received the earlier ones.
    """
    memory, keys = opened(close_timeout=60)
    key = keys[0]
    memory.server.peers[0].drop()
    memory.settle()
    stand_in = memory.server.peers[1]
    stand_in.stop_reading()
    assert fate(memory.pool.send("on the stand-in", key=key)) == [1]
    memory.advance(1)
    assert memory.pool.open_connections == 2
    waiting = [fate(memory.pool.send(f"{number}", key=key)) for number in range(3)]
    other = fate(memory.pool.send("other", key=keys[1]))
    memory.settle()
    assert waiting == [[]] * 3
    assert other == [1]
    assert texts(memory.server.peers[2]) == []
    stand_in.resume_reading()
    memory.settle()
    assert waiting == [[0]] * 3
    assert texts(stand_in) == ["on the stand-in", "other"]
    assert texts(memory.server.peers[2]) == ["0", "1", "2"]
    memory.close()


def test_a_key_stays_with_the_stand_in_whose_pong_never_comes() -> None:
    """
    When the stand-in does not answer in time, its keys stay with it, in order; nothing is lost.
    """
    memory, keys = opened(heartbeat_timeout=3)
    key = keys[0]
    memory.server.peers[0].drop()
    memory.settle()
    stand_in = memory.server.peers[1]
    stand_in.stop_reading()
    memory.pool.send("on the stand-in", key=key)
    memory.advance(1)
    waiting = [fate(memory.pool.send(f"{number}", key=key)) for number in range(3)]
    memory.advance(2.9)
    assert waiting == [[]] * 3
    memory.advance(0.1)
    assert waiting == [[1]] * 3
    stand_in.resume_reading()
    memory.settle()
    assert fate(memory.pool.send("3", key=key)) == [1]
    memory.settle()
    assert texts(stand_in) == ["on the stand-in", "0", "1", "2", "3"]
    memory.close()


def test_what_waits_for_the_stand_in_goes_home_as_well() -> None:
    """
    Messages that wait because the stand-in is full follow their key home, in order; those of the
    stand-in's own keys do not.
    """
    memory, keys = opened(heartbeat_timeout=60)
    memory.server.peers[0].drop()
    memory.settle()
    stand_in = memory.server.peers[1]
    stall(memory)
    first = fate(memory.pool.send("first", key=keys[0]))
    own = fate(memory.pool.send("own", key=keys[1]))
    memory.advance(1)
    second = fate(memory.pool.send("second", key=keys[0]))
    assert (first, own, second) == ([], [], [])
    stand_in.resume_reading()
    memory.settle()
    assert (first, own, second) == ([0], [1], [0])
    assert texts(memory.server.peers[2]) == ["first", "second"]
    assert texts(stand_in) == ["own"]
    memory.close()


@pytest.mark.parametrize("lost", ["stand-in", "home", "both"])
def test_order_is_kept_when_a_connection_is_lost_while_a_key_goes_home(lost: str) -> None:
    """
    Losing the stand-in, or the connection that came back, or both, while messages of a key wait for
    the pong, neither loses nor reorders them.
    """
    memory, keys = opened(heartbeat_timeout=60)
    key = keys[0]
    memory.server.peers[0].drop()
    memory.settle()
    stand_in = memory.server.peers[1]
    stand_in.stop_reading()
    memory.pool.send("on the stand-in", key=key)
    memory.advance(1)
    home = memory.server.peers[2]
    waiting = [fate(memory.pool.send(f"{number}", key=key)) for number in range(3)]
    assert waiting == [[]] * 3
    if lost != "home":
        stand_in.drop()
    if lost != "stand-in":
        home.drop()
    memory.settle()
    if lost == "home":
        assert waiting == [[1]] * 3
        stand_in.resume_reading()
    memory.advance(5)
    assert [len(each) for each in waiting] == [1] * 3
    later = fate(memory.pool.send("later", key=key))
    memory.settle()
    assert len(later) == 1
    received = [text for peer in memory.server.peers for text in texts(peer)]
    assert [text for text in received if text != "on the stand-in"] == ["0", "1", "2", "later"]
    memory.close()


def test_a_message_that_waits_for_its_key_to_go_home_can_be_withdrawn() -> None:
    """
    Cancelling and C{timeout} work for messages that wait for the pong.
    """
    memory, keys = opened(heartbeat_timeout=60)
    key = keys[0]
    memory.server.peers[0].drop()
    memory.settle()
    stand_in = memory.server.peers[1]
    stand_in.stop_reading()
    memory.pool.send("on the stand-in", key=key)
    memory.advance(1)
    cancelled = memory.pool.send("cancelled", key=key)
    late = fate(memory.pool.send("late", key=key, timeout=1))
    kept = fate(memory.pool.send("kept", key=key))
    cancelled.cancel()
    cancelled.addErrback(lambda _: None)
    memory.advance(1)
    assert len(late) == 1
    stand_in.resume_reading()
    memory.settle()
    assert kept == [0]
    assert texts(memory.server.peers[2]) == ["kept"]
    memory.close()


def test_order_is_kept_over_slow_connections_that_come_and_go() -> None:
    """
    With everything on its way for a while, connections that are lost one after another, and come
    back, do not reorder the messages of any key.
    """
    for seed in range(4):
        memory = slow_pool(3, 0.05 * seed)
        arrivals: list[str] = []
        numbers = dict.fromkeys(range(6), 0)
        for step in range(120):
            key = (step * 7 + seed) % 6
            fate(memory.pool.send(f"{key} {numbers[key]:03}", key=key))
            numbers[key] += 1
            if step % 11 == seed and memory.server.open_peers:
                memory.server.open_peers[step % len(memory.server.open_peers)].close(1012)
            memory.advance(0.13)
            for peer in memory.server.peers:
                arrivals += texts(peer)
                peer.received.clear()
        memory.advance(60)
        for peer in memory.server.peers:
            arrivals += texts(peer)
        for key in numbers:
            of_key = [text for text in arrivals if text.startswith(f"{key} ")]
            assert of_key == sorted(set(of_key))
        memory.close()


# A pool that changes its size


def test_order_is_kept_when_the_pool_grows() -> None:
    """
    A new connection takes over some keys only when their earlier messages, sent on other
    connections or still waiting for those, have arrived.
    """
    memory = MemoryPool(pool_size=1, heartbeat_timeout=60)
    memory.open()
    peer = memory.server.peers[0]
    peer.stop_reading()
    for key in range(20):
        memory.pool.send("0", key=key)
    memory.settle()
    stall(memory)
    for key in range(20):
        memory.pool.send("1", key=key)
    memory.pool.resize(2)
    memory.settle()
    assert memory.pool.open_connections == 2
    for key in range(20):
        memory.pool.send("2", key=key)
    memory.settle()
    assert texts(memory.server.peers[1]) == []
    peer.resume_reading()
    memory.settle()
    assert everything(memory) == ["0"] * 20 + ["1"] * 20 + ["2"] * 20
    memory.close()


def test_order_is_kept_when_the_pool_shrinks() -> None:
    """
    The keys of a connection that is let go move only when what it had written has arrived.
    """
    memory, keys = opened(close_timeout=60)
    leaving = memory.server.peers[1]
    leaving.stop_reading()
    assert fate(memory.pool.send("first", key=keys[1])) == [1]
    memory.settle()
    gone = fate(memory.pool.resize(1))
    second = fate(memory.pool.send("second", key=keys[1]))
    memory.settle()
    assert texts(memory.server.peers[0]) == []
    leaving.resume_reading()
    memory.settle()
    assert texts(leaving) == ["first"]
    assert (gone, second) == ([None], [0])
    assert texts(memory.server.peers[0]) == ["second"]
    memory.close()


def test_a_server_that_answers_slowly_gets_every_message_in_order() -> None:
    """
    Sending on while a key goes home over a slow network keeps the order of arrival.
    """
    memory = slow_pool(2, 0.5)
    keys: dict[int, int] = {}
    for key in range(100):
        keys.setdefault(memory.result(memory.pool.send("which?", key=key)), key)
    memory.advance(3)
    memory.server.peers[0].drop()
    memory.advance(1)
    for number in range(30):
        fate(memory.pool.send(f"{number:02}", key=keys[0]))
        memory.advance(0.1)
    memory.advance(3)
    at_home = [text for text in texts(memory.server.peers[2]) if text != "which?"]
    elsewhere = [text for text in texts(memory.server.peers[1]) if text != "which?"]
    assert elsewhere + at_home == [f"{number:02}" for number in range(30)]
    assert elsewhere
    assert at_home
    memory.close()
