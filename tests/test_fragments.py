"""
Messages that are sent in fragments, while the caller still produces them.
"""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from wsmultipool.errors import BufferFull, FragmentLost, PoolClosed, PoolExhausted, SendTimeout
from wsmultipool.messages import SendData
from wsmultipool.testing import MemoryPeer, MemoryPool

from .support import error_of, outcome
from .test_sending import (
    BIG,
    LONG,
    everything,
    fate,
    keys_by_connection,
    kinds,
    lose,
    tapped_pool,
    texts,
)


def opened(size: int = 1) -> tuple[MemoryPool, MemoryPeer]:
    """
    Make a pool of open connections.

    @return: the pool, and the first connection's peer.
    """
    memory = MemoryPool(pool_size=size)
    memory.open()
    return memory, memory.server.peers[0]


def full(size: int = 1) -> tuple[MemoryPool, MemoryPeer, int]:
    """
    Make a pool of open connections, of which the first is full.

    @return: the pool, that connection's peer, and one of its keys.
    """
    memory, peer = opened(size)
    key = keys_by_connection(memory)[0]
    peer.stop_reading()
    memory.pool.send(BIG, key=key)
    memory.settle()
    return memory, peer, key


# One message


def test_fragments_arrive_as_one_message() -> None:
    """
    Fragments with one key, up to the one with C{fin=True}, are one message to the peer.
    """
    memory, server = tapped_pool()
    for text in ("one, ", "two, ", ""):
        sent = fate(memory.pool.send(text, key="long", fin=False))
        assert sent == []
        memory.settle()
        assert sent == [0]
        assert server.peers[0].received == []
    assert memory.result(memory.pool.send("three", key="long")) == 0
    assert server.peers[0].received == [(b"one, two, three", False)]
    assert [octets[0] for octets in server.written] == [0x01, 0x00, 0x00, 0x80]
    memory.close()


def test_after_its_last_fragment_a_key_is_like_any_other() -> None:
    """
    The message after the one with C{fin=True} is a whole one, or the beginning of another.
    """
    memory, peer = opened()
    pool = memory.pool
    for text, fin in [("a", False), ("b", True), ("whole", True), ("c", False), ("d", True)]:
        pool.send(text, key="key", fin=fin)
    memory.settle()
    assert texts(peer) == ["ab", "whole", "cd"]
    memory.close()


@pytest.mark.parametrize(
    ("fragments", "received"),
    [
        (["text, ", b"bytes, ", bytearray(b"array, "), memoryview(b"view")], False),
        ([b"bytes, ", "text, ", bytearray(b"array")], True),
        ([b"\xff\x00", "text"], True),
    ],
)
def test_the_first_fragment_decides_between_text_and_binary(
    fragments: list[SendData], received: bool
) -> None:
    """
    Later fragments may be C{str} or bytes of any kind; the message is what its first fragment is.
    """
    memory, peer = opened()
    for fragment in fragments[:-1]:
        memory.pool.send(fragment, key=1, fin=False)
    memory.pool.send(fragments[-1], key=1)
    memory.settle()
    whole = b"".join(each.encode() if isinstance(each, str) else each for each in fragments)
    assert peer.received == [(whole, received)]
    memory.close()


def test_a_character_may_be_split_between_fragments() -> None:
    """
    Bytes sent as text need to be UTF-8 as a whole, not each fragment by itself.
    """
    memory, peer = opened()
    octets = "Grüße €".encode()
    for octet in octets:
        memory.pool.send(bytes([octet]), binary=False, key=1, fin=False)
    memory.pool.send(b"", key=1)
    memory.settle()
    assert peer.received == [(octets, False)]
    memory.close()


@pytest.mark.parametrize(
    ("bad", "fin", "good"),
    [
        (b"\xff", False, b"\xbc"),
        (b"\xc3", False, b"\xbc"),
        ("text", True, b"\xbc"),
        (b"", True, b"\xbc!"),
        (b"\xbc\xe2\x82", True, b"\xbc"),
    ],
)
def test_text_that_is_not_utf_8_is_refused_at_once(bad: SendData, fin: bool, good: bytes) -> None:
    """
    A fragment that can't continue the text raises C{ValueError}, changes nothing, and may be
    replaced by another.
    """
    memory, peer = opened()
    assert memory.result(memory.pool.send(b"gr\xc3", binary=False, key=1, fin=False)) == 0
    before = memory.pool.get_stats()
    with pytest.raises(ValueError, match="UTF-8"):
        memory.pool.send(bad, key=1, fin=fin)
    assert memory.pool.get_stats() == before
    memory.pool.send(good, key=1, fin=False)
    memory.pool.send("n", key=1)
    memory.settle()
    assert texts(peer) == ["gr\N{LATIN SMALL LETTER U WITH DIAERESIS}" + good[1:].decode() + "n"]
    memory.close()


