"""
Connecting through an HTTP proxy, against a transport in memory.
"""

from __future__ import annotations

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost, ConnectionRefusedError, NoProtocol
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from wsmultipool._proxy import ProxyEndpoint
from wsmultipool.errors import ProxyRefused

PROXY = IPv4Address("TCP", "192.0.2.1", 3128)
OK = b"HTTP/1.1 200 Connection established\r\n\r\n"


@implementer(IStreamClientEndpoint)
class HandFiredEndpoint:
    """An endpoint that connects, or fails, when the test says so."""

    def __init__(self) -> None:
        self.transport = StringTransport(peerAddress=PROXY)
        self.cancelled = False

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        self._factory = protocolFactory
        self._connecting: Deferred[IProtocol] = Deferred(self._cancel)
        protocolFactory.doStart()
        return self._connecting

    def _cancel(self, connecting: Deferred[IProtocol]) -> None:
        self.cancelled = True

    def succeed(self) -> None:
        """Connect, in the order in which Twisted's endpoints do it."""
        protocol = self._factory.buildProtocol(PROXY)
        assert protocol is not None
        self.protocol = protocol
        protocol.makeConnection(self.transport)
        self._connecting.callback(protocol)

    def fail(self, error: Exception) -> None:
        """Fail to connect."""
        self._connecting.errback(Failure(error))

    def lose(self, error: Exception) -> None:
        """Lose the connection."""
        self.protocol.connectionLost(Failure(error))


