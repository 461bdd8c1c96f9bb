"""
The proxy that breaks connections: what it passes on, and what each of its faults looks like from
the two ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from ..integration.deadline import within
from ..integration.journal import Journal
from ..integration.listening import unused_port
from ..integration.running_reactor import reactor
from .proxy import FaultProxy, Link


@implementer(IHalfCloseableProtocol)
class End(Protocol):
    """
    One end of a proxied connection.

    @ivar journal: C{data}, C{ended} when the other end will send no more, and C{lost} with why.
    """

    transport: Any

    def __init__(self) -> None:
        self.journal = Journal()
        self.received = b""

    def connectionMade(self) -> None:
        self.journal.record("made")

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.journal.record("data")

    def readConnectionLost(self) -> None:
        self.journal.record("ended")

    def writeConnectionLost(self) -> None:
        """As this end wanted."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.journal.record("lost", reason.type)

    async def has(self, data: bytes) -> None:
        """Wait until exactly this was received."""
        await self.journal.when(lambda: len(self.received) >= len(data))
        assert self.received == data

    async def was_reset(self) -> None:
        (why,) = await self.journal.nth("lost")
        assert why is ConnectionLost

    async def was_closed(self) -> None:
        (why,) = await self.journal.nth("lost")
        assert why is ConnectionDone


class Linked:
    """
    Two ends, and the link between them.
    """

    def __init__(self, client: End, server: End, link: Link, proxy: FaultProxy) -> None:
        self.client = client
        self.server = server
        self.link = link
        self.proxy = proxy


Connect = Callable[[], Awaitable[Linked]]


def one(protocol: Protocol) -> Factory[Any]:
    """Return a factory for just this protocol."""
    factory: Factory[Any] = Factory.forProtocol(lambda: protocol)
    factory.noisy = False
    return factory


def listen(stack: AsyncExitStack, factory: Any) -> int:
    """
    Listen until the end of the test, and return the port.  Not with L{listening}: its wrapper hides
    from Twisted that a protocol understands half-closed connections.
    """
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    stack.push_async_callback(lambda: maybeDeferred(port.stopListening))
    address = port.getHost()
    assert isinstance(address, IPv4Address)
    return address.port


@pytest.fixture
def connect(stack: AsyncExitStack) -> Connect:
    """
    Make a connection through a proxy in this process.
    """

    async def connect() -> Linked:
        server = End()
        proxy = FaultProxy(reactor, listen(stack, one(server)))
        client = End()
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", listen(stack, proxy))
        await endpoint.connect(one(client))
        await server.journal.nth("made")

        def end() -> None:
            for end in (client, server):
                end.transport.abortConnection()

        stack.callback(end)
        link = proxy.whole_link(0)
        assert link is not None
        return Linked(client, server, link, proxy)

    return connect


@within(30)
async def test_passes_on_everything(connect: Connect) -> None:
    """Without a fault, every octet arrives, in both directions."""
    linked = await connect()
    payload = bytes(range(256)) * 8192

    linked.client.transport.write(payload)
    linked.server.transport.write(payload[::-1])

    await linked.server.has(payload)
    await linked.client.has(payload[::-1])


@within(30)
async def test_passes_on_the_end(connect: Connect) -> None:
    """An end that closes its connection in order is seen so by the other, after all octets."""
    linked = await connect()

    linked.client.transport.write(b"bye")
    linked.client.transport.loseWriteConnection()
    await linked.server.journal.nth("ended")
    await linked.server.has(b"bye")
    linked.server.transport.write(b"and bye")
    linked.server.transport.loseConnection()

    await linked.client.has(b"and bye")
    await linked.client.journal.nth("ended")
    linked.client.transport.loseConnection()
    await linked.server.was_closed()
    assert not linked.proxy.links


