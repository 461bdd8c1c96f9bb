"""
Tests for L{wsmultipool._words}.
"""

from __future__ import annotations

import pytest

from wsmultipool._words import camel_case, nearest, snake_case, without_secrets


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
