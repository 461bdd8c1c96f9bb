"""
Tests for L{wsmultipool.service.hidden_values}.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from wsmultipool.service.hidden_values import HiddenValues


def test_without_anything_to_hide_a_message_stays() -> None:
    """As it does without a file."""
    assert HiddenValues().hide("'x' is too large") == "'x' is too large"
    assert HiddenValues.of({"pool_size": 5, "name": ""}, "f").hide("5 '' x") == "5 '' x"


def test_a_message_about_the_file_says_which_file() -> None:
    """Also if there is nothing in it to hide; one about something else does not."""
    hidden = HiddenValues.of({"key": "k.pem", "pool_size": 5}, "config 'f'")
    assert hidden.hide("key needs the certificate") == "config 'f': key needs the certificate"
    assert hidden.hide("keys and pool_size") == "keys and pool_size"
    assert hidden.hide("'k.pem' is no key") == "config 'f': <not shown> is no key"


def test_texts_are_hidden() -> None:
    """In quotes and, unless they are short, without; but not within words of the message."""
    hidden = HiddenValues.of(
        {"origin": "pool", "user_agent": "correct horse", "name": "it's\n"}, "f"
    )
    message = "pool_size, 'pool', pool: 'correct horse', correct horse; \"it's\\n\""
    assert hidden.hide(message) == (
        "f: pool_size, <not shown>, pool: <not shown>, <not shown>; <not shown>"
    )


def test_a_text_within_another_one_does_not_leave_the_rest() -> None:
    """The longer one is hidden as a whole."""
    hidden = HiddenValues(["abcdefgh", "abcdefgh-ijkl"])
    assert hidden.hide("abcdefgh-ijkl, abcdefgh") == "<not shown>, <not shown>"


@pytest.mark.parametrize(
    "url",
    [
        "s3cret",
        "s3cret?x=1",
        "user:s3cret@host",
        "ws://user:s3cret",
        "ws://h/?s3cret",
        "s3cret@x#y",
    ],
)
@pytest.mark.parametrize("name", ["url", "proxy"])
def test_no_part_of_a_url_is_shown(name: str, url: str) -> None:
    """The library leaves out what is a secret by the syntax of URLs: in a wrong place it is not."""
    hidden = HiddenValues.of({name: [url] if name == "url" else url}, "f")
    for shown in (repr(url), repr(url.replace("?x=1", "?***")), repr(url.replace("#y", "?***"))):
        assert "s3cret" not in hidden.hide(f"{name} must begin with ws://: {shown}")


@pytest.mark.parametrize(
    ("name", "text", "is_shown"),
    [
        ("url", "wss://example.com:99999/feed", True),
        ("url", "wss://[::1]:9000/", True),
        ("url", "wss://example.com/?a=b", False),
        ("url", "wss://user:password@example.com/", False),
        ("proxy", "http://proxy.example:3128", True),
        ("listen", "tcp:9000:interface=0.0.0.0", True),
        ("http", "correct horse", False),
        ("overflow", "wait", True),
        ("token_file", "correct horse", False),
        ("token_file", __file__, True),
        ("server_name", "correct horse", False),
        ("realm", "correct horse", False),
    ],
)
def test_what_is_plainly_as_it_should_be_is_shown(name: str, text: str, is_shown: bool) -> None:
    """An operator who reads which endpoint, URL or file it is need not look for it."""
    shown = repr(text) in HiddenValues.of({name: text}, "f").hide(f"{name}: {text!r} is no good")
    assert shown is is_shown
    assert Path(__file__).exists()
