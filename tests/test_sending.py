"""
Sending one message: what may be sent, when the Deferred fires, and what becomes of the message.

What the other modules about sending have in common is here as well.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.task import Clock
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from wsmultipool.errors import BufferFull, PoolClosed, PoolExhausted, SendTimeout
from wsmultipool.interfaces import IPoolLogger
from wsmultipool.messages import SendData
from wsmultipool.options import Compression, WebSocketOptions
from wsmultipool.testing import MemoryPeer, MemoryPool, MemoryServer

T = TypeVar("T")

# More than a transport takes before it says that it is full.
BIG = b"x" * 70_000


def fate(deferred: Deferred[T]) -> list[T | BaseException]:
    """
    Follow a Deferred: what is returned is empty until it fires, then holds its result or error.
    """
    seen: list[T | BaseException] = []

    def fired(result: T | Failure) -> None:
        if isinstance(result, Failure):
            assert result.value is not None
            seen.append(result.value)
        else:
            seen.append(result)

    deferred.addBoth(fired)
    return seen


def kinds(followed: list[Any]) -> list[type]:
    """
    Return the types of what a Deferred fired with.
    """
    return [type(each) for each in followed]


def keys_by_connection(memory: MemoryPool) -> dict[int, int]:
    """
    Find a key for each connection, all of which are open; nothing of the search is left.
    """
    found: dict[int, int] = {}
    numbers = count()
    while len(found) < memory.pool.total_connections:
        key = next(numbers)
        found.setdefault(memory.result(memory.pool.send("which?", key=key)), key)
    memory.settle()
    for peer in memory.server.peers:
        peer.received.clear()
    return found


def stall(memory: MemoryPool) -> None:
    """
    Let all peers stop reading, and fill every connection.
    """
    for peer in memory.server.open_peers:
        peer.stop_reading()
    for _ in memory.server.open_peers:
        assert kinds(fate(memory.pool.send(BIG))) == [int]
    memory.settle()


def texts(peer: MemoryPeer) -> list[str]:
    """
    Return the messages that a peer received, without those that only fill.
    """
    return [data.decode() for data, _ in peer.received if data != BIG]


def everything(memory: MemoryPool) -> list[str]:
    """
    Return what all peers together received, sorted.
    """
    return sorted(text for peer in memory.server.peers for text in texts(peer))


@implementer(IPoolLogger)
class ErrorLog:
    """
    Keeps the errors that a pool logs.
    """

    def __init__(self) -> None:
        self.errors: list[str] = []

    def debug(self, message: str, *args: object) -> None:
        """Nothing here is of interest."""

    info = warn = debug

    def error(self, message: str, *args: object) -> None:
        self.errors.append(message % args)


class _Tap(ProtocolWrapper):
    def write(self, data: bytes) -> None:
        assert isinstance(self.factory, _TapFactory)
        self.factory.written.append(data)
        super().write(data)  # type: ignore[no-untyped-call]


class _TapFactory(WrappingFactory):
    protocol = _Tap
    written: list[bytes]


class TappedServer(MemoryServer):
    """
    A server that keeps what clients write.
    """

    def __init__(self, clock: Clock, compression: bool = False) -> None:
        super().__init__(clock, compression=compression)
        self.written: list[bytes] = []

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        factory = _TapFactory(protocolFactory)  # type: ignore[no-untyped-call]
        factory.written = self.written
        return super().connect(factory)


def tapped_pool(
    compression: bool | Compression = False, threshold: int = 1024, agreed: bool = True
) -> tuple[MemoryPool, TappedServer]:
    """
    Make a pool of one open connection, and a server that keeps what the pool writes from now on.
    """
    clock = Clock()
    server = TappedServer(clock, compression=bool(compression) and agreed)
    options = WebSocketOptions(compression=compression, compression_threshold=threshold)
    memory = MemoryPool(server=server, clock=clock, pool_size=1, ws_options=options)
    memory.open()
    server.written.clear()
    return memory, server


# What may be sent


@pytest.mark.parametrize(
    ("data", "received"),
    [
        ("text", (b"text", False)),
        ("Grüße", ("Grüße".encode(), False)),
        ("", (b"", False)),
        (b"bytes", (b"bytes", True)),
        (b"\xff", (b"\xff", True)),
        (b"", (b"", True)),
        (bytearray(b"array"), (b"array", True)),
        (memoryview(b"view"), (b"view", True)),
        (memoryview(b"v-i-e-w")[::2], (b"view", True)),
    ],
)
def test_text_goes_as_text_and_everything_else_as_binary(
    data: SendData, received: tuple[bytes, bool]
) -> None:
    """
    A C{str} arrives as a text message in UTF-8; anything of bytes arrives as a binary one.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    assert memory.result(memory.pool.send(data)) == 0
    assert memory.server.peers[0].received == [received]
    memory.close()