def test_a_first_fragment_that_is_not_utf_8_begins_nothing() -> None:
    """
    When the first fragment raises, the key is still free.
    """
    memory, peer = opened()
    with pytest.raises(ValueError, match="UTF-8"):
        memory.pool.send(b"\xff", binary=False, key=1, fin=False)
    with pytest.raises(ValueError, match="UTF-8"):
        memory.pool.send("\ud800", key=1, fin=False)
    with pytest.raises(TypeError):
        memory.pool.send(12, key=1, fin=False)  # type: ignore[arg-type]
    assert fate(memory.pool.send("whole", key=1)) == [0]
    memory.settle()
    assert texts(peer) == ["whole"]
    memory.close()


def test_a_fragment_without_a_key_is_a_mistake() -> None:
    """
    In a pool, a bare fragment would corrupt the messages of others: C{ValueError}.
    """
    memory, peer = opened()
    with pytest.raises(ValueError, match="key"):
        memory.pool.send("part", fin=False)
    assert fate(memory.pool.send("whole")) == [0]
    memory.settle()
    assert texts(peer) == ["whole"]
    memory.close()


def test_a_fragment_that_did_not_fit_may_be_sent_again() -> None:
    """
    A fragment refused by L{BufferFull} is no part of the message, and not checked as such.
    """
    memory = MemoryPool(pool_size=1, max_buffered_bytes=10)
    memory.open()
    euro = "€".encode()
    assert fate(memory.pool.send(euro[:1], binary=False, key=1, fin=False)) == []
    assert kinds(fate(memory.pool.send(euro[1:] + b"x" * 10, key=1, fin=False))) == [BufferFull]
    memory.settle()
    memory.pool.send(euro[1:], key=1)
    memory.settle()
    assert kinds(fate(memory.pool.send(b"x" * 11, key=1, fin=False))) == [BufferFull]
    assert texts(memory.server.peers[0]) == ["€"]
    memory.close()


def test_a_binary_fragment_that_did_not_fit_may_be_sent_again() -> None:
    """
    As above, where there is no text to be checked.
    """
    memory = MemoryPool(pool_size=1, max_buffered_bytes=10)
    memory.open()
    memory.pool.send(b"first ", key=1, fin=False)
    assert kinds(fate(memory.pool.send(b"x" * 11, key=1))) == [BufferFull]
    memory.pool.send(b"last", key=1)
    memory.settle()
    assert memory.server.peers[0].received == [(b"first last", True)]
    memory.close()


@pytest.mark.parametrize(("compress", "first_octet"), [(None, 0x01), (False, 0x01), (True, 0x41)])
def test_fragments_are_compressed_as_the_first_one_says(
    compress: bool | None, first_octet: int
) -> None:
    """
    One message is compressed or not: its first fragment decides, by its size or by what it says.
    """
    memory, server = tapped_pool(True)
    memory.pool.send("short, ", key=1, fin=False, compress=compress)
    memory.settle()
    memory.pool.send(LONG, key=1, fin=False, compress=not compress)
    memory.settle()
    memory.pool.send("", key=1, fin=False)
    memory.settle()
    memory.pool.send("last", key=1)
    memory.settle()
    assert texts(server.peers[0]) == [f"short, {LONG}last"]
    assert [octets[0] for octets in server.written] == [first_octet, 0x00, 0x00, 0x80]
    assert (sum(map(len, server.written)) < 200) is (compress is True)
    memory.pool.send("again")
    memory.pool.send(LONG)
    memory.settle()
    assert texts(server.peers[0])[1:] == ["again", LONG]
    memory.close()


