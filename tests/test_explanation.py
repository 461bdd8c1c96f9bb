"""
Tests for L{wsmultipool._explanation}: what a rejection says, for a person.
"""

from __future__ import annotations

import pytest

from wsmultipool._explanation import explain

HEADING = "403 Forbidden"
NGINX = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    b"<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body></html>"
)
PAGE = (
    b"<!DOCTYPE html><html><head><style>h1 {color: red}</style></head><body><h1>No entry</h1>"
    b"<p>Your plan has &quot;ended&quot;.</p><script>alert(1)</script></body></html>"
)
S3 = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Go away</Message></Error>'


@pytest.mark.parametrize(
    ("media_type", "body", "said"),
    [
        ("text/plain", b"invalid API key\n", "invalid API key"),
        ("text/plain; charset=utf-8", b"one\r\n\ttwo  three", "one two three"),
        ("TEXT/PLAIN", b"caf\xc3\xa9 \xff", "caf? ?"),
        ("application/json", b'{"error": "expired"}', '{"error": "expired"}'),
        ("application/problem+json", b'{"title": "a\\u0026b \\/c"}', '{"title": "a&b /c"}'),
        ("text/html", NGINX, "502 Bad Gateway"),
        ("text/html", PAGE, 'No entry Your plan has "ended".'),
        ("text/html", b"<script>alert(1)", ""),
        ("text/html", b"Missing token", "Missing token"),
        ("application/xml", S3, "AccessDenied Go away"),
        ("application/xhtml+xml", b"<p>no</p>", "no"),
        ("", b"no", "no"),
        ("", PAGE, 'No entry Your plan has "ended".'),
        ("", "caf\u00e9".encode()[:-1], "caf"),
        ("", b"\x00\x01", ""),
        ("", b"\xff\xfe", ""),
        ("", b"", ""),
        ("application/octet-stream", b"text all the same", ""),
        ("image/png", b"\x89PNG", ""),
    ],
)
def test_a_text_explains_a_rejection(media_type: str, body: bytes, said: str) -> None:
    """Text is taken as it is, of markup the title or the text, of anything else nothing."""
    assert explain(body, media_type, HEADING) == said


@pytest.mark.parametrize(
    "body", [b"Forbidden", b"403 forbidden\n", b"<title>403 Forbidden</title>"]
)
def test_an_explanation_that_explains_nothing_is_left_out(body: bytes) -> None:
    """Servers like to repeat the status in the body."""
    assert explain(body, "text/html", HEADING) == ""


def test_an_explanation_is_cut_to_a_sane_length() -> None:
    """A body cannot fill the log, nor colour or forge its lines."""
    said = explain(b"\x1b[31mred\r\n" + b"x" * 50_000, "text/plain", HEADING)
    assert said == ("?[31mred " + "x" * 50_000)[:200]


def test_an_explanation_shows_no_secret() -> None:
    """Where the server repeats the request, its secrets are hidden, however they are written."""
    secrets = ["Bearer abc/defgh"]
    for body in (b"no Bearer abc/defgh", b'no "abc\\/defgh"', b"no abc\\u002fdefgh"):
        said = explain(body, "application/json", HEADING, secrets)
        assert "***" in said
        assert "defgh" not in said
    assert explain(b"<p>no abc&#x2F;defgh</p>", "text/html", HEADING, secrets) == "no ***"


def test_the_beginning_of_a_secret_is_hidden_where_the_rest_was_cut_off() -> None:
    """What is told of a body that did not come in full ends with no half of a token."""
    for body in (b"no Bearer abc/de", b"no abc/defg"):
        secrets = ["Bearer abc/defgh"]
        assert explain(body, "text/plain", HEADING, secrets, cut=True) == "no ***"
        assert explain(body, "text/plain", HEADING, secrets) == body.decode()


def test_a_secret_at_the_end_of_what_is_looked_at_is_hidden() -> None:
    """Only so much of a long body is looked at, and what is behind counts as not received."""
    body = b" " * 4090 + b"Bearer abc/defgh"
    assert explain(body, "text/plain", HEADING, ["Bearer abc/defgh"]) == "***"
