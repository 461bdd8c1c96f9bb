"""
What arrives: messages, pauses, iterators, limits, and peers that break the rules.
"""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.task import Clock
from zope.interface import implementer

from wsmultipool import (
    CloseTimeout,
    IPoolLogger,
    ProtocolViolation,
    WebSocketOptions,
    noop_logger,
)
from wsmultipool.testing import MemoryPeer, MemoryPool, MemoryServer

KIB = 1024
MIB = 1024 * KIB

Received = tuple[bytes, bool, int]


def outcome(deferred: Deferred[Any]) -> list[Any]:
    """Collect what a Deferred comes to; empty as long as it is pending."""
    results: list[Any] = []
    deferred.addCallbacks(results.append, lambda failure: results.append(failure.value))
    return results


def receiving(size: int = 1, **options: Any) -> tuple[MemoryPool, list[bytes], list[Exception]]:
    """
    Open a pool; returns it, the messages that it will receive, and its errors.
    """
    memory = MemoryPool(pool_size=size, logger=noop_logger, **options)
    messages: list[bytes] = []
    errors: list[Exception] = []
    memory.pool.on("message", lambda data, is_binary, connection_id: messages.append(data))
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.open()
    return memory, messages, errors


def frame(payload: bytes, first: int = 0x82, mask: bool = False) -> bytes:
    """Build a server's frame, also one that no server may send."""
    size = len(payload)
    bit = 0x80 if mask else 0
    if size < 126:
        head = bytes([first, bit | size])
    elif size < 65536:
        head = bytes([first, bit | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([first, bit | 127]) + size.to_bytes(8, "big")
    return head + (bytes(4) if mask else b"") + payload


def send_in_one_read(peer: MemoryPeer, *texts: str) -> None:
    """Several messages that the client reads at once."""
    peer.write(b"".join(frame(text.encode(), 0x81) for text in texts))


# Messages


def test_receiving_tells_data_kind_and_connection() -> None:
    """A message event has the octets, whether they are binary, and the connection's id."""
    memory = MemoryPool(pool_size=2)
    got: list[Received] = []
    memory.pool.on("message", lambda *args: got.append(args))
    memory.open()
    memory.server.peers[0].send("grüße")
    memory.server.peers[1].send(b"\x00\xff")
    memory.server.peers[1].send("", binary=True)
    memory.settle()
    assert got == [("grüße".encode(), False, 0), (b"\x00\xff", True, 1), (b"", True, 1)]
    stats = memory.pool.get_stats()
    assert (stats.received_messages, stats.received_bytes) == (3, 9)
    assert [c.received_messages for c in stats.connections] == [1, 2]
    memory.close()


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 200_000])
def test_receiving_messages_of_every_size(size: int) -> None:
    """However long, and however many reads it takes, a message arrives whole."""
    memory, messages, _ = receiving()
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    memory.server.peers[0].send(data)
    for _ in range(5):
        memory.settle()
    assert messages == [data]
    memory.close()


def test_receiving_fragmented_messages() -> None:
    """A message in fragments arrives whole, with a ping in between answered and told."""
    memory, messages, errors = receiving()
    pings: list[tuple[bytes, int]] = []
    memory.pool.on("ping", lambda *args: pings.append(args))
    peer = memory.server.peers[0]
    peer.write(frame(b"one ", 0x01) + frame(b"?", 0x89) + frame(b"", 0x00) + frame(b"two", 0x80))
    memory.settle()
    assert messages == [b"one two"]
    assert pings == [(b"?", 0)]
    assert peer.pongs == [b"?"]
    assert errors == []
    memory.close()


def test_receiving_octet_by_octet() -> None:
    """Frames may be split anywhere."""
    memory, messages, _ = receiving()
    octets = frame("ä".encode(), 0x81) + frame(bytes(130)) + frame(b"", 0x81)
    for octet in octets:
        memory.server.peers[0].write(bytes([octet]))
        memory.settle()
    assert messages == ["ä".encode(), bytes(130), b""]
    memory.close()