def test_fragments_are_masked_as_the_first_one_says() -> None:
    """
    One message has all its frames masked, or none.
    """
    memory, server = tapped_pool()
    for mask, key in [(False, 1), (True, 2)]:
        memory.pool.send("one", key=key, fin=False, mask=mask)
        memory.settle()
        memory.pool.send("two", key=key, mask=not mask)
        memory.settle()
    assert [octets[1] >> 7 for octets in server.written] == [0, 0, 1, 1]
    assert texts(server.peers[0]) == ["onetwo", "onetwo"]
    memory.close()


def test_a_long_first_fragment_has_its_message_compressed() -> None:
    """
    C{compress=None} goes by the size of the first fragment.
    """
    memory, server = tapped_pool(True)
    memory.pool.send(LONG, key=1, fin=False)
    memory.pool.send("last", key=1)
    memory.settle()
    assert server.written[0][0] == 0x41
    assert texts(server.peers[0]) == [f"{LONG}last"]
    memory.close()


# Others wait


def test_a_message_in_progress_occupies_its_connection() -> None:
    """
    Between its fragments, a connection takes no other data message, and others take everything.
    """
    memory, _ = opened(2)
    keys = keys_by_connection(memory)
    memory.pool.send("one, ", key=keys[0], fin=False)
    assert [fate(memory.pool.send("elsewhere")) for _ in range(3)] == [[1]] * 3
    assert fate(memory.pool.send("elsewhere", key=keys[1])) == [1]
    pinned = fate(memory.pool.broadcast("to all"))
    memory.settle()
    assert pinned == []
    assert texts(memory.server.peers[1]) == ["elsewhere"] * 4 + ["to all"]
    memory.pool.send("two", key=keys[0])
    memory.settle()
    assert pinned == [[(True, 0), (True, 1)]]
    assert texts(memory.server.peers[0]) == ["one, two", "to all"]
    memory.close()


def test_what_waits_for_the_end_of_a_message_leaves_in_order() -> None:
    """
    Messages with and without a key wait behind a message in progress, and keep their order.
    """
    memory, peer = opened()
    memory.pool.send("one, ", key="long", fin=False)
    waiting = [fate(memory.pool.send(f"{number}", key=number % 2 or None)) for number in range(4)]
    memory.settle()
    assert waiting == [[]] * 4
    memory.pool.send("two, ", key="long", fin=False)
    memory.settle()
    assert waiting == [[]] * 4
    memory.pool.send("three", key="long")
    assert waiting == [[0]] * 4
    memory.settle()
    assert texts(peer) == ["one, two, three", "0", "1", "2", "3"]
    memory.close()


def test_two_messages_in_fragments_take_turns() -> None:
    """
    Interleaved fragments of two messages arrive as two messages.
    """
    memory, peer = opened()
    sent = [
        fate(memory.pool.send(text, key=text[0], fin="." in text))
        for text in ("a1", "b1", "a2", "b2", "b3.", "a3.")
    ]
    memory.settle()
    assert sent == [[0]] * 6
    assert texts(peer) == ["a1a2a3.", "b1b2b3."]
    memory.close()


def test_pings_go_between_fragments() -> None:
    """
    Control frames may be in the middle of a message (RFC 6455, section 5.4).
    """
    memory, peer = opened()
    memory.pool.send("one, ", key=1, fin=False)
    assert memory.result(memory.pool.ping(b"now")) == 0
    assert peer.pings == [b"now"]
    memory.pool.send("two", key=1)
    memory.settle()
    assert texts(peer) == ["one, two"]
    memory.close()


def test_fragments_wait_for_a_connection_that_is_full() -> None:
    """
    Under backpressure fragments wait, in order, and leave when their connection is writable.
    """
    memory, peer, key = full(2)
    sent = [fate(memory.pool.send(f"{n} ", key=key, fin=n == 3)) for n in range(4)]
    later = fate(memory.pool.send("later", key=key))
    assert (sent, later) == ([[]] * 4, [])
    assert memory.pool.get_stats().queued_messages == 5
    peer.resume_reading()
    memory.settle()
    assert (sent, later) == ([[0]] * 4, [0])
    assert texts(peer) == ["0 1 2 3 ", "later"]
    memory.close()


def test_a_connection_may_fill_up_in_the_middle_of_a_message() -> None:
    """
    Large fragments feel backpressure like whole messages.
    """
    memory, peer = opened()
    peer.stop_reading()
    sent = [fate(memory.pool.send(BIG, key=1, fin=False)) for _ in range(3)]
    assert sent == [[0], [], []]
    last = fate(memory.pool.send(b"", key=1))
    memory.settle()
    assert (sent[1:], last) == ([[], []], [])
    peer.resume_reading()
    memory.settle()
    assert (sent[1:], last) == ([[0], [0]], [0])
    assert peer.received == [(BIG * 3, True)]
    memory.close()


