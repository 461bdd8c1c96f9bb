"""
Tests for L{wsmultipool._stages}: each error of an attempt names the stage that it came to.
"""

from __future__ import annotations

from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from wsmultipool import WebSocketFactory, WebSocketOptions, noop_logger
from wsmultipool._proxy import ProxyEndpoint
from wsmultipool._stages import stage_of
from wsmultipool._tls import TLSEndpoint
from wsmultipool.errors import ConnectionFailed
from wsmultipool.handshake import UpgradeRequest
from wsmultipool.options import PoolOptions, ServerURL
from wsmultipool.testing import MemoryPool


@implementer(IStreamClientEndpoint)
class Endpoint:
    """
    An endpoint that tells what it is doing.
    """

    stage = "name look-up"

    def __init__(self) -> None:
        self.transport = StringTransport()
        self.connecting: Deferred[Any] = Deferred()

    def connect(self, factory: Any) -> Deferred[Any]:
        self._factory = factory
        return self.connecting

    def connected(self) -> None:
        """It connects."""
        protocol = self._factory.buildProtocol(self.transport.getPeer())
        protocol.makeConnection(self.transport)
        self._protocol = protocol
        self.connecting.callback(protocol)

    def lost(self) -> None:
        """Its connection ends."""
        self._protocol.connectionLost(Failure(ConnectionDone()))


def pool_on(endpoint: Any, **options: Any) -> tuple[MemoryPool, list[ConnectionFailed]]:
    """
    Start a pool of one connection on an endpoint, and return the errors that it emits.
    """
    memory = MemoryPool(
        pool_size=1,
        ws_factory=WebSocketFactory(),
        ws_options=WebSocketOptions(endpoint=endpoint, **options.pop("ws", {})),
        logger=noop_logger,
        **options,
    )
    errors: list[Any] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.pool.start()
    memory.settle()
    return memory, errors


def test_an_endpoint_that_does_not_tell_is_one_stage() -> None:
    """Of an endpoint from elsewhere nothing is known but that it is to connect."""
    assert stage_of(object()) == "transport"
    assert stage_of(object(), "upgrade") == "upgrade"
    assert stage_of(Endpoint()) == "name look-up"


def test_a_proxys_stages() -> None:
    """What is done to reach the proxy is told apart from what the proxy does, and both from TCP."""
    to_proxy = Endpoint()
    endpoint = ProxyEndpoint(to_proxy, "feed.example", 80)
    endpoint.connect(Factory.forProtocol(Protocol))
    assert endpoint.stage == "proxy name look-up"
    to_proxy.stage = "TCP"
    assert endpoint.stage == "proxy TCP"
    to_proxy.connected()
    assert endpoint.stage == "proxy"


def test_tls_is_the_stage_until_its_handshake_is_over() -> None:
    """A server that never says hello is told as one that TLS is waited for."""
    clock, stream = Clock(), Endpoint()
    tls = TLSEndpoint(clock, optionsForClientTLS("feed.example"), stream)
    assert tls.stage == "name look-up"
    memory, errors = pool_on(tls, clock=clock, open_timeout=3.0, max_reconnect_attempts=1)
    stream.connected()
    assert stream.transport.value()[:1] == b"\x16"  # RFC 8446, section 5.1: a handshake record
    memory.advance(3)
    stream.lost()
    assert str(errors[0]) == "not open within 3 s (stage: TLS)"
    memory.close()


def test_the_upgrade_is_the_stage_once_tls_is_done() -> None:
    """The protocol is told by TLS, and tells in turn."""
    protocol = WebSocketFactory().build_protocol(
        UpgradeRequest(url=ServerURL.parse("wss://feed.example/"), host="feed.example"),
        PoolOptions(),
    )
    assert verifyObject(IHandshakeListener, protocol)
    cast(Any, protocol).stage = "TLS"
    cast(IHandshakeListener, protocol).handshakeCompleted()
    assert stage_of(protocol) == "upgrade"


@pytest.mark.parametrize("stage", ["name look-up", "TCP"])
def test_a_failure_says_how_far_the_attempt_came(stage: str) -> None:
    """Who reads that nothing could be connected sees whether the name was the trouble."""
    endpoint = Endpoint()
    endpoint.stage = stage
    memory, errors = pool_on(endpoint)
    endpoint.connecting.errback(OSError("no luck"))
    assert [error.stage for error in errors] == [stage]
    assert str(errors[0]) == f"no connection could be made (stage: {stage}): no luck"
    assert memory.pool.get_stats().connections[0].last_error == str(errors[0])
    memory.pool.destroy()
    memory.settle()


@pytest.mark.parametrize(
    ("server", "error", "stage"),
    [
        ("rejects", "UpgradeRejected", "upgrade"),
        ("speaks no HTTP", "HandshakeInvalid", "upgrade"),
        ("drops the connection", "ConnectionDropped", "upgrade"),
        ("drops in on_connect", "ConnectionDropped", "on_connect"),
        ("drops later", "ConnectionDropped", None),
    ],
)
def test_what_a_server_does_is_told_with_the_stage(
    server: str, error: str, stage: str | None
) -> None:
    """The stage is that of the attempt; of a connection that was open there is none to tell."""
    hook: dict[str, Any] = {}
    if server == "drops in on_connect":
        hook["on_connect"] = lambda connection: Deferred()
    memory = MemoryPool(pool_size=1, logger=noop_logger, **hook)
    errors: list[Any] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    if server == "rejects":
        memory.server.reject(403, "Forbidden")
    if server == "speaks no HTTP":
        memory.server.answer(b"SSH-2.0-OpenSSH_9.2\r\n")
    if server == "drops the connection":
        memory.server.be_silent()
    memory.pool.start()
    memory.settle()
    if server.startswith("drops"):
        memory.server.peers[0].drop()
        memory.settle()
    assert [(type(each).__name__, each.stage) for each in errors] == [(error, stage)]
    memory.close()


def test_headers_that_fail_are_the_first_stage() -> None:
    """A callable for the headers is asked before anything is connected."""
    memory, errors = pool_on(Endpoint(), ws={"headers": lambda: 1 / 0})
    assert [error.stage for error in errors] == ["headers"]
    memory.close()


def test_a_hook_that_fails_is_the_last_stage() -> None:
    """C{on_connect} belongs to the attempt."""

    def on_connect(connection: object) -> None:
        raise ZeroDivisionError

    memory = MemoryPool(pool_size=1, logger=noop_logger, on_connect=on_connect)
    stages: list[Any] = []
    memory.pool.on("error", lambda error, connection_id: stages.append(getattr(error, "stage", 0)))
    memory.pool.start()
    memory.settle()
    assert stages == ["on_connect"]
    memory.close()
