"""
Confirmed sends whose connection is lost before the pong.
"""

from __future__ import annotations

import gc

import pytest

from wsmultipool import PooledConnection
from wsmultipool.errors import (
    ConnectionDropped,
    DeliveryUnknown,
    HeartbeatTimeout,
    NotConnected,
    PongOverdue,
)
from wsmultipool.testing import MemoryPool

from .integration.recording_logger import RecordingLogger
from .quiet_server import LONG, lose_all, pool_of, unconfirmed, unknown
from .test_sending import everything, fate, keys_by_connection, kinds, lose, texts


@pytest.mark.parametrize("how", [None, 1000, 1001, 1012])
def test_a_message_without_confirmation_is_sent_again(how: int | None) -> None:
    """
    On another connection, whether the first one was reset or closed.
    """
    memory, server = pool_of(2)
    server.pongs[0].hold()
    sent = fate(memory.pool.send("text", confirm=True))
    memory.settle()
    assert [texts(peer) for peer in server.peers] == [["text"], []]
    lose(server.peers[0], how)
    memory.settle()
    assert sent == [1]
    assert [texts(peer) for peer in server.peers[:2]] == [["text"], ["text"]]
    stats = memory.pool.get_stats()
    assert (stats.resent_messages, stats.requeued_messages, stats.dropped_messages) == (1, 0, 0)
    memory.close()


def test_a_copy_does_not_wait_for_a_server_that_closes_and_leaves_tcp_open() -> None:
    """
    When both Close frames were exchanged no pong can come, so the message is sent again at once.
    """
    memory, server = pool_of(2, close_timeout=7)
    peer = server.peers[0]
    server.pongs[0].hold()
    sent = fate(memory.pool.send("text", confirm=True))
    memory.settle()
    peer.drops_tcp = False
    peer.close(1001)
    memory.settle()
    assert peer.connected
    assert (sent, everything(memory)) == ([1], ["text", "text"])
    memory.advance(7)
    assert everything(memory) == ["text", "text"]
    memory.close()


@pytest.mark.parametrize("number", [1, 3])
def test_what_it_costs_to_find_out_that_a_server_never_confirms(number: int) -> None:
    """
    A server that closes on each message, and leaves TCP open, does not cost C{close_timeout} for
    each delivery: another connection takes it at once, as long as there is one.
    """
    memory, server = pool_of(3, close_timeout=7, max_deliveries=number)
    for peer, pongs in zip(server.peers, server.pongs, strict=True):
        pongs.hold()
        peer.drops_tcp = False
    sent = fate(memory.pool.send("text", confirm=True))
    memory.settle()
    for _ in range(number):
        assert sent == []
        (peer,) = [peer for peer in server.open_peers if peer.received]
        peer.close(1008, "no")
        memory.settle()
    (error,) = sent
    assert isinstance(error, DeliveryUnknown)
    assert error.deliveries == number
    memory.close()


def test_a_copy_with_a_key_waits_for_a_peer_that_may_still_read() -> None:
    """
    The peer began to close, and may still read what it was given: what follows must not overtake
    that, so everything of the key waits for TCP's end, at most C{close_timeout}.
    """
    memory, server = pool_of(2, close_timeout=7)
    home = memory.result(memory.pool.send("first", key="k"))
    peer = server.peers[home]
    server.pongs[home].hold()
    sent = fate(memory.pool.send("second", key="k", confirm=True))
    memory.settle()
    peer.drops_tcp = False
    peer.close(1001)
    memory.settle()
    later = fate(memory.pool.send("third", key="k"))
    memory.advance(6.9)
    assert (sent, later, server.peers[1 - home].received) == ([], [], [])
    memory.advance(0.2)
    assert (sent, later) == ([1 - home], [1 - home])
    assert [data for data, _ in server.peers[1 - home].received] == [b"second", b"third"]
    memory.close()


def test_a_copy_with_a_key_waits_when_both_sides_close_at_once() -> None:
    """
    The peer's Close frame comes after ours and does not answer it: it has crossed it, and the peer
    has yet to read what was written before.
    """
    connections: list[PooledConnection] = []
    memory, server = pool_of(2, close_timeout=7, on_connect=connections.append)
    home = memory.result(memory.pool.send("first", key="k"))
    peer, other = server.peers[home], server.peers[1 - home]
    peer.stop_reading()
    sent = fate(memory.pool.send("second", key="k", confirm=True))
    memory.settle()
    connections[home].close()
    peer.close(1001)
    memory.settle()
    later = fate(memory.pool.send("third", key="k"))
    memory.advance(6)
    assert (sent, later, texts(other)) == ([], [], [])
    peer.drop()
    memory.settle()
    assert (sent, later) == ([1 - home], [1 - home])
    assert texts(other) == ["second", "third"]
    memory.close()


