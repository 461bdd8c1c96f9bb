"""
A server in memory that tells of what arrives, and whose peers can hold back their pongs: what the
tests of confirmed sends share.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.task import Clock

from wsmultipool.errors import DeliveryUnknown
from wsmultipool.testing import MemoryPeer, MemoryPool, MemoryServer

from .test_sending import lose

Arrived = Callable[[MemoryPeer, str], None]

# Long enough for every retry of a pool with the default options.
LONG = 300


class Pongs:
    """
    The pongs of one peer, which it may hold back: it has read the pings, and all before them.

    @ivar asked: the pings not answered.
    """

    def __init__(self, peer: MemoryPeer, held: bool) -> None:
        self.asked: list[bytes] = []
        self._held = held
        self._protocol = peer._protocol
        self._send = self._protocol.sendPong
        self._protocol.sendPong = self._asked

    def _asked(self, payload: bytes) -> None:
        if self._held:
            self.asked.append(payload)
        else:
            self._send(payload)

    def answer(self, *payloads: bytes) -> None:
        """Send these pongs, in this order."""
        for payload in payloads:
            self._send(payload)

    def hold(self) -> None:
        """Answer no ping from now on."""
        self._held = True

    def release(self) -> None:
        """Answer all, and from now on at once."""
        self._held = False
        asked, self.asked = self.asked, []
        self.answer(*asked)


class Watched(list[tuple[bytes, bool]]):
    """
    What one peer receives, of which somebody is told.
    """

    def __init__(self, peer: MemoryPeer, arrived: Arrived) -> None:
        super().__init__()
        self._peer = peer
        self._arrived = arrived

    def append(self, message: tuple[bytes, bool]) -> None:
        super().append(message)
        self._arrived(self._peer, message[0].decode(errors="replace"))


class QuietServer(MemoryServer):
    """
    A server whose peers can hold back their pongs.

    @ivar quiet: whether those of new connections do.
    @ivar pongs: in the order of the peers.
    @ivar arrived: called with a peer and a text for each message, at the moment it arrives.
    """

    def __init__(self, clock: Clock, latency: float = 0.0) -> None:
        super().__init__(clock, latency=latency)
        self.quiet = False
        self.pongs: list[Pongs] = []
        self.arrived: Arrived = lambda peer, text: None

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        connected = super().connect(protocolFactory)
        for peer in self.peers[len(self.pongs) :]:
            peer.received = Watched(peer, lambda peer, text: self.arrived(peer, text))
            self.pongs.append(Pongs(peer, self.quiet))
        return connected

    def hold(self) -> None:
        """No peer answers pings from now on."""
        self.quiet = True
        for pongs in self.pongs:
            pongs.hold()

    def release(self) -> None:
        """All answer, also what they were asked before."""
        self.quiet = False
        for pongs in self.pongs:
            pongs.release()


def pool_of(size: int, latency: float = 0.0, **options: Any) -> tuple[MemoryPool, QuietServer]:
    """
    Make a pool of open connections, all of whose peers answer pings.
    """
    clock = Clock()
    server = QuietServer(clock, latency)
    memory = MemoryPool(server=server, clock=clock, pool_size=size, **options)
    memory.pool.start()
    memory.advance(latency * 4)
    assert memory.pool.open_connections == size
    return memory, server


def unconfirmed(memory: MemoryPool) -> tuple[int, int]:
    """
    Return how many messages, and how many bytes, wait for their confirmation.
    """
    stats = memory.pool.get_stats()
    return stats.unconfirmed_messages, stats.unconfirmed_bytes


def unknown(followed: list[Any]) -> DeliveryUnknown:
    """
    Return the L{DeliveryUnknown} that a Deferred has failed with.
    """
    (error,) = followed
    assert isinstance(error, DeliveryUnknown), error
    return error


def lose_all(memory: MemoryPool, how: int | None = None) -> None:
    """
    Lose every open connection.
    """
    for peer in memory.server.open_peers:
        lose(peer, how)
    memory.settle()


def begin_closing(peer: MemoryPeer) -> None:
    """
    Have a connection begin a closing handshake that its peer, which broke the protocol, leaves
    without an answer.
    """
    peer.answers_close = False
    peer.write(b"\x83\x00")  # a frame of a reserved kind