class Recorder(Protocol):
    """The protocol at the end of the tunnel."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.lost: list[Failure] = []

    def dataReceived(self, data: bytes) -> None:
        self.received.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.append(reason)


@implementer(IProtocolFactory)
class Counting:
    """A factory that keeps what it was asked, and counts how often it was started and stopped."""

    def __init__(self) -> None:
        self.addresses: list[IAddress] = []
        self.started = self.stopped = 0

    def doStart(self) -> None:
        self.started += 1

    def doStop(self) -> None:
        self.stopped += 1

    def buildProtocol(self, addr: IAddress) -> Protocol | None:
        self.addresses.append(addr)
        return Recorder()


class Refuser(Counting):
    """A factory that does not want the connection."""

    def buildProtocol(self, addr: IAddress) -> Protocol | None:
        return None


def tunnel(
    factory: IProtocolFactory | None = None,
    *,
    host: str = "example.com",
    credentials: tuple[str, str] | None = None,
) -> tuple[HandFiredEndpoint, Deferred[IProtocol]]:
    """
    Begin to connect to port 443 of a host through a proxy that has accepted the connection.
    """
    proxy = HandFiredEndpoint()
    endpoint = ProxyEndpoint(proxy, host, 443, credentials)
    connecting = endpoint.connect(factory or Factory.forProtocol(Recorder))
    proxy.succeed()
    return proxy, connecting


def established(connecting: Deferred[IProtocol]) -> Recorder:
    """
    Return the protocol at the end of the tunnel.
    """
    results: list[object] = []
    connecting.addBoth(results.append)
    [recorder] = results
    assert isinstance(recorder, Recorder)
    return recorder


def failure_of(connecting: Deferred[IProtocol]) -> BaseException:
    """
    Return what the attempt failed with.
    """
    results: list[object] = []
    connecting.addBoth(results.append)
    [failure] = results
    assert isinstance(failure, Failure)
    assert failure.value is not None
    return failure.value


def test_endpoint_provides_the_interface() -> None:
    """It can be used wherever Twisted takes a client endpoint."""
    proxy = HandFiredEndpoint()

    assert verifyObject(IStreamClientEndpoint, proxy)
    assert verifyObject(IStreamClientEndpoint, ProxyEndpoint(proxy, "h", 80))


def test_asks_for_the_destination() -> None:
    """The proxy is asked for the host by name, so that it resolves it."""
    proxy, connecting = tunnel()

    assert proxy.transport.value() == (
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"
    )
    connecting.cancel()
    failure_of(connecting)


def test_ipv6_destination_has_brackets() -> None:
    """An IPv6 address is written the way a request needs it."""
    proxy, connecting = tunnel(host="2001:db8::1")

    assert proxy.transport.value().startswith(b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\n")
    connecting.cancel()
    failure_of(connecting)


def test_credentials_are_sent() -> None:
    """With credentials, the first request already carries them."""
    proxy, connecting = tunnel(credentials=("Aladdin", "open sesame"))

    header = b"Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"
    assert header in proxy.transport.value()
    connecting.cancel()
    failure_of(connecting)


def test_tunnel_opens() -> None:
    """After a 200 the protocol has the transport itself, and gets all that arrives."""
    proxy, connecting = tunnel()

    proxy.protocol.dataReceived(OK)
    recorder = established(connecting)
    proxy.protocol.dataReceived(b"one")
    proxy.protocol.dataReceived(b"two")
    proxy.lose(ConnectionLost())

    seen_by_the_protocol: object = recorder.transport
    assert seen_by_the_protocol is proxy.transport
    assert recorder.received == [b"one", b"two"]
    [reason] = recorder.lost
    assert reason.check(ConnectionLost)


def test_factory_of_the_user_sees_a_normal_connection() -> None:
    """It is started and stopped as usual, and builds with the address connected to."""
    factory = Counting()
    proxy, connecting = tunnel(factory)

    proxy.protocol.dataReceived(OK)
    established(connecting)
    proxy._factory.doStop()

    assert factory.addresses == [PROXY]
    assert (factory.started, factory.stopped) == (1, 1)


@pytest.mark.parametrize(
    "head",
    [
        OK,
        b"HTTP/1.0 200 OK\r\nProxy-agent: x\r\n\r\n",
        b"HTTP/1.1 204\r\n\r\n",
        b"HTTP/1.1 200 \r\n\r\n",
        b"HTTP/1.1 200 OK\nA: b\n\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n",
    ],
)
def test_answer_may_arrive_in_pieces(head: bytes) -> None:
    """However the answer is cut, what follows it reaches the protocol, and nothing else does."""
    for size in (1, 7, len(head) + 3):
        proxy, connecting = tunnel()
        data = head + b"first"

        for start in range(0, len(data), size):
            proxy.protocol.dataReceived(data[start : start + size])

        assert b"".join(established(connecting).received) == b"first"


def test_early_bytes_come_after_the_deferred() -> None:
    """Bytes right behind the answer are delivered once the caller knows of the protocol."""
    proxy, connecting = tunnel()
    seen: list[list[bytes]] = []

    def look(protocol: IProtocol) -> IProtocol:
        assert isinstance(protocol, Recorder)
        seen.append(list(protocol.received))
        return protocol

    connecting.addCallback(look)
    proxy.protocol.dataReceived(OK + b"first")

    assert seen == [[]]
    assert established(connecting).received == [b"first"]


def test_nothing_is_delivered_to_a_protocol_that_aborted() -> None:
    """A caller that drops the connection as soon as it has it gets no data from it."""
    proxy, connecting = tunnel()

    def drop(protocol: IProtocol) -> IProtocol:
        proxy.transport.abortConnection()
        return protocol

    connecting.addCallback(drop)
    proxy.protocol.dataReceived(OK + b"first")

    assert established(connecting).received == []


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            407,
            "Proxy Authentication Required",
        ),
        (b"HTTP/1.1 502 Bad\x1b[31m G\xe4teway\r\nA: b\r\n\r\nbody", 502, "Bad?[31m G?teway"),
        (b"HTTP/1.0 301\r\n\r\n", 301, ""),
        (b"HTTP/1.1 500 " + b"x" * 300 + b"\r\n\r\n", 500, "x" * 200),
        (b"SSH-2.0-OpenSSH", None, "it does not begin with HTTP/1."),
        (b"HTTP/2 200\r\n\r\n", None, "it does not begin with HTTP/1."),
        (b"HTTP/1.1 200OK\r\n\r\n", None, "its status line is malformed"),
        (b"HTTP/1.1 099 x\r\n\r\n", None, "its status line is malformed"),
        (b"HTTP/1.1 200 " + b"x" * 16384, None, "its head is longer than 16384 bytes"),
        (
            b"HTTP/1.1 200 OK\r\nA: " + b"x" * 16384 + b"\r\n\r\n",
            None,
            "its head is longer than 16384 bytes",
        ),
        (
            b"HTTP/1.1 102 Processing\r\n\r\n" * 17 + b"HTTP/1.1 200 OK\r\n\r\n",
            None,
            "more than 16 interim responses",
        ),
    ],
)
def test_refusals(answer: bytes, status: int | None, reason: str) -> None:
    """Whatever is no 2xx fails with what the proxy said, printable, and drops the connection."""
    proxy, connecting = tunnel()

    proxy.protocol.dataReceived(answer)
    proxy.protocol.dataReceived(b"more of the body")
    proxy.lose(ConnectionLost())

    error = failure_of(connecting)
    assert isinstance(error, ProxyRefused)
    assert (error.status, error.reason) == (status, reason)
    assert proxy.transport.disconnected


def test_end_of_the_connection_instead_of_an_answer() -> None:
    """A proxy that hangs up has refused; the transport's reason is the cause."""
    proxy, connecting = tunnel()
    lost = ConnectionLost()

    proxy.protocol.dataReceived(b"HTTP/1.1 200 ")
    proxy.lose(lost)

    error = failure_of(connecting)
    assert isinstance(error, ProxyRefused)
    assert error.status is None
    assert error.__cause__ is lost


