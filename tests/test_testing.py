"""
What users test their own code with does what it says.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IPushProducer,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from wsmultipool import ConnectionDropped, TransportFailed, UpgradeRejected, noop_logger
from wsmultipool._memory_transport import MemoryTransport, connect
from wsmultipool.testing import MemoryPool, MemoryServer


def quiet(size: int = 1, **options: Any) -> tuple[MemoryPool, list[Exception]]:
    """
    Build a pool that logs nothing; returns it, and its errors.
    """
    memory = MemoryPool(pool_size=size, logger=noop_logger, **options)
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    return memory, errors


# The pool


def test_memory_pool_works_as_in_its_documentation() -> None:
    """Open, drop, advance, look at what arrived, close."""
    memory, _ = quiet(1)
    memory.pool.on("open", lambda connection_id: memory.pool.send(b"subscribe"))
    memory.open()
    memory.server.peers[0].drop()
    memory.advance(1)
    assert memory.server.peers[-1].received == [(b"subscribe", True)]
    memory.close()


def test_memory_pool_says_which_connections_did_not_open() -> None:
    """open() raises AssertionError if the pool is not ready then."""
    memory, _ = quiet(2)
    memory.server.refuse()
    with pytest.raises(AssertionError, match="0 of 2 connections are open"):
        memory.open()
    memory.close()


def test_memory_pool_result_gives_values_and_raises_failures() -> None:
    """result() returns what a Deferred fired with, raises what it failed with, or complains."""
    memory, _ = quiet()
    assert memory.result(succeed(7)) == 7
    with pytest.raises(LookupError):
        memory.result(fail(LookupError()))
    with pytest.raises(AssertionError, match="has not fired"):
        memory.result(Deferred())
    memory.close()


def test_memory_pool_advance_has_every_timer_at_its_moment() -> None:
    """advance() lets each timer see its own time; clock.advance would not."""
    memory, _ = quiet()
    seen: list[float] = []

    def tick() -> None:
        seen.append(memory.clock.seconds())
        if len(seen) < 4:
            memory.clock.callLater(0.5, tick)

    memory.clock.callLater(0.5, tick)
    memory.advance(1.75)
    assert seen == [0.5, 1.0, 1.5]
    assert memory.clock.seconds() == 1.75
    memory.advance(0.25)
    memory.close()


def test_memory_pool_close_finds_what_is_left() -> None:
    """close() raises AssertionError for a delayed call that nobody cancelled."""
    memory, _ = quiet()
    memory.open()
    call = memory.clock.callLater(100, lambda: None)
    with pytest.raises(AssertionError, match="delayed calls are left"):
        memory.close()
    call.cancel()
    memory.close()


def test_memory_pool_close_finds_transports_that_are_left() -> None:
    """close() raises AssertionError for a connection that somebody else holds open."""
    clock = Clock()
    server = MemoryServer(clock)
    other = MemoryPool(pool_size=1, clock=clock, server=server)
    memory = MemoryPool(pool_size=1, clock=clock, server=server)
    other.open()
    memory.open()
    with pytest.raises(AssertionError, match="1 transports are left"):
        memory.close()
    other.close()


def test_memory_pool_close_finds_a_pool_that_does_not_close() -> None:
    """close() raises AssertionError if the pool is not closed within close_timeout."""
    memory = MemoryPool(pool_size=1, close_timeout=1, logger=noop_logger)
    memory.server.refuse()
    memory.pool.start()
    memory.pool.send("x").addErrback(lambda failure: None)
    memory.pool.close(drain=10)
    with pytest.raises(AssertionError, match="did not close"):
        memory.close()
    memory.pool.destroy()
    memory.close()


def test_memory_pool_delays_are_the_ceiling_or_as_told() -> None:
    """Backoff is without chance: the ceiling, or what uniform= makes of it."""
    memory, _ = quiet(uniform=lambda low, high: low + 0.1)
    memory.server.refuse()
    memory.pool.start()
    memory.advance(0.55)
    assert memory.server.attempts == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    memory.close()


def test_memory_pool_runs_the_same_every_time() -> None:
    """Two runs of one story are identical, to the moment and order of each event."""

    def run() -> list[Any]:
        told: list[Any] = []
        memory, errors = quiet(10, heartbeat_interval=3, max_connecting=3)
        memory.pool.on("open", lambda i: told.append(("open", i, memory.clock.seconds())))
        memory.pool.on("close", lambda *args: told.append((*args, memory.clock.seconds())))
        memory.open()
        chance = random.Random(7)
        for _ in range(100):
            for peer in memory.server.open_peers:
                if chance.random() < 0.1:
                    getattr(peer, chance.choice(["drop", "close", "fall_silent"]))()
            memory.pool.send(bytes(chance.randrange(1000)))
            memory.advance(chance.random())
        memory.close()
        return [told, [str(error) for error in errors], memory.server.attempts]

    first = run()
    assert len(first[0]) > 50
    assert run() == first


# The server


def test_memory_server_is_an_endpoint() -> None:
    """A MemoryServer can be given wherever an endpoint is wanted."""
    assert verifyObject(IStreamClientEndpoint, MemoryServer(Clock()))


def test_memory_server_refuses() -> None:
    """refuse() is ECONNREFUSED, until accept()."""
    memory, errors = quiet()
    memory.server.refuse()
    memory.pool.start()
    memory.settle()
    assert [type(error) for error in errors] == [TransportFailed]
    assert memory.server.peers == []
    memory.server.accept()
    memory.advance(1)
    assert memory.pool.open_connections == 1
    memory.close()


def test_memory_server_is_silent() -> None:
    """be_silent() accepts TCP and answers nothing."""
    memory, errors = quiet()
    memory.server.be_silent()
    memory.pool.start()
    memory.advance(5)
    (peer,) = memory.server.peers
    assert peer.connected
    assert not peer.is_open
    assert memory.server.open_peers == []
    assert errors == []
    memory.close()


def test_memory_server_drops_what_has_opened() -> None:
    """drop_when_open() lets a connection open, which the client sees, and then resets it."""
    memory, errors = quiet()
    opened: list[int] = []
    memory.pool.on("open", opened.append)
    memory.server.drop_when_open()
    memory.pool.start()
    memory.settle()
    memory.settle()
    assert opened == [0]
    assert [type(error) for error in errors] == [ConnectionDropped]
    memory.close()


def test_memory_server_rejects() -> None:
    """reject() answers with status, reason, headers and body, until told otherwise."""
    memory, errors = quiet()
    responses: list[Any] = []
    memory.pool.on("unexpected-response", lambda request, response, i: responses.append(response))
    memory.server.reject(418, "Teapot", {"X-Tea": "green"}, b"short and stout")
    memory.pool.start()
    memory.settle()
    assert [type(error) for error in errors] == [UpgradeRejected]
    (response,) = responses
    assert (response.status, response.reason, response.body) == (418, "Teapot", b"short and stout")
    assert response.headers["x-tea"] == "green"
    memory.server.refuse()
    memory.advance(1)
    assert len(responses) == 1
    memory.close()


@pytest.mark.parametrize("latency", [0.0, 0.25])
def test_memory_server_latency(latency: float) -> None:
    """Everything takes its time from one side to the other."""
    clock = Clock()
    memory, _ = quiet(clock=clock, server=MemoryServer(clock, latency=latency))
    memory.pool.start()
    memory.advance(2 * latency)
    assert memory.pool.open_connections == 1
    round_trip: list[float] = []
    memory.pool.ping().addCallback(round_trip.append)
    memory.advance(2 * latency)
    assert round_trip == [2 * latency]
    assert memory.pool.get_stats().connections[0].latency == 2 * latency
    memory.server.peers[0].drop()
    memory.advance(latency)
    assert memory.pool.open_connections == 0
    memory.close()


def test_memory_server_attempts_are_recorded() -> None:
    """attempts tells when somebody tried to connect."""
    memory, _ = quiet(2)
    memory.advance(3)
    memory.server.refuse()
    memory.pool.start()
    memory.advance(1)
    assert memory.server.attempts == [3, 3, 4, 4]
    memory.close()


def test_memory_server_leaves_chance_alone() -> None:
    """Making a server does not seed the global random numbers."""
    random.seed(5)
    expected = random.getstate()
    MemoryServer(Clock())
    assert random.getstate() == expected


def test_memory_server_does_not_connect_who_has_changed_his_mind() -> None:
    """A factory that builds no protocol gets no connection."""

    class Unwilling(Factory):
        def buildProtocol(self, addr: object) -> Protocol | None:
            return None

    server = MemoryServer(Clock())
    failures: list[Failure] = []
    server.connect(Unwilling()).addErrback(failures.append)
    assert len(failures) == 1
    assert server.peers == []


# A peer


def test_memory_peer_sees_what_the_client_sends() -> None:
    """received, pings, pongs, headers, resource, and the Close frame."""
    memory, _ = quiet(url="ws://memory.test/feed?x=1", ws_options="chat")
    memory.open()
    (peer,) = memory.server.peers
    assert peer.resource == "/feed?x=1"
    assert peer.headers["host"] == "memory.test"
    assert peer.headers["sec-websocket-protocol"] == "chat"
    memory.pool.send("text")
    memory.pool.send(b"binary")
    memory.pool.ping(b"ping")
    peer.ping(b"pong")
    memory.settle()
    memory.settle()
    assert peer.received == [(b"text", False), (b"binary", True)]
    assert peer.pings == [b"ping"]
    assert peer.pongs == [b"pong"]
    assert (peer.close_received, peer.is_open, peer.connected) == (None, True, True)
    memory.pool.close(3001, "why not")
    memory.settle()
    memory.settle()
    assert (peer.close_received, peer.is_open, peer.connected) == ((3001, "why not"), False, False)
    memory.close()


def test_memory_peer_sends() -> None:
    """send, as pool.send: str is text, the rest binary, or as told."""
    memory, _ = quiet()
    got: list[tuple[bytes, bool]] = []
    memory.pool.on("message", lambda data, is_binary, i: got.append((data, is_binary)))
    memory.open()
    peer = memory.server.peers[0]
    peer.send("text")
    peer.send(bytearray(b"binary"))
    peer.send("text", binary=True)
    peer.send(b"binary", binary=False)
    memory.settle()
    assert got == [(b"text", False), (b"binary", True), (b"text", True), (b"binary", False)]
    memory.close()


def test_memory_peer_falls_silent() -> None:
    """fall_silent() breaks the connection so that neither side notices."""
    memory, errors = quiet(heartbeat_interval=0)
    memory.open()
    peer = memory.server.peers[0]
    peer.fall_silent()
    memory.result(memory.pool.send("lost"))
    peer.send("lost as well")
    memory.advance(1000)
    assert memory.pool.open_connections == 1
    assert peer.received == []
    assert errors == []
    memory.close()


def test_memory_peer_stops_reading() -> None:
    """stop_reading() fills the client's buffers; resume_reading() empties them."""
    memory, _ = quiet()
    memory.open()
    peer = memory.server.peers[0]
    peer.stop_reading()
    for _ in range(5):
        memory.pool.send(bytes(50_000))
    memory.advance(10)
    assert peer.received == []
    assert memory.pool.get_stats().queued_messages > 0
    peer.resume_reading()
    for _ in range(20):
        memory.settle()
    assert len(peer.received) == 5
    assert memory.pool.get_stats().queued_messages == 0
    memory.close()


