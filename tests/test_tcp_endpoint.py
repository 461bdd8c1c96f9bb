"""
Tests for L{wsmultipool._tcp_endpoint}: from a host's name to a connection, all in memory.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet._resolver import GAIResolver
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionRefusedError, DNSLookupError
from twisted.internet.interfaces import IHostnameResolver, IProtocol, IReactorPluggableNameResolver
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from wsmultipool._name_lookup import AddressInfo, NameLookups
from wsmultipool._tcp_endpoint import TCPEndpoint, _KnowingReactor

from .resolving_reactor import ResolvingReactor

FOUR: AddressInfo = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 0))
SIX: AddressInfo = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::7", 0, 0, 3))


class Threads:
    """What L{GAIResolver} would use, and nothing may."""


class Reactor(ResolvingReactor):
    """
    A reactor in memory with threads, and the resolver that Twisted gives to such reactors.
    """

    def __init__(self) -> None:
        super().__init__()
        self.installNameResolver(GAIResolver(self, self.getThreadPool))  # type: ignore[arg-type]

    def getThreadPool(self) -> Any:
        raise AssertionError("the threads of the reactor are the application's")

    def callFromThread(self, function: Callable[..., None], *arguments: Any) -> None:
        function(*arguments)


class Installed:
    """
    A name resolver that an application has installed.

    @ivar asked: what it was asked.
    """

    def __init__(self, *addresses: str) -> None:
        self.asked: list[tuple[str, int]] = []
        self.receivers: list[Any] = []
        self._addresses = addresses

    def resolveHostName(self, receiver: Any, name: str, port: int = 0, *_: Any) -> None:
        self.asked.append((name, port))
        receiver.resolutionBegan(None)
        self.receivers.append(receiver)

    def answer(self) -> None:
        """Tell all that it knows."""
        for receiver in self.receivers:
            for address in self._addresses:
                receiver.addressResolved(IPv4Address("TCP", address, self.asked[-1][1]))
            receiver.resolutionComplete()


class Connecting:
    """
    An endpoint that is connecting, and all around it.
    """

    def __init__(self, host: str, found: Any = (FOUR,), reactor: Any = None) -> None:
        self.reactor = reactor or Reactor()
        self.asked: list[str] = []
        self.threads: list[Callable[[], None]] = []
        lookups = NameLookups(lambda name: self._ask(name, found), self.threads.append, float)
        self.endpoint = TCPEndpoint(self.reactor, host, 8080, lookups)
        self.outcome: list[Any] = []
        self.connecting = self.endpoint.connect(Factory.forProtocol(Protocol))
        self.connecting.addBoth(self.outcome.append)

    def _ask(self, name: str, found: Any) -> list[AddressInfo]:
        self.asked.append(name)
        if isinstance(found, Exception):
            raise found
        return list(found)

    def looked_up(self) -> None:
        """The look-up comes to its end."""
        self.threads.pop()()

    @property
    def clients(self) -> list[tuple[str, int, float | None]]:
        """Where it has begun to connect to, and with what timeout."""
        return [(host, port, timeout) for host, port, _, timeout, _ in self.reactor.tcpClients]

    def refuse(self) -> None:
        """The latest connection is refused."""
        factory: Any = self.reactor.tcpClients[-1][2]
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))

    def accept(self) -> IProtocol:
        """The latest connection stands."""
        factory: Any = self.reactor.tcpClients[-1][2]
        protocol = factory.buildProtocol(IPv4Address("TCP", "192.0.2.7", 8080))
        protocol.makeConnection(StringTransport())
        [connected] = self.outcome
        assert isinstance(connected, Protocol)
        return connected

    def error(self) -> BaseException | None:
        """What it has failed with."""
        [failure] = self.outcome
        assert isinstance(failure, Failure)
        return failure.value


def test_a_name_is_looked_up_and_connected_to() -> None:
    """First the look-up, not in the reactor's threads; then TCP to the address it has found.

    For how long is the attempt's business.
    """
    attempt = Connecting("feed.example")
    assert attempt.endpoint.stage == "name look-up"
    assert attempt.clients == []
    attempt.looked_up()
    assert attempt.asked == ["feed.example"]
    assert attempt.endpoint.stage == "TCP"
    assert attempt.clients == [("192.0.2.7", 8080, None)]
    attempt.accept()


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_an_address_needs_no_lookup(host: str) -> None:
    """An IP address is connected to at once, and its refusal is known at once."""
    attempt = Connecting(host)
    assert attempt.threads == []
    assert attempt.endpoint.stage == "TCP"
    assert attempt.clients == [(host, 8080, None)]
    attempt.refuse()
    assert isinstance(attempt.error(), ConnectionRefusedError)


def test_addresses_are_tried_one_after_the_other() -> None:
    """When the first does not answer soon, the second is tried as well: happy eyeballs."""
    attempt = Connecting("feed.example", (SIX, FOUR))
    attempt.looked_up()
    assert [client[0] for client in attempt.clients] == ["2001:db8::7"]
    attempt.reactor.advance(1)
    assert [client[0] for client in attempt.clients] == ["2001:db8::7", "192.0.2.7"]
    attempt.accept()


def test_the_error_of_a_refused_name_is_that_of_its_address() -> None:
    """A name that is found, at an address where nobody listens, is told as what it is."""
    attempt = Connecting("feed.example")
    attempt.looked_up()
    attempt.refuse()
    attempt.reactor.advance(1)
    assert isinstance(attempt.error(), ConnectionRefusedError)
    assert attempt.endpoint.stage == "TCP"


def test_a_name_in_a_container_network_may_have_underscores() -> None:
    """Such names, which IDNA forbids, are looked up like any other."""
    attempt = Connecting("my_service")
    attempt.looked_up()
    assert attempt.asked == ["my_service"]
    attempt.accept()


def test_a_lookup_that_fails_is_told_as_it_failed() -> None:
    """What the resolver said is the error; no connection was begun."""
    error = OSError(24, "Too many open files")
    attempt = Connecting("feed.example", error)
    attempt.looked_up()
    assert attempt.error() is error
    assert attempt.endpoint.stage == "name look-up"
    assert attempt.clients == []


def test_an_attempt_that_is_cancelled_does_not_wait_for_its_lookup() -> None:
    """It is over at once; what the look-up finds then begins no connection."""
    attempt = Connecting("feed.example")
    attempt.connecting.cancel()
    assert isinstance(attempt.error(), CancelledError)
    attempt.looked_up()
    assert attempt.clients == []


def test_an_installed_resolver_is_asked() -> None:
    """A resolver that an application has installed on its reactor serves pools, too."""
    reactor, resolver = Reactor(), Installed("192.0.2.9")
    reactor.installNameResolver(resolver)
    attempt = Connecting("feed.example", reactor=reactor)
    assert attempt.threads == []
    assert attempt.endpoint.stage == "name look-up"
    resolver.answer()
    assert resolver.asked == [("feed.example", 8080)]
    assert attempt.clients == [("192.0.2.9", 8080, None)]
    attempt.accept()


def test_an_installed_resolver_that_knows_no_address() -> None:
    """That is an error which says for which name."""
    reactor, resolver = Reactor(), Installed()
    reactor.installNameResolver(resolver)
    attempt = Connecting("feed.example", reactor=reactor)
    resolver.answer()
    error = attempt.error()
    assert isinstance(error, DNSLookupError)
    assert "feed.example" in str(error)


def test_an_installed_resolver_that_raises() -> None:
    """That ends the attempt, not the pool."""

    class Broken:
        def resolveHostName(self, *_: Any) -> None:
            raise ZeroDivisionError

    reactor = Reactor()
    reactor.installNameResolver(Broken())
    assert isinstance(Connecting("feed.example", reactor=reactor).error(), ZeroDivisionError)


def test_an_installed_resolver_is_not_waited_for() -> None:
    """When the attempt is given up, its answer comes too late, and disturbs nothing."""
    reactor, resolver = Reactor(), Installed("192.0.2.9")
    reactor.installNameResolver(resolver)
    attempt = Connecting("feed.example", reactor=reactor)
    attempt.connecting.cancel()
    assert isinstance(attempt.error(), CancelledError)
    resolver.answer()
    assert attempt.clients == []


def test_a_resolver_with_threads_of_its_own_counts_as_installed() -> None:
    """Whoever gives Twisted's resolver a pool of threads for it wants that to be used."""
    used: list[object] = []

    class Pool:
        def callInThreadWithCallback(self, *arguments: Any) -> None:
            used.append(arguments)

    reactor = Reactor()
    pool: Any = Pool()
    reactor.installNameResolver(GAIResolver(reactor, lambda: pool))  # type: ignore[arg-type]
    attempt = Connecting("feed.example", reactor=reactor)
    assert attempt.threads == []
    assert len(used) == 1


def test_a_reactor_without_resolvers_can_look_up_names() -> None:
    """All that is needed of a reactor is that threads can call it."""

    class Plain:
        def __init__(self) -> None:
            memory = Reactor()
            self.tcpClients = memory.tcpClients
            self.connectTCP = memory.connectTCP
            self.callLater, self.seconds = memory.callLater, memory.seconds
            self.callFromThread = memory.callFromThread

    attempt = Connecting("feed.example", reactor=Plain())
    attempt.looked_up()
    attempt.accept()


def test_what_stands_in_for_a_reactor() -> None:
    """It knows the addresses, and takes no other resolver."""
    standing_in = _KnowingReactor(Reactor(), [])
    assert verifyObject(IReactorPluggableNameResolver, standing_in)
    assert verifyObject(IHostnameResolver, standing_in)
    with pytest.raises(NotImplementedError):
        standing_in.installNameResolver(standing_in)
