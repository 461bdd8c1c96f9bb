"""
Tests for L{wsmultipool.service.reloading}.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wsmultipool.service.configuration import Configuration
from wsmultipool.service.reloading import changes


def configuration(**values: Any) -> Configuration:
    """
    Make one with a URL and a relay.
    """
    return Configuration.of({"url": ["ws://h/"], "listen": "tcp:1", **values})


def test_the_same_again() -> None:
    """Nothing changes when nothing has changed, whether or not a default is written out."""
    assert changes(configuration(), configuration(pool_size=5, drain=10)) == ((), ())


def test_what_changes_at_once() -> None:
    """Size, headers, origins, drain and log level do."""
    after = configuration(
        pool_size=2, header=["X-A: 1"], allow_origin=["http://h"], drain=1, log_level="warn"
    )
    assert changes(configuration(), after).live == (
        *("pool_size", "header", "allow_origin", "drain", "log_level"),
    )
    assert changes(configuration(), after).restart == ()


def test_what_takes_a_restart() -> None:
    """Everything else does, and is told by name."""
    after = configuration(name="other", max_clients=3, drain=1)
    assert changes(configuration(), after) == (("drain",), ("name", "max_clients"))


def test_files_count_by_what_is_in_them(tmp_path: Path) -> None:
    """A file that says something else is a change, though its name is the same."""
    headers, token = tmp_path / "headers", tmp_path / "token"
    headers.write_text("X-A: 1")
    token.write_text("abc")
    files = {"header_file": [str(headers)], "token_file": str(token)}
    before = configuration(**files)
    assert changes(before, configuration(**files)) == ((), ())
    headers.write_text("X-A: 2")
    token.write_text("def")
    assert changes(before, configuration(**files)) == (("header", "token"), ())


def test_a_relay_that_comes_or_goes_takes_a_restart() -> None:
    """A relay with its token is not a change of the token."""
    without = Configuration.of({"url": ["ws://h/"]})
    assert changes(without, configuration()) == ((), ("listen",))
