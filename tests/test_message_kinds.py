"""
Tests for L{wsmultipool._message_kinds}.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import cast

import pytest
from twisted.internet.defer import CancelledError, Deferred

from wsmultipool._confirmation import Confirmation
from wsmultipool._connection import PooledConnection
from wsmultipool._fragments import FragmentedMessage
from wsmultipool._message_kinds import (
    ConfirmedMessage,
    SharedMessage,
    payload_size,
    to_message,
)
from wsmultipool.messages import Message


def shared(payload: bytes = b"") -> SharedMessage:
    """
    Make a message for many connections.
    """
    return SharedMessage(payload, True, None, True)


def test_a_new_confirmed_message() -> None:
    """It was never taken and never written."""
    new = ConfirmedMessage(b"payload", False)
    assert (new.payload, new.is_binary, new.confirm, new.shared) == (b"payload", False, True, False)
    assert (new.was_taken, new.deliveries) == (False, 0)


def test_a_confirmed_message_remembers_what_it_is_given() -> None:
    """It takes all that a plain one does."""
    connection = cast(PooledConnection, object())
    given = ConfirmedMessage(b"", False, True, False, "key", connection, 7)
    assert (given.is_binary, given.compress, given.mask) == (False, True, False)
    assert (given.key, given.pinned, given.sequence) == ("key", connection, 7)


def test_a_confirmed_message_is_not_settled_when_taken() -> None:
    """A pong settles it, whether it is whole or a fragment."""
    confirmed = ConfirmedMessage(b"", True, key="key")
    assert not confirmed.settles_when_taken
    confirmed.fragmented = FragmentedMessage(confirmed)
    assert not confirmed.settles_when_taken


def test_a_confirmed_message_is_undecided_until_it_is_taken() -> None:
    """After that it only waits to hear that it has arrived, so a full queue can't drop it."""
    confirmed = ConfirmedMessage(b"", True)
    undecided = [confirmed.undecided]
    confirmed.deferred = Deferred()
    undecided.append(confirmed.undecided)
    confirmed.was_taken = True
    undecided.append(confirmed.undecided)
    assert undecided == [False, True, False]


def test_another_connection_takes_a_confirmed_message_over() -> None:
    """Unless it is for just one connection."""
    assert ConfirmedMessage(b"", True).is_for_pool
    connection = cast(PooledConnection, object())
    assert not ConfirmedMessage(b"", True, pinned=connection).is_for_pool


def test_a_shared_message_stays_where_it_is() -> None:
    """Every connection has it already, so none takes it over from another."""
    message = shared(b"payload")
    assert (message.payload, message.shared, message.confirm) == (b"payload", True, False)
    assert not message.is_for_pool
    assert message.settles_when_taken


def test_what_is_prepared_is_kept_with_each_shared_message() -> None:
    """Nothing is prepared at first, and two broadcasts have nothing in common."""
    one, two = shared(), shared()
    assert one.prepared == {}
    one.prepared[15] = b"compressed"
    assert two.prepared == {}


@pytest.mark.parametrize("message", [ConfirmedMessage(b"", True), shared()])
def test_messages_of_every_kind_are_small(message: Message) -> None:
    """Very many may wait."""
    assert not hasattr(message, "__dict__")


def test_cancelling_the_deferred_of_a_confirmed_message_withdraws_it() -> None:
    """As that of a plain one."""
    withdrawn: list[Message] = []
    waiting = ConfirmedMessage(b"", True)
    waiting.withdraw, waiting.lane = withdrawn.append, OrderedDict()
    waiting.deferred = Deferred(waiting.cancel)
    waiting.deferred.addErrback(lambda failure: failure.trap(CancelledError))
    waiting.deferred.cancel()
    assert withdrawn == [waiting]


def test_a_plain_message_keeps_its_place() -> None:
    """What comes back from a lost connection goes before what was accepted after it."""
    message = to_message((b"payload", False, 7, None, "a key"))
    assert (message.payload, message.is_binary, message.sequence) == (b"payload", False, 7)
    assert message.key == "a key"
    assert message.is_for_pool


def test_a_plain_message_without_a_place_is_one_for_many() -> None:
    """No other connection takes over what a broadcast has given to each."""
    message = to_message((b"payload", True, None, None, None))
    assert (message.payload, message.is_binary, message.is_for_pool) == (b"payload", True, False)


@pytest.mark.parametrize("deliveries", [0, 1])
def test_a_plain_message_to_be_confirmed_waits_on(deliveries: int) -> None:
    """Its Deferred goes with it, and withdraws it when it is cancelled."""
    confirmation = Confirmation()
    message = to_message((b"payload", False, 7, confirmation, "a key"), deliveries)
    assert message.confirm
    assert (message.payload, message.is_binary, message.sequence) == (b"payload", False, 7)
    assert (message.was_taken, message.deliveries) == (True, deliveries)
    assert message.key == "a key"
    assert message.deferred is confirmation
    assert confirmation.message is message
    withdrawn: list[Message] = []
    message.withdraw, message.lane = withdrawn.append, OrderedDict()
    confirmation.addErrback(lambda failure: failure.trap(CancelledError))
    confirmation.cancel()
    assert withdrawn == [message]


def test_a_confirmation_that_has_fired_withdraws_nothing() -> None:
    """Its message may still be kept by somebody, but it is settled."""
    confirmation = Confirmation()
    message = to_message((b"payload", False, 7, confirmation, None))
    withdrawn: list[Message] = []
    message.withdraw, message.lane = withdrawn.append, OrderedDict()
    confirmation.callback(0)
    confirmation.cancel()
    assert withdrawn == []


def test_a_confirmation_that_has_fired_keeps_nothing() -> None:
    """Its caller may keep it for long, and does not expect it to have a payload."""
    for fire in (
        lambda confirmation: confirmation.callback(0),
        lambda confirmation: confirmation.errback(ValueError()),
        Confirmation.cancel,
    ):
        confirmation = Confirmation()
        to_message((b"payload", False, 7, confirmation, None))
        confirmation.addErrback(lambda _: None)
        fire(confirmation)
        assert confirmation.message is None


def test_of_a_plain_message_that_was_cancelled_nobody_hears_more() -> None:
    """It was taken, and so it is not withdrawn."""
    confirmation = Confirmation()
    confirmation.addErrback(lambda failure: failure.trap(CancelledError))
    confirmation.cancel()
    message = to_message((b"payload", True, 7, confirmation, None))
    assert (message.deferred, confirmation.message) == (None, None)


def test_the_size_of_a_message_is_that_of_its_payload() -> None:
    """In either form."""
    assert payload_size((b"12345", True, 1, None, None)) == 5
    assert payload_size(ConfirmedMessage(b"123", True)) == 3
