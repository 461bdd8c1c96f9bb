"""
Tests for L{wsmultipool._reasons}.
"""

from __future__ import annotations

import pytest
from OpenSSL.SSL import Error
from twisted.internet.error import ConnectionLost, DNSLookupError

from wsmultipool._reasons import in_words


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
