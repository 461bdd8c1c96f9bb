"""
What waits for a client that does not read.
"""

from __future__ import annotations

from twisted.internet.interfaces import IPushProducer
from zope.interface.verify import verifyObject

from wsmultipool.service._outbox import Outbox

from .support import Transport


def full_outbox(limit: int) -> tuple[Outbox, Transport, list[str]]:
    """
    Return an outbox whose transport is full, the transport, and what it was told.
    """
    transport, told = Transport(high_water=1), list[str]()
    outbox = Outbox(transport, limit, lambda: told.append("overflowed"))
    transport.registerProducer(outbox, True)
    outbox.write(b"first")
    return outbox, transport, told


def test_it_is_a_producer() -> None:
    """By which transports say how full they are."""
    outbox, _, _ = full_outbox(10)
    assert verifyObject(IPushProducer, outbox)
    assert outbox.is_full


def test_what_waits_is_written_when_there_is_room() -> None:
    """In order, at once, and the answer to the latest ping behind it."""
    outbox, transport, _ = full_outbox(10)
    outbox.write(b"one")
    outbox.write_pong(b"old")
    outbox.write_pong(b"new")
    outbox.write(b"two")
    assert outbox.waiting == 6
    transport.empty()
    assert transport.written == [b"first", b"onetwonew"]
    assert outbox.waiting == 0


def test_more_than_the_limit_is_too_much() -> None:
    """It is said once; what waited is dropped, and nothing waits any more."""
    outbox, transport, told = full_outbox(6)
    for _ in range(3):
        outbox.write(b"abc")
    assert told == ["overflowed"]
    outbox.write(b"abc")
    assert told == ["overflowed"]
    assert outbox.waiting == 0
    transport.empty()
    assert transport.written == [b"first"]


def test_nothing_is_written_behind_the_last() -> None:
    """After a Close frame no message may follow (RFC 6455, section 5.5.1)."""
    transport = Transport()
    outbox = Outbox(transport, 10, lambda: None)
    transport.registerProducer(outbox, True)
    outbox.write_last(b"Close")
    outbox.write(b"message")
    outbox.write_pong(b"pong")
    assert transport.written == [b"Close"]


def test_one_message_beyond_the_limit_may_wait() -> None:
    """Or a message of that size could never be sent to a client that is a little late."""
    outbox, _, told = full_outbox(6)
    outbox.write(b"much longer")
    assert told == []
    outbox.write(b"x")
    assert told == ["overflowed"]


def test_the_last_thing_goes_behind_what_waits() -> None:
    """However full the transport is: a Close frame must be on its way before it is waited for."""
    outbox, transport, _ = full_outbox(10)
    outbox.write(b"one")
    outbox.write_last(b"close")
    assert transport.written == [b"first", b"oneclose"]
    outbox.write(b"after")
    assert outbox.waiting == 0
