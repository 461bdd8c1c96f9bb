"""
Tests for L{wsmultipool._quotes}.
"""

from __future__ import annotations

import pytest

from wsmultipool import ServerURL, UpgradeRequest
from wsmultipool._quotes import LONGEST_QUOTE, quote, secrets_for_proxy, secrets_of


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Not Found", "Not Found"),
        ("", ""),
        ("  a  b \r\n", "a  b"),
        ("\x1b[31mred\r\n\x85", "?[31mred"),
        ("Verg\xe4llt", "Verg?llt"),
        ("x" * (LONGEST_QUOTE + 1), "x" * LONGEST_QUOTE),
        ("x" * (LONGEST_QUOTE - 1) + " y", "x" * (LONGEST_QUOTE - 1)),
    ],
)
def test_a_quote_is_short_and_printable(text: str, quoted: str) -> None:
    """What a peer says cannot fill a log, nor colour or forge its lines."""
    assert quote(text) == quoted


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("no /feed?id=5&token=0123456789&k=short&w=a%20word here", "no *** here"),
        ("no id=5&token=0123456789&k=short&w=a%20word", "no ***"),
        ("bad token 0123456789", "bad token ***"),
        ("X-Key: AbCdEfGh", "X-Key: ***"),
        ("abcdefgh ABCDEFGH", "*** ***"),
        ("Bearer abcdefgh", "***"),
        ("Bearer needed", "Bearer needed"),
        ("Basic c29tZWJvZHk6cGFzc3dvcmQ=", "***"),
        ("c29tZWJvZHk6cGFzc3dvcmQ", "***"),
        ("somebody: wrong password", "***: wrong ***"),
        ("version 1", "version 1"),
        ("no such user: 0123456789", "no such user: ***"),
        ("sent short and a word", "sent *** and ***"),
        ("sent a%20word", "sent ***"),
        ("x" * (LONGEST_QUOTE - 3) + "abcdefgh", "x" * (LONGEST_QUOTE - 3) + "***"),
    ],
)
def test_a_quote_repeats_no_secret(text: str, quoted: str) -> None:
    """A server that quotes the request, whole or in part, does not get its secrets into a log."""
    url = ServerURL.parse(
        "ws://somebody:password@example.com/feed?id=5&token=0123456789&k=short&w=a%20word"
    )
    headers = {
        "Authorization": "Basic c29tZWJvZHk6cGFzc3dvcmQ=",
        "X-Key": "Bearer abcdefgh",
        "X-Version": "1",
    }
    request = UpgradeRequest(url=url, host="example.com", headers=headers)
    assert quote(text, secrets_of(request)) == quoted


def test_a_path_is_no_secret() -> None:
    """It is in every error and log anyway."""
    request = UpgradeRequest(url=ServerURL.parse("ws://example.com/feed"), host="example.com")
    assert secrets_of(request) == []


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("no dialer here", "no *** here"),
        ("forwarded for dialer:pass phrase", "forwarded for ***:***"),
        ("unknown Basic ZGlhbGVyOnBhc3MgcGhyYXNl", "unknown ***"),
        ("unknown ZGlhbGVyOnBhc3MgcGhyYXNl", "unknown ***"),
    ],
)
def test_a_quote_does_not_repeat_what_the_proxy_was_told(text: str, quoted: str) -> None:
    """A proxy may pass its credentials on to the server, and that one may quote them."""
    request = UpgradeRequest(url=ServerURL.parse("ws://example.com/feed"), host="example.com")
    assert quote(text, secrets_of(request, ("dialer", "pass phrase"))) == quoted
    assert quote(text, secrets_for_proxy(("dialer", "pass phrase"))) == quoted
    assert quote(text, secrets_of(request)) == text
    assert secrets_for_proxy(None) == []


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("no Bearer abc/de", "no ***"),
        ("no bearer ABC/DE", "no ***"),
        ("no token abc/de", "no token ***"),
        ("no abc/defgh", "no ***"),
        ("no key abc", "no key ***"),
        ("Bea", "***"),
        ("no be", "no be"),
        ("no way", "no way"),
    ],
)
def test_a_quote_that_was_cut_does_not_end_with_half_a_secret(text: str, quoted: str) -> None:
    """Where the peer's words did not come in full, they may have broken off within a token."""
    secrets = ["other-secret", "abcd", "Bearer abc/defgh"]
    assert quote(text, secrets, cut=True) == quoted
    assert quote(text, secrets) == text.replace("abc/defgh", "***")
