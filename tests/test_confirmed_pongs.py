"""
Confirmed sends before peers that answer pings late, twice, in the wrong order, unasked, or only the
latest one; and beside heartbeats and the pings of the user.
"""

from __future__ import annotations

import pytest

from .quiet_server import LONG, lose_all, pool_of
from .test_sending import everything, fate, kinds, texts


@pytest.mark.parametrize("payload", [b"", b"x", b"\x00" * 8, b"y" * 125])
def test_a_pong_that_nobody_asked_for_confirms_nothing(payload: bytes) -> None:
    """
    RFC 6455 allows it, as a sign of life, and that is all that it is.
    """
    memory, server = pool_of(1)
    server.hold()
    sent = fate(memory.pool.send("text", confirm=True))
    memory.settle()
    server.pongs[0].answer(payload, payload)
    memory.settle()
    assert sent == []
    server.release()
    memory.settle()
    assert sent == [0]
    memory.close()


def test_an_unasked_pong_that_looks_like_the_users_confirms_nothing() -> None:
    """
    A peer sends empty pongs of its own, while empty pings of the user and a confirmed message wait.
    """
    memory, server = pool_of(1)
    server.hold()
    before = fate(memory.pool.ping())
    sent = fate(memory.pool.send("text", confirm=True))
    memory.settle()
    after = fate(memory.pool.ping())
    memory.settle()
    server.pongs[0].answer(b"", b"", b"")
    memory.settle()
    assert (sent, before, after) == ([], [0.0], [0.0])
    server.release()
    memory.settle()
    assert sent == [0]
    memory.close()


def test_pongs_sent_before_anything_was_read_confirm_nothing() -> None:
    """
    What the peer did not read, and seems to answer, is sent again when that connection is lost.
    """
    memory, server = pool_of(1)
    peer = server.peers[0]
    peer.stop_reading()
    sent = fate(memory.pool.send("text", confirm=True))
    pinged = fate(memory.pool.ping(b"ping"))
    memory.settle()
    peer.pong(b"ping")
    peer.pong(b"")
    memory.settle()
    assert (sent, pinged) == ([], [0.0])
    peer.drop()
    memory.advance(LONG)
    assert sent == [0]
    assert everything(memory) == ["text"]
    memory.close()


@pytest.mark.parametrize("order", [(0, 0, 1), (1, 0), (1, 1, 0), (0, 1, 1, 0)])
def test_pongs_twice_or_in_the_wrong_order(order: tuple[int, ...]) -> None:
    """
    A later pong confirms all before it, and an earlier one after that nothing any more.
    """
    memory, server = pool_of(1)
    server.hold()
    sent = []
    for text in ("one", "two"):
        sent.append(fate(memory.pool.send(text, confirm=True)))
        memory.settle()
    (pongs,) = server.pongs
    pongs.answer(*(pongs.asked[number] for number in order))
    memory.settle()
    assert sent == [[0], [0]]
    memory.close()


def test_a_peer_may_answer_only_the_latest_ping() -> None:
    """
    As RFC 6455, section 5.5.3, allows: the one pong confirms everything before it.
    """
    memory, server = pool_of(1)
    server.hold()
    sent = []
    for number in range(5):
        sent.append(fate(memory.pool.send(f"{number}", confirm=True)))
        memory.settle()
    server.pongs[0].answer(server.pongs[0].asked[-1])
    memory.settle()
    assert sent == [[0]] * 5
    memory.close()


def test_the_only_ping_that_a_peer_answers_may_be_the_users() -> None:
    """
    That pong proves nothing, but the pool asks once more then, and so hears what it wants to know.
    """
    memory, server = pool_of(1)
    server.hold()
    sent = fate(memory.pool.send("text", confirm=True))
    memory.settle()
    pinged = fate(memory.pool.ping(b"mine"))
    memory.settle()
    (pongs,) = server.pongs
    assert len(pongs.asked) == 2
    pongs.answer(b"mine")
    memory.settle()
    assert (sent, pinged, len(pongs.asked)) == ([], [0.0], 3)
    pongs.answer(pongs.asked[2])
    memory.settle()
    assert sent == [0]
    memory.close()


def test_pings_of_the_user_before_a_confirmed_send_are_answered_with_it() -> None:
    """
    By a peer that answers only the latest one.
    """
    memory, server = pool_of(1)
    server.hold()
    pinged = fate(memory.pool.ping(b"mine"))
    sent = fate(memory.pool.send("text", confirm=True))
    memory.settle()
    server.pongs[0].answer(server.pongs[0].asked[-1])
    memory.settle()
    assert (pinged, sent) == ([0.0], [0])
    memory.close()


def test_a_pong_of_an_earlier_life_confirms_nothing() -> None:
    """
    A peer that repeats what it was asked on the connection before has not received anything by
    that.
    """
    memory, server = pool_of(1)
    server.hold()
    sent = fate(memory.pool.send("text", confirm=True))
    memory.settle()
    lose_all(memory)
    memory.advance(LONG)
    assert texts(server.peers[1]) == ["text"]
    server.pongs[1].answer(*server.pongs[0].asked)
    memory.settle()
    assert sent == []
    server.pongs[1].release()
    memory.settle()
    assert sent == [0]
    memory.close()


# Beside other pings


