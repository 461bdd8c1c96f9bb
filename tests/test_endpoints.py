"""
Which endpoint a URL and options lead to, and TLS on top of it; all in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
import trustme
from OpenSSL import SSL
from OpenSSL.crypto import FILETYPE_PEM
from service_identity import CertificateError, VerificationError
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    KeyPair,
    PrivateCertificate,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from wsmultipool._endpoints import build_endpoint, check_options
from wsmultipool._tls import TLSEndpoint, connection_creator
from wsmultipool.options import ServerURL, TLSOptions, WebSocketOptions

# It is Twisted that passes them, to a pyOpenSSL newer than itself.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL .* objects is deprecated")


@implementer(IHostResolution)
class Resolution:
    """A resolution of a name that is over at once."""

    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        raise NotImplementedError


@implementer(IHostnameResolver)
class Resolver:
    """A resolver that knows one address for every name, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        self.asked.append(hostName)
        resolution = Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        resolutionReceiver.addressResolved(IPv4Address("TCP", "192.0.2.7", portNumber))
        resolutionReceiver.resolutionComplete()
        return resolution


@implementer(IReactorPluggableNameResolver)
class Reactor(MemoryReactorClock):
    """A reactor in memory that resolves names."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.resolver = self.nameResolver = Resolver()

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        raise NotImplementedError


class Recorder(Protocol):
    """A protocol that keeps what it sees."""

    def __init__(self) -> None:
        self.received = b""
        self.lost: list[Failure] = []

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.append(reason)


@implementer(IStreamClientEndpoint)
class ReadyEndpoint:
    """An endpoint that is connected to a transport in memory at once."""

    def __init__(self) -> None:
        self.transport = StringTransport()

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        protocol = protocolFactory.buildProtocol(self.transport.getPeer())
        assert protocol is not None
        self.protocol = protocol
        protocol.makeConnection(self.transport)
        return succeed(protocol)


def connect(
    url: str, options: WebSocketOptions | None = None
) -> tuple[Reactor, Deferred[IProtocol]]:
    """
    Begin to connect to a URL.
    """
    reactor = Reactor()
    endpoint = build_endpoint(reactor, ServerURL.parse(url), options or WebSocketOptions())
    assert verifyObject(IStreamClientEndpoint, endpoint)
    return reactor, endpoint.connect(Factory.forProtocol(Recorder))


def only_connection(reactor: Reactor) -> tuple[str, int, Any, float | None]:
    """
    Return host, port, factory and timeout of the one TCP connection that was begun.
    """
    [(host, port, factory, timeout, _)] = reactor.tcpClients
    return host, port, factory, timeout


def test_name_is_resolved() -> None:
    """A host name goes to the reactor's resolver, and the connection to what it says."""
    reactor, _ = connect("ws://example.com:8080/")

    assert reactor.resolver.asked == ["example.com"]
    assert only_connection(reactor)[:2] == ("192.0.2.7", 8080)


@pytest.mark.parametrize(
    ("url", "host"), [("ws://192.0.2.1/", "192.0.2.1"), ("ws://[::1]/", "::1")]
)
def test_address_needs_no_resolver(url: str, host: str) -> None:
    """An IP address is connected to directly."""
    reactor, _ = connect(url)

    assert reactor.resolver.asked == []
    assert only_connection(reactor)[:2] == (host, 80)


@pytest.mark.parametrize("host", ["192.0.2.1", "[2001:db8::1]", "my_service", "example.com"])
def test_twisted_does_not_time_the_connection(host: str) -> None:
    """
    C{open_timeout} does, and looks first whether the connection was made.  Twisted's own timeout
    would fail an attempt because the process was busy.
    """
    reactor, _ = connect(f"ws://{host}/")

    assert only_connection(reactor)[3] is None


def test_endpoint_string_replaces_the_host() -> None:
    """With an endpoint string the host in the URL is not connected to."""
    options = WebSocketOptions(endpoint="unix:/run/feed.sock")

    reactor, _ = connect("ws://example.com/", options)

    assert [client[0] for client in reactor.unixClients] == ["/run/feed.sock"]
    assert not reactor.tcpClients


