"""
The service's ports, over loopback, with clients that take what they can.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from wsmultipool.service.connections import MOST_CONNECTIONS
from wsmultipool.service.web import StatusService

from ..local_client import REQUEST
from .autobahn_server import echo_factory
from .deadline import within
from .listening import listening, port_of
from .relays import relaying
from .requests import fetch
from .resident_memory import resident_bytes
from .running_reactor import reactor
from .starting import StartPool

MIB = 1024 * 1024


@implementer(IPushProducer)
class Flood(Protocol):
    """
    Sends the same again and again, as fast as it is read, and reads nothing unless told to.

    @ivar sent: how many bytes its transport has taken.
    @ivar lost: fires when the connection is gone.
    """

    transport: Any

    def __init__(self, begin: bytes, unit: bytes, most: int, *, reads: bool = False) -> None:
        self.sent = 0
        self.received = b""
        self.lost: Deferred[None] = Deferred()
        self._begin = begin
        self._unit = unit
        self._most = most
        self._reads = reads
        self._paused = False

    def connectionMade(self) -> None:
        self.transport.write(self._begin)
        if not self._reads:
            self.transport.pauseProducing()
        self.transport.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        self._paused = False
        while not self._paused and self.sent < self._most:
            self.transport.write(self._unit)
            self.sent += len(self._unit)

    def pauseProducing(self) -> None:
        self._paused = True

    def stopProducing(self) -> None:
        self._most = 0

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)

    def abort(self) -> None:
        self.transport.abortConnection()


async def connected(port: int, protocol: Protocol) -> None:
    """
    Connect to a port of this machine.
    """
    await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), protocol)


async def shown(stack: AsyncExitStack, start_pool: StartPool) -> int:
    """
    Show a pool on a port.
    """
    server = await stack.enter_async_context(listening(echo_factory()))
    pool, _ = start_pool(server.url, pool_size=2)
    await pool.when_ready()
    service = StatusService(
        pool, TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"), reactor=reactor
    )
    port = await service.listen()
    service.startService()
    stack.push_async_callback(service.stopService)
    return port_of(port)


@within(60)
async def test_idle_connections_keep_no_health_check_out(
    stack: AsyncExitStack, start_pool: StartPool
) -> None:
    """However many there are: the oldest of them make room."""
    port = await shown(stack, start_pool)
    idle = [Flood(b"", b"", 0) for _ in range(MOST_CONNECTIONS + 50)]
    for each in idle:
        await connected(port, each)
        stack.callback(each.abort)
    for _ in range(5):
        assert await fetch(f"http://127.0.0.1:{port}/healthz") == (200, b"alive\n")


@within(60)
async def test_answers_that_are_not_read_are_not_written(
    stack: AsyncExitStack, start_pool: StartPool
) -> None:
    """The requests are not read then, and neither memory nor others suffer."""
    port = await shown(stack, start_pool)
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    before = resident_bytes()
    flood = Flood(b"", request * 1000, 200 * MIB)
    await connected(port, flood)
    stack.callback(flood.abort)
    for _ in range(20):
        assert (await fetch(f"http://127.0.0.1:{port}/healthz"))[0] == 200
    # What the kernel holds for both ends, and no more.
    assert flood.sent < 50 * MIB
    assert resident_bytes() - before < 50 * MIB


@within(60)
async def test_clients_that_do_not_finish_what_they_begin_are_closed(
    stack: AsyncExitStack, start_pool: StartPool
) -> None:
    """Until then they hold no more than they may together, and nothing afterwards."""
    server = await stack.enter_async_context(listening(echo_factory()))
    pool, _ = start_pool(server.url, pool_size=1)
    await pool.when_ready()
    relay = await stack.enter_async_context(
        relaying(pool, max_unfinished_bytes=8 * MIB, unfinished_timeout=0.5)
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in REQUEST.items())
    handshake = f"GET / HTTP/1.1\r\n{head}\r\n".encode()
    frame = b"\x82\xff" + (16 * MIB).to_bytes(8, "big") + bytes(4)
    most = 0
    clients = [Flood(handshake + frame, bytes(65536), 4 * MIB, reads=True) for _ in range(10)]
    hold = relay.service.unfinished.hold

    def watched(holder: Any, size: int) -> None:
        nonlocal most
        hold(holder, size)
        most = max(most, relay.service.unfinished.total)

    relay.service.unfinished.hold = watched  # type: ignore[method-assign]
    for client in clients:
        await connected(relay.port, client)
    await gatherResults([client.lost for client in clients])
    # Beyond the limit there is the first of them, and two reads of each.
    assert most < 8 * MIB + 4 * MIB + 10 * 2 * 65536
    assert relay.service.unfinished.total == 0
    assert all(b"a message was begun and not finished" in each.received for each in clients)
    assert relay.service.get_stats().closed == {"unfinished": 10}