@pytest.mark.parametrize(
    ("data", "binary", "received"),
    [
        ("text", True, (b"text", True)),
        ("text", False, (b"text", False)),
        (b"bytes", False, (b"bytes", False)),
        (bytearray("Grüße".encode()), False, ("Grüße".encode(), False)),
        (memoryview(b"view"), False, (b"view", False)),
        (b"bytes", True, (b"bytes", True)),
    ],
)
def test_the_caller_may_say_binary_or_text(
    data: SendData, binary: bool, received: tuple[bytes, bool]
) -> None:
    """
    C{binary} decides, whatever the type of the data.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    memory.result(memory.pool.send(data, binary=binary))
    assert memory.server.peers[0].received == [received]
    memory.close()


@pytest.mark.parametrize("as_view", [False, True])
def test_a_buffer_may_be_changed_once_it_is_sent(as_view: bool) -> None:
    """
    What is sent is what a buffer held when C{send} was called, even if the message has to wait.
    """
    memory = MemoryPool(pool_size=1)
    buffer = bytearray(b"before")
    sent = fate(memory.pool.send(memoryview(buffer) if as_view else buffer))
    buffer[:] = b"after!"
    memory.open()
    assert sent == [0]
    assert memory.server.peers[0].received == [(b"before", True)]
    memory.close()


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize(
    ("data", "options", "error"),
    [
        (None, {}, TypeError),
        (12, {}, TypeError),
        ([b"bytes"], {}, TypeError),
        ("text", {"binary": 1}, TypeError),
        ("text", {"binary": "yes"}, TypeError),
        ("text", {"key": []}, TypeError),
        ("text", {"key": ([],)}, TypeError),
        ("text", {"key": {}, "fin": False}, TypeError),
        ("text", {"timeout": "1"}, TypeError),
        ("text", {"timeout": True}, TypeError),
        ("text", {"timeout": 0}, ValueError),
        ("text", {"timeout": -1}, ValueError),
        ("text", {"timeout": float("nan")}, ValueError),
        ("text", {"timeout": float("inf")}, ValueError),
        ("text", {"fin": False}, ValueError),
        ("lone surrogate \ud800", {}, ValueError),
        ("lone surrogate \ud800", {"binary": True}, ValueError),
        (b"\xff", {"binary": False}, ValueError),
        (b"cut off \xc3", {"binary": False}, ValueError),
        (bytearray(b"surrogate \xed\xa0\x80"), {"binary": False}, ValueError),
        (memoryview(b"\xc0\x80"), {"binary": False}, ValueError),
    ],
)
def test_a_mistake_of_the_caller_is_raised_at_once_and_does_no_harm(
    data: Any, options: dict[str, Any], error: type[Exception], is_open: bool
) -> None:
    """
    What can't be sent raises, whether a connection is open or not; the message after it is fine.
    """
    memory = MemoryPool(pool_size=1)
    if is_open:
        memory.open()
    before = memory.pool.get_stats()
    with pytest.raises(error, match=r"data|binary|key|timeout|unhashable"):
        memory.pool.send(data, **options)
    assert memory.pool.get_stats() == before
    sent = fate(memory.pool.send("good", key="key"))
    memory.open()
    assert sent == [0]
    assert texts(memory.server.peers[0]) == ["good"]
    assert memory.pool.get_stats().dropped_messages == 0
    memory.close()


@pytest.mark.parametrize(
    "options", [{"mask": None}, {"mask": "no"}, {"compress": "no"}, {"compress": 1}]
)
def test_a_flag_is_true_or_false(options: dict[str, Any]) -> None:
    """
    C{mask=None} does not silently send an unmasked frame: a flag of another type is refused.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    with pytest.raises(TypeError, match=next(iter(options))):
        memory.pool.send("text", **options)
    memory.close()


