"""
What a configuration that was read again changes: at once, and only with a restart.

@since: 0.1.0
"""

from __future__ import annotations

from typing import NamedTuple

from .configuration import Configuration
from .option_table import OPTIONS

__all__ = ["Changes", "changes"]

# What counts are the headers and the token in them.
_FILES = {"header_file", "token_file"}


class Changes(NamedTuple):
    """
    The names of options that differ.

    @ivar live: of those that a running service can change.
    @ivar restart: of the others.
    """

    live: tuple[str, ...]
    restart: tuple[str, ...]


def changes(present: Configuration, following: Configuration) -> Changes:
    """
    Compare two configurations.

    @since: 0.1.0
    """
    live: list[str] = []
    restart: list[str] = []
    for option in OPTIONS:
        name = option.name
        if name in _FILES:
            continue
        before = present.values.get(name, option.default)
        after = following.values.get(name, option.default)
        is_another = before != after
        if is_another or present.contents.get(name) != following.contents.get(name):
            waits = (is_another and not option.live) or option.within in restart
            (restart if waits else live).append(name)
    # With or without a file.
    if present.headers != following.headers and "header" not in live:
        live.append("header")
    relays = present.relay, following.relay
    if relays[0] is not None and relays[1] is not None and relays[0].token != relays[1].token:
        live.append("token")
    return Changes(tuple(live), tuple(restart))