def test_receiving_pings_and_pongs_are_events() -> None:
    """Pings are answered and told; a pong that nobody asked for is told."""
    memory, _, _ = receiving(2)
    events: list[tuple[Any, ...]] = []
    memory.pool.on("ping", lambda *args: events.append(("ping", *args)))
    memory.pool.on("pong", lambda *args: events.append(("pong", *args)))
    memory.server.peers[1].ping(b"a")
    memory.server.peers[0].pong(b"b")
    memory.settle()
    assert sorted(events) == [("ping", b"a", 1), ("pong", b"b", 0)]
    assert memory.server.peers[1].pongs == [b"a"]
    memory.close()


# Pausing


def test_receiving_pause_holds_everything_back() -> None:
    """While paused nothing is delivered; afterwards all of it, in order."""
    memory, messages, _ = receiving(2)
    memory.pool.pause_receiving()
    memory.pool.pause_receiving()
    for peer in memory.server.peers:
        peer.send("1")
        peer.send("2")
    memory.advance(100)
    assert messages == []
    memory.pool.resume_receiving()
    memory.settle()
    assert messages == [b"1", b"2", b"1", b"2"]
    memory.pool.resume_receiving()
    memory.close()


def test_receiving_pause_holds_inside_a_read() -> None:
    """A handler that pauses gets nothing more, even of what was read together."""
    memory, messages, _ = receiving()
    memory.pool.on("message", lambda *args: memory.pool.pause_receiving())
    send_in_one_read(memory.server.peers[0], "1", "2", "3")
    memory.settle()
    assert messages == [b"1"]
    memory.advance(10)
    memory.pool.resume_receiving()
    assert messages == [b"1", b"2"], "what was held back comes first, and pauses again"
    memory.advance(10)
    memory.pool.resume_receiving()
    memory.settle()
    assert messages == [b"1", b"2", b"3"]
    memory.close()


def test_receiving_pause_and_resume_inside_a_handler() -> None:
    """A handler that pauses and resumes at once loses neither messages nor the connection."""
    memory, messages, errors = receiving()

    def handler(*args: object) -> None:
        memory.pool.pause_receiving()
        memory.pool.resume_receiving()

    memory.pool.on("message", handler)
    send_in_one_read(memory.server.peers[0], "1", "2", "3")
    memory.advance(1)
    assert errors == []
    assert messages == [b"1", b"2", b"3"]
    memory.close()


def test_receiving_resume_inside_a_handler_of_what_was_held_back() -> None:
    """Pausing and resuming while held-back messages are delivered keeps their order."""
    memory, messages, errors = receiving()
    memory.pool.pause_receiving()
    memory.settle()
    send_in_one_read(memory.server.peers[0], "1", "2", "3")
    memory.settle()

    def handler(*args: object) -> None:
        memory.pool.pause_receiving()
        memory.pool.resume_receiving()

    memory.pool.on("message", handler)
    memory.pool.resume_receiving()
    memory.advance(1)
    assert errors == []
    assert messages == [b"1", b"2", b"3"]
    memory.close()


@pytest.mark.parametrize("end", ["close", "destroy"])
def test_receiving_pause_and_end_inside_a_handler(end: str) -> None:
    """A handler that pauses and then ends the pool does not make it fail."""
    memory, messages, errors = receiving()
    closes: list[int] = []
    memory.pool.on("close", lambda connection_id, code, reason: closes.append(code))

    def handler(*args: object) -> None:
        memory.pool.pause_receiving()
        getattr(memory.pool, end)()

    memory.pool.on("message", handler)
    send_in_one_read(memory.server.peers[0], "1", "2", "3")
    memory.advance(1)
    assert messages[0] == b"1"
    assert [error for error in errors if isinstance(error, ProtocolViolation)] == []
    assert closes == [1000 if end == "close" else 1006]
    memory.close()