def test_a_key_moves_at_once_when_its_peer_has_proven_to_have_read_everything() -> None:
    """
    Then nothing is left that could be overtaken, and TCP's end need not be waited for.
    """
    connections: list[PooledConnection] = []
    memory, server = pool_of(2, close_timeout=7, on_connect=connections.append)
    home = memory.result(memory.pool.send("first", key="k", confirm=True))
    server.peers[home].drops_tcp = False
    connections[home].close()
    memory.settle()
    assert server.peers[home].connected
    assert memory.result(memory.pool.send("second", key="k")) == 1 - home
    memory.close()


def test_a_heartbeat_timeout_is_a_loss_like_any_other() -> None:
    """
    A peer that falls silent is given up, and what it did not confirm is sent again.
    """
    memory, server = pool_of(2, heartbeat_interval=2, heartbeat_timeout=1)
    server.peers[0].fall_silent()
    sent = fate(memory.pool.send("text", confirm=True))
    memory.advance(2.9)
    assert sent == []
    memory.advance(0.2)
    assert sent == [1]
    memory.close()


def test_without_another_connection_it_waits_for_one() -> None:
    """
    At the head of the queue, before what was sent during the outage.
    """
    memory, server = pool_of(1)
    server.pongs[0].hold()
    first = [fate(memory.pool.send(f"{number}", confirm=True)) for number in range(2)]
    memory.settle()
    server.peers[0].drop()
    memory.settle()
    assert memory.pool.get_stats().queued_messages == 2
    assert unconfirmed(memory) == (0, 0)
    later = [fate(memory.pool.send(f"{number}", confirm=number > 2)) for number in range(2, 4)]
    memory.advance(LONG)
    assert first + later == [[0]] * 4
    assert texts(server.peers[1]) == ["0", "1", "2", "3"]
    memory.close()


@pytest.mark.parametrize("how", [None, 1012])
def test_a_message_sent_again_stays_before_later_ones_of_its_key(how: int | None) -> None:
    """
    Whether those were written on the lost connection as well, were only taken by it, or came later,
    confirmed or plain.
    """
    memory, server = pool_of(3)
    key = keys_by_connection(memory)[0]
    server.pongs[0].hold()
    numbers = iter(range(100))

    def send(*confirm: bool) -> None:
        for each in confirm:
            memory.pool.send(f"{next(numbers)}", key=key, confirm=each)

    send(True, True, True)
    memory.settle()
    lose(server.peers[0], how)
    send(True, False, True)
    memory.settle()
    send(False, True)
    memory.advance(LONG)
    assert [texts(peer) for peer in server.peers[1:] if texts(peer)] == [
        [f"{number}" for number in range(8)]
    ]
    memory.close()


def test_confirmed_messages_are_not_sent_again() -> None:
    """
    A loss after the pong is of no interest.
    """
    memory, _ = pool_of(2)
    assert memory.result(memory.pool.send("text", confirm=True)) == 0
    lose_all(memory)
    memory.advance(LONG)
    assert everything(memory) == ["text"]
    assert memory.pool.get_stats().resent_messages == 0
    memory.close()


def test_only_what_is_unconfirmed_is_sent_again() -> None:
    """
    A pong came for the first, the loss after that is about the second.
    """
    memory, server = pool_of(2)
    key = keys_by_connection(memory)[0]
    server.pongs[0].hold()
    first = fate(memory.pool.send("one", key=key, confirm=True))
    memory.settle()
    second = fate(memory.pool.send("two", key=key, confirm=True))
    memory.settle()
    server.pongs[0].answer(server.pongs[0].asked[0])
    memory.settle()
    server.peers[0].drop()
    memory.settle()
    assert (first, second) == ([0], [1])
    assert [texts(peer) for peer in server.peers[:2]] == [["one", "two"], ["two"]]
    memory.close()


def test_a_message_taken_and_not_written_was_not_delivered() -> None:
    """
    A connection that is lost before the end of the turn has not used one of the deliveries up.
    """
    memory, server = pool_of(2, max_deliveries=1)
    server.peers[0].drop()
    sent = fate(memory.pool.send("text", confirm=True))
    memory.settle()
    assert sent == [1]
    stats = memory.pool.get_stats()
    assert (stats.requeued_messages, stats.resent_messages) == (1, 0)
    assert everything(memory) == ["text"]
    memory.close()


@pytest.mark.parametrize("most", [1, 2, 3, 5])
def test_after_max_deliveries_nobody_knows(most: int) -> None:
    """
    The message was written so often, and no pong ever came: C{DeliveryUnknown} says all about it.
    """
    memory, server = pool_of(1, max_deliveries=most)
    server.hold()
    sent = fate(memory.pool.send(b"\x00bytes", confirm=True))
    for number in range(1, most + 1):
        memory.settle()
        assert sent == []
        assert everything(memory) == ["\x00bytes"] * number
        lose_all(memory)
        memory.advance(LONG)
    error = unknown(sent)
    assert (error.messages, error.deliveries) == (1, most)
    assert (error.data, error.is_binary) == (b"\x00bytes", True)
    assert isinstance(error.__cause__, ConnectionDropped)
    assert everything(memory) == ["\x00bytes"] * most
    stats = memory.pool.get_stats()
    assert (stats.resent_messages, stats.dropped_messages) == (most - 1, 1)
    assert (stats.queued_messages, *unconfirmed(memory)) == (0, 0, 0)
    memory.close()


