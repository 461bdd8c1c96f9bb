"""
Tests for L{wsmultipool.service.config_file}.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from wsmultipool.service.config_file import (
    check_regular,
    digest,
    exposed,
    header_lines,
    read_config,
    read_text,
)
from wsmultipool.service.option_values import ConfigurationError


def written(tmp_path: Path, text: str | bytes) -> str:
    """
    Write a file.

    @return: its path.
    """
    path = tmp_path / "file"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def refusal(tmp_path: Path, text: str | bytes) -> str:
    """
    Return what is said about a configuration, without the name of the file.
    """
    path = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as raised:
        read_config(path)
    message = str(raised.value)
    assert message.startswith(f"config {path!r}")
    return message.removeprefix(f"config {path!r}")


def test_config(tmp_path: Path) -> None:
    """A file in TOML has options by their names, with dashes or underscores."""
    text = 'url = "ws://h/"\npool-size = 3\nmin_uptime = 1.5\n[header]\nX-A = "1"\n'
    assert read_config(written(tmp_path, text)) == {
        "url": ["ws://h/"],
        "pool_size": 3,
        "min_uptime": 1.5,
        "header": ["X-A: 1"],
    }


def test_config_with_a_mistake(tmp_path: Path) -> None:
    """A mistake is told with the file, and the place or the name."""
    assert refusal(tmp_path, "url = ws") == " is not TOML: Invalid value (at line 1, column 7)"
    assert refusal(tmp_path, b"\xff") == " is not UTF-8"
    assert refusal(tmp_path, "pool_siz = 1") == (
        ": unknown option 'pool_siz': did you mean 'pool_size'?"
    )
    assert refusal(tmp_path, "pool_size = 1\npool-size = 1") == (
        ": pool_size is given with a dash and an underscore"
    )


@pytest.mark.parametrize(
    "text",
    [
        *("[s3cret]\n[s3cret]", 'header = {s3cret = "", s3cret = ""}', "url s3cret"),
        *('a = {"s3cret" = 1}\n[a."s3cret"]', 'url = "s3cret\\q"', "url = s3cret", 'url = "s3cret'),
    ],
)
def test_what_is_no_toml_is_not_shown(tmp_path: Path, text: str) -> None:
    """The parser repeats keys, and somebody may have put a token there: the place is enough."""
    message = refusal(tmp_path, text)
    assert "s3cret" not in message
    assert re.search(r" is not TOML: .+ \(at (line \d+, column \d+|end of document)\)$", message)


def test_config_that_is_too_much_for_the_parser(tmp_path: Path) -> None:
    """Whatever is wrong with a file is told in one line: a traceback helps no operator."""
    assert refusal(tmp_path, "pool_size = " + "9" * 5000).startswith(" is not TOML: ")
    assert refusal(tmp_path, "url = " + "[" * 100_000).startswith(" is not TOML: ")


def test_path_that_can_not_be_one(tmp_path: Path) -> None:
    """In TOML even a path may have any character in it."""
    with pytest.raises(ConfigurationError, match=r"token_file 'a.*: .*embedded null"):
        read_text("a\0b", "token_file")
    assert not exposed("a\0b")


def test_file_that_is_not_there(tmp_path: Path) -> None:
    """A file that can't be read is named, with the reason."""
    missing = str(tmp_path / "missing")
    with pytest.raises(ConfigurationError) as raised:
        read_text(missing, "token_file")
    assert str(raised.value) == f"token_file {missing!r}: No such file or directory"


def test_header_lines(tmp_path: Path) -> None:
    """A file with headers has one on each line; empty lines and comments do not count."""
    path = written(tmp_path, "X-A: 1\n\n  # not this\nX-B: 2\n")
    assert list(header_lines(path)) == [
        ("X-A: 1", f"header_file {path!r}, line 1"),
        ("X-B: 2", f"header_file {path!r}, line 4"),
    ]


def test_exposed(tmp_path: Path) -> None:
    """A file that everybody may read is no place for a secret."""
    path = written(tmp_path, "")
    Path(path).chmod(0o644)
    assert exposed(path)
    Path(path).chmod(0o640)
    assert not exposed(path)
    assert not exposed(str(tmp_path / "missing"))


def test_digest(tmp_path: Path) -> None:
    """It says whether the same is in the same files, and nothing else about them."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("secret")
    before = digest([str(one), str(two)])
    assert "secret" not in before
    assert digest([str(one), str(two)]) == before
    two.write_text("x")
    assert digest([str(one), str(two)]) != before
    assert digest([str(two), str(one)]) != digest([str(one), str(two)])
    assert digest(["no\0path"]) == digest([str(tmp_path)])


def test_a_pipe_is_left_to_its_reader(tmp_path: Path) -> None:
    """To look whether it has changed would take what is in it, or wait for ever."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert digest([str(pipe)]) == digest([str(tmp_path / "missing")])


def test_what_must_be_a_regular_file(tmp_path: Path) -> None:
    """What is read by others, and again, can be no pipe; that it is missing is theirs to say."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ConfigurationError) as raised:
        check_regular(str(pipe), "ca")
    assert str(raised.value) == f"ca {str(pipe)!r} is not a regular file"
    check_regular(written(tmp_path, "x"), "ca")
    check_regular(str(tmp_path / "missing"), "ca")
    check_regular("no\0path", "ca")
