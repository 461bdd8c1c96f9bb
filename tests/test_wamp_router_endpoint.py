"""
Tests for L{wsmultipool.wamp._router_endpoint}: how a component gets to its router, in memory.
"""

from __future__ import annotations

from typing import Any, cast

import pytest
import txaio
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from wsmultipool.options import ServerURL
from wsmultipool.testing import MemoryPool
from wsmultipool.wamp import pool_component
from wsmultipool.wamp._router_endpoint import RouterEndpoint

from .resolving_reactor import ResolvingReactor


class Silent:
    """
    A name resolver that never answers.
    """

    def resolveHostName(self, receiver: Any, *_: Any) -> None:
        receiver.resolutionBegan(None)


def connect(url: str, *, silent: bool = False) -> tuple[ResolvingReactor, list[Any]]:
    """
    Begin to connect to a router; return the reactor, and what becomes of it.
    """
    reactor = ResolvingReactor()
    if silent:
        reactor.installNameResolver(Silent())
    endpoint = RouterEndpoint(ServerURL.parse(url))
    assert verifyObject(IStreamClientEndpoint, endpoint)
    endpoint.run_on(reactor)
    outcome: list[Any] = []
    endpoint.connect(Factory.forProtocol(Protocol)).addBoth(outcome.append)
    return reactor, outcome


def accept(reactor: ResolvingReactor) -> StringTransport:
    """
    The router takes the connection.
    """
    [(_, _, factory, _, _)] = reactor.tcpClients
    transport = StringTransport()
    protocol: Any = factory.buildProtocol(transport.getPeer())
    protocol.makeConnection(transport)
    return transport


def test_a_router_is_connected_to_as_a_server_is() -> None:
    """Its name is looked up by the same means, and the connection made to what they say."""
    reactor, outcome = connect("ws://router.example:8080/ws")
    [(host, port, _, _, _)] = reactor.tcpClients
    assert (host, port) == ("127.0.0.1", 8080)
    assert accept(reactor).value() == b""
    [protocol] = outcome
    assert isinstance(protocol, Protocol)


def test_a_secure_url_begins_with_tls() -> None:
    """The certificate is to be for the name in the URL."""
    reactor, _ = connect("wss://router.example/ws")
    hello = accept(reactor).value()
    assert hello[:1] == b"\x16"  # RFC 8446, section 5.1: a handshake record
    assert b"router.example" in hello


@pytest.mark.parametrize("silent", [True, False], ids=["name server", "router"])
def test_what_never_answers_is_given_up(silent: bool) -> None:
    """Whatever it is: then the component tries again."""
    reactor, outcome = connect("ws://router.example/ws", silent=silent)
    reactor.advance(9.9)
    assert outcome == []
    reactor.advance(0.1)
    [failure] = outcome
    assert isinstance(failure, Failure)
    assert failure.check(TimeoutError)


def test_a_component_connects_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does for a URL; a transport that has an endpoint, or a proxy, is left as it is."""
    memory = MemoryPool(pool_size=1, logger=False)
    given: dict[str, Any] = {"realm": "realm1", "prefix": "com.example"}
    component = pool_component(memory.pool, "ws://router.example:8080/ws", **given)
    reactor = ResolvingReactor()
    monkeypatch.setattr(cast(Any, txaio).config, "loop", reactor)
    ended: list[object] = []
    component.start(reactor).addBoth(ended.append)
    reactor.advance(0)
    assert [client[:2] for client in reactor.tcpClients] == [("127.0.0.1", 8080)]
    component.stop()
    reactor.advance(10)
    assert ended == [None]

    endpoint = {"type": "tcp", "host": "127.0.0.1", "port": 8080}
    proxy = {"host": "127.0.0.1", "port": 3128}
    for more in ({"endpoint": endpoint}, {"proxy": proxy}):
        component = pool_component(memory.pool, {"url": "ws://router.example/", **more}, **given)
        assert component._endpoints == []
    memory.close()