def test_fragments_wait_for_a_connection_to_open() -> None:
    """
    While nothing is open the fragments of a message wait in the queue, each of them counted.
    """
    memory = MemoryPool(pool_size=2)
    sent = [fate(memory.pool.send(f"{n} ", key="long", fin=n == 3)) for n in range(4)]
    other = fate(memory.pool.send("other"))
    assert memory.pool.get_stats().queued_messages == 5
    memory.open()
    assert [len(each) for each in (*sent, other)] == [1] * 5
    assert everything(memory) == ["0 1 2 3 ", "other"]
    memory.close()


# The connection is lost


@pytest.mark.parametrize("how", [None, 1001])
@pytest.mark.parametrize("complete", [True, False])
def test_a_message_of_which_nothing_was_written_starts_anew(
    how: int | None, complete: bool
) -> None:
    """
    When a connection is lost before it has written any fragment, all of them go to another.
    """
    memory, peer = opened(2)
    key = keys_by_connection(memory)[0]
    lose(peer, how)
    texts_sent = ["one, ", "two, ", "three, "]
    sent = [fate(memory.pool.send(text, key=key, fin=False)) for text in texts_sent]
    if complete:
        sent.append(fate(memory.pool.send("four", key=key)))
    later = fate(memory.pool.send("later", key=key)) if complete else []
    memory.settle()
    if not complete:
        sent.append(fate(memory.pool.send("four", key=key)))
        later = fate(memory.pool.send("later", key=key))
    memory.settle()
    assert (sent, later) == ([[1]] * 4, [0 if complete else 1])
    assert texts(peer) == []
    assert texts(memory.server.peers[1]) == ["one, two, three, four", "later"]
    assert memory.pool.get_stats().requeued_messages == (5 if complete else 3)
    memory.close()


def test_a_message_that_starts_anew_waits_for_a_connection() -> None:
    """
    With no other connection open, unwritten fragments wait, in front of what was sent later.
    """
    memory, peer = opened()
    peer.drop()
    sent = [fate(memory.pool.send("one, ", key="long", fin=False))]
    memory.settle()
    sent.append(fate(memory.pool.send("two, ", key="long", fin=False)))
    sent.append(fate(memory.pool.send("other")))
    sent.append(fate(memory.pool.send("three", key="long")))
    memory.advance(1)
    assert sent == [[0]] * 4
    assert texts(memory.server.peers[1]) == ["one, two, three", "other"]
    memory.close()


def test_a_message_in_progress_is_lost_with_its_connection() -> None:
    """
    When part of it was written, the rest fails with L{FragmentLost} up to the fragment with
    C{fin=True}; what comes after that is a new message.
    """
    memory, peer = opened(2)
    key = keys_by_connection(memory)[0]
    assert memory.result(memory.pool.send("one, ", key=key, fin=False)) == 0
    peer.drop()
    taken = fate(memory.pool.send("two, ", key=key, fin=False))
    memory.settle()
    (error,) = taken
    assert isinstance(error, FragmentLost)
    assert "were lost with their connection" in str(error)
    assert kinds(fate(memory.pool.send("three, ", key=key, fin=False))) == [FragmentLost]
    assert kinds(fate(memory.pool.send("four", key=key))) == [FragmentLost]
    assert fate(memory.pool.send("new", key=key)) == [1]
    memory.advance(10)
    assert everything(memory) == ["new"]
    assert memory.pool.get_stats().requeued_messages == 0
    memory.close()


def test_waiting_fragments_of_a_message_in_progress_are_lost_as_well() -> None:
    """
    Fragments that wait for a full connection fail when it is lost, if it had written earlier ones.
    """
    memory, peer = opened(2)
    key = keys_by_connection(memory)[0]
    peer.stop_reading()
    assert fate(memory.pool.send(BIG, key=key, fin=False)) == [0]
    waiting = [fate(memory.pool.send(f"{n}", key=key, fin=n == 2)) for n in range(3)]
    behind = fate(memory.pool.send("behind", key=key))
    assert waiting == [[]] * 3
    peer.drop()
    memory.settle()
    assert [kinds(each) for each in waiting] == [[FragmentLost]] * 3
    assert behind == [1]
    assert fate(memory.pool.send("new", key=key)) == [1]
    memory.settle()
    assert everything(memory) == ["behind", "new"]
    memory.close()