@within(30)
async def test_passes_on_a_reset(connect: Connect) -> None:
    """An end that resets its connection is seen so by the other."""
    linked = await connect()

    linked.client.transport.abortConnection()

    await linked.server.was_reset()
    assert not linked.proxy.links


@within(30)
async def test_server_that_is_away(stack: AsyncExitStack) -> None:
    """A client is dropped when there is no server to link it with."""
    proxy = FaultProxy(reactor, unused_port())
    client = End()
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", listen(stack, proxy))

    await endpoint.connect(one(client))

    await client.was_reset()
    assert not proxy.links


@within(30)
async def test_passes_on_backpressure(connect: Connect) -> None:
    """A server that does not read is felt by the client."""
    linked = await connect()
    linked.server.transport.pauseProducing()
    filled = Journal()

    class Filler:
        """Writes until it is told to stop."""

        def pauseProducing(self) -> None:
            filled.record("paused")

        def resumeProducing(self) -> None:
            filled.record("resumed")

        def stopProducing(self) -> None: ...

    linked.client.transport.registerProducer(Filler(), True)
    written = 0
    while filled.count("paused") == filled.count("resumed"):
        linked.client.transport.write(bytes(65536))
        written += 65536
        assert written < 1 << 30
        if filled.count("paused") > filled.count("resumed"):
            # Full for a turn only, or for good?
            await deferLater(reactor, 0.1)
        else:
            await deferLater(reactor, 0)

    linked.client.transport.unregisterProducer()
    linked.server.transport.resumeProducing()
    await linked.server.journal.when(lambda: len(linked.server.received) == written)


@within(30)
async def test_reset(connect: Connect) -> None:
    """C{reset} looks like RST to both."""
    linked = await connect()

    linked.link.reset()

    await linked.client.was_reset()
    await linked.server.was_reset()
    assert linked.proxy.whole_link(0) is None


@within(30)
async def test_half_close(connect: Connect) -> None:
    """C{half_close} ends one direction; the other still works."""
    linked = await connect()

    linked.link.half_close("to_client")

    await linked.client.journal.nth("ended")
    linked.server.transport.write(b"too late")
    linked.client.transport.write(b"still there")
    await linked.server.has(b"still there")
    assert linked.client.received == b""
    assert linked.server.journal.names == ["made", "data"]
    assert linked.proxy.whole_link(0) is None


@pytest.mark.parametrize("hole", ["to_server", "to_client"])
@within(30)
async def test_black_hole_in_one_direction(connect: Connect, hole: str) -> None:
    """C{black_hole} takes everything of one direction, also the end; the other still works."""
    linked = await connect()
    (silenced, deaf), through = (
        ((linked.client, linked.server), linked.link.to_server)
        if hole == "to_server"
        else ((linked.server, linked.client), linked.link.to_client)
    )

    linked.link.black_hole([hole])
    silenced.transport.write(b"nobody hears")
    silenced.transport.loseWriteConnection()
    deaf.transport.write(b"says the other")

    await silenced.has(b"says the other")
    while through.swallowed < len(b"nobody hears"):
        await deferLater(reactor, 0)
    assert deaf.received == b""
    assert deaf.journal.count("ended") == deaf.journal.count("lost") == 0


@within(30)
async def test_black_hole_ends_with_a_reset(connect: Connect) -> None:
    """Who finds out about a black hole, and resets, ends it."""
    linked = await connect()
    linked.link.black_hole(["to_server", "to_client"])

    linked.client.transport.abortConnection()

    await linked.server.was_reset()
    assert not linked.proxy.links


@pytest.mark.parametrize("end", ["reset", "close"])
@within(30)
async def test_cut(connect: Connect, end: str) -> None:
    """C{cut} passes on the first octets of what comes next, and ends both connections."""
    linked = await connect()
    linked.link.cut("to_server", 7, end)

    linked.client.transport.write(b"in the middle of a frame")

    if end == "reset":
        await linked.server.was_reset()
        await linked.client.was_reset()
    else:
        await linked.server.journal.nth("ended")
        await linked.client.journal.nth("ended")
    assert linked.server.received == b"in the "


