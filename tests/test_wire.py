"""
What is on the wire: which frames, in which order, and in how many writes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from zope.interface import implementer
from zope.interface.verify import verifyObject

from wsmultipool import (
    ConnectionDropped,
    IWebSocketWire,
    NotConnected,
    PooledConnection,
    PoolOptions,
    ProtocolViolation,
    ServerURL,
    UpgradeRequest,
    WebSocketFactory,
    WebSocketOptions,
    noop_logger,
)
from wsmultipool.testing import MemoryPeer, MemoryPool, MemoryServer

from .support import Listener

KIB = 1024

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def outcome(deferred: Deferred[Any]) -> list[Any]:
    """Collect what a Deferred comes to; empty as long as it is pending."""
    results: list[Any] = []
    deferred.addCallbacks(results.append, lambda failure: results.append(failure.value))
    return results


class Frame(NamedTuple):
    """
    A frame as the client wrote it, unmasked.
    """

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0
    mask: bytes | None = None


def frames(octets: bytes) -> list[Frame]:
    """Take apart what a client wrote after its handshake."""
    found = []
    while octets:
        first, second = octets[:2]
        size, at = second & 0x7F, 2
        if size == 126:
            size, at = int.from_bytes(octets[2:4], "big"), 4
        elif size == 127:
            size, at = int.from_bytes(octets[2:10], "big"), 10
        mask = None
        if second & 0x80:
            mask, at = octets[at : at + 4], at + 4
        payload = octets[at : at + size]
        assert len(payload) == size, "the last frame is incomplete"
        if mask is not None:
            pad = (mask * (size // 4 + 1))[:size]
            number = int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")
            payload = number.to_bytes(size, "big")
        found.append(Frame(first & 15, payload, bool(first & 0x80), first >> 4 & 7, mask))
        octets = octets[at + size :]
    return found


class Tapped(ProtocolWrapper):
    """
    Between a wire and its transport; remembers each write.
    """

    transport: Any

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        self.transport.write(data)


@implementer(IStreamClientEndpoint)
class Tap:
    """
    Connects to a server and remembers what clients write, write by write.
    """

    def __init__(self, server: MemoryServer) -> None:
        self.clients: list[Tapped] = []
        self._server = server

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        factory = WrappingFactory(protocolFactory)
        factory.noisy = False
        tap = self

        class Remembered(Tapped):
            def __init__(self, *args: Any) -> None:
                super().__init__(*args)
                tap.clients.append(self)

        factory.protocol = Remembered
        return self._server.connect(factory)

    def writes(self, client: int = 0) -> list[bytes]:
        """The writes after the upgrade request."""
        return self.clients[client].writes[1:]

    def frames(self, client: int = 0) -> list[Frame]:
        """The frames of one client."""
        return frames(b"".join(self.writes(client)))

    def opcodes(self, client: int = 0) -> list[int]:
        """Only what kinds of frames they are."""
        return [frame.opcode for frame in self.frames(client)]


def tapped(
    size: int = 1, *, compression: bool = False, websocket: Any = (), **options: Any
) -> tuple[MemoryPool, Tap]:
    """
    Open a pool, all of whose writes are remembered.
    """
    clock = Clock()
    server = MemoryServer(clock, compression=compression)
    tap = Tap(server)
    memory = MemoryPool(
        clock=clock,
        server=server,
        pool_size=size,
        logger=noop_logger,
        ws_factory=WebSocketFactory(),
        ws_options=WebSocketOptions(endpoint=tap, compression=compression, **dict(websocket)),
        **options,
    )
    memory.open()
    return memory, tap


# Frames


@pytest.mark.parametrize("size", [0, 1, 125, 126, 1024, 1025, 65535, 65536])
def test_wire_frames_are_minimal_and_masked(size: int) -> None:
    """Each message is one masked frame with the shortest possible length."""
    memory, tap = tapped()
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    memory.result(memory.pool.send(data))
    (octets,) = tap.writes()
    head = 2 if size < 126 else 4 if size < 65536 else 10
    assert len(octets) == head + 4 + size
    (frame,) = tap.frames()
    assert frame.payload == data
    assert (frame.opcode, frame.fin, frame.rsv) == (BINARY, True, 0)
    assert frame.mask is not None
    memory.close()


def test_wire_masks_are_fresh() -> None:
    """No two frames, control frames included, have the same masking key."""
    memory, tap = tapped()
    for _ in range(2000):
        memory.pool.send("x")
    memory.pool.ping()
    memory.settle()
    masks = [frame.mask for frame in tap.frames()]
    assert len(masks) == 2001
    assert len(set(masks)) == 2001
    memory.close()


def test_wire_unmasked_on_request() -> None:
    """mask=False leaves the payload readable, for servers that want it so."""
    memory, tap = tapped()
    memory.pool.send("plain", mask=False)
    memory.settle()
    assert tap.writes() == [b"\x81\x05plain"]
    assert memory.server.peers[0].received == [(b"plain", False)]
    memory.close()


def test_wire_fragments() -> None:
    """fin=False makes a first frame, continuations, and a last one."""
    memory, tap = tapped()
    memory.pool.send("a", fin=False, key="k")
    memory.pool.send("b", fin=False, key="k")
    memory.pool.send("c", key="k")
    memory.settle()
    assert [(f.opcode, f.payload, f.fin) for f in tap.frames()] == [
        (TEXT, b"a", False),
        (CONTINUATION, b"b", False),
        (CONTINUATION, b"c", True),
    ]
    memory.close()


def test_wire_compression_is_by_threshold_or_as_told() -> None:
    """From compression_threshold on a message is compressed; compress= overrides."""
    memory, tap = tapped(compression=True, websocket={"compression_threshold": 100})
    text = "compress me " * 50
    for data, compress in [("x" * 99, None), (text, None), (text, False), ("short", True)]:
        memory.pool.send(data, compress=compress)
    memory.settle()
    assert [frame.rsv for frame in tap.frames()] == [0, 4, 0, 4]
    inflate = zlib.decompressobj(-15)
    first = inflate.decompress(tap.frames()[1].payload + b"\x00\x00\xff\xff")
    last = inflate.decompress(tap.frames()[3].payload + b"\x00\x00\xff\xff")
    assert (first, last) == (text.encode(), b"short")
    assert [data.decode() for data, _ in memory.server.peers[0].received] == [
        "x" * 99,
        text,
        text,
        "short",
    ]
    memory.close()


def test_wire_compressed_fragments() -> None:
    """A fragmented message is compressed as a whole: only its first frame says so."""
    memory, tap = tapped(compression=True)
    part = "again and again " * 100
    memory.pool.send(part, fin=False, key="k", compress=True)
    memory.pool.send(part, fin=False, key="k")
    memory.pool.send(part, key="k")
    memory.settle()
    assert [frame.rsv for frame in tap.frames()] == [4, 0, 0]
    assert memory.server.peers[0].received == [(part.encode() * 3, False)]
    memory.close()


def test_wire_uncompressed_fragments() -> None:
    """The same without compression, though it was negotiated."""
    memory, tap = tapped(compression=True)
    memory.pool.send("a", fin=False, key="k", compress=False)
    memory.pool.send("b" * 5000, key="k")
    memory.settle()
    assert [frame.rsv for frame in tap.frames()] == [0, 0]
    assert memory.server.peers[0].received == [(b"a" + b"b" * 5000, False)]
    memory.close()


# Order


def test_wire_echo_before_pong() -> None:
    """A message sent by a handler, and the answer to a ping behind that one, keep their order."""
    memory, tap = tapped()
    memory.pool.on("message", lambda data, is_binary, i: memory.pool.send(data))
    memory.server.peers[0].write(b"\x82\x01a\x89\x011\x82\x01b\x89\x012")
    memory.settle()
    assert [(f.opcode, f.payload) for f in tap.frames()] == [
        (BINARY, b"a"),
        (PONG, b"1"),
        (BINARY, b"b"),
        (PONG, b"2"),
    ]
    assert len(tap.writes()) == 1
    memory.close()


def test_wire_send_send_close() -> None:
    """What was sent before close() is written before the Close frame."""
    memory, tap = tapped()
    memory.pool.send("1")
    memory.pool.send("2")
    memory.pool.close(3000, "x")
    memory.settle()
    # With a ping in between, whose pong says that they have arrived.
    assert [(f.opcode, f.payload) for f in tap.frames() if f.opcode != PING] == [
        (TEXT, b"1"),
        (TEXT, b"2"),
        (CLOSE, b"\x0b\xb8x"),
    ]
    memory.close()


def test_wire_nothing_after_close() -> None:
    """After close() of a connection, sending and pinging on it fails; nothing more is written."""
    connections: list[PooledConnection] = []
    memory, tap = tapped(on_connect=connections.append)
    memory.server.peers[0].answers_close = False
    connections[0].close()
    late = [outcome(connections[0].send("late")), outcome(connections[0].ping())]
    assert [type(result[0]) for result in late] == [NotConnected] * 2
    waiting = outcome(memory.pool.send("for the next connection"))
    memory.server.peers[0].ping(b"?")
    memory.settle()
    memory.settle()
    assert tap.opcodes() == [CLOSE]
    assert waiting == []
    memory.server.peers[0].drop()
    memory.advance(2)
    assert waiting == [0]
    memory.close()


def test_wire_no_pong_after_close() -> None:
    """A pong that had to wait for the peer to read is not written behind a Close frame."""
    memory, tap = tapped()
    peer = memory.server.peers[0]
    peer.answers_close = False
    peer.stop_reading()
    memory.pool.send(bytes(100 * KIB))
    memory.settle()
    peer.ping(b"?")
    memory.settle()
    memory.pool.close()
    peer.resume_reading()
    for _ in range(5):
        memory.settle()
    assert [opcode for opcode in tap.opcodes() if opcode != PING] == [BINARY, CLOSE]
    assert tap.opcodes()[-1] == CLOSE
    memory.advance(5)
    memory.close()


def test_wire_reply_to_a_close_is_the_last_frame() -> None:
    """When the peer closes, its code is echoed; what was not written goes elsewhere."""
    memory, tap = tapped(2)
    sent: list[int] = []

    def on_message(data: bytes, is_binary: bool, connection_id: int) -> None:
        for _ in range(4):
            memory.pool.send("x").addCallback(sent.append)

    memory.pool.on("message", on_message)
    # The message makes the pool send on both connections; the Close frame is in the same read.
    memory.server.peers[0].write(b"\x81\x01?\x88\x02\x03\xe9")
    memory.settle()
    assert len(sent) == 4
    assert [(f.opcode, f.payload) for f in tap.frames(0)] == [(CLOSE, b"\x03\xe9")]
    assert tap.opcodes(1) == [TEXT] * 4
    assert memory.pool.get_stats().requeued_messages == 2
    memory.advance(6)
    memory.close()


def test_wire_pings_are_in_order_with_messages() -> None:
    """A ping is written behind what was sent before it."""
    memory, tap = tapped()
    memory.pool.send("1")
    memory.pool.ping(b"p")
    memory.pool.send("2")
    memory.settle()
    assert [f.payload for f in tap.frames()] == [b"1", b"p", b"2"]
    assert len(tap.writes()) == 1
    memory.close()


# Writes


def test_wire_one_write_per_turn() -> None:
    """However many messages are sent in a turn, each connection writes once."""
    memory, tap = tapped(3)
    for number in range(300):
        memory.pool.send(f"{number}")
    assert [len(tap.writes(client)) for client in range(3)] == [0, 0, 0]
    memory.settle()
    assert [len(tap.writes(client)) for client in range(3)] == [1, 1, 1]
    assert sum(len(peer.received) for peer in memory.server.peers) == 300
    memory.pool.send("next turn")
    memory.settle()
    assert sum(len(tap.writes(client)) for client in range(3)) == 4
    memory.close()


def test_wire_idle_connections_write_nothing() -> None:
    """Without traffic there are no writes, and no delayed calls."""
    memory, tap = tapped(2)
    memory.advance(100)
    assert [len(tap.writes(client)) for client in range(2)] == [0, 0]
    assert memory.clock.getDelayedCalls() == []
    memory.close()


def test_wire_coalesces_up_to_64_kib() -> None:
    """What collects in one turn is written when it reaches 64 KiB, not only at the end."""
    memory, tap = tapped()
    for _ in range(20):
        memory.pool.send(bytes(10 * KIB))
        if len(tap.writes()) == 1:
            break
    assert len(tap.writes()) == 1, "written within the turn"
    assert 64 * KIB <= len(tap.writes()[0]) < 64 * KIB + 10 * KIB + 20
    memory.settle()
    memory.close()


def test_wire_a_large_message_is_one_write() -> None:
    """A message above 64 KiB is written at once, in one piece."""
    memory, tap = tapped()
    memory.pool.send(bytes(1000 * KIB))
    assert len(tap.writes()) == 1
    for _ in range(20):
        memory.settle()
    assert [len(data) for data, _ in memory.server.peers[0].received] == [1000 * KIB]
    memory.close()


def test_wire_broadcast_writes_once_per_connection() -> None:
    """A broadcast in the same turn as other messages goes with them."""
    memory, tap = tapped(3)
    memory.pool.send("one")
    memory.pool.broadcast("all")
    memory.pool.broadcast("all again")
    memory.settle()
    assert [len(tap.writes(client)) for client in range(3)] == [1, 1, 1]
    memory.close()


def test_wire_stops_writing_when_the_transport_is_full() -> None:
    """Above the high-water mark nothing more is written until the transport is empty."""
    memory, tap = tapped()
    peer = memory.server.peers[0]
    peer.stop_reading()
    memory.pool.send(bytes(70 * KIB))
    waiting = [outcome(memory.pool.send(f"{number}")) for number in range(100)]
    memory.settle()
    assert len(tap.writes()) == 1
    assert not any(waiting)
    buffered = memory.pool.get_stats().connections[0].buffered_bytes
    assert buffered >= 70 * KIB
    peer.resume_reading()
    for _ in range(4):
        memory.settle()
    assert all(waiting)
    assert len(tap.writes()) == 2
    assert memory.pool.get_stats().connections[0].buffered_bytes == 0
    memory.close()


def test_wire_takes_back_what_it_had_not_written() -> None:
    """A connection lost in the turn in which it took messages gives them back, in order."""
    memory, tap = tapped()
    results = []
    memory.server.peers[0].drop()
    for number in range(5):
        results.append(outcome(memory.pool.send(f"{number}")))
    memory.advance(3)
    assert results == [[0]] * 5
    everything = [peer.received for peer in memory.server.peers]
    assert [data for received in everything for data, _ in received][-5:] == [
        b"0",
        b"1",
        b"2",
        b"3",
        b"4",
    ]
    assert tap.writes(0) == []
    assert memory.pool.get_stats().requeued_messages == 5
    memory.close()


def test_wire_destroy_writes_nothing() -> None:
    """destroy() in the turn of a send does not write it, nor a Close frame."""
    memory, tap = tapped()
    memory.pool.send("x")
    memory.pool.destroy()
    memory.settle()
    memory.settle()
    assert tap.writes() == []
    memory.close()


def test_wire_frames_of_on_connect_come_first() -> None:
    """What the hook sends is on the wire before the pool's traffic."""
    memory: MemoryPool
    memory, tap = tapped(on_connect=lambda connection: connection.send("hook"))
    memory.pool.send("pool")
    memory.settle()
    assert [f.payload for f in tap.frames()] == [b"hook", b"pool"]
    memory.close()


