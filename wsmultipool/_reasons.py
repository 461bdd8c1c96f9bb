"""
Why a transport failed, in words a user can read.
"""

from __future__ import annotations


def in_words(error: BaseException) -> str:
    """
    Describe what Twisted, or OpenSSL beneath it, has raised.
    """
    if _is_of_openssl(error):
        return "TLS: " + ", ".join(str(entry[-1]) for entry in error.args[0] if entry)
    return str(error) or type(error).__name__


def is_of_tls(error: BaseException | None) -> bool:
    """
    Say whether it is of OpenSSL, or of C{service_identity}, which finds that a certificate is for
    another host: with some versions only after the handshake.
    """
    return _is_of_openssl(error) or type(error).__module__.startswith("service_identity")


# Neither is imported, as neither need be installed.


def _is_of_openssl(error: BaseException | None) -> bool:
    """
    Say whether it is an C{OpenSSL.SSL.Error} with a queue of errors, each C{(library, function,
    reason)}.
    """
    first = error.args[0] if error is not None and error.args else None
    return isinstance(first, list) and bool(first) and all(isinstance(e, tuple) for e in first)
