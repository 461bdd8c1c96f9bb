"""
Tests for L{wsmultipool.service.server_endpoint}, with TLS handshakes in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from socket import AF_UNIX, socket
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from zope.interface.verify import verifyObject

from wsmultipool.service.option_values import ConfigurationError
from wsmultipool.service.server_endpoint import ServerEndpoint

from .integration.certificates import Authority, Issued


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """
    Signs what servers and clients show.
    """
    return Authority(tmp_path)


def ssl(issued: Issued) -> str:
    """
    Return the string of an endpoint that shows a certificate.
    """
    return f"ssl:9443:privateKey={issued.key_file}:certKey={issued.certificate_file}"


class Listening:
    """
    An endpoint that listens on no network.
    """

    def __init__(self, description: str, client_ca: str | None = None) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.endpoint = ServerEndpoint(self.reactor, "listen", description, client_ca)
        self.endpoint.listen(Factory())

    def certificate_shown(
        self, authority: Authority, shown: Issued | None = None, offered: Sequence[bytes] = ()
    ) -> int:
        """
        Connect, and go through the TLS handshake.

        @param shown: the client's certificate.
        @param offered: the application protocols that the client can speak.
        @return: the serial number of the server's.
        @raise SSL.Error: one side does not want the other.
        """
        context = SSL.Context(SSL.TLS_METHOD)
        context.load_verify_locations(authority.file)
        context.set_verify(SSL.VERIFY_PEER)
        if shown is not None:
            context.use_certificate_file(shown.certificate_file)
            context.use_privatekey_file(shown.key_file)
        if offered:
            context.set_alpn_protos(list(offered))
        ((_, _, creator, _, _),) = self.reactor.sslServers
        assert verifyObject(IOpenSSLServerConnectionCreator, creator)
        client, server = SSL.Connection(context, None), creator.serverConnectionForTLS(None)
        client.set_connect_state()
        server.set_accept_state()
        # Without a certificate of its own, a client of TLS 1.3 believes that all is well.
        while not (_is_done(client, server) & _is_done(server, client)):
            pass
        self.agreed_on = client.get_alpn_proto_negotiated()
        certificate = client.get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        return certificate.serial_number


def _is_done(side: SSL.Connection, other: SSL.Connection) -> bool:
    try:
        side.do_handshake()
    except SSL.WantReadError:
        return False
    finally:
        with suppress(SSL.WantReadError):
            other.bio_write(side.bio_read(65536))
    return True


def serial_number(issued: Issued) -> int:
    """
    Return that of a certificate.
    """
    number: int = issued.private.original.to_cryptography().serial_number
    return number


@pytest.mark.parametrize("front", ["", "haproxy:"])
def test_tls(authority: Authority, front: str) -> None:
    """It shows the certificate that the string names, and asks clients for none."""
    issued = authority.issue("relay.test")
    listening = Listening(front + ssl(issued) + ":interface=10.0.0.1:backlog=7")
    assert listening.certificate_shown(authority) == serial_number(issued)
    ((port, _, _, backlog, interface),) = listening.reactor.sslServers
    assert (port, backlog, interface) == (9443, 7, "10.0.0.1")


@pytest.mark.parametrize(
    ("offered", "agreed_on"), [((b"h2", b"http/1.1"), b"http/1.1"), ((b"h2",), b""), ((), b"")]
)
def test_clients_may_ask_for_a_protocol(
    authority: Authority, offered: Sequence[bytes], agreed_on: bytes
) -> None:
    """Browsers do; there is HTTP/1.1, and nobody is sent away for wanting something else."""
    listening = Listening(ssl(authority.issue("relay.test")))
    listening.certificate_shown(authority, offered=offered)
    assert listening.agreed_on == agreed_on


def test_clients_must_show_a_certificate(authority: Authority, tmp_path: Path) -> None:
    """One of the authority's is good; none, an expired one and a stranger's are not."""
    issued = authority.issue("relay.test")
    listening = Listening(ssl(issued), authority.file)
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other").issue("client@relay.test")
    right = authority.issue("client@relay.test")
    assert listening.certificate_shown(authority, right) == serial_number(issued)
    for wrong in (None, stranger, authority.issue("client@relay.test", expired=True)):
        with pytest.raises(SSL.Error, match="certificate"):
            listening.certificate_shown(authority, wrong)


def test_the_platform_vouches_for_no_client(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can buy a certificate somewhere is not let in by that."""
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    monkeypatch.setenv("SSL_CERT_FILE", other.file)
    listening = Listening(ssl(authority.issue("relay.test")), authority.file)
    with pytest.raises(SSL.Error, match="certificate"):
        listening.certificate_shown(authority, other.issue("client@relay.test"))