def test_memory_peer_may_leave_a_close_unanswered() -> None:
    """answers_close=False, of a server for later connections or of one peer."""
    memory, _ = quiet(close_timeout=2)
    memory.server.answers_close = False
    memory.open()
    peer = memory.server.peers[0]
    assert not peer.answers_close
    memory.pool.close()
    memory.advance(1.9)
    assert peer.connected
    assert peer.close_received == (1000, "")
    memory.advance(0.1)
    memory.close()
    assert not peer.connected


# The pipe


class Recorder(Protocol):
    """
    Remembers what happens to it.
    """

    transport: Any

    def __init__(self) -> None:
        self.received = b""
        self.reads: list[int] = []
        self.lost: list[Failure] = []

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.reads.append(len(data))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.append(reason)


@implementer(IPushProducer)
class Producer:
    """
    Remembers when it was told to pause and to resume.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


def pipe(latency: float = 0.0) -> tuple[Clock, Recorder, Recorder]:
    """
    Connect two recorders.
    """
    clock = Clock()
    client, server = Recorder(), Recorder()
    connect(clock, latency, client, server)
    return clock, client, server


def run(clock: Clock) -> None:
    """Let everything arrive."""
    for _ in range(20):
        clock.advance(1)


def test_memory_transport_is_a_tcp_transport() -> None:
    """It provides what protocols may ask of TCP."""
    _, client, server = pipe()
    for interface in (ITCPTransport, IConsumer, IPushProducer):
        assert verifyObject(interface, client.transport)
    assert isinstance(client.transport, MemoryTransport)
    assert client.transport.getPeer() == server.transport.getHost()
    assert client.transport.getHost() == server.transport.getPeer()
    client.transport.setTcpNoDelay(True)
    client.transport.setTcpKeepAlive(False)
    assert client.transport.getTcpNoDelay()
    assert not client.transport.getTcpKeepAlive()


def test_memory_transport_delivers_what_was_written_before_a_close() -> None:
    """loseConnection() lets what was written arrive; then both sides are told."""
    clock, client, server = pipe()
    client.transport.write(b"a")
    client.transport.writeSequence([b"b", b"c"])
    client.transport.write(b"")
    client.transport.loseConnection()
    client.transport.loseConnection()
    client.transport.write(b"too late")
    run(clock)
    assert server.received == b"abc"
    assert [type(each.lost[0].value) for each in (client, server)] == [ConnectionDone] * 2
    assert (len(client.lost), len(server.lost)) == (1, 1)
    client.transport.write(b"too late")
    client.transport.loseConnection()
    client.transport.abortConnection()
    run(clock)
    assert server.received == b"abc"
    assert len(client.lost) == 1


def test_memory_transport_loses_what_was_written_before_an_abort() -> None:
    """abortConnection() is a reset."""
    clock, client, server = pipe()
    client.transport.write(b"lost")
    client.transport.abortConnection()
    run(clock)
    assert server.received == b""
    assert isinstance(server.lost[0].value, ConnectionLost)
    assert len(client.lost) == 1


def test_memory_transport_half_close_is_a_close() -> None:
    """loseWriteConnection() and stopProducing() close, as no protocol here needs more."""
    for method in ("loseWriteConnection", "stopProducing"):
        clock, client, server = pipe()
        getattr(client.transport, method)()
        run(clock)
        assert (len(client.lost), len(server.lost)) == (1, 1)


def test_memory_transport_reads_64_kib_at_once() -> None:
    """What was written in one piece arrives in pieces of at most 64 KiB, in order."""
    clock, client, server = pipe()
    data = bytes(range(256)) * 600
    client.transport.write(data)
    run(clock)
    assert server.received == data
    assert server.reads == [65536, 65536, len(data) - 2 * 65536]


def test_memory_transport_pauses_producers_from_within_write() -> None:
    """Above 64 KiB the producer is paused in write(); resumed when all is delivered."""
    clock, client, server = pipe()
    producer = Producer()
    client.transport.registerProducer(producer, True)
    client.transport.write(bytes(65536))
    assert producer.told == []
    server.transport.pauseProducing()
    client.transport.write(b"x")
    assert producer.told == ["pause"]
    client.transport.write(b"x")
    assert producer.told == ["pause", "pause"], "as Twisted does, on every write"
    run(clock)
    assert server.received == b""
    server.transport.resumeProducing()
    run(clock)
    assert producer.told == ["pause", "pause", "resume"]
    assert len(server.received) == 65538


def test_memory_transport_waits_for_its_producer_to_end() -> None:
    """A close waits until the producer that may still write is unregistered."""
    clock, client, server = pipe()
    producer = Producer()
    client.transport.registerProducer(producer, True)
    client.transport.loseConnection()
    run(clock)
    assert server.lost == []
    client.transport.unregisterProducer()
    run(clock)
    assert len(server.lost) == 1


def test_memory_transport_refuses_wrong_producers() -> None:
    """Only one producer, only push producers; one that comes too late is stopped."""
    clock, client, _ = pipe()
    with pytest.raises(RuntimeError, match="push"):
        client.transport.registerProducer(Producer(), False)
    client.transport.registerProducer(Producer(), True)
    with pytest.raises(RuntimeError, match="already"):
        client.transport.registerProducer(Producer(), True)
    client.transport.unregisterProducer()
    client.transport.abortConnection()
    run(clock)
    late = Producer()
    client.transport.registerProducer(late, True)
    assert late.told == ["stop"]


def test_memory_transport_can_be_cut() -> None:
    """After cut() nothing arrives at the other end, neither data nor the end."""
    clock, client, server = pipe(latency=1)
    client.transport.write(b"on the way")
    client.transport.cut()
    client.transport.write(b"later")
    run(clock)
    assert server.received == b""
    client.transport.abortConnection()
    run(clock)
    assert server.lost == []
    assert len(client.lost) == 1
    server.transport.write(b"nobody is there")
    run(clock)
    assert client.received == b""


def test_memory_transport_latency() -> None:
    """Data and the end take their time."""
    clock, client, server = pipe(latency=2)
    client.transport.write(b"x")
    clock.advance(1.9)
    assert server.received == b""
    clock.advance(0.1)
    assert server.received == b"x"
    client.transport.abortConnection()
    clock.advance(1.9)
    assert server.lost == []
    clock.advance(0.1)
    assert len(server.lost) == 1


def test_memory_transport_does_not_deliver_to_who_stopped_reading_meanwhile() -> None:
    """A pause holds back also what is on the way."""
    clock, client, server = pipe(latency=1)
    client.transport.write(b"x")
    server.transport.pauseProducing()
    run(clock)
    assert server.received == b""
    server.transport.resumeProducing()
    run(clock)
    assert server.received == b"x"


def test_memory_transport_aborts_on_both_sides_at_once() -> None:
    """Two resets that cross each other end each side once."""
    clock, client, server = pipe(latency=1)
    client.transport.abortConnection()
    server.transport.abortConnection()
    run(clock)
    assert (len(client.lost), len(server.lost)) == (1, 1)


@pytest.mark.parametrize("offer", ["permessage-bzip2", "x-unknown"])
def test_memory_server_accepts_no_compression_but_deflate(offer: str) -> None:
    """A server with compression opens without it when another kind is offered."""
    clock = Clock()
    server = MemoryServer(clock, compression=True)
    client = Recorder()
    factory = Factory.forProtocol(lambda: client)
    server.connect(factory)
    lines = [
        "GET / HTTP/1.1",
        "Host: memory.test",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Extensions: {offer}",
    ]
    client.transport.write("\r\n".join([*lines, "", ""]).encode())
    run(clock)
    assert client.received.startswith(b"HTTP/1.1 101 ")
    assert b"extensions" not in client.received.lower()
    assert server.peers[0].is_open