def test_receiving_destroy_inside_a_read_delivers_nothing_more() -> None:
    """After destroy() in the first of three messages the others are not delivered."""
    memory, messages, _ = receiving()
    memory.pool.on("message", lambda *args: memory.pool.destroy())
    send_in_one_read(memory.server.peers[0], "1", "2", "3")
    memory.advance(1)
    assert messages == [b"1"]
    memory.close()


def test_receiving_pause_lasts_over_reconnects() -> None:
    """A connection that opens while the pool is paused does not read either."""
    memory, messages, _ = receiving()
    memory.pool.pause_receiving()
    memory.server.peers[0].drop()
    memory.advance(1)
    assert memory.pool.open_connections == 1
    memory.server.peers[1].send("held back")
    memory.advance(10)
    assert messages == []
    memory.pool.resume_receiving()
    memory.settle()
    assert messages == [b"held back"]
    memory.close()


def test_receiving_pause_before_start_holds_for_new_connections() -> None:
    """pause_receiving() before start(), and for connections that resize() adds."""
    memory = MemoryPool(pool_size=1)
    messages: list[bytes] = []
    memory.pool.on("message", lambda data, *_: messages.append(data))
    memory.pool.pause_receiving()
    memory.open()
    memory.pool.resize(2)
    memory.settle()
    memory.settle()
    for peer in memory.server.peers:
        peer.send("x")
    memory.advance(1)
    assert messages == []
    memory.pool.resume_receiving()
    memory.settle()
    assert messages == [b"x", b"x"]
    memory.close()


def test_receiving_pause_in_the_open_handler() -> None:
    """A pause asked for when the connection opens holds back what came with the handshake."""
    memory = MemoryPool(pool_size=1)
    messages: list[bytes] = []
    memory.pool.on("message", lambda data, *_: messages.append(data))
    memory.pool.on("open", lambda connection_id: memory.pool.pause_receiving())
    memory.open()
    memory.server.peers[0].send("x")
    memory.advance(1)
    assert messages == []
    memory.pool.resume_receiving()
    memory.settle()
    assert messages == [b"x"]
    memory.close()


def test_receiving_paused_connections_are_not_found_dead() -> None:
    """The heartbeat holds still while we do not read: the peer may well be alive."""
    memory, messages, errors = receiving(heartbeat_interval=2, heartbeat_timeout=1)
    memory.advance(2)  # a ping is under way
    memory.pool.pause_receiving()
    memory.advance(100)
    assert errors == []
    memory.server.peers[0].send("alive")
    memory.advance(100)
    memory.pool.resume_receiving()
    memory.settle()
    assert messages == [b"alive"]
    memory.server.peers[0].fall_silent()
    memory.advance(4)
    assert len(errors) == 1, "the heartbeat goes on"
    memory.close()


def test_receiving_paused_pools_send() -> None:
    """Pausing concerns only what is received."""
    memory, _, _ = receiving()
    memory.pool.pause_receiving()
    memory.result(memory.pool.send("x"))
    assert memory.server.peers[0].received == [(b"x", False)]
    memory.close()


@pytest.mark.parametrize("held_back", [False, True])
def test_receiving_paused_pools_close(held_back: bool) -> None:
    """close() works while paused, also with messages held back: the peer's answer is read."""
    memory, _, errors = receiving(2)
    if held_back:
        memory.pool.on("message", lambda *args: memory.pool.pause_receiving())
        for peer in memory.server.peers:
            send_in_one_read(peer, "1", "2", "3")
        memory.settle()
    memory.pool.pause_receiving()
    codes: list[int] = []
    memory.pool.on("close", lambda connection_id, code, reason: codes.append(code))
    closed = outcome(memory.pool.close())
    memory.advance(0)
    memory.advance(0)
    memory.advance(0.1)
    assert closed == [None]
    assert codes == [1000, 1000]
    assert errors == []
    memory.close()