@pytest.mark.parametrize(
    "violate",
    [
        lambda peer: peer.write(b"\x83\x00"),
        lambda peer: peer.write(b"\x81\x01\xff"),
    ],
)
def test_wire_violations_end_with_one_close_frame(violate: Callable[[MemoryPeer], None]) -> None:
    """A second violation behind the first does not lead to a second Close frame."""
    memory, tap = tapped()
    peer = memory.server.peers[0]
    peer.answers_close = False
    violate(peer)
    memory.settle()
    violate(peer)
    memory.settle()
    assert tap.opcodes() == [CLOSE]
    memory.advance(6)
    memory.close()


# A wire by itself, as IWebSocketWire describes it


class Handing(Factory):
    """
    Hands out one wire, which has a factory of its own.
    """

    def __init__(self, wire: Any) -> None:
        self._wire = wire

    def buildProtocol(self, addr: object) -> Any:
        return self._wire


def bare_wire(listener: Listener) -> tuple[Clock, MemoryServer, IWebSocketWire]:
    """
    Connect a wire that belongs to no pool.
    """
    clock = Clock()
    server = MemoryServer(clock)
    url = ServerURL.parse("ws://memory.test/")
    wire = WebSocketFactory().build_protocol(
        UpgradeRequest(url=url, host=url.host_header), PoolOptions()
    )
    wire.listener = listener
    verifyObject(IWebSocketWire, wire)
    server.connect(Handing(wire))
    return clock, server, wire


