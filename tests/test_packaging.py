"""
What the project's configuration says in two places is the same in both.
"""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

import wsmultipool

ROOT = Path(__file__).resolve().parent.parent


def setting(file: str, section: str, option: str) -> list[str]:
    """
    Return the lines of one setting of an ini file.
    """
    parser = ConfigParser(interpolation=None)
    assert parser.read(ROOT / file, encoding="utf-8")
    return [line.strip() for line in parser[section][option].splitlines() if line.strip()]


def test_the_lowest_versions_allowed_are_the_lowest_tested() -> None:
    """What installation permits as lowest is exactly what tox's lowest environments install."""
    allowed = {
        re.sub(r"\s*>=\s*", "==", line)
        for line in setting("setup.cfg", "options", "install_requires")
    }
    tested = {
        line.removeprefix("lowest:").strip()
        for line in setting("tox.ini", "testenv", "deps")
        if line.startswith("lowest:")
    }
    assert tested == allowed


def test_the_package_is_marked_as_typed() -> None:
    """Type checkers see the annotations of an installed wsmultipool."""
    assert Path(wsmultipool.__file__).with_name("py.typed").is_file()
