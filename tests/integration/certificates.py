"""
A certificate authority of our own, and what it signs: right, wrong and expired certificates.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    PrivateCertificate,
    optionsForClientTLS,
    trustRootFromCertificates,
)


@dataclass(frozen=True)
class Issued:
    """
    One certificate with its key, as Twisted and as Node want them.
    """

    private: PrivateCertificate
    key_file: str
    certificate_file: str


class Authority:
    """
    Issues certificates that only a client told to trust this authority will accept.
    """

    def __init__(self, directory: Path) -> None:
        self._ca = trustme.CA()
        self._directory = directory
        self._issued = 0
        self.file = str(directory / "authority.pem")
        self._ca.cert_pem.write_to_path(self.file)
        self.certificate = Certificate.loadPEM(self._ca.cert_pem.bytes())
        self.trust_root = trustRootFromCertificates([self.certificate])

    def issue(self, *names: str, expired: bool = False) -> Issued:
        """Issue a certificate for host names or addresses; or for a client, named by an e-mail."""
        now = datetime.now(UTC)
        leaf = self._ca.issue_cert(
            *names,
            not_before=now - timedelta(days=20),
            not_after=now + timedelta(days=-10 if expired else 10),
        )
        self._issued += 1
        key_file = str(self._directory / f"{self._issued}.key")
        certificate_file = str(self._directory / f"{self._issued}.pem")
        leaf.private_key_pem.write_to_path(key_file)
        leaf.cert_chain_pems[0].write_to_path(certificate_file)
        return Issued(
            PrivateCertificate.loadPEM(leaf.private_key_and_cert_chain_pem.bytes()),
            key_file,
            certificate_file,
        )

    def demanding(self, issued: Issued) -> CertificateOptions:
        """Return server options that demand a client certificate of this authority."""
        options: CertificateOptions = issued.private.options(self.certificate)
        return options

    def client_creator(self, name: str) -> IOpenSSLClientConnectionCreator:
        """Return what Twisted makes client connections with, trusting this authority."""
        creator: IOpenSSLClientConnectionCreator = optionsForClientTLS(
            name, trustRoot=self.trust_root
        )
        return creator