def test_receiving_paused_then_dropped() -> None:
    """A connection that is reset while paused is reconnected; the rest of its data is gone."""
    memory, messages, errors = receiving()
    memory.pool.on("message", lambda *args: memory.pool.pause_receiving())
    send_in_one_read(memory.server.peers[0], "1", "2")
    memory.settle()
    memory.server.peers[0].drop()
    memory.advance(1)
    assert memory.pool.open_connections == 1
    assert len(errors) == 1
    memory.pool.resume_receiving()
    memory.settle()
    assert messages == [b"1"]
    memory.close()


# The iterator


@implementer(IPoolLogger)
class Log:
    """
    Keeps the warnings of a pool.
    """

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def debug(self, message: str, *args: object) -> None: ...

    def info(self, message: str, *args: object) -> None: ...

    def warn(self, message: str, *args: object) -> None:
        self.warnings.append(message % args)

    def error(self, message: str, *args: object) -> None: ...


class Consumer:
    """
    Somebody who iterates, message by message, when the test says so.
    """

    def __init__(self, memory: MemoryPool) -> None:
        self.stream = memory.pool.messages()
        self.got: list[Received] = []
        self.over = False

    async def _take(self, number: int) -> None:
        for _ in range(number):
            try:
                self.got.append(await self.stream.__anext__())
            except StopAsyncIteration:
                self.over = True
                return

    def take(self, number: int = 1) -> Deferred[None]:
        return ensureDeferred(self._take(number))


def test_receiving_messages_can_be_iterated() -> None:
    """`async for` gives each message from the call on, and ends with the pool."""
    memory, _, _ = receiving(2)
    memory.server.peers[0].send("too early")
    memory.settle()
    got: list[Received] = []

    async def consume() -> str:
        async for data, is_binary, connection_id in memory.pool.messages():
            got.append((data, is_binary, connection_id))
        return "over"

    result = outcome(ensureDeferred(consume()))
    memory.server.peers[1].send("a")
    memory.settle()
    memory.server.peers[0].send(b"b")
    memory.settle()
    assert got == [(b"a", False, 1), (b"b", True, 0)]
    assert result == []
    memory.close()
    assert result == ["over"]


def test_receiving_iterator_gives_what_is_left_after_the_end() -> None:
    """What arrived before the pool ended can still be consumed; then it is over."""
    memory, _, _ = receiving()
    consumer = Consumer(memory)
    memory.server.peers[0].send("1")
    memory.server.peers[0].send("2")
    memory.settle()
    memory.close()
    consumer.take(3)
    assert [data for data, _, _ in consumer.got] == [b"1", b"2"]
    assert consumer.over
    late = Consumer(memory)
    late.take()
    assert late.over


def test_receiving_iterators_are_independent() -> None:
    """Each iterator gets every message, at its own pace; two may wait on one iterator."""
    memory, _, _ = receiving()
    first, second = Consumer(memory), Consumer(memory)
    both = [outcome(first.take()), outcome(first.take())]
    memory.server.peers[0].send("1")
    memory.settle()
    assert sorted(map(len, both)) == [0, 1]
    memory.server.peers[0].send("2")
    memory.settle()
    assert both == [[None], [None]]
    assert [data for data, _, _ in first.got] == [b"1", b"2"]
    second.take(2)
    assert [data for data, _, _ in second.got] == [b"1", b"2"]
    memory.close()


@pytest.mark.parametrize("size", [10, 2_000, 300_000])
def test_receiving_iterator_pushes_back(size: int) -> None:
    """A consumer that does not consume bounds memory: the sockets are not read any more."""
    memory, _, _ = receiving()
    consumer = Consumer(memory)
    peer = memory.server.peers[0]
    number = 5000 if size < 10_000 else 20
    for _ in range(number):
        peer.send(bytes(size))
    for _ in range(300):
        memory.settle()
    received = memory.pool.get_stats().received_messages
    assert received < number
    assert received <= 1024
    assert received * size <= MIB + size
    taken = 0
    while taken < number:
        consumer.take()
        memory.settle()
        memory.settle()
        assert len(consumer.got) > taken, "consuming makes more arrive"
        taken = len(consumer.got)
    for _ in range(100):
        memory.settle()
    assert memory.pool.get_stats().received_messages == number
    memory.close()


