"""
Tests for L{wsmultipool._write_queue}.
"""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.interfaces import IPushProducer
from zope.interface.verify import verifyObject

from wsmultipool._write_queue import WriteQueue
from wsmultipool.messages import Message

from .support import Listener, Transport, message

HIGH_WATER = 65536


def queue(high_water: int | None = None) -> tuple[WriteQueue, Transport, Listener]:
    """
    Make a queue that is connected to a transport and reports to a listener.
    """
    made, transport, listener = WriteQueue(), Transport(high_water), Listener()
    transport.registerProducer(made, True)
    made.connect(cast(Any, transport), listener)
    return made, transport, listener


def full_queue(size: int = HIGH_WATER) -> tuple[WriteQueue, Transport, Listener]:
    """
    Make a queue whose transport holds so many bytes and is above its high-water mark.
    """
    made, transport, listener = queue(size)
    made.add(bytes(size))
    made.flush()
    assert made.paused
    transport.written.clear()
    listener.reported()
    return made, transport, listener


def test_it_is_a_push_producer() -> None:
    """Transports can tell it that they are full."""
    assert verifyObject(IPushProducer, WriteQueue())


def test_frames_wait_for_the_end_of_the_turn() -> None:
    """Frames are not written one by one; the listener is told, once, that there are some."""
    frames, transport, listener = queue()
    frames.add(b"one")
    frames.add(b"two")
    assert transport.written == []
    assert listener.reported() == [("queued",)]
    assert frames.unwritten_bytes == 6


def test_a_flush_writes_everything_at_once() -> None:
    """However many frames there are, the transport gets one write, in the order they came."""
    frames, transport, listener = queue()
    for frame in (b"one", b"two", b"three"):
        frames.add(frame)
    frames.flush()
    assert transport.written == [b"onetwothree"]
    assert frames.unwritten_bytes == 0
    assert listener.reported() == [("queued",)]
    frames.add(b"four")
    frames.flush()
    assert transport.written == [b"onetwothree", b"four"]
    assert listener.reported() == [("queued",)]


def test_flushing_nothing_does_nothing() -> None:
    """An empty queue writes nothing, not even before it is connected."""
    frames, transport, listener = queue()
    frames.flush()
    WriteQueue().flush()
    assert (transport.written, listener.reported()) == ([], [])


def test_the_listener_hears_which_messages_were_written() -> None:
    """Messages are reported in order once the transport has them; control frames are not."""
    frames, _, listener = queue()
    first, second = message(b"a"), message(b"b")
    frames.add_message(b"A", first)
    frames.add(b"ping")
    frames.add_message(b"B", second)
    listener.reported()
    frames.flush()
    assert listener.reported() == [("wrote", [first, second])]
    frames.flush()
    assert listener.reported() == []


def test_messages_not_written_can_be_taken_back() -> None:
    """When the connection is lost, its unwritten messages are given up and never written."""
    frames, transport, listener = queue()
    messages = [message(b"a"), message(b"b")]
    for each in messages:
        frames.add_message(each.payload, each)
    listener.reported()
    assert frames.take_unwritten() == messages
    assert frames.take_unwritten() == []
    assert frames.unwritten_bytes == 0
    frames.flush()
    assert (transport.written, listener.reported()) == ([], [])


def test_much_is_written_before_the_end_of_the_turn() -> None:
    """From 64 KiB on, waiting would not make writing any cheaper."""
    frames, transport, _ = queue()
    frames.add(bytes(65535))
    assert transport.written == []
    frames.add(b"x")
    assert transport.written == [bytes(65535) + b"x"]
    assert frames.unwritten_bytes == 0
    frames.add_message(bytes(65535), message())
    frames.add_message(b"y", message())
    assert transport.written[1:] == [bytes(65535) + b"y"]


def test_many_messages_are_written_before_the_end_of_the_turn() -> None:
    """However short, messages do not pile up by the thousands."""
    frames, transport, listener = queue()
    sent = [message(b"%d" % number) for number in range(512)]
    for each in sent:
        assert transport.written == []
        frames.add_message(b"x", each)
    assert transport.written == [b"x" * 512]
    assert listener.reported() == [("queued",), ("wrote", sent)]


def test_a_large_frame_is_not_copied() -> None:
    """What is written alone is handed to the transport as it is."""
    frames, transport, _ = queue()
    frame = bytes(1_000_000)
    frames.add_message(frame, message())
    assert transport.written[0] is frame


def test_a_full_transport_is_reported_with_what_it_holds() -> None:
    """The bytes that a full transport was given count as not yet written."""
    frames, _, listener = queue(HIGH_WATER)
    sent = message(b"payload")
    frames.add_message(bytes(70_000), sent)
    assert frames.paused
    assert frames.unwritten_bytes == 70_000
    assert listener.reported() == [("queued",), ("paused", 70_000), ("wrote", [sent])]


