"""
Tests for L{wsmultipool.service.connections}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from wsmultipool.service.connections import ServerConnections

from .support import outcome


class Stubborn(StringTransport):
    """
    A transport that has much to write yet, and closes only when it is aborted.
    """

    protocol: Any

    def abortConnection(self) -> None:
        self.protocol.connectionLost(None)


def connected(number: int) -> tuple[ServerConnections, Clock, list[Stubborn]]:
    """
    Make a server with so many connections.
    """
    clock = Clock()
    connections = ServerConnections(Factory.forProtocol(Protocol), clock)
    transports = []
    for _ in range(number):
        transport = Stubborn()  # type: ignore[no-untyped-call]
        transport.protocol = connections.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        transport.protocol.makeConnection(transport)
        transports.append(transport)
    return connections, clock, transports


def test_without_connections_the_end_comes_at_once() -> None:
    """There is nothing to wait for."""
    connections, clock, _ = connected(0)
    assert outcome(connections.end()) == [None]
    assert clock.getDelayedCalls() == []


def test_the_end_is_when_the_last_is_gone() -> None:
    """Each may write what it has to write."""
    connections, clock, (first, second) = connected(2)
    ended = outcome(connections.end())
    assert first.disconnecting
    assert second.disconnecting
    first.protocol.connectionLost(None)
    assert ended == []
    second.protocol.connectionLost(None)
    assert ended == [None]
    assert clock.getDelayedCalls() == []


def test_who_takes_too_long_is_aborted() -> None:
    """A browser that does not read can't keep the service from stopping."""
    connections, clock, _ = connected(2)
    ended = outcome(connections.end())
    clock.advance(1)
    assert ended == [None]
    assert clock.getDelayedCalls() == []


def test_connections_come_and_go_before_the_end() -> None:
    """That is no news."""
    connections, _, (only,) = connected(1)
    only.protocol.connectionLost(None)
    assert outcome(connections.end()) == [None]