def test_files_are_read_again(authority: Authority) -> None:
    """New certificates, of the server and of who vouches for clients, are for the next clients."""
    first, second = authority.issue("relay.test"), authority.issue("relay.test")
    listening = Listening(ssl(first), authority.file)
    client = authority.issue("client@relay.test")
    for old, new in (
        (first.key_file, second.key_file),
        (first.certificate_file, second.certificate_file),
    ):
        Path(old).write_bytes(Path(new).read_bytes())
    use = listening.endpoint.reread()
    assert listening.certificate_shown(authority, client) == serial_number(first)
    use()
    assert listening.certificate_shown(authority, client) == serial_number(second)


def test_a_mistake_in_what_is_read_again(authority: Authority) -> None:
    """It is told by name, and what was right before still is."""
    issued = authority.issue("relay.test")
    listening = Listening(ssl(issued))
    Path(issued.key_file).write_text("no key")
    with pytest.raises(ConfigurationError, match=r"^listen: 'ssl:9443:"):
        listening.endpoint.reread()
    assert listening.certificate_shown(authority) == serial_number(issued)


def test_without_tls_there_is_nothing_to_read() -> None:
    """TCP listens as Twisted does it."""
    listening = Listening("tcp:9000:interface=127.0.0.1")
    listening.endpoint.reread()()
    ((port, _, _, interface),) = listening.reactor.tcpServers
    assert (port, interface) == (9000, "127.0.0.1")


def test_a_socket_that_was_left_behind() -> None:
    """It is out of the way before Twisted wants its place."""
    with TemporaryDirectory() as directory:
        path = Path(directory, "socket")
        with socket(AF_UNIX) as left:
            left.bind(str(path))
            left.listen()
        listening = Listening(f"unix:{path}:mode=660")
        assert not path.exists()
        assert len(listening.reactor.unixServers) == 1


@pytest.mark.parametrize("kind", ["missing", "directory", "key", "text", "octets"])
def test_a_client_ca_that_is_none(authority: Authority, tmp_path: Path, kind: str) -> None:
    """A file that can't be read, or vouches for nobody, is refused, and not shown."""
    issued = authority.issue("relay.test")
    path = {"directory": str(tmp_path), "key": issued.key_file}.get(kind, str(tmp_path / "ca"))
    if kind == "text":
        Path(path).write_text("secret")
    elif kind == "octets":
        Path(path).write_bytes(b"\xffsecret")
    with pytest.raises(ConfigurationError) as raised:
        Listening(ssl(issued), path)
    assert str(raised.value).startswith(f"client_ca {path!r}")
    assert "secret" not in str(raised.value)


def test_a_certificate_and_a_key_that_do_not_belong_together(authority: Authority) -> None:
    """That is told before anything listens."""
    first, second = authority.issue("relay.test"), authority.issue("relay.test")
    description = f"ssl:1:privateKey={first.key_file}:certKey={second.certificate_file}"
    with pytest.raises(ConfigurationError, match="do not match"):
        Listening(description)


def test_a_chain_is_shown(authority: Authority) -> None:
    """Other files of the string are Twisted's to read; a method that it does not know is not."""
    issued = authority.issue("relay.test")
    listening = Listening(f"{ssl(issued)}:extraCertChain={authority.file}")
    assert listening.certificate_shown(authority) == serial_number(issued)
    with pytest.raises(ConfigurationError, match=r"^listen: 'ssl:9443:.*NO_METHOD"):
        Listening(f"{ssl(issued)}:sslmethod=NO_METHOD")