def test_a_message_whose_end_was_taken_is_lost_only_if_its_beginning_was_written() -> None:
    """
    Two messages are lost with their connection in the same moment: one in the middle, one before
    its first octet.  The second goes elsewhere.
    """
    memory, peer = opened(2)
    key = keys_by_connection(memory)[0]
    memory.result(memory.pool.send("one, ", key=key, fin=False))
    peer.drop()
    end = fate(memory.pool.send("two", key=key))
    whole = fate(memory.pool.send("between", key=key))
    second = [fate(memory.pool.send(text, key=key, fin=text == "b")) for text in ("a", "b")]
    memory.settle()
    assert kinds(end) == [FragmentLost]
    assert whole == [0]
    assert second == [[1], [1]]
    assert texts(memory.server.peers[1]) == ["between", "ab"]
    memory.close()


def test_other_keys_do_not_suffer_from_a_lost_message() -> None:
    """
    L{FragmentLost} concerns the key of the message that was lost, and no other.
    """
    memory, peer = opened(2)
    keys = keys_by_connection(memory)
    memory.result(memory.pool.send("one, ", key=keys[0], fin=False))
    waiting = fate(memory.pool.send("other", key=("other", keys[0])))
    peer.drop()
    memory.settle()
    assert len(waiting) == 1
    assert kinds(waiting) == [int]
    assert fate(memory.pool.send("one, ", key=keys[1], fin=False)) == []
    memory.pool.send("two", key=keys[1])
    memory.settle()
    assert everything(memory) == ["one, two", "other"]
    memory.close()


def test_a_message_in_progress_does_not_move_when_the_key_could_go_home() -> None:
    """
    A message begun on a stand-in is finished there, though the key's own connection is back.
    """
    memory, peer = opened(2)
    key = keys_by_connection(memory)[0]
    peer.drop()
    memory.settle()
    assert memory.result(memory.pool.send("one, ", key=key, fin=False)) == 1
    memory.advance(1)
    assert memory.pool.open_connections == 2
    assert memory.result(memory.pool.send("two", key=key)) == 1
    assert texts(memory.server.peers[1]) == ["one, two"]
    memory.close()


def test_what_follows_a_message_that_did_not_move_keeps_its_order() -> None:
    """
    The message after one that was finished on the stand-in does not overtake it.
    """
    memory, peer = opened(2)
    key = keys_by_connection(memory)[0]
    peer.drop()
    memory.settle()
    stand_in = memory.server.peers[1]
    assert memory.result(memory.pool.send("one, ", key=key, fin=False)) == 1
    memory.advance(1)
    stand_in.stop_reading()
    fate(memory.pool.send("two", key=key))
    memory.settle()
    fate(memory.pool.send("next", key=key))
    memory.settle()
    assert texts(memory.server.peers[2]) == []
    stand_in.resume_reading()
    memory.settle()
    assert texts(stand_in) == ["one, two", "next"]
    memory.close()


def test_a_message_begun_while_its_key_goes_home_waits() -> None:
    """
    Fragments sent while the pong of the stand-in is awaited go to the connection that is back.
    """
    memory, peer = opened(2)
    key = keys_by_connection(memory)[0]
    peer.drop()
    memory.settle()
    memory.server.peers[1].stop_reading()
    assert fate(memory.pool.send("before", key=key)) == [1]
    memory.advance(1)
    sent = [fate(memory.pool.send(text, key=key, fin=text == "b")) for text in ("a", "b")]
    assert sent == [[], []]
    memory.server.peers[1].resume_reading()
    memory.settle()
    assert sent == [[0], [0]]
    assert texts(memory.server.peers[2]) == ["ab"]
    memory.close()


# It is given up