def test_at_most_once_is_never_twice() -> None:
    """
    With C{max_deliveries=1}, what was written and not confirmed fails at once with the connection,
    while what was not written goes elsewhere.
    """
    memory, server = pool_of(2, max_deliveries=1)
    key = keys_by_connection(memory)[0]
    server.hold()
    written = [fate(memory.pool.send(f"{number}", key=key, confirm=True)) for number in range(3)]
    memory.settle()
    server.peers[0].drop()
    taken = fate(memory.pool.send("taken", key=key, confirm=True))
    memory.settle()
    assert [unknown(each).data for each in written] == [b"0", b"1", b"2"]
    server.release()
    memory.advance(LONG)
    assert taken == [1]
    assert everything(memory) == ["0", "1", "2", "taken"]
    memory.close()


def test_a_text_is_told_from_bytes_when_its_delivery_is_unknown() -> None:
    """
    So that the caller can send it again as it was.
    """
    memory, server = pool_of(1, max_deliveries=1)
    server.hold()
    sent = fate(memory.pool.send("Grüße", confirm=True))
    memory.settle()
    lose_all(memory)
    error = unknown(sent)
    assert (error.data, error.is_binary) == ("Grüße".encode(), False)
    memory.close()


def test_what_ended_the_connection_is_the_cause() -> None:
    """
    A dropped connection and a silent one are told apart.
    """
    memory, server = pool_of(1, max_deliveries=1, heartbeat_interval=2, heartbeat_timeout=1)
    server.peers[0].fall_silent()
    sent = fate(memory.pool.send("text", confirm=True))
    memory.advance(4)
    assert isinstance(unknown(sent).__cause__, HeartbeatTimeout)
    memory.close()


def test_no_text_tells_what_was_in_a_message() -> None:
    """
    Neither the error's text, nor its repr or arguments, nor the log of one that nobody handles,
    hold the message.
    """
    log = RecordingLogger()
    memory, server = pool_of(1, max_deliveries=1, logger=log)
    server.hold()
    sent = fate(memory.pool.send("token=secret", confirm=True))
    unhandled = memory.pool.send("token=secret", confirm=True)
    memory.settle()
    lose_all(memory)
    error = unknown(sent)
    assert error.data == b"token=secret"
    assert "secret" not in f"{error} {error!r} {error.args}"
    assert unhandled.called
    del unhandled
    gc.collect()
    memory.settle()
    (told,) = [text for text in log.texts("error") if "send" in text]
    assert "a message of 12 bytes was written once" in told
    assert "secret" not in told
    memory.close()


def test_what_was_sent_on_just_one_connection_is_not_sent_again() -> None:
    """
    It was for that connection: C{DeliveryUnknown} if it was written, else C{NotConnected}.
    """
    connections: list[PooledConnection] = []
    memory, server = pool_of(1, on_connect=connections.append)
    server.hold()
    written = fate(connections[0].send("written", confirm=True))
    memory.settle()
    server.peers[0].drop()
    taken = fate(connections[0].send("taken", confirm=True))
    memory.advance(LONG)
    assert (unknown(written).deliveries, unknown(written).data) == (1, b"written")
    assert kinds(taken) == [NotConnected]
    assert everything(memory) == ["written"]
    memory.close()


def test_a_peer_that_talks_and_does_not_read_is_found_out() -> None:
    """
    Whatever it sends proves that it lives; but with a heartbeat, a ping behind confirmed messages
    has to be answered in time, or their connection is aborted and they go elsewhere.
    """
    memory = MemoryPool(pool_size=1, heartbeat_interval=1, heartbeat_timeout=1)
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.open()
    deaf = memory.server.peers[0]
    deaf.stop_reading()
    sent = fate(memory.pool.send("?", confirm=True))
    for _ in range(8):
        if deaf.is_open:
            deaf.send("chatter")
        memory.advance(0.5)
    assert sent == [0]
    assert [type(error) for error in errors] == [PongOverdue]
    memory.close()


def test_a_flush_finds_out_as_well() -> None:
    """
    It fails with what is true then, instead of waiting for ever.
    """
    memory = MemoryPool(pool_size=1, heartbeat_interval=1, heartbeat_timeout=1)
    memory.pool.on("error", lambda error, connection_id: None)
    memory.open()
    deaf = memory.server.peers[0]
    deaf.stop_reading()
    memory.result(memory.pool.send("?"))
    flushed = fate(memory.pool.flush())
    for _ in range(8):
        if deaf.is_open:
            deaf.send("chatter")
        memory.advance(0.5)
    assert kinds(flushed) == [DeliveryUnknown]
    memory.close()