def test_receiving_slowest_iterator_decides() -> None:
    """Reading goes on only when no iterator, nor the user, holds it back."""
    memory, messages, _ = receiving()
    fast, slow = Consumer(memory), Consumer(memory)
    fast.take(100)
    peer = memory.server.peers[0]
    for _ in range(5):
        peer.send(bytes(400 * KIB))
    for _ in range(100):
        memory.settle()
    assert len(fast.got) == len(messages) == 3
    memory.pool.pause_receiving()
    slow.take(3)
    for _ in range(100):
        memory.settle()
    assert len(fast.got) == 3
    memory.pool.resume_receiving()
    for _ in range(100):
        memory.settle()
    assert len(fast.got) == 5
    memory.close()


@pytest.mark.parametrize("size", [1 * MIB, 3 * MIB])
def test_receiving_iterator_takes_a_huge_message_while_it_waits(size: int) -> None:
    """A message beyond the iterator's limit, with others behind it, does no harm."""
    memory, messages, errors = receiving()
    consumer = Consumer(memory)
    consumer.take(3)
    memory.server.peers[0].write(
        frame(bytes(size)) + frame(b"behind it", 0x81) + frame(b"and more", 0x81)
    )
    for _ in range(100):
        memory.settle()
    assert errors == []
    assert [len(data) for data in messages] == [size, 9, 8]
    assert [len(data) for data, _, _ in consumer.got] == [size, 9, 8]
    memory.close()


def test_receiving_iterator_left_early_lets_go() -> None:
    """aclose() forgets what was not consumed, and lets reading go on."""
    memory, messages, _ = receiving()
    consumer = Consumer(memory)
    peer = memory.server.peers[0]
    for _ in range(30):
        peer.send(bytes(100 * KIB))
    for _ in range(300):
        memory.settle()
    assert len(messages) < 30
    memory.result(ensureDeferred(consumer.stream.aclose()))
    memory.result(ensureDeferred(consumer.stream.aclose()))
    for _ in range(300):
        memory.settle()
    assert len(messages) == 30
    consumer.take()
    assert consumer.over
    assert consumer.got == []
    memory.close()


def test_receiving_iterator_left_early_and_not_closed_lets_go() -> None:
    """It ends when nobody refers to it any more; the log has one warning."""
    log = Log()
    memory = MemoryPool(pool_size=1, logger=log)
    memory.open()
    messages: list[bytes] = []

    async def first() -> bytes:
        async for data, _, _ in memory.pool.messages():
            return data
        raise AssertionError

    result = Deferred.fromCoroutine(first())
    memory.pool.on("message", lambda data, is_binary, connection_id: messages.append(data))
    peer = memory.server.peers[0]
    peer.send(b"first")
    for _ in range(30):
        peer.send(bytes(100 * KIB))
    assert memory.result(result) == b"first"
    for _ in range(300):
        memory.settle()
    assert len(messages) == 31
    assert len(log.warnings) == 1
    assert "messages()" in log.warnings[0]
    memory.close()


def test_receiving_iterator_closed_while_someone_waits() -> None:
    """aclose() ends the waiting of others."""
    memory, _, _ = receiving()
    consumer = Consumer(memory)
    waiting = outcome(consumer.take())
    memory.result(ensureDeferred(consumer.stream.aclose()))
    assert waiting == [None]
    assert consumer.over
    memory.close()


def test_receiving_iterator_may_be_cancelled() -> None:
    """Cancelling who waits for a message loses no message."""
    memory, _, _ = receiving()
    consumer = Consumer(memory)
    waiting = consumer.take()
    result = outcome(waiting)
    waiting.cancel()
    assert [type(value) for value in result] == [CancelledError]
    memory.server.peers[0].send("1")
    memory.settle()
    consumer.take()
    assert [data for data, _, _ in consumer.got] == [b"1"]
    memory.close()


