"""
Confirmed messages that are sent in fragments.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from wsmultipool.errors import DeliveryUnknown, FragmentLost, PoolClosed, SendTimeout
from wsmultipool.testing import MemoryPool

from .quiet_server import LONG, QuietServer, lose_all, pool_of, unconfirmed, unknown
from .support import error_of, outcome
from .test_sending import everything, fate, keys_by_connection, kinds, lose, texts

Sent = list[list[Any]]


def fragments(
    memory: MemoryPool, *pieces: str, fin: bool = True, confirm: bool = True, key: Any = "key"
) -> Sent:
    """
    Send a message in fragments, or the beginning of one.
    """
    last = len(pieces) - 1
    return [
        fate(memory.pool.send(piece, key=key, fin=fin and number == last, confirm=confirm))
        for number, piece in enumerate(pieces)
    ]


def on_first(size: int = 2, **options: Any) -> tuple[MemoryPool, QuietServer, int]:
    """
    Make a pool whose first connection holds its pongs back, and find a key of that connection.
    """
    memory, server = pool_of(size, **options)
    key = keys_by_connection(memory)[0]
    server.pongs[0].hold()
    return memory, server, key


def test_fragments_fire_when_the_peer_has_answered() -> None:
    """
    One ping for those that leave in one turn, as for whole messages.
    """
    memory, server, key = on_first()
    sent = fragments(memory, "one, ", "two, ", "three", key=key)
    memory.settle()
    assert texts(server.peers[0]) == ["one, two, three"]
    assert (sent, len(server.pongs[0].asked)) == ([[], [], []], 1)
    assert unconfirmed(memory) == (3, 15)
    server.release()
    memory.settle()
    assert sent == [[0]] * 3
    memory.close()


def test_a_pong_may_come_between_two_fragments() -> None:
    """
    Control frames may be injected in the middle of a fragmented message (RFC 6455, section 5.4).
    """
    memory, server = pool_of(1)
    first = fragments(memory, "one, ", fin=False)
    memory.settle()
    assert first == [[0]]
    assert fragments(memory, "two") == [[]]
    memory.settle()
    assert texts(server.peers[0]) == ["one, two"]
    memory.close()


@pytest.mark.parametrize("how", [None, 1012])
@pytest.mark.parametrize("fin", [True, False])
def test_a_message_of_which_nothing_is_confirmed_begins_anew(how: int | None, fin: bool) -> None:
    """
    On another connection, with its first fragment, whether its last one was sent already or not.
    """
    memory, server, key = on_first()
    sent = fragments(memory, "one, ", "two, ", "three", fin=fin, key=key)
    memory.settle()
    lose(server.peers[0], how)
    memory.settle()
    assert sent == [[1]] * 3
    if not fin:
        sent += fragments(memory, ", end", key=key)
    memory.settle()
    whole = "one, two, three" if fin else "one, two, three, end"
    assert texts(server.peers[1]) == [whole]
    assert sent == [[1]] * len(sent)
    assert memory.pool.get_stats().resent_messages == 3
    memory.close()


def test_fragments_not_yet_written_follow() -> None:
    """
    Some were written when the connection was lost, some only taken, and some come before it is
    gone: all of them are sent on another one, in order.
    """
    memory, server, key = on_first(close_timeout=3)
    sent = fragments(memory, "one, ", "two, ", fin=False, key=key)
    memory.settle()
    server.peers[0].drops_tcp = False
    server.peers[0].close(1012)
    sent += fragments(memory, "three, ", "four, ", fin=False, key=key)
    memory.settle()
    sent += fragments(memory, "five", key=key)
    whole = fate(memory.pool.send("whole", key=key, confirm=True))
    memory.settle()
    assert [*sent, whole] == [[]] * 6
    memory.advance(4)
    assert [*sent, whole] == [[1]] * 6
    assert texts(server.peers[1]) == ["one, two, three, four, five", "whole"]
    memory.close()


def test_a_message_that_is_confirmed_in_part_is_lost() -> None:
    """
    The peer has its beginning, which another connection can't take up: what was written since may
    have arrived, or not, and the rest is void.
    """
    memory, server, key = on_first()
    server.release()
    sent = fragments(memory, "one, ", fin=False, key=key)
    memory.settle()
    server.pongs[0].hold()
    sent += fragments(memory, "two, ", fin=False, key=key)
    memory.settle()
    server.peers[0].drop()
    sent += fragments(memory, "three, ", fin=False, key=key)
    memory.settle()
    sent += fragments(memory, "four", key=key)
    whole = fate(memory.pool.send("whole", key=key, confirm=True))
    memory.advance(LONG)
    assert sent[0] == [0]
    error = unknown(sent[1])
    assert (error.deliveries, error.data) == (1, b"two, ")
    assert isinstance(error.__cause__, FragmentLost)
    assert kinds(sent[2]) == kinds(sent[3]) == [FragmentLost]
    assert len(whole) == 1
    assert everything(memory) == ["whole"]
    assert (memory.pool.get_stats().queued_messages, *unconfirmed(memory)) == (0, 0, 0)
    memory.close()


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_message_in_fragments_is_given_up_as_a_whole(most: int) -> None:
    """
    After C{max_deliveries}, all its fragments fail, each with what it was.
    """
    memory, server = pool_of(1, max_deliveries=most)
    server.hold()
    sent = fragments(memory, "one, ", "two")
    for _ in range(most):
        memory.settle()
        lose_all(memory)
        memory.advance(LONG)
    errors = [unknown(each) for each in sent]
    assert [error.data for error in errors] == [b"one, ", b"two"]
    assert errors[0].deliveries == most
    server.release()
    assert memory.result(memory.pool.send("next", key="key", confirm=True)) == 0
    memory.close()


def test_what_is_not_complete_is_given_up_as_well() -> None:
    """
    Its rest fails with C{FragmentLost}, until the last fragment; then the key is free.
    """
    memory, server = pool_of(1, max_deliveries=1)
    server.hold()
    sent = fragments(memory, "one, ", fin=False)
    memory.settle()
    lose_all(memory)
    unknown(sent[0])
    assert [kinds(each) for each in fragments(memory, "two, ", "three")] == [[FragmentLost]] * 2
    server.release()
    memory.advance(LONG)
    assert memory.result(memory.pool.send("next", key="key", confirm=True)) == 0
    assert everything(memory) == ["next"]
    memory.close()


# Confirmed and plain fragments of one message


def test_a_plain_beginning_can_not_be_sent_again() -> None:
    """
    Nobody keeps a plain fragment that was written: a confirmed one after it is not sent again.
    """
    memory, server, key = on_first()
    sent = fragments(memory, "plain, ", fin=False, confirm=False, key=key)
    memory.settle()
    sent += fragments(memory, "confirmed, ", fin=False, key=key)
    memory.settle()
    assert sent == [[0], []]
    server.peers[0].drop()
    memory.settle()
    assert isinstance(unknown(sent[1]).__cause__, FragmentLost)
    assert [kinds(each) for each in fragments(memory, "end", key=key)] == [[FragmentLost]]
    memory.close()


def test_a_plain_end_can_not_be_sent_again_either() -> None:
    """
    The confirmed beginning waits for its pong, and the connection is lost: half of the message is
    not enough to begin anew.
    """
    memory, server, key = on_first()
    sent = fragments(memory, "confirmed, ", fin=False, key=key)
    sent += fragments(memory, "plain", confirm=False, key=key)
    memory.settle()
    assert sent == [[], [0]]
    server.peers[0].drop()
    memory.advance(LONG)
    assert isinstance(unknown(sent[0]).__cause__, FragmentLost)
    assert memory.pool.get_stats().queued_messages == 0
    assert everything(memory) == ["confirmed, plain"]
    memory.close()


def test_a_plain_fragment_that_was_not_written_goes_along() -> None:
    """
    The confirmed beginning was written, a plain one behind it only taken: both begin anew.
    """
    memory, server, key = on_first()
    sent = fragments(memory, "confirmed, ", fin=False, key=key)
    memory.settle()
    server.peers[0].drop()
    sent += fragments(memory, "plain, ", fin=False, confirm=False, key=key)
    memory.settle()
    sent += fragments(memory, "end", key=key)
    memory.settle()
    assert sent == [[1], [1], [1]]
    assert texts(server.peers[1]) == ["confirmed, plain, end"]
    memory.close()


def test_mixed_fragments_without_a_loss() -> None:
    """
    Plain ones fire when written, confirmed ones when answered.
    """
    memory, server, key = on_first()
    sent = fragments(memory, "one, ", fin=False, confirm=False, key=key)
    sent += fragments(memory, "two, ", fin=False, key=key)
    sent += fragments(memory, "three", confirm=False, key=key)
    memory.settle()
    assert sent == [[0], [], [0]]
    server.release()
    memory.settle()
    assert sent == [[0], [0], [0]]
    assert texts(server.peers[0]) == ["one, two, three"]
    memory.close()


# Abandoned


@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_abandoned_while_its_connection_is_going_down(how: str) -> None:
    """
    Between the Close frame and the end of the transport, a fragment that waits is withdrawn: the
    message can't be completed, so it does not begin anew.
    """
    memory, server, key = on_first(close_timeout=3)
    sent = fragments(memory, "one, ", fin=False, key=key)
    memory.settle()
    server.peers[0].drops_tcp = False
    server.peers[0].close(1012)
    memory.settle()
    timeout = 1 if how == "timeout" else None
    deferred: Deferred[int] = memory.pool.send(
        "two, ", key=key, fin=False, confirm=True, timeout=timeout
    )
    withdrawn = fate(deferred)
    if how == "cancel":
        deferred.cancel()
    memory.advance(2)
    assert kinds(withdrawn) == [CancelledError if how == "cancel" else SendTimeout]
    assert [kinds(each) for each in fragments(memory, "end", key=key)] == [[FragmentLost]]
    memory.advance(LONG)
    assert isinstance(unknown(sent[0]).__cause__, FragmentLost)
    assert texts(server.peers[1]) == []
    assert (memory.pool.get_stats().queued_messages, *unconfirmed(memory)) == (0, 0, 0)
    memory.close()


def test_a_fragment_that_was_cancelled_after_it_was_written_is_not_sent_again() -> None:
    """
    So the message can't begin anew when its connection is lost: the others may have arrived.
    """
    memory, server, key = on_first()
    deferred = memory.pool.send("one, ", key=key, fin=False, confirm=True)
    cancelled = fate(deferred)
    sent = fragments(memory, "two, ", fin=False, key=key)
    memory.settle()
    deferred.cancel()
    server.peers[0].drop()
    memory.advance(LONG)
    assert kinds(cancelled) == [CancelledError]
    unknown(sent[0])
    assert [kinds(each) for each in fragments(memory, "end", key=key)] == [[FragmentLost]]
    assert everything(memory) == []
    memory.close()


def test_abandoning_a_confirmed_message_closes_its_connection() -> None:
    """
    Nothing else would free it; the fragments that the peer has answered before its Close frame have
    arrived.
    """
    memory, server = pool_of(1)
    sent = fragments(memory, "one, ", fin=False)
    memory.settle()
    assert sent == [[0]]
    server.peers[0].stop_reading()
    memory.pool.send("x" * 70_000, key="key", fin=False, confirm=True).addErrback(lambda _: None)
    memory.settle()
    deferred = memory.pool.send("waits", key="key", fin=False, confirm=True)
    waiting = fate(deferred)
    memory.settle()
    assert waiting == []
    deferred.cancel()
    assert kinds(waiting) == [CancelledError]
    server.peers[0].resume_reading()
    memory.settle()
    assert server.peers[0].close_received is not None
    memory.advance(LONG)
    assert (memory.pool.get_stats().queued_messages, *unconfirmed(memory)) == (0, 0, 0)
    memory.close()


# The end


@pytest.mark.parametrize("drain", [None, 5])
def test_closing_confirms_fragments(drain: float | None) -> None:
    """
    Those written are answered before the Close frame.
    """
    memory, server = pool_of(1, latency=0.01)
    sent = fragments(memory, "one, ", "two")
    memory.pool.close(drain=drain)
    memory.advance(10)
    assert sent == [[0], [0]]
    assert texts(server.peers[0]) == ["one, two"]
    memory.close()


def test_closing_while_a_message_waits_to_begin_anew() -> None:
    """
    Its fragments were written, and may have arrived; those never written fail as the pool does.
    """
    memory, server = pool_of(1)
    server.hold()
    sent = fragments(memory, "one, ", "two, ", fin=False)
    memory.settle()
    server.refuse()
    server.peers[0].drop()
    memory.settle()
    sent += fragments(memory, "three, ", fin=False)
    memory.close()
    assert [kinds(each) for each in sent] == [[DeliveryUnknown], [DeliveryUnknown], [PoolClosed]]
    assert isinstance(unknown(sent[0]).__cause__, PoolClosed)


@pytest.mark.parametrize("most", [2, 3])
def test_the_last_attempt_of_fragments(most: int) -> None:
    """
    It is sent once nothing else is unconfirmed on its connection, and what waits behind it comes
    later.
    """
    memory, server = pool_of(1, max_deliveries=most)
    server.hold()
    sent = fragments(memory, "one, ", "two")
    for _ in range(most - 1):
        memory.settle()
        lose_all(memory)
        memory.advance(LONG)
    sent.append(fate(memory.pool.send("later", key="key", confirm=True)))
    memory.settle()
    server.release()
    memory.settle()
    assert sent == [[0]] * 3
    assert texts(server.peers[-1]) == ["one, two", "later"]
    memory.close()


@pytest.mark.parametrize("early", [True, False])
def test_what_is_confirmed_while_its_connection_closes_is_not_continued(early: bool) -> None:
    """
    The first fragment has arrived, so it can't be sent again; the rest fails, and does not wait for
    ever, whether it was sent before or after that became known.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    (connection,) = memory.pool._supervisor.connections
    first = outcome(memory.pool.send("first", key="a", fin=False, confirm=True))
    connection.close()
    if early:
        rest = memory.pool.send("rest", key="a")
        memory.advance(5)
    else:
        memory.advance(5)
        rest = memory.pool.send("rest", key="a")
    assert first == [0]
    assert isinstance(error_of(rest), FragmentLost)
    assert memory.result(memory.pool.send("whole", key="a", confirm=True)) == 0
    assert [peer.received for peer in memory.server.peers] == [[], [(b"whole", False)]]
    memory.close()