def test_proxy_that_cannot_be_reached() -> None:
    """What the proxy's endpoint fails with is what the attempt fails with."""
    proxy = HandFiredEndpoint()
    connecting = ProxyEndpoint(proxy, "h", 80).connect(Factory.forProtocol(Recorder))

    proxy.fail(ConnectionRefusedError())

    assert isinstance(failure_of(connecting), ConnectionRefusedError)


def test_cancelled_while_connecting_to_the_proxy() -> None:
    """Cancelling reaches the endpoint of the proxy."""
    proxy = HandFiredEndpoint()
    connecting = ProxyEndpoint(proxy, "h", 80).connect(Factory.forProtocol(Recorder))

    connecting.cancel()

    assert proxy.cancelled
    assert isinstance(failure_of(connecting), CancelledError)


@pytest.mark.parametrize("lost_at_once", [False, True])
def test_cancelled_while_waiting_for_the_answer(lost_at_once: bool) -> None:
    """Cancelling drops the connection; an answer that comes nevertheless does nothing."""
    proxy, connecting = tunnel()
    if lost_at_once:
        # Some transports tell of the end while they are being aborted.
        proxy.transport.abortConnection = lambda: proxy.lose(  # type: ignore[method-assign]
            ConnectionLost()
        )

    connecting.cancel()
    proxy.protocol.dataReceived(OK)

    assert isinstance(failure_of(connecting), CancelledError)
    assert lost_at_once or proxy.transport.disconnected


def test_cancelled_by_the_protocol_itself() -> None:
    """A protocol may cancel the attempt in its C{connectionMade}."""

    class Canceller(Recorder):
        def connectionMade(self) -> None:
            connecting.cancel()

    proxy, connecting = tunnel(Factory.forProtocol(Canceller))
    proxy.protocol.dataReceived(OK + b"first")

    assert isinstance(failure_of(connecting), CancelledError)
    assert proxy.transport.disconnected


def test_cancelled_by_a_protocol_that_then_fails() -> None:
    """After that, an exception of the protocol changes nothing."""

    class Canceller(Recorder):
        def connectionMade(self) -> None:
            connecting.cancel()
            raise RuntimeError

    proxy, connecting = tunnel(Factory.forProtocol(Canceller))
    proxy.protocol.dataReceived(OK)

    assert isinstance(failure_of(connecting), CancelledError)


def test_factory_that_builds_nothing() -> None:
    """A factory that declines fails the attempt as with Twisted's own endpoints."""
    proxy, connecting = tunnel(Refuser())

    proxy.protocol.dataReceived(OK)

    assert isinstance(failure_of(connecting), NoProtocol)
    assert proxy.transport.disconnected


def test_protocol_that_cannot_start() -> None:
    """An exception in C{connectionMade} fails the attempt, rather than leaving it pending."""

    class Broken(Recorder):
        def connectionMade(self) -> None:
            raise RuntimeError("no")

    proxy, connecting = tunnel(Factory.forProtocol(Broken))

    proxy.protocol.dataReceived(OK)

    assert isinstance(failure_of(connecting), RuntimeError)
    assert proxy.transport.disconnected
