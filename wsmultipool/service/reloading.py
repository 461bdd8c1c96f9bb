"""
What a configuration that was read again changes: at once, and only with a restart.

@since: 0.1.0
"""

from __future__ import annotations

from typing import NamedTuple

from .configuration import Configuration
from .option_table import OPTIONS

__all__ = ["Changes", "changes"]

# These are files: it is what is in them that counts.
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
        before = present.values.get(option.name, option.default)
        after = following.values.get(option.name, option.default)
        if before != after and option.name not in _FILES:
            (live if option.live else restart).append(option.name)
    # With or without a file.
    if present.headers != following.headers and "header" not in live:
        live.append("header")
    tokens = [None if side.relay is None else side.relay.token for side in (present, following)]
    if tokens[0] != tokens[1] and "listen" not in restart:
        live.append("token")
    return Changes(tuple(live), tuple(restart))
