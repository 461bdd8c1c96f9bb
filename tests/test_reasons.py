"""
Tests for L{wsmultipool._reasons}.
"""

from __future__ import annotations

import pytest
from OpenSSL.SSL import Error
from service_identity import VerificationError
from twisted.internet.error import ConnectionLost, DNSLookupError

from wsmultipool._reasons import in_words, is_of_tls


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (DNSLookupError("no such host"), "DNS lookup failed: no such host."),
        (RuntimeError(), "RuntimeError"),
        (
            Error([("SSL routines", "", "certificate verify failed")]),
            "TLS: certificate verify failed",
        ),
        (Error([("a", "b", "first"), ("a", "b", "second")]), "TLS: first, second"),
        (Error([]), "[]"),
        (
            ConnectionLost("cut"),
            "Connection to the other side was lost in a non-clean fashion: cut.",
        ),
    ],
)
def test_a_reason_is_told_in_words(error: Exception, words: str) -> None:
    """Users read sentences, not what OpenSSL puts into its exceptions."""
    assert in_words(error) == words


@pytest.mark.parametrize(
    ("error", "of_tls"),
    [
        (Error([("SSL routines", "", "certificate verify failed")]), True),
        (VerificationError(errors=[]), True),
        (ConnectionLost("cut"), False),
        (Error([]), False),
    ],
)
def test_what_tls_has_failed_for_is_told_apart(error: Exception, of_tls: bool) -> None:
    """A certificate for another host may be found out only when the handshake is over."""
    assert is_of_tls(error) is of_tls