# What is on the wire


@pytest.mark.parametrize(
    ("data", "options", "first_octets"),
    [
        ("text", {}, b"\x81\x84"),
        (b"bytes", {}, b"\x82\x85"),
        ("text", {"mask": True}, b"\x81\x84"),
        ("text", {"mask": False}, b"\x81\x04text"),
        (b"bytes", {"mask": False}, b"\x82\x05bytes"),
        ("part", {"mask": False, "fin": False, "key": 1}, b"\x01\x04part"),
    ],
)
def test_frames_are_masked_unless_the_caller_says_otherwise(
    data: SendData, options: dict[str, Any], first_octets: bytes
) -> None:
    """
    A client masks its frames (RFC 6455, section 5.1); C{mask=False} is for servers that say so.
    """
    memory, server = tapped_pool()
    sent = fate(memory.pool.send(data, **options))
    memory.settle()
    assert sent == [0]
    assert len(server.written) == 1
    assert server.written[0].startswith(first_octets)
    memory.close()


def test_what_is_sent_in_one_turn_is_written_at_once() -> None:
    """
    Messages sent in one turn of the reactor cost one write, at its end, and keep their order.
    """
    memory, server = tapped_pool()
    assert [fate(memory.pool.send(f"{number}")) for number in range(5)] == [[0]] * 5
    assert server.written == []
    memory.settle()
    assert len(server.written) == 1
    assert texts(server.peers[0]) == ["0", "1", "2", "3", "4"]
    memory.close()


def test_much_in_one_turn_is_written_before_its_end() -> None:
    """
    Not more than the transport takes is collected: from 64 KiB on, frames are written.
    """
    memory, server = tapped_pool()
    for _ in range(7):
        memory.pool.send(b"x" * 10_000)
    assert len(server.written) == 1
    memory.settle()
    assert len(server.peers[0].received) == 7
    memory.close()


LONG = "compress me " * 100


def octets(
    data: SendData, compress: bool | None, threshold: int = 1024, agreed: bool = True
) -> bytes:
    """
    Send one message on a connection for which compression was offered, and perhaps agreed on.

    @return: its frame.
    """
    memory, server = tapped_pool(True, threshold, agreed)
    memory.result(memory.pool.send(data, compress=compress))
    (frame,) = server.written
    (peer,) = server.peers
    assert peer.received == [(data.encode() if isinstance(data, str) else data, data != LONG)]
    assert "permessage-deflate" in peer.headers["sec-websocket-extensions"]
    memory.close()
    return frame


def test_long_messages_are_compressed_where_that_was_agreed() -> None:
    """
    With C{compress=None}, messages of C{compression_threshold} bytes and more are compressed.
    """
    frame = octets(LONG, None)
    assert frame[0] == 0xC1
    assert len(frame) < 100
    assert octets(b"x" * 99, None, threshold=100)[0] == 0x82
    assert octets(b"x" * 100, None, threshold=100)[0] == 0xC2


def test_the_caller_may_say_whether_to_compress() -> None:
    """
    C{compress=True} compresses a short message, and C{compress=False} leaves a long one as it is.
    """
    assert octets(b"short", True)[0] == 0xC2
    assert octets(b"", True)[0] == 0xC2
    frame = octets(LONG, False)
    assert frame[0] == 0x81
    assert len(frame) > len(LONG)


@pytest.mark.parametrize("compress", [True, False, None])
def test_nothing_is_compressed_where_that_was_not_agreed(compress: bool | None) -> None:
    """
    When the server declines, every message goes as it is, whatever the caller says.
    """
    assert octets(LONG, compress, agreed=False)[0] == 0x81