@pytest.mark.parametrize("how", ["cancel", "timeout"])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_withdrawing_a_fragment_that_waits_withdraws_its_message(how: str, which: int) -> None:
    """
    When one fragment is withdrawn while the first one still waits, the other fragments fail with
    L{FragmentLost}, and nothing of the message is sent.
    """
    memory, peer, key = full()
    sent = []
    for number in range(3):
        timeout = 1 if how == "timeout" and number == which else None
        sent.append(memory.pool.send(f"{number}", key=key, fin=number == 2, timeout=timeout))
    followed = [fate(each) for each in sent]
    other = fate(memory.pool.send("other", key=key))
    if how == "cancel":
        sent[which].cancel()
    memory.advance(1)
    expected: list[type] = [FragmentLost] * 3
    expected[which] = CancelledError if how == "cancel" else SendTimeout
    assert [kinds(each) for each in followed] == [[error] for error in expected]
    assert memory.clock.getDelayedCalls() == []
    peer.resume_reading()
    memory.settle()
    assert other == [0]
    assert texts(peer) == ["other"]
    memory.close()


@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_withdrawing_a_fragment_of_a_message_in_progress_closes_its_connection(how: str) -> None:
    """
    A message that was begun and can't be finished is abandoned together with its connection, as
    nothing else would free that; the rest of it fails with L{FragmentLost}.
    """
    memory, peer = opened(2)
    key = keys_by_connection(memory)[0]
    peer.stop_reading()
    assert fate(memory.pool.send(BIG, key=key, fin=False)) == [0]
    second = memory.pool.send("2", key=key, fin=False, timeout=1 if how == "timeout" else None)
    followed = fate(second)
    third = fate(memory.pool.send("3", key=key, fin=False))
    behind = fate(memory.pool.send("behind", key=key))
    assert kinds(behind) == []
    if how == "cancel":
        second.cancel()
    memory.advance(1)
    assert kinds(followed) == [CancelledError if how == "cancel" else SendTimeout]
    assert kinds(third) == [FragmentLost]
    peer.resume_reading()
    memory.settle()
    assert peer.close_received is not None
    assert peer.close_received[0] == 1000
    assert peer.received == []
    assert kinds(behind) == [FragmentLost]
    assert kinds(fate(memory.pool.send("again", key=key))) == [int]
    memory.advance(5)
    assert everything(memory) == ["again"]
    memory.close()


def test_cancelling_a_fragment_that_was_taken_does_not_withdraw_it() -> None:
    """
    What a connection has taken is sent, even if nobody wants to know any more.
    """
    memory, peer = opened()
    first = memory.pool.send("one, ", key=1, fin=False, timeout=60)
    first.cancel()
    assert kinds(fate(first)) == [CancelledError]
    memory.pool.send("two", key=1)
    memory.settle()
    assert texts(peer) == ["one, two"]
    assert memory.clock.getDelayedCalls() == []
    memory.close()


def test_a_fragment_that_was_taken_does_not_time_out() -> None:
    """
    C{timeout} is about being taken: it means nothing after that.
    """
    memory, peer = opened()
    first = fate(memory.pool.send("one, ", key=1, fin=False, timeout=1))
    assert memory.pool.get_stats().queued_messages == 0
    memory.advance(2)
    assert first == [0]
    memory.pool.send("two", key=1, timeout=1)
    memory.advance(2)
    assert texts(peer) == ["one, two"]
    memory.close()


def test_a_cancelled_fragment_may_be_lost() -> None:
    """
    A fragment that was taken, and whose Deferred was cancelled, may go down with its connection.
    """
    memory, peer = opened()
    memory.result(memory.pool.send("one, ", key=1, fin=False))
    peer.drop()
    second = memory.pool.send("two, ", key=1, fin=False)
    followed = fate(second)
    second.cancel()
    memory.settle()
    assert kinds(followed) == [CancelledError]
    assert memory.pool.get_stats().dropped_messages == 1
    assert kinds(fate(memory.pool.send("three", key=1))) == [FragmentLost]
    memory.close()


def test_a_caller_may_withdraw_the_rest_when_one_fragment_fails() -> None:
    """
    Cancelling, or sending, other fragments of a message whose fragment has just timed out is safe.
    """
    memory, peer, key = full()
    first = memory.pool.send("1", key=key, fin=False, timeout=1)
    second = memory.pool.send("2", key=key, fin=False)
    followed = fate(second)
    more: list[list[int | BaseException]] = []

    def withdraw(failure: Failure) -> None:
        failure.trap(SendTimeout)
        second.cancel()
        more.append(fate(memory.pool.send("3", key=key)))

    first.addErrback(withdraw)
    memory.advance(1)
    assert kinds(followed) == [CancelledError]
    assert [kinds(each) for each in more] == [[FragmentLost]]
    peer.resume_reading()
    memory.settle()
    assert fate(memory.pool.send("new", key=key)) == [0]
    memory.settle()
    assert texts(peer) == ["new"]
    memory.close()


