"""
Where a part of the service listens: what a server endpoint string says, and with TLS a little more.

Twisted reads keys and certificates once, and demands none of clients.  Here they can be read again
while the port is open, and clients can be made to show a certificate.

@since: 0.1.0
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import (
    IOpenSSLContextFactory,
    IOpenSSLServerConnectionCreator,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory
from zope.interface import implementer

from .config_file import read_text
from .endpoint_string import tls_files_of, unix_socket_of
from .option_values import ConfigurationError
from .stale_socket import remove_stale_socket

if TYPE_CHECKING:
    from OpenSSL.SSL import Connection, Context
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IListeningPort, IProtocolFactory

__all__ = ["ServerEndpoint"]

_HTTP = b"http/1.1"


@implementer(IStreamServerEndpoint)
class ServerEndpoint:
    """
    An endpoint that listens as an endpoint string says.

    @param reactor: the reactor it listens with.
    @param name: the option that it comes from, for messages.
    @param description: the endpoint string.
    @param client_ca: the path of a PEM file with who may vouch for clients, which must show a
        certificate then; C{None} if they need not.  It takes TLS.
    @raise ConfigurationError: the string has a mistake in it, or a file that it names.
    @since: 0.1.0
    """

    def __init__(
        self, reactor: Any, name: str, description: str, client_ca: str | None = None
    ) -> None:
        self._name = name
        self._description = description
        self._client_ca = client_ca
        if tls_files_of(description):
            self._certificates = _Certificates(self._read())
            reactor = _WithListenSSL(self._listener(reactor))
        try:
            self._endpoint = self._parsed(reactor)
        except Exception as error:
            raise self._mistake(error) from None

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen; at a unix socket that a process has left behind which was killed, take its place.

        @return: a Deferred that fires with the port, or fails as Twisted's endpoints do.
        @since: 0.1.0
        """
        path = unix_socket_of(self._description)
        if path is not None:
            remove_stale_socket(path)
        return self._endpoint.listen(protocolFactory)

    def reread(self) -> Callable[[], None]:
        """
        Read the files again.

        @return: what makes them take effect, for those who connect from then on.
        @raise ConfigurationError: one has a mistake in it; nothing has changed then.
        @since: 0.1.0
        """
        if not tls_files_of(self._description):
            return lambda: None
        context = self._read()
        return lambda: self._certificates.use(context)

    def _read(self) -> Context:
        """Have Twisted read the files, as if it were to listen now."""
        made: list[IOpenSSLContextFactory] = []

        def keep(port: int, factory: object, contexts: IOpenSSLContextFactory, **_: Any) -> None:
            made.append(contexts)

        try:
            self._parsed(_WithListenSSL(keep)).listen(Factory())
            context = made[0].getContext()
        except Exception as error:
            raise self._mistake(error) from None
        _agree_on_http(context)
        if self._client_ca is not None:
            _demand_certificate(context, self._client_ca)
        return context

    def _listener(self, reactor: Any) -> Callable[..., IListeningPort]:
        def listen(port: int, factory: object, _: object, **how: Any) -> IListeningPort:
            listening: IListeningPort = reactor.listenSSL(port, factory, self._certificates, **how)
            return listening

        return listen

    def _parsed(self, reactor: Any) -> IStreamServerEndpoint:
        return cast(IStreamServerEndpoint, serverFromString(reactor, self._description))

    def _mistake(self, error: Exception) -> ConfigurationError:
        # Every kind of endpoint has errors of its own, and OpenSSL's have no text.
        text = " ".join(str(error).split()) or type(error).__name__
        return ConfigurationError(f"{self._name}: {self._description!r}: {text}")


class _WithListenSSL:
    """
    Stands in for the reactor, of which an C{ssl:} endpoint uses nothing else.
    """

    def __init__(self, listen: Callable[..., Any]) -> None:
        self._listen = listen

    def listenSSL(
        self, port: int, factory: object, contextFactory: object, **how: object
    ) -> object:
        return self._listen(port, factory, contextFactory, **how)


@implementer(IOpenSSLServerConnectionCreator)
class _Certificates:
    """
    What a TLS port is to show, and to demand, now: Twisted asks for every connection.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def use(self, context: Context) -> None:
        self._context = context

    def serverConnectionForTLS(self, tlsProtocol: object) -> Connection:
        from OpenSSL.SSL import Connection

        return Connection(self._context, None)


def _agree_on_http(context: Context) -> None:
    """
    Let clients in that ask for an application protocol (RFC 7301), as browsers do: Twisted, as of
    26.4, fails with all of them unless it is told which.
    """
    from OpenSSL.SSL import NO_OVERLAPPING_PROTOCOLS

    def choose(_: object, offered: list[bytes]) -> Any:
        return _HTTP if _HTTP in offered else NO_OVERLAPPING_PROTOCOLS

    context.set_alpn_select_callback(choose)


def _demand_certificate(context: Context, path: str) -> None:
    """
    Have TLS with a client fail unless it shows a certificate that somebody in a file vouches for.
    """
    from OpenSSL import SSL

    read_text(path, "client_ca")  # says why it can't be read, which OpenSSL does not
    try:
        context.load_verify_locations(path)
        # Their names, by which a client chooses what to show.
        context.load_client_ca(path.encode())
    except SSL.Error:
        raise ConfigurationError(
            f"client_ca {path!r}: no PEM certificate to be read in it"
        ) from None
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