def test_compressed_and_plain_messages_mix() -> None:
    """
    Messages compressed and not, in any order, all arrive as they were sent.
    """
    memory, server = tapped_pool(True)
    wishes: list[bool | None] = [True, False, None, True, None, False, True]
    for number, compress in enumerate(wishes):
        memory.pool.send(f"{number} {LONG if number % 2 else ''}", compress=compress)
    memory.settle()
    received = texts(server.peers[0])
    assert received == [f"{number} {LONG if number % 2 else ''}" for number in range(7)]
    memory.close()


# When the Deferred fires


def test_send_fires_with_the_id_of_the_connection_that_takes_it() -> None:
    """
    While connections are open, they take messages at once, in turn.
    """
    memory = MemoryPool(pool_size=3)
    memory.open()
    assert [fate(memory.pool.send(f"{number}")) for number in range(4)] == [[0], [1], [2], [0]]
    memory.settle()
    assert [texts(peer) for peer in memory.server.peers] == [["0", "3"], ["1"], ["2"]]
    memory.close()


def test_each_send_returns_a_deferred_of_its_own() -> None:
    """
    What one caller adds to its Deferred does not concern another.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    first = memory.pool.send("first").addCallback(lambda _: "changed")
    assert fate(memory.pool.send("second")) == [0]
    assert fate(first) == ["changed"]
    memory.close()


def test_a_message_waits_until_a_connection_opens() -> None:
    """
    While no connection is open the Deferred is pending; it fires when one takes the message.
    """
    memory = MemoryPool(pool_size=1)
    sent = fate(memory.pool.send("early"))
    memory.advance(60)
    assert sent == []
    stats = memory.pool.get_stats()
    assert (stats.queued_messages, stats.queued_bytes) == (1, 5)
    memory.open()
    assert sent == [0]
    assert texts(memory.server.peers[0]) == ["early"]
    stats = memory.pool.get_stats()
    assert (stats.queued_messages, stats.queued_bytes) == (0, 0)
    memory.close()


def test_messages_leave_in_the_order_sent_across_an_outage() -> None:
    """
    What was sent before, during and after an outage arrives in that order.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    memory.pool.send("before")
    memory.settle()
    memory.server.peers[0].drop()
    memory.settle()
    waiting = [fate(memory.pool.send(f"during {number}")) for number in range(5)]
    assert waiting == [[]] * 5
    memory.advance(1)
    assert waiting == [[0]] * 5
    memory.pool.send("after")
    memory.settle()
    assert texts(memory.server.peers[0]) == ["before"]
    assert texts(memory.server.peers[1]) == [*(f"during {number}" for number in range(5)), "after"]
    memory.close()


@pytest.mark.parametrize("key", [None, "key"])
def test_sending_as_soon_as_a_connection_opens_does_not_overtake_what_waits(
    key: str | None,
) -> None:
    """
    A message sent by a handler of C{open} comes after those that were waiting for that.
    """
    memory = MemoryPool(pool_size=1)
    memory.pool.on("open", lambda connection_id: fate(memory.pool.send("greeting", key=key)))
    waiting = [fate(memory.pool.send(f"{number}", key=key)) for number in range(3)]
    memory.open()
    assert waiting == [[0]] * 3
    assert texts(memory.server.peers[0]) == ["0", "1", "2", "greeting"]
    memory.close()


def test_sending_from_the_callback_of_a_message_does_not_overtake_what_waits() -> None:
    """
    A message sent when an earlier one was taken comes after those that are waiting by then.
    """
    memory = MemoryPool(pool_size=1)
    memory.pool.send("first").addCallback(lambda _: fate(memory.pool.send("answer")))
    memory.pool.send("second")
    memory.pool.send("third")
    memory.open()
    assert texts(memory.server.peers[0]) == ["first", "second", "third", "answer"]
    memory.close()


def test_counters_count_payloads() -> None:
    """
    C{sent_messages} and C{sent_bytes} count what was written, in bytes of payload.
    """
    memory = MemoryPool(pool_size=2)
    memory.open()
    for data in ("Grüße", b"123", ""):
        memory.pool.send(data)
    assert memory.pool.get_stats().sent_messages == 0
    memory.settle()
    stats = memory.pool.get_stats()
    assert (stats.sent_messages, stats.sent_bytes) == (3, 10)
    assert [connection.sent_bytes for connection in stats.connections] == [7, 3]
    memory.close()