def test_endpoint_object_is_used_as_it_is() -> None:
    """An endpoint given for a C{ws://} URL is the endpoint."""
    given = UNIXClientEndpoint(Reactor(), "/run/feed.sock")
    options = WebSocketOptions(endpoint=given)

    assert build_endpoint(Reactor(), ServerURL.parse("ws://example.com/"), options) is given


@pytest.mark.parametrize("text", ["", "smoke:signal", "tcp", "tcp:h:80:colour=red", "tcp:h:x"])
def test_bad_endpoint_strings_are_refused(text: str) -> None:
    """A string that is no endpoint is found out before the first attempt."""
    url = ServerURL.parse("ws://example.com/")

    with pytest.raises(ValueError, match="endpoint"):
        check_options([url], WebSocketOptions(endpoint=text), Reactor())


def test_proxy_is_connected_to_first() -> None:
    """With a proxy, the TCP connection is to the proxy and the tunnel to the host."""
    options = WebSocketOptions(proxy="http://user:pw@192.0.2.9:3128")
    reactor, _ = connect("ws://example.com:8080/", options)

    host, port, factory, _ = only_connection(reactor)
    assert (host, port) == ("192.0.2.9", 3128)
    transport = StringTransport()
    protocol = factory.buildProtocol(transport.getPeer())
    assert protocol is not None
    protocol.makeConnection(transport)
    assert transport.value() == (
        b"CONNECT example.com:8080 HTTP/1.1\r\nHost: example.com:8080\r\n"
        b"Proxy-Authorization: Basic dXNlcjpwdw==\r\n\r\n"
    )


def test_contradictions_are_refused() -> None:
    """Options that exclude each other, or make no sense for the URL, are found out at once."""
    plain, secure = ServerURL.parse("ws://h/?secret"), ServerURL.parse("wss://h/")

    with pytest.raises(ValueError, match="proxy and endpoint exclude each other"):
        check_options([plain], WebSocketOptions(proxy="http://p", endpoint="tcp:h:1"))
    with pytest.raises(ValueError, match=r"^tls needs a wss:// URL, not 'ws://h/'$"):
        check_options([plain], WebSocketOptions(tls=TLSOptions()))
    check_options([plain], WebSocketOptions(proxy="http://p"))
    check_options([secure], WebSocketOptions(endpoint="unix:/s", tls=TLSOptions()))
    check_options(
        [secure], WebSocketOptions(endpoint=HostnameEndpoint(Reactor(), "h", 1)), Reactor()
    )
    check_options([secure], WebSocketOptions(endpoint="unix:/s"), Reactor())


def test_tls_for_a_name_that_no_certificate_can_have() -> None:
    """For such a host TLS needs to be told the server's name."""
    url = ServerURL.parse("wss://my_service/")

    with pytest.raises(ValueError, match="url: no certificate can be for 'my_service'"):
        check_options([url], WebSocketOptions())
    check_options([url], WebSocketOptions(tls=TLSOptions(server_name="inside.example")))


def test_attempts_share_what_tls_needs() -> None:
    """What is expensive to make for TLS is made once, not for every attempt."""
    url, options = ServerURL.parse("wss://h/"), WebSocketOptions()

    check_options([url], options)
    [first] = options._creators.values()
    build_endpoint(Reactor(), url, options)

    assert list(options._creators.values()) == [first]
    assert options == WebSocketOptions()


def test_no_more_hosts_are_remembered_than_a_hundred() -> None:
    """A C{url} callable may name ever new ones; the one that was there first is forgotten."""
    creator = optionsForClientTLS("example.com")
    options = WebSocketOptions(tls=creator)
    for number in range(102):
        check_options([ServerURL.parse(f"wss://{number}.example")], options)
    assert list(options._creators) == [f"{number}.example" for number in range(2, 102)]


def test_creator_of_the_user_is_used_as_it_is() -> None:
    """A connection creator is responsible for everything, the name included."""
    creator = optionsForClientTLS("elsewhere.example")

    assert connection_creator("example.com", creator) is creator


