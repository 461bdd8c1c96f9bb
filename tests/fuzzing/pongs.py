"""
Peers whose pongs are not to be trusted, and what a confirmation may still be based on.

The model: a message is proven to have arrived when a peer has read it, has read a ping behind it on
the same connection, and has then sent a pong with that ping's payload.  Nothing else confirms.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from wsmultipool import (
    BufferFull,
    DeliveryUnknown,
    NotConnected,
    PoolClosed,
    QueueOverflow,
    SendTimeout,
    ServerURL,
    WebSocketFactory,
)
from wsmultipool._memory_transport import connect
from wsmultipool.options import PoolOptions
from wsmultipool.testing import MemoryPool

from ..support import BusyClock
from .frames import frame
from .peers import Request
from .reference import BINARY, CLOSE, PING, PONG, TEXT, client_frames
from .watching import Watch

_FIN = 0x80
_GUESSES = (b"", b"p", b"wsmultipool 1", bytes(8), b"p" * 125)
_NOT_SENT = (BufferFull, NotConnected, QueueOverflow, SendTimeout)
_WAYS = ("answer", "answer", "answer", "later", "never", "wrong", "twice", "drop", "close")


class Peer(Protocol):
    """
    The server's end of one connection.

    @ivar owed: payloads of pings that it may still answer.
    """

    transport: Any

    def __init__(self, world: World) -> None:
        self.connected_now = True
        self.owed: list[bytes] = []
        self._world = world
        self._received = b""
        self._request: Request | None = None
        self._messages: list[bytes] = []
        self._behind: dict[bytes, int] = {}

    def dataReceived(self, data: bytes) -> None:
        self._received += data
        if self._request is None:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            self._request = Request(head + end)
            self._received = rest
            self.transport.write(self._request.upgrade)
        taken = 0
        for opcode, payload, size in client_frames(self._received):
            taken += size
            self._read(opcode, payload)
        self._received = self._received[taken:]

    def _read(self, opcode: int, payload: bytes) -> None:
        if opcode in (TEXT, BINARY):
            self._messages.append(payload)
            self._world.arrived[payload] += 1
        elif opcode == CLOSE:
            self.transport.write(frame(_FIN | CLOSE, payload[:2]))
            self.transport.loseConnection()
        elif opcode == PING:
            self._behind[payload] = len(self._messages)
            self._pinged(payload)

    def _pinged(self, payload: bytes) -> None:
        world = self._world
        way = "answer" if world.honest else world.random.choice(_WAYS)
        if way in ("answer", "twice"):
            self.pong(payload)
        if way in ("later", "twice"):
            self.owed.append(payload)
        elif way == "wrong":
            self.pong(world.random.choice((payload[:-1], payload + b"x", payload[::-1], b"")))
        elif way == "drop":
            self.drop()
        elif way == "close":
            self.transport.write(frame(_FIN | CLOSE, b"\x03\xf4"))

    def pong(self, payload: bytes) -> None:
        """Send a pong, asked for or not."""
        behind = self._behind.get(payload, 0)
        self._world.proven[self] = max(behind, self._world.proven.get(self, 0))
        self.transport.write(frame(_FIN | PONG, payload))

    def has_proven(self, payload: bytes) -> bool:
        """Whether it has told that it read this message."""
        return payload in self._messages[: self._world.proven.get(self, 0)]

    def drop(self) -> None:
        """Reset the connection."""
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.connected_now = False


@implementer(IStreamClientEndpoint)
class World:
    """
    All peers, and what they know together.

    @ivar honest: whether from now on every ping is answered at once.
    @ivar arrived: how often each message was read.
    @ivar proven: how many of the messages that it has read each peer has told to have read.
    """

    def __init__(self, random: Random, clock: BusyClock, latency: float) -> None:
        self.random = random
        self.honest = False
        self.arrived: Counter[bytes] = Counter()
        self.proven: dict[Peer, int] = {}
        self.peers: list[Peer] = []
        self._clock = clock
        self._latency = latency

    @property
    def connected(self) -> list[Peer]:
        """The peers that have a connection now."""
        return [peer for peer in self.peers if peer.connected_now]

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        if not self.honest and self.random.randrange(6) == 0:
            return fail(ConnectionRefusedError())
        client = protocolFactory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 80))
        if client is None:
            return fail(ConnectionRefusedError())
        peer = Peer(self)
        self.peers.append(peer)
        connect(self._clock, self._latency, client, peer)
        return succeed(client)

    def proven_by(self, payload: bytes) -> int:
        """How many peers have told that they read this message."""
        return sum(peer.has_proven(payload) for peer in self.peers)

    def lie(self) -> None:
        """Let one of the peers do something that nobody asked for."""
        if not self.connected:
            return
        peer = self.random.choice(self.connected)
        way = self.random.randrange(4)
        if way == 0 and peer.owed:
            peer.pong(peer.owed.pop(self.random.randrange(len(peer.owed))))
        elif way == 1:  # what another connection, or an earlier one, was asked
            other = self.random.choice(self.peers)
            peer.pong(self.random.choice((*other.owed, *other._behind, b"")))
        elif way == 2:
            peer.pong(self.random.choice(_GUESSES))
        else:
            peer.drop()


class _Factory(WebSocketFactory):
    """
    Connects to the peers.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def build_endpoint(
        self, reactor: IReactorTime, url: ServerURL, options: PoolOptions
    ) -> IStreamClientEndpoint:
        return self._world


@dataclass
class Sent:
    """
    A message, and what its sender was told.

    @ivar number: how many were sent before.
    """

    number: int
    payload: bytes
    confirm: bool
    outcome: object = None