# It is given up


def test_a_message_that_nobody_takes_in_time_is_not_sent_later() -> None:
    """
    When C{timeout} is over, the send fails with L{SendTimeout}, and the message is gone.
    """
    memory = MemoryPool(pool_size=1)
    slow, patient = fate(memory.pool.send("slow", timeout=2.5)), fate(memory.pool.send("patient"))
    memory.advance(2.4)
    assert slow == []
    memory.advance(0.1)
    (error,) = slow
    assert isinstance(error, SendTimeout)
    assert isinstance(error, TimeoutError)
    assert error.timeout == 2.5
    assert str(error) == "no connection took the message within 2.5 s"
    stats = memory.pool.get_stats()
    assert (stats.queued_messages, stats.dropped_messages) == (1, 1)
    memory.open()
    assert patient == [0]
    assert texts(memory.server.peers[0]) == ["patient"]
    memory.close()


@pytest.mark.parametrize("key", [None, "key"])
def test_a_message_times_out_under_backpressure_as_well(key: str | None) -> None:
    """
    A message that only full connections could take fails with L{SendTimeout} in time.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    stall(memory)
    sent = fate(memory.pool.send("late", key=key, timeout=1))
    memory.advance(1)
    assert kinds(sent) == [SendTimeout]
    memory.server.peers[0].resume_reading()
    memory.settle()
    assert texts(memory.server.peers[0]) == []
    memory.close()


def test_a_message_taken_in_time_leaves_no_timer() -> None:
    """
    Once a connection has taken a message, its C{timeout} means nothing any more.
    """
    memory = MemoryPool(pool_size=1)
    sent = fate(memory.pool.send("soon", timeout=60))
    memory.open()
    assert sent == [0]
    assert memory.clock.getDelayedCalls() == []
    assert fate(memory.pool.send("at once", timeout=60)) == [0]
    memory.settle()
    assert memory.clock.getDelayedCalls() == []
    assert texts(memory.server.peers[0]) == ["soon", "at once"]
    memory.close()


def test_a_message_that_comes_back_from_a_lost_connection_does_not_time_out() -> None:
    """
    The caller was told that the message was taken: it is sent however long that takes.
    """
    memory = MemoryPool(pool_size=1, reconnect_interval=10)
    memory.open()
    memory.server.peers[0].drop()
    assert fate(memory.pool.send("taken", timeout=1)) == [0]
    memory.advance(9)
    assert memory.pool.get_stats().queued_messages == 1
    memory.advance(1)
    assert texts(memory.server.peers[1]) == ["taken"]
    memory.close()


@pytest.mark.parametrize("timeout", [None, 60.0])
def test_cancelling_withdraws_a_message_that_waits(timeout: float | None) -> None:
    """
    A message whose Deferred is cancelled before a connection takes it is never sent.
    """
    memory = MemoryPool(pool_size=1)
    deferred = memory.pool.send("withdrawn", timeout=timeout)
    sent, other = fate(deferred), fate(memory.pool.send("other"))
    deferred.cancel()
    assert kinds(sent) == [CancelledError]
    assert memory.clock.getDelayedCalls() == []
    assert memory.pool.get_stats().queued_messages == 1
    memory.open()
    assert other == [0]
    assert texts(memory.server.peers[0]) == ["other"]
    memory.close()


def test_cancelling_a_message_that_was_taken_changes_nothing() -> None:
    """
    Once a connection has taken a message, it is sent.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    deferred = memory.pool.send("taken")
    deferred.cancel()
    assert fate(deferred) == [0]
    memory.settle()
    assert texts(memory.server.peers[0]) == ["taken"]
    memory.close()


def test_a_result_may_be_cancelled_by_another() -> None:
    """
    Callbacks may withdraw other messages while the queue is being worked off.
    """
    memory = MemoryPool(pool_size=1)
    first = memory.pool.send("first")
    second = memory.pool.send("second")
    third = memory.pool.send("third")
    first.addCallback(lambda _: second.cancel())
    followed = fate(second)
    memory.open()
    assert kinds(followed) == [CancelledError]
    assert fate(third) == [0]
    assert texts(memory.server.peers[0]) == ["first", "third"]
    memory.close()


