"""
Tests for L{wsmultipool._repeated}.
"""

from __future__ import annotations

import pytest

from wsmultipool._repeated import Repeated


@pytest.mark.parametrize(
    ("connections", "subject"),
    [
        ([], ""),
        ([None], ""),
        ([3], "connection 3"),
        ([3, 3], "connection 3"),
        ([3, 1, 2], "connections 1, 2, 3"),
        (list(range(8)), "connections 0, 1, 2, 3, 4, 5, 6, 7"),
        (list(range(1000)), "connections 0, 1, 2, 3, 4, 5, 6, 7\u2026"),
    ],
)
def test_the_connections_are_named(connections: list[int | None], subject: str) -> None:
    """The first of them: a thousand numbers would tell nobody anything."""
    repeated = Repeated(0.0, "refused")
    for connection in connections:
        repeated.again(1.0, connection)
    assert repeated.subject == subject
    assert repeated.times == len(connections)
    assert repeated.at == (1.0 if connections else 0.0)
