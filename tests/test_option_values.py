"""
Tests for L{wsmultipool.service.option_values}.
"""

from __future__ import annotations

from datetime import date

import pytest

from wsmultipool.service.option_table import BY_NAME
from wsmultipool.service.option_values import (
    ConfigurationError,
    header_of,
    headers_of,
    merged,
    parsed,
    typed,
)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("pool_size", "8", 8),
        ("drain", "2.5", 2.5),
        ("name", "feed", "feed"),
        ("overflow", "drop_newest", "drop_newest"),
        ("overflow", "drop-newest", "drop_newest"),
    ],
)
def test_text_of_a_command_line(name: str, text: str, value: object) -> None:
    """Text becomes what the option takes; a choice may be written with dashes."""
    assert parsed(BY_NAME[name], text) == value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("pool_size", "many", "must be an integer, not 'many'"),
        ("pool_size", "1.5", "must be an integer, not '1.5'"),
        ("drain", "long", "must be a number, not 'long'"),
        ("overflow", "drop", "must be one of drop_oldest, drop_newest, wait, not 'drop'"),
    ],
)
def test_text_that_the_option_does_not_take(name: str, text: str, message: str) -> None:
    """Whoever mistypes a value reads what it should be."""
    with pytest.raises(ValueError, match=f"^{message}$"):
        parsed(BY_NAME[name], text)


@pytest.mark.parametrize(
    ("name", "value", "checked"),
    [
        ("pool_size", 8, 8),
        ("pool-size", 8, 8),
        ("drain", 2, 2),
        ("drain", 2.5, 2.5),
        ("compression", True, True),
        ("url", "ws://h", ["ws://h"]),
        ("url", ["ws://h", "ws://i"], ["ws://h", "ws://i"]),
        ("header", {"X-A": "1", "X-B": "2"}, ["X-A: 1", "X-B: 2"]),
        ("log_level", "warn", "warn"),
    ],
)
def test_value_of_a_file(name: str, value: object, checked: object) -> None:
    """A file has values with types; dashes are as good as underscores, one URL as a list of one."""
    option, found = typed(name, value)
    assert option is BY_NAME[name.replace("-", "_")]
    assert found == checked


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("pool_sise", 8, "unknown option 'pool_sise': did you mean 'pool_size'?"),
        ("zebra", 8, "unknown option 'zebra'"),
        ("pool_size", "8", "pool_size must be an integer, not text"),
        ("pool_size", 8.0, "pool_size must be an integer, not a number"),
        ("pool_size", True, "pool_size must be an integer, not a boolean"),
        ("drain", "8", "drain must be a number, not text"),
        ("drain", False, "drain must be a number, not a boolean"),
        ("compression", 1, "compression must be true or false, not an integer"),
        ("name", 1, "name must be text, not an integer"),
        ("log_level", "loud", "log_level must be one of debug, info, warn, error, critical"),
        ("header", [5], "header must be text, not an integer"),
        ("url", {"a": "secret"}, "url must be text, not a table"),
        ("pool_size", ["secret"], "pool_size must be an integer, not a list"),
        ("pool_size", date(2026, 12, 1), "pool_size must be an integer, not a date or a time"),
        (
            "overflow",
            "drop_odlest",
            "overflow must be one of drop_oldest, drop_newest, wait: did",
        ),
        ("overflow", "s3cret!", "overflow must be one of drop_oldest, drop_newest, wait"),
        ("Bearer s3cret!", 1, "unknown option, whose name is not like one"),
        ("a" * 41, 1, "unknown option, whose name is not like one"),
    ],
)
def test_value_that_the_option_does_not_take(name: str, value: object, message: str) -> None:
    """A mistake in a file names the option, and never shows a value, which may be a secret."""
    with pytest.raises(ConfigurationError) as raised:
        typed(name, value)
    assert str(raised.value).startswith(message)
    assert "s3cret" not in str(raised.value)


def test_command_line_and_file_complete_each_other() -> None:
    """What is in one of them need not be in the other."""
    assert merged({"drain": 1}, {"pool_size": 2}, "a.toml") == {"drain": 1, "pool_size": 2}


def test_command_line_and_file_do_not_contradict_each_other() -> None:
    """Nobody has to remember which of them counts."""
    with pytest.raises(ConfigurationError) as raised:
        merged({"pool_size": 1}, {"pool_size": 2}, "a.toml")
    assert (
        str(raised.value)
        == "--pool-size is given on the command line, and pool_size in a.toml: give it once"
    )


def test_headers() -> None:
    """A header is a name, a colon and a value, which may have colons."""
    lines = [("X-A: 1", "header"), ("X-B : a:b ", "header")]
    assert headers_of(lines) == {"X-A": "1", "X-B": "a:b"}


@pytest.mark.parametrize("line", ["secret", ": secret", "  :secret"])
def test_malformed_header(line: str) -> None:
    """A header without a name or a colon is refused, and not shown: it may be a secret."""
    with pytest.raises(ConfigurationError) as raised:
        header_of(line, "header_file 'f', line 3")
    assert str(raised.value) == "header_file 'f', line 3 must be 'NAME: VALUE'"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Bearer s3cret: x", "here: a name must be a token (letters, digits and !#$%&'*+.^_`|~-)"),
        ("s3cret!=: x", "here: a name must be a token (letters, digits and !#$%&'*+.^_`|~-)"),
        ("s3cret: \0", "here: its value contains a line break, or something else"),
        (
            "X: s3cret\xff",
            "here: its value contains a line break, or something else than printable",
        ),
        ("Upgrade: s3cret", "here: 'Upgrade' is part of the handshake itself"),
    ],
)
def test_a_secret_in_the_place_of_a_header(line: str, message: str) -> None:
    """What no header can be like is told by the place where it stands, and not shown."""
    with pytest.raises(ConfigurationError) as raised:
        headers_of([("X-A: 1", "there"), (line, "here")])
    assert str(raised.value).startswith(message)
    assert "s3cret" not in str(raised.value)


def test_a_header_is_not_given_twice() -> None:
    """Nobody has to guess which of two counts."""
    with pytest.raises(ConfigurationError, match=r"^here: a header of this name is given before$"):
        headers_of([("X-A: 1", "there"), ("x-a: 2", "here")])
