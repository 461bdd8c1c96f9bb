"""
What a user may say about TLS, and the certificates and keys this refers to.

Files are read when the options are made: a missing one is a mistake to report at once, not a
connection that fails for ever.  OpenSSL is only imported then: it takes longer to import than all
the options together.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ._urls import check_host
from ._validation import check_bool, repr_of_changed, suggesting

if TYPE_CHECKING:
    from OpenSSL.crypto import X509
    from twisted.internet._sslverify import IOpenSSLTrustRoot
    from twisted.internet.ssl import Certificate, PrivateCertificate

    StrPath = str | os.PathLike[str]

__all__ = ["TLSOptions"]

_PRIVATE_KEY = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)


@suggesting
@dataclass(frozen=True, kw_only=True, repr=False)
class TLSOptions:
    """
    How to do TLS with the server: whom to trust, and as whom to appear.

    Without any of these the server's certificate is checked against the platform's trust store, and
    against the host in the URL.

    @ivar trust_root: who may vouch for the server: the path of a PEM file with one certificate or
        more, such PEM data as C{bytes}, a L{twisted.internet.ssl.Certificate}, what
        L{twisted.internet.ssl.trustRootFromCertificates} returned, or C{None} for the platform's
        trust store.
    @ivar client_certificate: what to show to a server that asks: the path of a PEM file with the
        certificate, those of intermediate authorities if need be, and the private key; or the paths
        of a file with the certificates and one with the key; or a
        L{twisted.internet.ssl.PrivateCertificate}; C{None} for none.  Keys that need a passphrase
        are not supported.
    @ivar server_name: the name to ask for (SNI), and to check the certificate for; C{None} for the
        host in the URL.
    @ivar verify: C{False} accepts every certificate, hence every eavesdropper.  The pool logs that.
    @since: 0.1.0
    """

    trust_root: StrPath | bytes | Certificate | IOpenSSLTrustRoot | None = None
    client_certificate: StrPath | tuple[StrPath, StrPath] | PrivateCertificate | None = None
    server_name: str | None = None
    verify: bool = True

    # What was read from the files.
    loaded_trust_root: Certificate | IOpenSSLTrustRoot | None = field(
        default=None, init=False, repr=False, compare=False
    )
    loaded_client_certificate: PrivateCertificate | None = field(
        default=None, init=False, repr=False, compare=False
    )
    loaded_chain: tuple[X509, ...] = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_bool("tls verify", self.verify)
        if self.server_name is not None:
            name = check_host("tls server_name", self.server_name)
            object.__setattr__(self, "server_name", name)
        if self.trust_root is not None:
            if not self.verify:
                raise ValueError("tls trust_root has no effect with verify=False: give one of them")
            object.__setattr__(self, "loaded_trust_root", _load_trust_root(self.trust_root))
        if self.client_certificate is not None:
            certificate, chain = _load_certificate(self.client_certificate)
            object.__setattr__(self, "loaded_client_certificate", certificate)
            object.__setattr__(self, "loaded_chain", chain)

    def __repr__(self) -> str:
        return repr_of_changed(
            self,
            trust_root=_source(self.trust_root),
            client_certificate=_source(self.client_certificate),
        )


def _load_trust_root(value: object) -> Certificate | IOpenSSLTrustRoot:
    from twisted.internet.ssl import Certificate, CertificateOptions, trustRootFromCertificates

    if isinstance(value, (str, os.PathLike, bytes)):
        data = value if isinstance(value, bytes) else _read("tls trust_root", value)
        found = _parse_certificates("tls trust_root", data, _source(value))
        return cast("IOpenSSLTrustRoot", trustRootFromCertificates(map(Certificate, found)))
    try:
        # The interface has no public name; this asks for it in public.
        CertificateOptions(trustRoot=cast("IOpenSSLTrustRoot", value))
    except TypeError:
        raise TypeError(
            "tls trust_root must be the path of a PEM file, PEM data as bytes, or a trust root"
            f" of twisted.internet.ssl, not {type(value).__name__}"
        ) from None
    return cast("IOpenSSLTrustRoot", value)


def _load_certificate(value: object) -> tuple[PrivateCertificate, tuple[X509, ...]]:
    from OpenSSL.crypto import PKey
    from twisted.internet import ssl

    option = "tls client_certificate"
    if isinstance(value, ssl.PrivateCertificate):
        return value, ()
    if isinstance(value, (str, os.PathLike)):
        certificate_path = key_path = value
    elif (
        isinstance(value, tuple)
        and len(value) == 2
        and all(isinstance(path, (str, os.PathLike)) for path in value)
    ):
        certificate_path, key_path = value
    else:
        raise TypeError(
            f"{option} must be the path of a PEM file, a (certificate, key) pair of paths, or a"
            f" twisted.internet.ssl.PrivateCertificate, not {type(value).__name__}"
        )
    leaf, *chain = _parse_certificates(
        option, _read(option, certificate_path), _source(certificate_path)
    )
    key = _parse_private_key(option, _read(option, key_path), _source(key_path))
    certificate = ssl.Certificate(leaf)
    pair = ssl.KeyPair(PKey.from_cryptography_key(key))
    if not pair.matches(certificate.getPublicKey()):
        raise ValueError(
            f"{option}: the private key in {_source(key_path)} does not belong to the certificate"
            f" in {_source(certificate_path)}"
        )
    loaded = ssl.PrivateCertificate.fromCertificateAndKeyPair(certificate, pair)
    return loaded, tuple(chain)


def _read(option: str, path: StrPath) -> bytes:
    name = os.fspath(path)
    if "-----BEGIN" in name:
        raise ValueError(f"{option} must be the path of a PEM file, not what is in it")
    try:
        return Path(name).read_bytes()
    except (OSError, ValueError) as error:
        # ValueError: a NUL in the name.
        why = getattr(error, "strerror", None) or "not a path"
        raise ValueError(f"{option}: cannot read {name!r} ({why})") from None


def _parse_certificates(option: str, data: bytes, source: str) -> list[X509]:
    from cryptography.x509 import load_pem_x509_certificates
    from OpenSSL.crypto import X509

    try:
        found = load_pem_x509_certificates(data)
    except ValueError:
        raise ValueError(f"{option}: no PEM certificate to be read in {source}") from None
    return [X509.from_cryptography(certificate) for certificate in found]


def _parse_private_key(option: str, data: bytes, source: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    block = _PRIVATE_KEY.search(data)
    if block is None:
        raise ValueError(f"{option}: no PEM private key in {source}")
    try:
        # Not pyOpenSSL's loader, which would ask for a passphrase on the terminal.
        return load_pem_private_key(block.group(), password=None)
    except TypeError:
        raise ValueError(f"{option}: the private key in {source} needs a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{option}: the private key in {source} cannot be read") from None


def _source(value: object) -> str:
    """Say where PEM data comes from, showing paths but never data."""
    if isinstance(value, tuple):
        return f"({', '.join(map(_source, value))})"
    if isinstance(value, (str, os.PathLike)):
        return repr(os.fspath(value))
    return f"<{type(value).__name__}>"
