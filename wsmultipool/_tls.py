"""
TLS beneath a WebSocket.

The one module that cannot be imported without OpenSSL; pools without TLS never import it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from OpenSSL import SSL
from service_identity.cryptography import (
    verify_certificate_hostname,
    verify_certificate_ip_address,
)
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.ssl import CertificateOptions, optionsForClientTLS
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from ._stages import stage_of
from ._tls_options import TLSOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from OpenSSL.crypto import X509
    from twisted.internet.defer import Deferred

__all__ = ["TLSEndpoint", "connection_creator"]

TLS = TLSOptions | IOpenSSLClientConnectionCreator | SSL.Context | None


def connection_creator(host: str, tls: TLS) -> IOpenSSLClientConnectionCreator:
    """
    Make what Twisted wants for TLS to a host.

    No application protocol is offered (ALPN): servers that do HTTP/2 would choose that.

    @param host: the host in the URL: the name asked for, and checked, unless C{tls} has another.
    @param tls: the C{tls} option.
    @raise ValueError: the host is no name that a certificate can be for.
    """
    if isinstance(tls, SSL.Context):
        return _ContextConnectionCreator(tls, host)
    if IOpenSSLClientConnectionCreator.providedBy(tls):
        return tls
    options = TLSOptions() if tls is None else tls
    # A trailing dot is part of a name in the DNS, never of one in a certificate.
    name = (options.server_name or host).removesuffix(".")
    certificate = options.loaded_client_certificate
    chain = list(options.loaded_chain) or None
    if options.verify:
        return optionsForClientTLS(
            name,
            trustRoot=options.loaded_trust_root,
            clientCertificate=certificate,
            extraCertificateOptions={"extraCertChain": chain},
        )
    unverified = CertificateOptions(
        privateKey=None if certificate is None else certificate.privateKey.original,
        certificate=None if certificate is None else certificate.original,
        extraCertChain=chain,
    )
    return _ContextConnectionCreator(unverified.getContext(), name)


@implementer(IStreamClientEndpoint)
class TLSEndpoint:
    """
    Does TLS as a client on top of another endpoint.

    Like L{twisted.internet.endpoints.wrapClientTLS}, whose older versions schedule their writes on
    the global reactor, whatever reactor the endpoint is for.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        creator: IOpenSSLClientConnectionCreator,
        wrapped: IStreamClientEndpoint,
    ) -> None:
        self._reactor = reactor
        self._creator = creator
        self._wrapped = wrapped

    @property
    def stage(self) -> str:
        """What it is doing before there is TLS to do, which the protocol tells then."""
        return stage_of(self._wrapped)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect a protocol, and begin the TLS handshake.

        @return: fires with the protocol when the wrapped endpoint has connected.  A handshake that
            fails afterwards, for a certificate say, is the reason of C{connectionLost}.
        """
        factory = TLSMemoryBIOFactory(self._creator, True, protocolFactory, self._reactor)
        return self._wrapped.connect(factory).addCallback(
            lambda outer: cast(TLSMemoryBIOProtocol, outer).wrappedProtocol
        )


@implementer(IOpenSSLClientConnectionCreator)
class _ContextConnectionCreator:
    """
    Uses a bare OpenSSL context.

    What the context makes of certificates is its own affair.  If it verifies peers, their name is
    verified as well, which no context does by itself: any certificate for any name would do.
    """

    def __init__(self, context: SSL.Context, name: str) -> None:
        self._context = context
        self._name = name.removesuffix(".")
        self._is_address = isIPAddress(name) or isIPv6Address(name)

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        if not self._is_address:  # RFC 6066, section 3: no addresses
            connection.set_tlsext_host_name(self._name.encode("ascii"))
        mode = self._context.get_verify_mode()
        if mode & SSL.VERIFY_PEER:
            connection.set_verify(mode, self._verifier(tlsProtocol))
        return connection

    def _verifier(
        self, protocol: TLSMemoryBIOProtocol
    ) -> Callable[[SSL.Connection, X509, int, int, int], bool]:
        def verify(
            connection: SSL.Connection, certificate: X509, error: int, depth: int, ok: int
        ) -> bool:
            if depth != 0 or not ok:
                return bool(ok)
            try:
                self._check_name(certificate)
            except Exception:
                # Not only VerificationError: whatever leaves here, OpenSSL prints and forgets.
                protocol.failVerification(Failure())
                return False
            return True

        return verify

    def _check_name(self, certificate: X509) -> None:
        if self._is_address:
            verify_certificate_ip_address(certificate.to_cryptography(), self._name)
        else:
            verify_certificate_hostname(certificate.to_cryptography(), self._name)
