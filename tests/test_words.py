"""
Tests for L{wsmultipool._words}.
"""

from __future__ import annotations

import pytest

from wsmultipool._words import camel_case, counted, nearest, snake_case, without_secrets


@pytest.mark.parametrize(("number", "words"), [(0, "0 pings"), (1, "1 ping"), (4, "4 pings")])
def test_a_number_has_the_right_noun(number: int, words: str) -> None:
    """One of a thing is not called by its plural."""
    assert counted(number, "ping") == words


def test_nearest() -> None:
    """A misspelt name is answered with the one that was probably meant; nonsense is not."""
    assert nearest("pool_siz", ["pool_size", "name"]) == ": did you mean 'pool_size'?"
    assert nearest("poolSize", ["pool_size", "name"]) == ": did you mean 'pool_size'?"
    assert nearest("zebra", ["pool_size", "name"]) == ""


@pytest.mark.parametrize(
    ("camel", "snake"),
    [("poolSize", "pool_size"), ("maxReconnectAttempts", "max_reconnect_attempts"), ("ca", "ca")],
)
def test_names_in_the_two_styles(camel: str, snake: str) -> None:
    """Each can be written as the other."""
    assert snake_case(camel) == snake
    assert camel_case(snake) == camel
    assert camel_case("_private") == "_private"


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ("ws://user:word@h/", "'ws://***@h/'"),
        ("ws://h/?token=secret", "'ws://h/?***'"),
        ("ws://user:wo?rd@h/?token=secret#x", "'ws://***@h/?***'"),
        ("plain", "'plain'"),
    ],
)
def test_without_secrets(argument: str, shown: str) -> None:
    """A URL in the wrong place is shown without credentials and query."""
    assert without_secrets(argument) == shown