def reported(listener: Listener) -> list[object]:
    """Only the names of what was reported, without that octets arrived."""
    return [name for name, *_ in listener.reported() if name not in ("heard", "read")]


def test_wire_closed_before_it_is_open_is_aborted() -> None:
    """Where no closing handshake is possible, close() is abort()."""
    listener = Listener()
    clock, server, wire = bare_wire(listener)
    wire.close(1000, "")
    clock.advance(0)
    clock.advance(0)
    assert reported(listener) == ["lost"]
    assert not server.peers[0].connected


def test_a_wire_that_was_never_connected_is_lost_at_once() -> None:
    """There is no transport whose end could be waited for."""
    listener = Listener()
    url = ServerURL.parse("ws://memory.test/")
    wire: Any = WebSocketFactory().build_protocol(
        UpgradeRequest(url=url, host=url.host_header), PoolOptions()
    )
    wire.listener = listener
    wire.abort()
    [(name, error, code, reason)] = listener.reported()
    assert (name, code, reason) == ("lost", 1006, "")
    assert isinstance(error, ConnectionDropped)
    # An endpoint may take no notice.
    clock = Clock()
    server = MemoryServer(clock)
    server.connect(Handing(wire))
    clock.advance(0)
    clock.advance(0)
    assert listener.reported() == []
    assert not server.peers[0].connected


