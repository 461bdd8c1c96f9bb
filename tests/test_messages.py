"""
Tests for L{wsmultipool.messages}, and for what fragments add to that in
L{wsmultipool._fragments}; how they are sent is in C{test_fragments.py}.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from wsmultipool._arguments import to_payload
from wsmultipool._connection import PooledConnection
from wsmultipool._fragments import FragmentedMessage
from wsmultipool.messages import Message


def fragmented(is_binary: bool = False) -> FragmentedMessage:
    """
    Begin a message in fragments.
    """
    return FragmentedMessage(Message(b"", is_binary, key="key"))


# One message


def test_a_plain_message() -> None:
    """Unless told so, a message is whole, masked, for any connection, and waits nowhere."""
    plain = Message(b"payload", True)
    assert (plain.payload, plain.is_binary, plain.compress, plain.mask) == (
        b"payload",
        True,
        None,
        True,
    )
    assert (plain.key, plain.pinned, plain.sequence) == (None, None, 0)
    assert (plain.fragmented, plain.first, plain.fin) == (None, True, True)
    assert (plain.deferred, plain.timer, plain.lane) == (None, None, None)


def test_a_message_remembers_what_it_is_given() -> None:
    """Every argument is found again."""
    connection = cast(PooledConnection, object())
    given = Message(b"", False, True, False, "key", connection, 7)
    assert (given.is_binary, given.compress, given.mask) == (False, True, False)
    assert (given.key, given.pinned, given.sequence) == ("key", connection, 7)


def test_messages_are_small_and_not_compared_by_content() -> None:
    """Very many may wait, in lanes that tell equal ones apart."""
    assert not hasattr(Message(b"", True), "__dict__")
    assert len({Message(b"same", True), Message(b"same", True)}) == 2


def test_when_the_caller_hears() -> None:
    """A message is settled when taken; a fragment waits until it is written."""
    assert Message(b"", True).settles_when_taken
    fragment = Message(b"", True, key="key")
    fragment.fragmented = FragmentedMessage(fragment)
    assert not fragment.settles_when_taken


def test_what_another_connection_takes_over() -> None:
    """A message for the pool, not one for just one connection."""
    assert Message(b"", True).is_for_pool
    assert not Message(b"", True, pinned=cast(PooledConnection, object())).is_for_pool


def test_a_message_is_undecided_while_its_caller_waits() -> None:
    """A full queue may drop a message only as long as its caller can still be told."""
    waiting = Message(b"", True)
    assert not waiting.undecided
    waiting.deferred = Deferred()
    assert waiting.undecided


def test_a_plain_message_is_neither_confirmed_nor_shared() -> None:
    """Nobody counts how often it was written."""
    plain = Message(b"", True)
    assert (plain.confirm, plain.shared, plain.deliveries) == (False, False, 0)


def test_settling_tells_the_caller_once() -> None:
    """Who cancelled, or was told, is not told again."""
    sent = Message(b"", True)
    sent.settle(1)
    deferred: Deferred[int] = Deferred()
    sent.deferred = deferred
    results: list[int] = []
    deferred.addCallback(results.append)
    sent.settle(2)
    sent.settle(3)
    assert results == [2]
    sent.deferred = deferred
    sent.settle(4)
    assert results == [2]


def test_the_timer_of_a_message_is_stopped_once() -> None:
    """A message that was taken, or will not be sent, leaves no timer, whether it had one or not."""
    clock = Clock()
    waiting = Message(b"", True)
    waiting.stop_timer()
    waiting.timer = clock.callLater(1, lambda: None)
    waiting.stop_timer()
    waiting.stop_timer()
    assert not clock.getDelayedCalls()


# Fragments


@pytest.mark.parametrize("is_binary", [True, False])
def test_a_fragmented_message_is_as_its_first_fragment(is_binary: bool) -> None:
    """Kind, compression and masking are decided once for all fragments."""
    opening = Message(b"", is_binary, compress=True, mask=False, key="key")
    begun = FragmentedMessage(opening)
    assert begun.opening is opening
    assert (begun.key, begun.is_binary, begun.compress, begun.mask) == (
        "key",
        is_binary,
        True,
        False,
    )
    assert (begun.connection, begun.begun, begun.lost, begun.complete) == (
        None,
        False,
        False,
        False,
    )


def test_a_lost_message_does_not_keep_its_first_fragment() -> None:
    """Its sender may never come to the last one."""
    opening = Message(b"x", True, key="key")
    begun = FragmentedMessage(opening)
    assert begun.lose() is opening
    assert (begun.lost, begun.opening, begun.lose()) == (True, None, None)


def test_a_character_may_be_split_between_fragments() -> None:
    """Only all fragments together have to be UTF-8."""
    euro = "\u20ac".encode()
    begun = fragmented()
    begun.check_text(b"5 " + euro[:1], False)
    begun.check_text(euro[1:2], False)
    begun.check_text(euro[2:], True)


@pytest.mark.parametrize(
    ("pieces", "last"),
    [
        ([b"\xe2", b"\x82"], b"\xff"),
        ([b"\xe2"], b"a"),
        ([], b"\xff"),
        ([b"fine"], b"\xc3"),
        ([b"\xe2\x82"], b""),
    ],
)
def test_text_that_goes_wrong_is_refused(pieces: list[bytes], last: bytes) -> None:
    """The fragment that breaks the text is refused, or the last one if it leaves half of one."""
    begun = fragmented()
    for piece in pieces:
        begun.check_text(piece, False)
    with pytest.raises(ValueError, match="data: bytes sent as text must be UTF-8: "):
        begun.check_text(last, True)


def test_a_refused_fragment_may_be_sent_again_corrected() -> None:
    """A mistake changes nothing: the right fragment can still follow."""
    begun = fragmented()
    begun.check_text(b"\xe2\x82", False)
    for fin in (False, True):
        with pytest.raises(ValueError, match="UTF-8"):
            begun.check_text(b"oops", fin)
    begun.check_text(b"\xac", True)


def test_a_fragment_refused_for_another_reason_is_undone() -> None:
    """When there is no room for a fragment, the text goes on where it was before."""
    begun = fragmented()
    begun.check_text(b"\xe2", False)
    before = begun.check_text(b"\x82", False)
    begun.uncheck_text(before)
    with pytest.raises(ValueError, match="UTF-8"):
        begun.check_text(b"\xac", True)
    begun.check_text(b"\x82\xac", True)


def test_binary_fragments_are_not_checked() -> None:
    """Any octets may be sent as binary."""
    begun = fragmented(is_binary=True)
    before = begun.check_text(b"\xff", False)
    begun.uncheck_text(before)
    begun.check_text(b"\xc3", True)


@settings(derandomize=True)
@given(data=st.one_of(st.binary(max_size=20), st.text(max_size=10).map(str.encode)), d=st.data())
def test_fragments_are_refused_when_the_whole_would_be(data: bytes, d: st.DataObject) -> None:
    """However a text is cut, it is accepted exactly when it would be in one piece."""
    cuts = sorted(d.draw(st.lists(st.integers(0, len(data)), max_size=4)))
    borders = list(zip([0, *cuts], [*cuts, len(data)], strict=True))
    begun = fragmented()

    def send_all() -> bool:
        try:
            for number, (start, end) in enumerate(borders, 1):
                begun.check_text(data[start:end], number == len(borders))
        except ValueError:
            return False
        return True

    def send_whole() -> bool:
        try:
            to_payload(data, False)
        except ValueError:
            return False
        return True

    assert send_all() == send_whole()


def test_cancelling_the_deferred_of_a_message_that_does_not_wait() -> None:
    """A connection has it: all that is left to do is to tell nobody."""
    taken = Message(b"", True)
    taken.deferred = Deferred(taken.cancel)
    taken.deferred.addErrback(lambda failure: failure.trap(CancelledError))
    clock = Clock()
    taken.timer = clock.callLater(1, list)
    taken.deferred.cancel()
    assert [taken.deferred, taken.timer] == [None, None]
    assert clock.getDelayedCalls() == []


def test_cancelling_the_deferred_of_a_message_withdraws_it() -> None:
    """A message is the canceller of its own Deferred, and tells who accepted it."""
    withdrawn: list[Message] = []
    waiting = Message(b"", True)
    waiting.withdraw, waiting.lane = withdrawn.append, OrderedDict()
    waiting.deferred = Deferred(waiting.cancel)
    waiting.deferred.addErrback(lambda failure: failure.trap(CancelledError))
    waiting.deferred.cancel()
    assert withdrawn == [waiting]