# The end


@pytest.mark.parametrize("end", ["close", "destroy"])
@pytest.mark.parametrize("begun", [False, True])
def test_every_fragment_hears_of_the_end_of_the_pool(end: str, begun: bool) -> None:
    """
    Fragments that wait when the pool ends fail, each of them, whether their message was begun.
    """
    memory, peer, key = full()
    if begun:
        peer.resume_reading()
        memory.settle()
        peer.stop_reading()
        assert fate(memory.pool.send(BIG, key=key, fin=False)) == [0]
    waiting = [fate(memory.pool.send(f"{n}", key=key, fin=n == 3)) for n in range(4)]
    assert waiting == [[]] * 4
    if end == "close":
        fate(memory.pool.close())
    else:
        memory.pool.destroy()
    peer.resume_reading()
    memory.close()
    assert [len(each) for each in waiting] == [1] * 4
    assert {kind for each in waiting for kind in kinds(each)} <= {FragmentLost, PoolClosed}
    stats = memory.pool.get_stats()
    assert (stats.queued_messages, stats.queued_bytes) == (0, 0)
    assert everything(memory) == []


def test_fragments_that_never_saw_a_connection_hear_of_the_end_as_well() -> None:
    """
    Every fragment in the queue of a pool that is closed before it opened fails with L{PoolClosed}.
    """
    memory = MemoryPool(pool_size=1)
    waiting = [fate(memory.pool.send(f"{n}", key="long", fin=n == 3)) for n in range(4)]
    memory.close()
    assert [kinds(each) for each in waiting] == [[PoolClosed]] * 4
    assert memory.pool.get_stats().queued_messages == 0


def test_closing_with_drain_sends_the_fragments_that_wait() -> None:
    """
    C{close(drain=...)} delivers a complete message of which fragments still wait.
    """
    memory, peer, key = full()
    waiting = [fate(memory.pool.send(f"{n} ", key=key, fin=n == 2)) for n in range(3)]
    closed = fate(memory.pool.close(drain=10))
    memory.advance(1)
    assert closed == []
    peer.resume_reading()
    memory.settle()
    assert waiting == [[0]] * 3
    assert closed == [None]
    assert texts(peer) == ["0 1 2 "]
    memory.close()


def test_the_rest_of_a_message_that_failed_with_the_pool_is_not_sent_by_a_pool_that_grows() -> None:
    """
    When every connection has given up, the fragments that waited fail; should the pool then grow,
    the tail of their message is not sent as if it were a whole one.
    """
    memory = MemoryPool(pool_size=1, max_reconnect_attempts=1)
    memory.pool.on("error", lambda error, connection_id: None)
    memory.server.refuse()
    head = fate(memory.pool.send("head, ", key="long", fin=False))
    memory.pool.start()
    memory.settle()
    assert kinds(head) == [PoolExhausted]
    memory.server.accept()
    fate(memory.pool.resize(2))
    memory.settle()
    assert kinds(fate(memory.pool.send("tail", key="long"))) == [FragmentLost]
    assert fate(memory.pool.send("whole", key="long")) == [1]
    memory.close()
    assert everything(memory) == ["whole"]


def test_a_message_that_was_begun_is_lost_with_a_connection_closed_by_who_heard_first() -> None:
    """
    Of several messages in one write, all are begun before anyone hears of any: when the caller of
    the first then closes the connection, the rest of the last fails, and does not wait for ever.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    (connection,) = memory.pool._supervisor.connections
    outcome(memory.pool.send("first, ", key="a", fin=False))
    memory.pool.send("end", key="a").addCallback(lambda _: outcome(connection.close()))
    begun = outcome(memory.pool.send("second, ", key="b", fin=False))
    memory.settle()
    rest = memory.pool.send("end", key="b")
    memory.advance(5)
    assert begun == [0]
    assert isinstance(error_of(rest), FragmentLost)
    assert memory.server.peers[0].received == [(b"first, end", False)]
    assert memory.result(memory.pool.send("whole", key="b")) == 0
    memory.close()