def test_wire_closed_twice_closes_once() -> None:
    """A second close() neither writes nor aborts anything."""
    listener = Listener()
    clock, server, wire = bare_wire(listener)
    clock.advance(0)
    wire.close(1000, "")
    wire.close(1001, "again")
    clock.advance(0)
    clock.advance(0)
    assert server.peers[0].close_received == (1000, "")
    reports = [name for name in reported(listener) if name != "queued"]
    assert reports == ["open", "closing", "closed", "lost"]


def test_wire_paused_twice_is_resumed_once() -> None:
    """pause_receiving() and resume_receiving() do not count."""
    listener = Listener()
    clock, server, wire = bare_wire(listener)
    clock.advance(0)
    wire.resume_receiving()
    wire.pause_receiving()
    wire.pause_receiving()
    server.peers[0].send("x")
    clock.advance(0)
    assert reported(listener) == ["open"]
    wire.resume_receiving()
    clock.advance(0)
    assert reported(listener) == ["message"]
    wire.abort()
    clock.advance(0)


def test_wire_survives_what_it_cannot_explain() -> None:
    """An exception while octets are parsed costs the connection, and is told as its end."""

    class Broken(Listener):
        def wire_message(self, payload: bytes, is_binary: bool) -> None:
            raise RuntimeError

    listener = Broken()
    clock, server, _ = bare_wire(listener)
    clock.advance(0)
    server.peers[0].send("x")
    clock.advance(0)
    clock.advance(0)
    name, error, code, _reason = listener.reported()[-1]
    assert (name, code) == ("lost", 1006)
    assert isinstance(error, ProtocolViolation)
    assert isinstance(error.__cause__, RuntimeError)