def test_secure_urls_begin_with_tls() -> None:
    """For C{wss://} a TLS handshake with the host's name is begun on whatever endpoint it is."""
    ready = ReadyEndpoint()

    _, connecting = connect("wss://example.com./", WebSocketOptions(endpoint=ready))

    hello = ready.transport.value()
    assert hello[:1] == b"\x16"  # RFC 8446, section 5.1: a handshake record
    assert b"example.com" in hello
    assert b"example.com." not in hello
    results: list[IProtocol] = []
    connecting.addCallback(results.append)
    assert [type(protocol) for protocol in results] == [Recorder]


def private_certificate(leaf: trustme.LeafCert) -> PrivateCertificate:
    """
    Turn a certificate made for a test into one for Twisted.
    """
    return cast(
        PrivateCertificate,
        PrivateCertificate.fromCertificateAndKeyPair(
            Certificate.loadPEM(leaf.cert_chain_pems[0].bytes()),
            KeyPair.load(leaf.private_key_pem.bytes(), FILETYPE_PEM),
        ),
    )


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """
    The authority that certifies the servers of these tests.
    """
    return trustme.CA()


def shake_hands(
    creator: IOpenSSLClientConnectionCreator, server_options: CertificateOptions
) -> tuple[Recorder, Recorder, list[bytes | None]]:
    """
    Do TLS in memory until nothing moves any more.

    @return: both protocols, each of which has sent its role, and the names the client asked for.
    """
    asked: list[bytes | None] = []
    context = server_options.getContext()
    context.set_tlsext_servername_callback(
        lambda connection: asked.append(connection.get_servername())
    )
    offered: list[list[bytes]] = []
    context.set_alpn_select_callback(lambda connection, names: refuse(offered, names))
    reactor = Reactor()
    ready = ReadyEndpoint()
    clients: list[IProtocol] = []
    TLSEndpoint(reactor, creator, ready).connect(Factory.forProtocol(Recorder)).addCallback(
        clients.append
    )
    server_factory = TLSMemoryBIOFactory(
        server_options, False, Factory.forProtocol(Recorder), reactor
    )
    server_tls = server_factory.buildProtocol(ready.transport.getPeer())
    assert server_tls is not None
    server_transport = StringTransport()
    server_tls.makeConnection(server_transport)
    [client] = clients
    server = server_tls.wrappedProtocol
    assert isinstance(client, Recorder)
    assert isinstance(server, Recorder)
    assert client.transport is not None
    assert server.transport is not None
    client.transport.write(b"client")
    server.transport.write(b"server")

    moved = True
    while moved:
        reactor.advance(0)
        to_server, to_client = ready.transport.value(), server_transport.value()
        ready.transport.clear()
        server_transport.clear()
        moved = bool(to_server or to_client)
        if to_server and server_tls.connected:
            server_tls.dataReceived(to_server)
        if to_client and not ready.transport.disconnecting:
            ready.protocol.dataReceived(to_client)
    ready.protocol.connectionLost(Failure(ConnectionResetError()))
    server_tls.connectionLost(Failure(ConnectionResetError()))
    # Application protocols are never offered: a server that does HTTP/2 too would choose that.
    assert offered == []
    return client, server, asked


def refuse(offered: list[list[bytes]], names: list[bytes]) -> Any:
    """
    Note which application protocols a client offers, and take none.
    """
    offered.append(names)
    return SSL.NO_OVERLAPPING_PROTOCOLS


def trusting_context(authority: trustme.CA) -> SSL.Context:
    """
    Make a bare context that verifies peers, as someone might who knows OpenSSL.
    """
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_verify(SSL.VERIFY_PEER, lambda *args: bool(args[-1]))
    store = context.get_cert_store()
    assert store is not None
    store.add_cert(Certificate.loadPEM(authority.cert_pem.bytes()).original)
    return context


CREATORS: dict[str, Any] = {
    "options": lambda authority: TLSOptions(trust_root=authority.cert_pem.bytes()),
    "context": trusting_context,
}


@pytest.mark.parametrize("kind", CREATORS)
@pytest.mark.parametrize(
    ("host", "names"), [("example.com", [b"example.com"]), ("127.0.0.1", [None]), ("::1", [None])]
)
def test_right_certificate_is_accepted(
    kind: str, host: str, names: list[bytes | None], authority: trustme.CA
) -> None:
    """Names are asked for and checked; addresses are only checked, as RFC 6066 has it."""
    server_options = private_certificate(authority.issue_cert(host)).options()

    creator = connection_creator(host, CREATORS[kind](authority))
    client, server, asked = shake_hands(creator, server_options)

    assert (client.received, server.received) == (b"server", b"client")
    assert asked == names