def test_receiving_iterator_waiters_may_cancel_each_other() -> None:
    """One who got a message may cancel another who waits on the same iterator."""
    memory, _, errors = receiving()
    stream = memory.pool.messages()
    second: Deferred[Received]
    raised: list[Exception] = []

    async def first() -> Received:
        message = await stream.__anext__()
        try:
            second.cancel()
        except Exception as error:
            raised.append(error)
        return message

    async def take() -> Received:
        return await stream.__anext__()

    first_result = outcome(ensureDeferred(first()))
    second = ensureDeferred(take())
    second_result = outcome(second)
    memory.server.peers[0].send("1")
    memory.settle()
    assert raised == []
    assert first_result == [(b"1", False, 0)]
    assert [type(value) for value in second_result] == [CancelledError]
    assert errors == []
    memory.close()


# Limits and violations


def violated(memory: MemoryPool, octets: bytes) -> None:
    """Let the first peer write this, and time pass for the closing handshake."""
    memory.server.peers[0].write(octets)
    memory.settle()
    memory.settle()


@pytest.mark.parametrize("where", ["pool", "websocket"])
def test_receiving_too_large_a_message_costs_its_connection_only(where: str) -> None:
    """Beyond max_message_size that connection is closed with 1009; the others stay."""
    options: dict[str, Any] = {"max_message_size": 1000}
    if where == "websocket":
        options = {"ws_options": WebSocketOptions(max_message_size=1000)}
    memory, messages, errors = receiving(2, **options)
    memory.server.peers[1].send(bytes(1000))
    memory.settle()
    assert [len(data) for data in messages] == [1000]
    memory.server.peers[0].send(bytes(1001))
    memory.settle()
    memory.settle()
    assert [len(data) for data in messages] == [1000]
    close = memory.server.peers[0].close_received
    assert close is not None
    assert close[0] == 1009
    assert len(errors) == 1
    assert isinstance(errors[0], ProtocolViolation)
    assert errors[0].code == 1009
    assert memory.server.peers[1].is_open
    memory.advance(1)
    assert memory.pool.open_connections == 2
    memory.close()


def test_receiving_size_is_limited_over_all_fragments() -> None:
    """Many small fragments do not get around max_message_size."""
    memory, messages, errors = receiving(max_message_size=1000)
    violated(memory, frame(bytes(600), 0x02) + frame(bytes(600), 0x80))
    assert messages == []
    assert [error.code for error in errors if isinstance(error, ProtocolViolation)] == [1009]
    memory.close()


def test_receiving_size_is_judged_by_the_header() -> None:
    """A header that announces 1 GiB is refused without waiting for the payload."""
    memory, _, errors = receiving()
    violated(memory, b"\x82\x7f" + (1 << 30).to_bytes(8, "big") + bytes(100))
    close = memory.server.peers[0].close_received
    assert close is not None
    assert close[0] == 1009
    memory.advance(6)
    assert any(isinstance(error, ProtocolViolation) for error in errors)
    memory.close()


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (frame(b"\xff\xfe", 0x81), 1007),
        (frame("ä".encode()[:1], 0x81), 1007),
        (frame(b"ok", 0x01) + frame(b"\xff", 0x80), 1007),
        (frame(b"x", 0x81, mask=True), 1002),
        (frame(b"x", 0xC1), 1002),
        (frame(b"x", 0x83), 1002),
        (frame(b"x", 0x8B), 1002),
        (frame(b"x", 0x80), 1002),
        (frame(b"x", 0x01) + frame(b"x", 0x81), 1002),
        (frame(b"x", 0x09), 1002),
        (b"\x81\x7e\x00\x01x", 1002),
        (b"\x89\x7e\x00\x7e" + bytes(126), 1002),
        (frame(b"\x03", 0x88), 1002),
        (frame(b"\x03\xec", 0x88), 1002),
        (frame(b"\x03\xe8\xff", 0x88), 1007),
    ],
)
def test_receiving_violations_are_told_to_the_peer(octets: bytes, code: int) -> None:
    """A peer that breaks the protocol learns how by the close code; so does the application."""
    memory, messages, errors = receiving(2)
    violated(memory, octets)
    assert messages == []
    close = memory.server.peers[0].close_received
    assert close is not None
    assert close[0] == code
    memory.advance(5)
    assert [type(error) for error in errors] == [ProtocolViolation]
    assert isinstance(errors[0], ProtocolViolation)
    assert errors[0].code == code
    assert memory.server.peers[1].is_open
    memory.advance(1)
    assert memory.pool.open_connections == 2
    memory.close()


