"""
Checks of options and of the arguments of calls.

Each returns, or raises C{TypeError} or C{ValueError} with the name of what is wrong.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from .._words import nearest

__all__ = ["check_choice", "check_integer", "check_seconds", "check_uri"]

# "Loose" URI components as the WAMP specification allows them, with none empty.
_URI = re.compile(r"[^\s.#]+(?:\.[^\s.#]+)*")


def check_integer(option: str, value: object, *, at_least: int) -> int:
    """
    Check that this is an integer, and large enough.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{option} must be an integer, not {value!r}")
    if value < at_least:
        raise ValueError(f"{option} must be at least {at_least}, not {value!r}")
    return value


def check_seconds(option: str, value: object) -> float:
    """
    Check that this is a finite number above zero.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{option} must be a number, not {value!r}")
    # An integer can be larger than any float, and end up nowhere.
    if not 0 < value <= sys.float_info.max:
        raise ValueError(f"{option} must be finite and greater than 0, not {value!r}")
    return value


def check_choice(option: str, value: object, choices: Sequence[str]) -> str:
    """
    Check that this is one of a few words.
    """
    if not isinstance(value, str):
        raise TypeError(f"{option} must be a str, not {value!r}")
    if value not in choices:
        wanted = ", ".join(map(repr, choices))
        raise ValueError(
            f"{option} must be one of {wanted}, not {value!r}{nearest(value, choices)}"
        )
    return value


def check_uri(option: str, value: object) -> str:
    """
    Check that this is a URI of WAMP, such as C{com.example.feed}.
    """
    if not isinstance(value, str):
        raise TypeError(f"{option} must be a str, not {value!r}")
    if not _URI.fullmatch(value) or value.startswith(("wamp.", "crossbar.")):
        raise ValueError(
            f"{option} must be words with dots between, such as 'com.example.feed', and neither"
            f" wamp. nor crossbar. something, not {value!r}"
        )
    return value
