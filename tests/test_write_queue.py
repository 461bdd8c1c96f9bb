"""
Tests for L{wsmultipool._write_queue}.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IPushProducer, ISSLTransport, IWriteDescriptor
from twisted.internet.main import CONNECTION_LOST
from zope.interface import directlyProvides, providedBy
from zope.interface.verify import verifyObject

from wsmultipool._confirmation import Confirmation
from wsmultipool._message_kinds import ConfirmedMessage, SharedMessage
from wsmultipool._write_queue import Entry, WriteQueue
from wsmultipool.messages import Message, PlainMessage

from .support import Listener, Transport, message

HIGH_WATER = 65536


def encode(entries: list[Entry], others: list[int]) -> bytes:
    """
    Frames without headers and masks.
    """
    assert others == [at for at, entry in enumerate(entries) if not isinstance(entry, tuple)]
    return b"".join(map(payload_of, entries))


def payload_of(entry: Entry) -> bytes:
    """
    What an entry has for its frame.
    """
    if isinstance(entry, tuple):
        return entry[0]
    return entry if isinstance(entry, bytes) else entry.payload


def queue(high_water: int | None = None) -> tuple[WriteQueue, Transport, Listener]:
    """
    Make a queue that is connected to a transport and reports to a listener.
    """
    made, transport, listener = WriteQueue(encode), Transport(high_water), Listener()
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
    assert verifyObject(IPushProducer, WriteQueue(encode))


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
    WriteQueue(encode).flush()
    assert (transport.written, listener.reported()) == ([], [])


def test_the_listener_hears_which_messages_were_written() -> None:
    """
    Messages are counted once the transport has them, and special ones reported in order; control
    frames are not.
    """
    frames, _, listener = queue()
    first, second = message(b"a"), message(b"bb")
    frames.add_message(first)
    frames.add(b"ping")
    frames.add_plain((b"plain", True, 1, None, None))
    frames.add_message(second)
    listener.reported()
    assert frames.messages == 3
    frames.flush()
    assert frames.messages == 0
    assert listener.reported() == [("writes", 3, 8, 0), ("wrote", [first, second])]
    frames.flush()
    assert listener.reported() == []
    frames.add_plain((b"plain", True, 2, None, None))
    frames.add_plain((b"text", False, 3, None, None))
    frames.flush()
    assert listener.reported() == [("queued",), ("writes", 2, 9, 0), ("wrote", [])]


def test_the_listener_hears_of_the_write_though_it_cannot_bear_the_pause() -> None:
    """
    A balancer may raise when a connection is full; what was written was written all the same.
    """

    class Brittle(Listener):
        def wire_paused(self, held: int) -> None:
            raise RuntimeError("a mistake of a balancer's")

    frames, transport, listener = WriteQueue(encode), Transport(HIGH_WATER), Brittle()
    transport.registerProducer(frames, True)
    frames.connect(cast(Any, transport), listener)
    large = message(bytes(HIGH_WATER))
    with pytest.raises(RuntimeError, match="a balancer's"):
        frames.add_message(large)
    assert listener.reported() == [
        ("queued",),
        ("writes", 1, HIGH_WATER, 0),
        ("wrote", [large]),
    ]


def test_messages_to_be_confirmed_are_counted() -> None:
    """While they are queued, and when they are written; in either form."""
    frames, _, listener = queue()
    special = ConfirmedMessage(b"22", True)
    frames.add_confirmed((b"1", True, 1, Confirmation(), None))
    frames.add_plain((b"plain", True, 2, None, None))
    frames.add_message(special)
    frames.add_message(message(b"4444"))
    assert (frames.confirmed, frames.messages) == (2, 4)
    frames.flush()
    assert (frames.confirmed, frames.messages) == (0, 0)
    reports = listener.reported()
    assert reports[:2] == [("queued",), ("writes", 4, 12, 2)]
    frames.add_confirmed((b"1", True, 3, Confirmation(), None))
    frames.take_unwritten()
    assert frames.confirmed == 0


def test_messages_not_written_can_be_taken_back() -> None:
    """When the connection is lost, its unwritten messages are given up and never written."""
    frames, transport, listener = queue()
    messages = [message(b"a"), message(b"b")]
    for each in messages:
        frames.add_message(each)
    frames.add(b"ping")
    listener.reported()
    assert frames.take_unwritten() == messages
    assert frames.take_unwritten() == []
    assert frames.unwritten_bytes == 0
    frames.flush()
    assert (transport.written, listener.reported()) == ([], [])


def test_plain_messages_can_wait_for_another_connection_after_all() -> None:
    """Taken back, each is a message with its place in the order; a broadcast stays what it is."""
    frames, _, _ = queue()
    frames.add_plain((b"binary", True, 7, None, None))
    frames.add_plain((b"text", False, 8, None, "a key"))
    frames.add_plain((b"on all connections", True, None, None, None))
    binary, text, shared = frames.take_unwritten()
    assert (binary.payload, binary.is_binary, binary.sequence) == (b"binary", True, 7)
    assert (text.payload, text.is_binary, text.sequence) == (b"text", False, 8)
    assert (binary.key, text.key) == (None, "a key")
    assert binary.is_for_pool
    assert text.is_for_pool
    assert isinstance(shared, SharedMessage)
    assert shared.payload == b"on all connections"


def run_of(*sizes: int) -> Iterator[PlainMessage]:
    """
    Plain messages of so many octets.
    """
    return iter([(bytes(size), True, number, None, None) for number, size in enumerate(sizes)])


def test_a_run_waits_for_the_end_of_the_turn_like_single_messages() -> None:
    """Several at once are the same as one after the other."""
    frames, transport, listener = queue()
    assert frames.add_run(run_of(1, 2, 3)) == 3
    assert frames.add_run(run_of(4)) == 1
    assert (frames.messages, frames.unwritten_bytes, transport.written) == (4, 10, [])
    assert listener.reported() == [("queued",)]
    frames.flush()
    assert listener.reported() == [("writes", 4, 10, 0), ("wrote", [])]


def test_a_run_ends_with_what_is_written_before_the_end_of_the_turn() -> None:
    """The transport may be full after that, so the next message is left to who has it."""
    frames, transport, _ = queue(HIGH_WATER)
    frames.add_plain((bytes(5536), True, 0, None, None))
    run = run_of(50_000, 9_999, 1, 7)
    assert frames.add_run(run) == 3
    assert [len(data) for data in transport.written] == [65_536]
    assert next(run)[0] == bytes(7)


def test_a_run_ends_with_the_most_messages_that_wait() -> None:
    """As short ones do."""
    frames, transport, listener = queue()
    frames.add(b"ping")
    listener.reported()
    assert frames.add_run(run_of(*[1] * 600)) == 511
    assert listener.reported() == [("writes", 511, 511, 0), ("wrote", [])]
    assert transport.written == [b"ping" + bytes(511)]


def test_much_is_written_before_the_end_of_the_turn() -> None:
    """From 64 KiB on, waiting would not make writing any cheaper."""
    frames, transport, _ = queue()
    frames.add(bytes(65535))
    assert transport.written == []
    frames.add(b"x")
    assert transport.written == [bytes(65535) + b"x"]
    assert frames.unwritten_bytes == 0
    frames.add_message(message(bytes(65535)))
    frames.add_plain((b"y", True, 1, None, None))
    assert transport.written[1:] == [bytes(65535) + b"y"]


def test_many_messages_are_written_before_the_end_of_the_turn() -> None:
    """However short, messages do not pile up by the thousands."""
    frames, transport, listener = queue()
    for number in range(512):
        assert transport.written == []
        frames.add_plain((b"x", True, number, None, None))
    assert transport.written == [b"x" * 512]
    assert listener.reported() == [("queued",), ("writes", 512, 512, 0), ("wrote", [])]
    sent = [message(b"x") for _ in range(512)]
    for each in sent:
        frames.add_message(each)
    assert transport.written == [b"x" * 512] * 2
    assert listener.reported() == [("queued",), ("writes", 512, 512, 0), ("wrote", sent)]


def test_a_large_frame_is_not_copied() -> None:
    """What is written alone is handed to the transport as it is."""
    frames, transport, _ = queue()
    frame = bytes(1_000_000)
    frames.add(frame)
    assert transport.written[0] is frame


def test_a_full_transport_is_reported_with_what_it_holds() -> None:
    """The bytes that a full transport was given count as not yet written."""
    frames, _, listener = queue(HIGH_WATER)
    sent = message(bytes(70_000))
    frames.add_message(sent)
    assert frames.paused
    assert frames.unwritten_bytes == 70_000
    assert listener.reported() == [
        ("queued",),
        ("writes", 1, 70_000, 0),
        ("paused", 70_000),
        ("wrote", [sent]),
    ]


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
    frames.add_message(message())
    listener.reported()
    frames.stopProducing()
    assert listener.reported() == []
    assert len(frames.take_unwritten()) == 1


class Aborted(Transport):
    """
    A transport that can be aborted.
    """

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


def test_a_write_that_fails_is_the_last() -> None:
    """
    If the transport raises, that goes to the caller, and the connection ends: what was to be
    written may have been written, and what comes later can be taken back.
    """
    frames, _, listener = queue()

    class Broken(Aborted):
        def write(self, data: bytes) -> None:
            raise MemoryError

    transport = Broken()
    frames.connect(cast(Any, transport), listener)
    fragment = message(b"fragment")
    frames.add_message(fragment)
    with pytest.raises(MemoryError):
        frames.flush()
    assert transport.aborted
    assert listener.reported() == [
        ("queued",),
        ("writes", 1, 8, 0),
        ("paused", 0),
        ("paused", 8),
        ("wrote", [fragment]),
    ]
    frames.add_plain((b"later", True, 1, None, None))
    frames.flush()
    assert [each.payload for each in frames.take_unwritten()] == [b"later"]


def test_messages_of_which_no_frames_can_be_made_are_not_lost() -> None:
    """They can be taken back, as the connection ends; who flushes hears of the error."""

    def fail(entries: list[Entry], others: list[int]) -> bytes:
        raise MemoryError

    frames, transport = WriteQueue(fail), Aborted()
    frames.connect(transport, Listener())
    frames.add_plain((b"large", True, 1, None, None))
    with pytest.raises(MemoryError):
        frames.flush()
    assert transport.aborted
    assert transport.written == []
    assert [each.payload for each in frames.take_unwritten()] == [b"large"]


class Socket(FileDescriptor):
    """
    A transport that sends what it is given, as far as there is room; its own reactor, too.

    @ivar room: how many bytes the system takes from now on; C{None} when there is no connection any
        more.
    @ivar sent: what it has taken.
    @ivar polled: whether the reactor is to ask the poller if there is room.
    """

    def __init__(self, high_water: int = HIGH_WATER, room: int | None = 0) -> None:
        super().__init__(cast(Any, self))
        self.connected = 1
        self.bufferSize = high_water
        self.room = room
        self.sent = b""
        self.polled = False

    def writeSomeData(self, data: bytes) -> Any:
        if self.room is None:
            return CONNECTION_LOST
        size = min(self.room, len(data), self.SEND_LIMIT)
        self.room -= size
        self.sent += bytes(data[:size])
        return size

    def doWrite(self) -> Any:
        return super().doWrite()  # type: ignore[no-untyped-call]

    def addWriter(self, writer: object) -> None:
        self.polled = True

    def removeWriter(self, writer: object) -> None:
        self.polled = False


def queue_on(transport: Socket) -> tuple[WriteQueue, Listener]:
    """
    Make a queue on a socket.
    """
    made, listener = WriteQueue(encode), Listener()
    transport.registerProducer(made, True)
    made.connect(transport, listener)
    return made, listener


def write(frames: WriteQueue, data: bytes) -> None:
    """
    Write one frame.
    """
    frames.add(data)
    frames.flush()


@pytest.mark.parametrize("size", [5, 1_000, 200_000])
def test_what_the_system_has_room_for_is_sent_at_once(size: int) -> None:
    """It need not wait for the reactor to ask whether there is room."""
    transport = Socket(room=1_000_000)
    frames, listener = queue_on(transport)
    data = b"x" * size
    write(frames, data)
    if transport.polled:  # more than Twisted sends at once
        transport.doWrite()
    assert transport.sent == data
    assert not transport.polled
    assert ("paused", size) not in listener.reported() or size > HIGH_WATER


def test_a_transport_that_was_full_for_a_moment_was_not_full() -> None:
    """When the system takes all of a large write, nobody hears that it had been too much."""
    transport = Socket(high_water=10, room=100)
    frames, listener = queue_on(transport)
    write(frames, bytes(50))
    assert not frames.paused
    assert frames.unwritten_bytes == 0
    assert listener.reported() == [("queued",)]


def test_a_transport_that_stays_full_is_reported() -> None:
    """What the system did not take waits in the transport, and is not pushed by later writes."""
    transport = Socket(high_water=10, room=20)
    frames, listener = queue_on(transport)
    write(frames, bytes(50))
    assert frames.paused
    assert transport.polled
    assert listener.reported() == [("queued",), ("paused", 50)]
    transport.room = 100
    write(frames, b"close")
    assert len(transport.sent) == 20
    assert listener.reported() == [("queued",), ("paused", 55)]
    transport.doWrite()  # by the reactor
    assert listener.reported() == [("resumed",)]
    assert transport.sent == bytes(50) + b"close"


def test_what_was_sent_in_part_keeps_its_place() -> None:
    """What comes later goes behind what the transport has kept, and then at once again."""
    transport = Socket(room=3)
    frames, _ = queue_on(transport)
    write(frames, b"first,")
    assert (transport.sent, transport.polled) == (b"fir", True)
    write(frames, b"second,")
    assert transport.sent == b"fir"
    transport.room = 8
    write(frames, b"third,")
    assert (transport.sent, transport.polled) == (b"first,secon", True)
    transport.room = 100
    write(frames, b"fourth,")
    assert (transport.sent, transport.polled) == (b"first,second,third,fourth,", False)
    write(frames, b"fifth")
    assert transport.sent == b"first,second,third,fourth,fifth"


def test_what_the_reactor_has_sent_meanwhile_is_out_of_the_way() -> None:
    """Nobody tells of it, if it was too little to be a pause."""
    transport = Socket(room=3)
    frames, _ = queue_on(transport)
    write(frames, b"first,")
    transport.room = 100
    transport.doWrite()  # by the reactor
    write(frames, b"second,")
    write(frames, b"third")
    assert transport.sent == b"first,second,third"


def test_a_connection_that_is_lost_is_found_out_by_the_reactor() -> None:
    """Which then has something to write, and fails."""
    transport = Socket(room=None)
    frames, listener = queue_on(transport)
    write(frames, b"frame")
    assert transport.polled
    assert isinstance(transport.doWrite(), Exception)
    assert listener.reported() == [("queued",)]


def test_what_is_written_after_the_end_goes_nowhere() -> None:
    """As with any transport of Twisted, of which the socket is gone then."""
    transport = Socket(room=100)
    frames, _ = queue_on(transport)
    transport.connected = 0
    write(frames, b"frame")
    assert (transport.sent, transport.polled) == (b"", False)


def test_a_transport_that_is_closing_is_left_alone() -> None:
    """Then it is the reactor which has to hear that everything was written."""
    transport = Socket(room=100)
    frames, _ = queue_on(transport)
    transport.disconnecting = True
    write(frames, b"frame")
    assert (transport.sent, transport.polled) == (b"", True)


def test_a_transport_around_another_one_is_left_alone() -> None:
    """
    Twisted's TLS, and its other wrappers, only say that they provide what the inner one does:
    which may be closing, as only its reactor must find out by a write.
    """
    transport = Transport()
    directlyProvides(transport, providedBy(transport), IWriteDescriptor)
    frames = WriteQueue(encode)
    frames.connect(cast(Any, transport), Listener())
    write(frames, b"frame")
    assert transport.written == [b"frame"]


def test_a_socket_that_speaks_tls_is_left_alone() -> None:
    """With C{startTLS} it is the same object that encrypts what it is given."""

    class Encrypting(Socket):
        def write(self, data: bytes) -> None:
            super().write(data[::-1])

    transport = Encrypting(room=100)
    directlyProvides(transport, ISSLTransport)
    frames, _ = queue_on(transport)
    write(frames, b"frame")
    transport.doWrite()  # by the reactor
    assert transport.sent == b"emarf"


def test_what_is_queued_when_a_transport_was_aborted_is_not_lost() -> None:
    """Nothing is written any more, nor counted, and the listener hears that it had better stop."""
    frames, transport, listener = queue()
    frames.add_plain((b"one", True, 1, None, None))
    listener.reported()
    frames.stop()
    frames.stop()
    assert listener.reported() == [("paused", 0)]
    frames.add_plain((b"two" * HIGH_WATER, True, 2, None, None))
    frames.flush()
    assert (transport.written, listener.reported()) == ([], [])
    assert [each.payload[:3] for each in frames.take_unwritten()] == [b"one", b"two"]


def test_a_queue_may_be_stopped_before_there_is_a_transport() -> None:
    """An attempt that is given up has nothing to write."""
    frames = WriteQueue(encode)
    frames.stop()
    frames.flush()
    assert frames.take_unwritten() == []


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
    counted = held = 0
    for step, size in steps:
        if step == "add":
            added.append(message(bytes([len(added)]) * size))
            frames.add_message(added[-1])
        elif step == "flush":
            frames.flush()
        elif step == "empty":
            transport.empty()
        else:
            unwritten = frames.take_unwritten()
            counted += len(unwritten)
            taken += unwritten
        for report, *arguments in listener.reported():
            if report == "writes":
                counted += cast(int, arguments[0])
            elif report == "wrote":
                taken += cast(list[Message], arguments[0])
            elif report == "paused":
                (held,) = cast(list[int], arguments)
            elif report == "resumed":
                held = 0
        assert frames.unwritten_bytes >= held
        assert frames.paused == (held > 0)
    frames.flush()
    assert frames.unwritten_bytes in (held, frames.unwritten_bytes if frames.paused else 0)
    for report, *arguments in listener.reported():
        counted += cast(int, arguments[0]) if report == "writes" else 0
        taken += cast(list[Message], arguments[0]) if report == "wrote" else []
    assert taken == added
    assert counted == len(added)