class _Flush(NamedTuple):
    """
    How many messages had been sent when it was asked for, and since which.
    """

    since: int
    until: int


class Story:
    """
    What a user of the pool does, and what is checked whenever something is confirmed.

    @ivar problems: what was confirmed without proof.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        clock = BusyClock(50_000)
        self.world = World(random, clock, random.choice((0.0, 0.0, 0.01)))
        self.most = random.choice((1, 2, 3))
        self.memory = MemoryPool(
            clock=clock,
            ws_factory=_Factory(self.world),
            pool_size=random.choice((1, 2, 3)),
            max_deliveries=self.most,
            message_queue_size=random.choice((0, 3, 100)),
            overflow=random.choice(("drop_oldest", "drop_newest", "wait")),
            max_buffered_bytes=random.choice((200, 1 << 20)),
            heartbeat_interval=random.choice((0, 1)),
            heartbeat_timeout=2,
            min_uptime=0.5,
            max_reconnect_interval=2,
        )
        self.sent: list[Sent] = []
        self.waiting: list[Deferred[Any]] = []
        self.problems: list[str] = []
        self._told_of_loss = 0
        self._excused: list[Sent] = []

    def act(self) -> None:
        """
        Do one thing.
        """
        random, pool = self._random, self.memory.pool
        way = random.randrange(12)
        if way < 4:
            self._send(confirm=True)
        elif way == 4:
            self._send(confirm=False)
        elif way == 5:
            self._follow(pool.ping(random.choice(_GUESSES), timeout=random.choice((None, 1))))
        elif way == 6:
            self._flush()
        elif way == 7:
            self._broadcast()
        elif way == 8:
            self.memory.advance(random.choice((0.005, 0.02, 0.3, 3)))
        elif way == 9 and self.waiting:
            random.choice(self.waiting).cancel()
        elif way == 10:
            self.world.lie()
        else:
            self.memory.settle()

    def _follow(self, deferred: Deferred[Any]) -> None:
        self.waiting.append(deferred)
        deferred.addErrback(lambda _: None)

    def _payload(self) -> bytes:
        return b"message %d " % len(self.sent) + b"." * self._random.choice((0, 60))

    def _send(self, confirm: bool) -> None:
        random = self._random
        sent = Sent(len(self.sent), self._payload(), confirm)
        self.sent.append(sent)
        deferred = self.memory.pool.send(
            sent.payload,
            confirm=confirm,
            key=random.choice((None, None, 1, 2)),
            timeout=random.choice((None, None, 1)),
        )

        def settled(result: object) -> None:
            sent.outcome = result.value if isinstance(result, Failure) else True
            if confirm and sent.outcome is True and not self.world.proven_by(sent.payload):
                self.problems.append(f"{sent.payload!r} is not proven")

        self._follow(deferred.addBoth(settled))

    def _broadcast(self) -> None:
        sent = Sent(len(self.sent), self._payload(), confirm=True)
        self.sent.append(sent)

        def settled(results: list[tuple[bool, int | Failure]]) -> None:
            sent.outcome = results
            confirmed = sum(success for success, _ in results)
            if confirmed > self.world.proven_by(sent.payload):
                self.problems.append(f"{sent.payload!r} was not proven by {confirmed} peers")

        self._follow(self.memory.pool.broadcast(sent.payload, confirm=True).addCallback(settled))

    def _flush(self) -> None:
        flush = _Flush(self._told_of_loss, len(self.sent))
        flushed = self.memory.pool.flush(self._random.choice((None, 2)))

        def failed(failure: Failure) -> None:
            if failure.check(DeliveryUnknown):
                self._told_of_loss = len(self.sent)

        def succeeded(_: object) -> None:
            for sent in self.sent[max(flush.since, self._told_of_loss) : flush.until]:
                if not self.world.proven_by(sent.payload):
                    self._excused.append(sent)

        self._follow(flushed.addCallbacks(succeeded, failed))

    def check(self) -> None:
        """
        Check what must hold when everything is over.
        """
        assert not self.problems, self.problems
        for sent in self._excused:
            # What a flush does not wait for: it was not sent, and its sender heard so.
            excuse = isinstance(sent.outcome, (*_NOT_SENT, CancelledError, PoolClosed))
            excuse |= isinstance(sent.outcome, list)
            assert excuse, f"flushed, but {sent.payload!r} was not proven: {sent.outcome!r}"
        for sent in self.sent:
            assert sent.outcome is not None, f"{sent.payload!r} was never settled"
            if isinstance(sent.outcome, list):
                continue
            arrived = self.world.arrived[sent.payload]
            most = self.most if sent.confirm else 1
            assert arrived <= most, f"{sent.payload!r} arrived {arrived} times, not {most}"
            if isinstance(sent.outcome, _NOT_SENT):
                assert not arrived, f"{sent.payload!r} arrived, but {sent.outcome!r}"
            elif isinstance(sent.outcome, Exception) and not isinstance(
                sent.outcome, CancelledError
            ):
                assert isinstance(sent.outcome, DeliveryUnknown), repr(sent.outcome)


def pongs(random: Random) -> None:
    """
    Confirmed sends, flushes and broadcasts among peers whose pongs are wrong, late, or repeated.
    """
    story = Story(random)
    with Watch() as watch:
        story.memory.pool.start()
        for _ in range(random.choice((5, 20, 60))):
            story.act()
        story.world.honest = True
        for _ in range(20):
            # A peer that has kept an answer to itself will not send it any more.
            for peer in story.world.connected:
                peer.drop()
            story.memory.advance(4)
            if all(deferred.called for deferred in story.waiting):
                break
        story.memory.close()
        watch.check()
    story.check()
