"""
From a host, given by name or address, to a TCP connection.

A name is looked up first; to try its addresses, one after the other and overlapping, is then left
to Twisted (L{HostnameEndpoint}; "happy eyeballs", RFC 8305).
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any, cast

from twisted.internet._resolver import GAIResolver, HostResolution
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IReactorPluggableNameResolver,
    IReactorTime,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from zope.interface import implementer

from ._name_lookup import AddressInfo, NameLookups, system_lookups
from ._stages import NAME_LOOKUP, TCP

__all__ = ["TCPEndpoint"]

_KINDS: dict[Any, type[IPv4Address] | type[IPv6Address]] = {
    socket.AF_INET: IPv4Address,
    socket.AF_INET6: IPv6Address,
}

# The deadline is C{open_timeout}.  Twisted's own would strike before it has looked whether the
# connection was made while the process was busy.
_NO_TIMEOUT: Any = None


@implementer(IStreamClientEndpoint)
class TCPEndpoint:
    """
    Connects to a port of a host.

    A name resolver that was installed on the reactor is asked for the addresses; L{NameLookups}
    takes the place of the one that a reactor comes with.

    @ivar stage: what it is doing.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        host: str,
        port: int,
        lookups: NameLookups = system_lookups,
    ) -> None:
        self.stage = NAME_LOOKUP
        self._reactor: Any = reactor
        self._host = host
        self._port = port
        self._lookups = lookups

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        @return: fires with the connected protocol; fails as L{NameLookups.look_up} does, or with
            why none of the addresses could be connected to.  Cancelling it ends everything but a
            look-up, which nothing can end, and nothing waits for.
        """
        to_host = (self._reactor, self._host, self._port, _NO_TIMEOUT)
        # Not by way of HostnameEndpoint, which tells of a refusal only after the delay that it
        # leaves between addresses.
        if isIPAddress(self._host):
            return self._connect(TCP4ClientEndpoint(*to_host), protocolFactory)
        if isIPv6Address(self._host):
            return self._connect(TCP6ClientEndpoint(*to_host), protocolFactory)
        return self._look_up().addCallback(self._try, protocolFactory)

    def _connect(self, endpoint: Any, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        self.stage = TCP
        return cast(IStreamClientEndpoint, endpoint).connect(protocolFactory)

    def _look_up(self) -> Deferred[list[IAddress]]:
        self.stage = NAME_LOOKUP
        resolver = _installed_resolver(self._reactor)
        if resolver is None:
            found = self._lookups.look_up(self._reactor, self._host)
            return found.addCallback(self._to_addresses)
        receiver = _Receiver(self._host)
        asking = maybeDeferred(resolver.resolveHostName, receiver, self._host, self._port)
        return asking.addCallback(lambda _: receiver.addresses)

    def _to_addresses(self, found: list[AddressInfo]) -> list[IAddress]:
        return [
            _KINDS[family]("TCP", address[0], self._port, *address[2:])
            for family, _, _, _, address in found
        ]

    def _try(
        self, addresses: list[IAddress], protocolFactory: IProtocolFactory
    ) -> Deferred[IProtocol]:
        reactor = _KnowingReactor(self._reactor, addresses)
        # Names in container networks have underscores, which HostnameEndpoint refuses, as IDNA
        # does.  It does not need the name for anything any more.
        name = self._host.replace("_", "-")
        endpoint = HostnameEndpoint(reactor, name, self._port, _NO_TIMEOUT)
        return self._connect(endpoint, protocolFactory)


def _installed_resolver(reactor: object) -> IHostnameResolver | None:
    """
    @return: the reactor's name resolver, unless it is the one that uses the reactor's threads.
    """
    if not IReactorPluggableNameResolver.providedBy(reactor):
        return None
    resolver: IHostnameResolver = reactor.nameResolver
    pool = getattr(reactor, "getThreadPool", None)
    if type(resolver) is GAIResolver and getattr(resolver, "_getThreadPool", None) == pool:
        return None
    return resolver


@implementer(IResolutionReceiver)
class _Receiver:
    """
    Collects the addresses that a resolver finds.

    @ivar addresses: fires with them, or fails with L{DNSLookupError} if there are none.
    """

    def __init__(self, name: str) -> None:
        self.addresses: Deferred[list[IAddress]] = Deferred()
        self._name = name
        self._found: list[IAddress] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Twisted's resolutions cannot be cancelled."""

    def addressResolved(self, address: IAddress) -> None:
        self._found.append(address)

    def resolutionComplete(self) -> None:
        if self._found:
            self.addresses.callback(self._found)
        else:
            self.addresses.errback(DNSLookupError(f"{self._name}: no address"))


@implementer(IReactorPluggableNameResolver, IHostnameResolver)
class _KnowingReactor:
    """
    What L{HostnameEndpoint} needs of a reactor, with the addresses it will ask for.
    """

    def __init__(self, reactor: Any, addresses: Sequence[IAddress]) -> None:
        self.nameResolver = self
        self.connectTCP = reactor.connectTCP
        self.callLater = reactor.callLater
        self.seconds = reactor.seconds
        self._addresses = addresses

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        raise NotImplementedError

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        for address in self._addresses:
            resolutionReceiver.addressResolved(address)
        resolutionReceiver.resolutionComplete()
        return HostResolution(hostName)