@pytest.mark.parametrize("kind", CREATORS)
@pytest.mark.parametrize("host", ["example.com", "127.0.0.1"])
def test_wrong_name_is_refused(kind: str, host: str, authority: trustme.CA) -> None:
    """A certificate for another host is refused, and the reason says so."""
    server_options = private_certificate(authority.issue_cert("elsewhere.example")).options()

    creator = connection_creator(host, CREATORS[kind](authority))
    client, server, _ = shake_hands(creator, server_options)

    assert (client.received, server.received) == (b"", b"")
    [reason] = client.lost
    assert reason.check(VerificationError)


@pytest.mark.parametrize("kind", CREATORS)
def test_unknown_authority_is_refused(kind: str, authority: trustme.CA) -> None:
    """A certificate that nobody trusted vouches for is refused."""
    server_options = private_certificate(trustme.CA().issue_cert("example.com")).options()

    creator = connection_creator("example.com", CREATORS[kind](authority))
    client, server, _ = shake_hands(creator, server_options)

    assert (client.received, server.received) == (b"", b"")
    [reason] = client.lost
    assert "certificate verify failed" in str(reason.value)


def test_verification_can_be_switched_off() -> None:
    """With C{verify=False} any certificate will do; the name is asked for all the same."""
    server_options = private_certificate(trustme.CA().issue_cert("elsewhere.example")).options()

    creator = connection_creator("example.com", TLSOptions(verify=False))
    client, server, asked = shake_hands(creator, server_options)

    assert (client.received, server.received) == (b"server", b"client")
    assert asked == [b"example.com"]


def test_context_that_does_not_verify_is_left_alone() -> None:
    """A bare context decides for itself whether certificates matter."""
    server_options = private_certificate(trustme.CA().issue_cert("elsewhere.example")).options()

    creator = connection_creator("example.com", SSL.Context(SSL.TLS_METHOD))
    client, _, asked = shake_hands(creator, server_options)

    assert client.received == b"server"
    assert asked == [b"example.com"]


def test_server_name_replaces_the_host(authority: trustme.CA) -> None:
    """C{server_name} is asked for, and checked, in place of the host in the URL."""
    server_options = private_certificate(authority.issue_cert("inside.example")).options()
    tls = TLSOptions(trust_root=authority.cert_pem.bytes(), server_name="inside.example")

    client, _, asked = shake_hands(connection_creator("127.0.0.1", tls), server_options)

    assert client.received == b"server"
    assert asked == [b"inside.example"]


@pytest.mark.parametrize("verify", [True, False])
def test_client_certificate_is_shown(verify: bool, authority: trustme.CA, tmp_path: Any) -> None:
    """A server that asks is shown the client's certificate, with the chain that leads to it."""
    path = tmp_path / "client.pem"
    authority.create_child_ca().issue_cert("me").private_key_and_cert_chain_pem.write_to_path(
        str(path)
    )
    root = Certificate.loadPEM(authority.cert_pem.bytes())
    server = private_certificate(authority.issue_cert("example.com"))
    server_options = CertificateOptions(
        privateKey=server.privateKey.original,
        certificate=server.original,
        trustRoot=trustRootFromCertificates([root]),
    )
    tls = TLSOptions(
        trust_root=root if verify else None, client_certificate=str(path), verify=verify
    )

    client, server_side, _ = shake_hands(connection_creator("example.com", tls), server_options)

    assert (client.received, server_side.received) == (b"server", b"client")


@pytest.mark.parametrize("host", ["example.com", "192.0.2.1"])
def test_certificate_for_nobody_is_refused(host: str, authority: trustme.CA) -> None:
    """A common name alone counts for nothing (RFC 9110, section 4.3.4)."""
    leaf = authority.issue_cert(common_name=host)
    creator = connection_creator(host, trusting_context(authority))

    client, _, _ = shake_hands(creator, private_certificate(leaf).options())

    assert client.received == b""
    [reason] = client.lost
    assert reason.check(VerificationError, CertificateError)