def test_heartbeats_confirm_as_well() -> None:
    """
    A heartbeat's ping is one of the pool's own: its pong proves what was written before it, even
    when the pong that was meant for that is missing.
    """
    memory, server = pool_of(1, heartbeat_interval=2, heartbeat_timeout=1)
    server.hold()
    sent = fate(memory.pool.send("text", confirm=True))
    memory.advance(2)
    (pongs,) = server.pongs
    assert len(pongs.asked) == 2
    pongs.answer(pongs.asked[1])
    memory.settle()
    assert sent == [0]
    server.release()
    memory.close()


def test_heartbeats_and_pings_of_the_user_side_by_side() -> None:
    """
    Each pong goes to who asked for it, and no event is about a confirmation.
    """
    memory, _ = pool_of(1, heartbeat_interval=2, heartbeat_timeout=1)
    heard: list[bytes] = []
    memory.pool.on("pong", lambda data, connection_id: heard.append(data))
    for number in range(10):
        before = fate(memory.pool.ping(b"before"))
        sent = fate(memory.pool.send(f"{number}", confirm=True))
        after = fate(memory.pool.ping(b"after"))
        memory.settle()
        assert (before, sent, after) == ([0.0], [0], [0.0])
        memory.advance(1)
    assert heard == [b"before", b"after"] * 10
    memory.advance(5)
    assert memory.pool.open_connections == 1
    memory.close()


def test_a_ping_that_times_out_or_is_cancelled_takes_no_confirmation_with_it() -> None:
    """
    The user's pings and the pool's own are apart.
    """
    memory, server = pool_of(1)
    server.hold()
    sent = fate(memory.pool.send("text", confirm=True))
    timed_out = fate(memory.pool.ping(timeout=1))
    deferred = memory.pool.ping()
    cancelled = fate(deferred)
    memory.advance(2)
    deferred.cancel()
    assert (len(timed_out), len(cancelled)) == (1, 1)
    server.release()
    memory.settle()
    assert sent == [0]
    memory.close()


def test_a_late_pong_of_a_heartbeat_confirms() -> None:
    """
    The heartbeat does not wait for its pong any longer than its timeout, and a busy peer is alive
    without.  But a confirmed message that was written just before waits for its own.
    """
    memory, server = pool_of(1, heartbeat_interval=1, heartbeat_timeout=1)
    server.hold()
    sent: list[object] = []

    def send() -> None:
        memory.pool.send("text", confirm=True).addBoth(sent.append)

    memory.clock.callLater(0.5, send)
    memory.clock.advance(1)  # in one turn, at the end of which the heartbeat is due as well
    assert server.pongs[0].asked
    for _ in range(6):
        server.peers[0].send("busy")
        memory.advance(0.25)
    server.release()
    memory.settle()
    assert sent == [0]
    memory.close()


def test_a_late_pong_of_keys_that_move_confirms() -> None:
    """
    The ping behind which keys move to a new connection is given up after C{heartbeat_timeout}; not
    so that behind a confirmed message of the same turn.
    """
    memory, server = pool_of(1, heartbeat_timeout=1)
    server.pongs[0].hold()
    for key in range(20):
        memory.pool.send("text", key=key)
    memory.settle()
    sent: list[object] = []

    def send(response: object, connection_id: int) -> None:
        memory.pool.send("text", confirm=True).addBoth(sent.append)

    memory.pool.on("upgrade", send)
    memory.pool.resize(2)
    memory.advance(10)
    assert memory.pool.open_connections == 2
    assert server.pongs[0].asked
    server.release()
    memory.settle()
    assert sent == [0]
    memory.close()


def test_a_server_slow_to_answer_is_not_flooded_with_pings() -> None:
    """
    Some servers drop a connection for which too many pongs pile up.  When enough pings are under
    way, the next one waits for a pong, and then covers everything sent meanwhile.
    """
    memory, server = pool_of(1)
    server.hold()
    sent = []
    for number in range(100):
        sent.append(fate(memory.pool.send(f"{number}", confirm=True)))
        memory.settle()
    assert len(server.pongs[0].asked) == 8
    server.release()
    memory.settle()
    assert sent == [[0]] * 100
    assert len(server.pongs[0].asked) <= 10
    memory.close()


def test_of_pongs_only_those_of_confirmed_sends_are_not_shown() -> None:
    """
    The event C{pong} shows all others: of the user's pings, of the heartbeat, of C{flush}, even of
    one that was given up, and those that nobody asked for.
    """
    memory, server = pool_of(1, heartbeat_interval=10, heartbeat_timeout=5)
    shown: list[bytes] = []
    memory.pool.on("pong", lambda data, connection_id: shown.append(data))

    def shows() -> list[int]:
        """Return how long the data is of those that were shown since the last time."""
        memory.advance(0.1)
        sizes = [len(data) for data in shown]
        shown.clear()
        return sizes

    memory.pool.send("text", confirm=True)
    assert shows() == []
    memory.pool.ping("mine")
    assert shows() == [4]
    memory.pool.send("plain")
    memory.pool.flush()
    assert shows() == [8]
    memory.advance(9.8)
    assert shows() == [8]
    server.pongs[0].answer(b"unasked")
    assert shows() == [7]
    server.hold()
    memory.pool.send("plain")
    given_up = memory.pool.flush()
    memory.pool.send("text", confirm=True)
    assert shows() == []
    assert kinds(fate(given_up)) == []
    given_up.cancel()
    server.release()
    assert shows() == [8]
    memory.close()
    assert shows() == []