def test_each_write_to_a_full_transport_adds_to_what_it_holds() -> None:
    """Control frames are written all the same, and counted."""
    frames, transport, listener = full_queue(1000)
    frames.add(b"close")
    assert frames.unwritten_bytes == 1005
    frames.flush()
    assert transport.written == [b"close"]
    assert frames.unwritten_bytes == 1005
    assert listener.reported() == [("queued",), ("paused", 1005)]


def test_an_emptied_transport_takes_more() -> None:
    """When the transport's buffer is empty, nothing is held, and the listener is told."""
    frames, transport, listener = full_queue()
    transport.empty()
    assert not frames.paused
    assert frames.unwritten_bytes == 0
    assert listener.reported() == [("resumed",)]


def test_repeated_pauses_and_resumes_are_told_once() -> None:
    """Transports say repeatedly that they are full; only changes are passed on."""
    frames, _, listener = queue()
    frames.resumeProducing()
    frames.pauseProducing()
    frames.pauseProducing()
    assert listener.reported() == [("paused", 0)]
    frames.resumeProducing()
    frames.resumeProducing()
    assert listener.reported() == [("resumed",)]


def test_pongs_are_sent_like_other_frames() -> None:
    """Each ping of a peer that reads is answered, in order with everything else."""
    frames, transport, _ = queue()
    for frame in (b"pong 1,", b"pong 2,"):
        frames.add_pong(frame)
    frames.add(b"data")
    frames.flush()
    assert transport.written == [b"pong 1,pong 2,data"]


def test_a_peer_that_pings_but_does_not_read_gets_the_latest_pong_only() -> None:
    """Answers to such a peer do not pile up in memory; when it reads again, one is sent."""
    frames, transport, listener = full_queue()
    for number in range(1000):
        frames.add_pong(b"pong %d" % number)
    assert frames.unwritten_bytes == HIGH_WATER
    assert (transport.written, listener.reported()) == ([], [])
    transport.empty()
    assert listener.reported() == [("queued",), ("resumed",)]
    frames.flush()
    assert transport.written == [b"pong 999"]
    frames.pauseProducing()
    listener.reported()
    transport.empty()
    assert listener.reported() == [("resumed",)]


def test_a_transport_that_goes_down_is_no_news() -> None:
    """That production stops is told by the loss of the connection, not by the queue."""
    frames, _, listener = queue()
    frames.add_message(b"frame", message())
    listener.reported()
    frames.stopProducing()
    assert listener.reported() == []
    assert len(frames.take_unwritten()) == 1


def test_a_write_that_fails_leaves_the_queue_usable() -> None:
    """If the transport raises, that goes to the caller, and later frames are not held up."""
    frames, _, listener = queue()

    class Broken(Transport):
        def write(self, data: bytes) -> None:
            raise ZeroDivisionError

    frames.connect(cast(Any, Broken()), listener)
    frames.add(b"frame")
    with pytest.raises(ZeroDivisionError):
        frames.flush()
    frames.pauseProducing()
    assert listener.reported() == [("queued",), ("paused", 0)]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 40_000)),
        st.tuples(st.sampled_from(["flush", "empty", "take"]), st.just(0)),
    ),
    max_size=30,
)


@settings(derandomize=True, deadline=None)
@given(steps=steps)
def test_every_message_is_written_or_taken_back_once(steps: list[tuple[str, int]]) -> None:
    """Nothing is lost, doubled or reordered, and the bytes add up, whatever happens when."""
    frames, transport, listener = queue(HIGH_WATER)
    added: list[Message] = []
    taken: list[Message] = []
    held = 0
    for step, size in steps:
        if step == "add":
            added.append(message(b"%d" % len(added)))
            frames.add_message(bytes([len(added)]) * size, added[-1])
        elif step == "flush":
            frames.flush()
        elif step == "empty":
            transport.empty()
        else:
            taken += frames.take_unwritten()
        for report, *arguments in listener.reported():
            if report == "wrote":
                (messages,) = arguments
                taken += cast(list[Message], messages)
            elif report == "paused":
                (held,) = cast(list[int], arguments)
            elif report == "resumed":
                held = 0
        assert frames.unwritten_bytes >= held
        assert frames.paused == (held > 0)
    frames.flush()
    assert frames.unwritten_bytes in (held, frames.unwritten_bytes if frames.paused else 0)
    for _, *arguments in [each for each in listener.reported() if each[0] == "wrote"]:
        taken += cast(list[Message], arguments[0])
    assert taken == added