# It comes back from a lost connection


def lose(peer: MemoryPeer, how: int | None) -> None:
    """
    Let a peer go: reset the connection, or close it with this code.  The pool learns of it in the
    next turn, before anything is written that it takes until then.
    """
    if how is None:
        peer.drop()
    else:
        peer.close(how)


@pytest.mark.parametrize("how", [None, 1000, 1001, 1012])
def test_a_message_not_yet_written_goes_to_another_connection(how: int | None) -> None:
    """
    What a connection had taken and not written when it was lost arrives on another, once.
    """
    memory = MemoryPool(pool_size=2)
    memory.open()
    lose(memory.server.peers[0], how)
    sent = [fate(memory.pool.send(f"{number}")) for number in range(4)]
    assert sent == [[0], [1], [0], [1]]
    memory.settle()
    assert texts(memory.server.peers[0]) == []
    assert sorted(texts(memory.server.peers[1])) == ["0", "1", "2", "3"]
    stats = memory.pool.get_stats()
    assert (stats.requeued_messages, stats.dropped_messages, stats.sent_messages) == (2, 0, 4)
    memory.advance(30)
    assert everything(memory) == ["0", "1", "2", "3"]
    memory.close()


@pytest.mark.parametrize("how", [None, 1001])
def test_a_message_that_comes_back_is_first_in_line(how: int | None) -> None:
    """
    With no other connection open, what came back goes before what was sent later.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    lose(memory.server.peers[0], how)
    assert fate(memory.pool.send("taken 1")) == [0]
    assert fate(memory.pool.send("taken 2")) == [0]
    memory.settle()
    assert memory.pool.get_stats().queued_messages == 2
    later = fate(memory.pool.send("later"))
    memory.advance(1)
    assert later == [0]
    assert texts(memory.server.peers[1]) == ["taken 1", "taken 2", "later"]
    assert memory.pool.get_stats().requeued_messages == 2
    memory.close()


def test_a_message_comes_back_as_often_as_connections_are_lost() -> None:
    """
    A message goes from one lost connection to the next until one of them writes it.
    """
    memory = MemoryPool(pool_size=3)
    memory.open()
    memory.server.peers[0].drop()
    memory.server.peers[1].drop()
    assert fate(memory.pool.send("pushed around")) == [0]
    memory.settle()
    assert everything(memory) == ["pushed around"]
    assert memory.pool.get_stats().requeued_messages in (1, 2)
    memory.close()


def test_a_message_written_to_a_lost_connection_is_not_sent_again() -> None:
    """
    What was handed to the transport may have arrived: without being told to, nobody repeats it.
    """
    memory = MemoryPool(pool_size=2)
    memory.open()
    memory.pool.send("written")
    memory.settle()
    memory.server.peers[0].drop()
    memory.advance(30)
    assert everything(memory) == ["written"]
    assert memory.pool.get_stats().requeued_messages == 0
    memory.close()


# The end of the pool


@pytest.mark.parametrize("end", ["close", "destroy"])
@pytest.mark.parametrize("started", [True, False])
def test_after_the_end_every_send_fails(end: str, started: bool) -> None:
    """
    After C{close()} or C{destroy()}, C{send} fails with L{PoolClosed} at once.
    """
    memory = MemoryPool(pool_size=1)
    if started:
        memory.open()
    if end == "close":
        fate(memory.pool.close())
    else:
        memory.pool.destroy()
    assert kinds(fate(memory.pool.send("too late"))) == [PoolClosed]
    assert kinds(fate(memory.pool.send("too late", key=1, fin=False))) == [PoolClosed]
    memory.close()
    assert kinds(fate(memory.pool.send("too late", timeout=1))) == [PoolClosed]
    with pytest.raises(TypeError):
        memory.pool.send(12)  # type: ignore[arg-type]
    assert memory.clock.getDelayedCalls() == []
    assert everything(memory) == []


@pytest.mark.parametrize("end", ["close", "destroy"])
def test_what_waits_fails_when_the_pool_ends(end: str) -> None:
    """
    Messages that no connection has taken fail with L{PoolClosed}, whatever they wait for.
    """
    memory = MemoryPool(pool_size=2)
    memory.open()
    stall(memory)
    waiting = [
        fate(memory.pool.send("anywhere", timeout=60)),
        *(fate(memory.pool.send("keyed", key=key)) for key in range(10)),
        fate(memory.pool.send("fragment", key="long", fin=False)),
        fate(memory.pool.send("fragment", key="long")),
    ]
    if end == "close":
        fate(memory.pool.close())
    else:
        memory.pool.destroy()
    assert [kinds(each) for each in waiting] == [[PoolClosed]] * 13
    assert memory.pool.get_stats().queued_messages == 0
    assert memory.pool.get_stats().dropped_messages == 13
    memory.close()
    assert everything(memory) == []


def test_what_was_taken_is_written_before_the_close_frame() -> None:
    """
    C{close()} right after C{send()} still sends the message.
    """
    memory = MemoryPool(pool_size=1)
    memory.open()
    assert fate(memory.pool.send("last words")) == [0]
    memory.close()
    assert texts(memory.server.peers[0]) == ["last words"]
    assert memory.server.peers[0].close_received == (1000, "")
    assert memory.pool.get_stats().dropped_messages == 0


def test_a_pool_reports_what_it_took_and_could_not_send_before_its_end() -> None:
    """
    A message that came back from a lost connection, and that nobody waits to hear of, is logged and
    counted when the pool closes before it is sent.
    """
    log = ErrorLog()
    memory = MemoryPool(pool_size=1, logger=log)
    memory.pool.on("error", lambda error, connection_id: None)
    memory.open()
    memory.server.peers[0].drop()
    assert fate(memory.pool.send("taken")) == [0]
    memory.settle()
    unheard = fate(memory.pool.send("waits"))
    assert log.errors == []
    memory.close()
    assert kinds(unheard) == [PoolClosed]
    assert memory.pool.get_stats().dropped_messages == 2
    assert log.errors == [
        "memory.test: 1 message was taken by a connection that could not write it any more"
    ]
    assert everything(memory) == []


def test_a_destroyed_pool_reports_what_its_connections_had_not_written() -> None:
    """
    C{destroy()} right after C{send()} loses the message, and says so once: in the log and in
    C{dropped_messages}.  The message does not go round the connections that are destroyed as well.
    """
    log = ErrorLog()
    memory = MemoryPool(pool_size=3, logger=log)
    memory.pool.on("error", lambda error, connection_id: None)
    memory.open()
    assert fate(memory.pool.send("taken")) == [0]
    memory.pool.destroy()
    memory.settle()
    stats = memory.pool.get_stats()
    assert (stats.dropped_messages, stats.requeued_messages, stats.queued_messages) == (1, 0, 0)
    assert len(log.errors) == 1
    memory.close()


def test_destroying_a_pool_does_not_hand_its_messages_from_one_connection_to_the_next() -> None:
    """
    What waits for one connection when the pool is destroyed fails with L{PoolClosed}; it is not
    reported as taken by another connection that is destroyed in the same moment.
    """
    memory = MemoryPool(pool_size=2)
    memory.open()
    key = keys_by_connection(memory)[0]
    memory.server.peers[0].stop_reading()
    memory.pool.send(BIG, key=key)
    sent = fate(memory.pool.send("waits", key=key))
    memory.pool.destroy()
    assert kinds(sent) == [PoolClosed]
    memory.close()


def exhausted() -> MemoryPool:
    """
    Make a pool whose connections will give up as soon as it is started.
    """
    memory = MemoryPool(pool_size=2, max_reconnect_attempts=1)
    memory.pool.on("error", lambda error, connection_id: None)
    memory.server.refuse()
    return memory


def test_when_every_connection_has_given_up_sends_fail() -> None:
    """
    Everything that waits then fails with L{PoolExhausted}, and so does each later send, at once.
    """
    memory = exhausted()
    waiting = [fate(memory.pool.send("waits", timeout=9)), fate(memory.pool.send("waits", key=1))]
    memory.pool.start()
    memory.settle()
    assert [kinds(each) for each in waiting] == [[PoolExhausted]] * 2
    assert kinds(fate(memory.pool.send("later"))) == [PoolExhausted]
    assert memory.clock.getDelayedCalls() == []
    memory.close()


def test_a_pool_that_grows_after_giving_up_accepts_messages_again() -> None:
    """
    C{resize} gives an exhausted pool new connections, and messages go there.
    """
    memory = exhausted()
    memory.pool.start()
    memory.settle()
    memory.server.accept()
    memory.pool.resize(3)
    memory.settle()
    assert fate(memory.pool.send("again")) == [2]
    memory.close()
    assert everything(memory) == ["again"]


def test_a_pool_may_grow_when_the_first_message_is_told_that_it_has_given_up() -> None:
    """
    Calling C{resize} as soon as a send fails with L{PoolExhausted} leaves no other send pending.
    """
    memory = exhausted()

    def grow(failure: Failure) -> None:
        failure.trap(PoolExhausted)
        memory.server.accept()
        memory.pool.resize(3)

    memory.pool.send("first").addErrback(grow)
    second, opened = fate(memory.pool.send("second")), fate(memory.pool.when_open())
    memory.pool.start()
    memory.settle()
    assert fate(memory.pool.send("third")) == [2]
    memory.close()
    assert (len(second), len(opened)) == (1, 1)
    assert "third" in everything(memory)


def test_a_failed_send_may_end_the_pool() -> None:
    """
    The pool may be closed from an errback in the middle of failing what waits.
    """
    memory = MemoryPool(pool_size=1)
    first, second = memory.pool.send("first"), memory.pool.send("second")
    first.addErrback(lambda _: memory.pool.destroy())
    other = fate(second)
    second.addErrback(lambda _: fate(memory.pool.send("third")))
    fate(memory.pool.close())
    assert kinds(other) == [PoolClosed]
    memory.close()


@pytest.mark.parametrize("end", ["close", "destroy"])
def test_a_callback_may_end_the_pool_while_the_queue_is_worked_off(end: str) -> None:
    """
    The rest of the queue then fails with L{PoolClosed}; what was taken before C{close()} arrives.
    """
    memory = MemoryPool(pool_size=1)
    verbs: dict[str, Callable[[], object]] = {
        "close": memory.pool.close,
        "destroy": memory.pool.destroy,
    }
    memory.pool.send("first").addCallback(lambda _: verbs[end]())
    second = fate(memory.pool.send("second"))
    memory.pool.start()
    memory.settle()
    assert kinds(second) == [PoolClosed]
    memory.close()
    assert everything(memory) == (["first"] if end == "close" else [])


def test_a_message_too_large_for_the_pool_is_refused_before_it_costs_anything() -> None:
    """
    A message larger than C{max_buffered_bytes} fails even while a connection could take it.
    """
    memory = MemoryPool(pool_size=1, max_buffered_bytes=10)
    memory.open()
    assert fate(memory.pool.send(b"x" * 10)) == [0]
    assert kinds(fate(memory.pool.send(b"x" * 11))) == [BufferFull]
    memory.settle()
    assert memory.server.peers[0].received == [(b"x" * 10, True)]
    memory.close()


def test_a_message_may_be_cancelled_by_what_is_told_while_it_is_taken() -> None:
    """
    Taking a large message writes what was queued before, whose callers hear of it at that moment;
    one of them cancelling the large one settles that once, and disturbs nothing.
    """
    memory = MemoryPool(pool_size=1)
    first = memory.pool.send("a", key="k", fin=False)
    fate(memory.pool.send("b", key="k"))
    large = memory.pool.send(bytes(70_000))
    first.addCallback(lambda _: large.cancel())
    cancelled = fate(large)
    last = fate(memory.pool.send("last"))
    memory.open()
    assert kinds(cancelled) == [CancelledError]
    assert last == [0]
    assert [len(data) for data, _ in memory.server.peers[0].received] == [2, 70_000, 4]
    memory.close()