def compressed_pool(**options: Any) -> tuple[MemoryPool, list[bytes], list[Exception]]:
    """The same, with permessage-deflate."""
    clock = Clock()
    return receiving(
        clock=clock,
        server=MemoryServer(clock, compression=True),
        ws_options=WebSocketOptions(compression=True, compression_threshold=0),
        **options,
    )


def deflate(data: bytes) -> bytes:
    """Compress as in RFC 7692, section 7.2.1."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_receiving_a_compressed_bomb_is_defused() -> None:
    """A message that is small on the wire and huge in memory is refused with 1009."""
    memory, messages, errors = compressed_pool(max_message_size=100 * KIB)
    violated(memory, frame(deflate(bytes(100 * KIB)), 0xC2))
    assert [len(data) for data in messages] == [100 * KIB]
    violated(memory, frame(deflate(bytes(50 * MIB)), 0xC2))
    assert len(messages) == 1
    close = memory.server.peers[0].close_received
    assert close is not None
    assert close[0] == 1009
    memory.advance(5)
    assert [type(error) for error in errors] == [ProtocolViolation]
    memory.close()


def test_receiving_what_is_no_deflate_is_a_violation() -> None:
    """Octets that cannot be decompressed cost the connection, and nothing else."""
    memory, messages, errors = compressed_pool()
    violated(memory, frame(b"\xff\xff\xff\xff\xff", 0xC2))
    memory.advance(5)
    assert messages == []
    assert [type(error) for error in errors] == [ProtocolViolation]
    memory.advance(2)
    assert memory.pool.open_connections == 1
    memory.close()


def test_receiving_nothing_after_a_violation() -> None:
    """What follows a violation, in the same read or later, is not delivered."""
    memory, messages, errors = receiving()
    peer = memory.server.peers[0]
    peer.answers_close = False
    violated(memory, frame(b"good", 0x81) + frame(b"x", 0x83) + frame(b"bad", 0x81))
    peer.write(frame(b"worse", 0x81))
    memory.advance(5)
    assert messages == [b"good"]
    assert [type(error) for error in errors] == [ProtocolViolation]
    peer.answers_close = True
    memory.close()


def test_receiving_a_flood_of_pings_costs_bounded_memory() -> None:
    """To a peer that pings and does not read, only the latest ping is answered later."""
    memory, _, errors = receiving()
    peer = memory.server.peers[0]
    peer.stop_reading()
    number = 20_000
    for i in range(number):
        peer.ping(b"%0100d" % i)
        if i % 500 == 0:
            memory.settle()
    for _ in range(100):
        memory.settle()
    held = memory.pool.get_stats().connections[0].buffered_bytes
    assert held < 300 * KIB
    peer.resume_reading()
    for _ in range(100):
        memory.settle()
    assert errors == []
    assert len(peer.pongs) < 3000
    assert peer.pongs[-1] == b"%0100d" % (number - 1)
    assert peer.pongs == sorted(peer.pongs)
    memory.close()


def test_receiving_close_without_a_code_is_1005() -> None:
    """A Close frame without a code is told as 1005, as RFC 6455 says."""
    memory, _, errors = receiving()
    closes: list[tuple[int, int, str]] = []
    memory.pool.on("close", lambda *args: closes.append(args))
    memory.server.peers[0].answers_close = False
    violated(memory, frame(b"", 0x88))
    assert memory.server.peers[0].close_received == (1000, "")
    memory.advance(5)
    assert closes == [(0, 1005, "")]
    assert [type(error) for error in errors] == [CloseTimeout]
    memory.close()