@within(30)
async def test_cut_is_never_behind_the_last_octet(connect: Connect) -> None:
    """C{cut} never passes on everything."""
    linked = await connect()
    linked.link.cut("to_client", 1000, "reset")

    linked.server.transport.write(b"short")

    await linked.client.was_reset()
    assert linked.client.received == b"shor"


@within(30)
async def test_cut_leaves_no_hole(connect: Connect) -> None:
    """What a slow link holds when it is cut is passed on before the octets that are the last."""
    linked = await connect()
    linked.link.delay(by=30, seconds=30)
    linked.client.transport.write(b"held, ")
    while linked.link.to_server.held < 6:
        await deferLater(reactor, 0)
    linked.link.cut("to_server", 3, "close")

    linked.client.transport.write(b"cut short")

    await linked.server.journal.nth("ended")
    assert linked.server.received == b"held, cut"


@pytest.mark.parametrize(("octet", "bit"), [(0, 0), (3, 7), (9, 2)])
@within(30)
async def test_corrupt(connect: Connect, octet: int, bit: int) -> None:
    """C{corrupt} flips one bit of what comes next, and of nothing else."""
    linked = await connect()
    linked.link.corrupt("to_server", octet, bit)
    changed = bytearray(b"zeros")
    changed[octet % 5] ^= 1 << bit

    linked.client.transport.write(b"zeros")
    await linked.server.has(bytes(changed))
    linked.client.transport.write(b"ones")

    await linked.server.has(bytes(changed) + b"ones")


@within(30)
async def test_delay(connect: Connect) -> None:
    """C{delay} holds everything back for so long, in both directions, and keeps the order."""
    linked = await connect()
    linked.link.delay(by=0.1, seconds=30)
    begun = reactor.seconds()

    linked.client.transport.write(b"first, ")
    await deferLater(reactor, 0.05)
    linked.client.transport.write(b"second")
    linked.client.transport.loseWriteConnection()

    await linked.server.has(b"first, second")
    assert reactor.seconds() - begun >= 0.15
    await linked.server.journal.nth("ended")


@within(30)
async def test_delay_passes(connect: Connect) -> None:
    """When its time is over, what was held back goes on at once."""
    linked = await connect()
    linked.link.delay(by=30, seconds=0.1)

    linked.server.transport.write(b"held back")
    await linked.client.has(b"held back")
    linked.server.transport.write(b", not held back")

    await linked.client.has(b"held back, not held back")


@within(30)
async def test_throttle(connect: Connect) -> None:
    """C{throttle} passes on so many octets a second, and no more."""
    linked = await connect()
    linked.link.throttle(rate=100_000, seconds=30)
    begun = reactor.seconds()

    linked.client.transport.write(bytes(20_000))

    await linked.server.has(bytes(20_000))
    assert reactor.seconds() - begun >= 0.19


@within(30)
async def test_throttle_is_felt(connect: Connect) -> None:
    """A client that writes more than a throttled link passes on is not read from meanwhile."""
    linked = await connect()
    linked.link.throttle(rate=1000, seconds=30)
    linked.client.transport.write(bytes(64 << 20))

    await deferLater(reactor, 0.2)  # the time in which all of it would have gone through

    linked.link.reset()
    await linked.client.was_reset()
    assert linked.link.to_server.swallowed < 1 << 20


@within(30)
async def test_reset_while_something_is_held(connect: Connect) -> None:
    """What a slow link holds when it is reset never arrives."""
    linked = await connect()
    linked.link.delay(by=30, seconds=30)
    linked.client.transport.write(b"lost")
    while linked.link.to_server.held < 4:
        await deferLater(reactor, 0)

    linked.link.reset()

    await linked.server.was_reset()
    assert linked.server.received == b""
