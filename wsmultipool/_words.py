"""
How to put things: a number with its noun; and of what somebody typed, what was probably meant, and
nothing that may be a password.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["camel_case", "counted", "nearest", "snake_case", "without_secrets"]


def counted(number: int, noun: str) -> str:
    """
    @param noun: in the singular, with a regular plural.
    @return: C{1 connection}, C{4 connections}.
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def nearest(word: str, known: Iterable[str]) -> str:
    """
    Phrase a suggestion for a name that is not known.

    @return: text to append to a message; empty if nothing resembles C{word}.
    @since: 0.1.0
    """
    close = get_close_matches(snake_case(word), list(known), n=1)
    return f": did you mean {close[0]!r}?" if close else ""


def snake_case(name: str) -> str:
    """
    Write a name as Python does: C{pool_size} for C{poolSize}.
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def camel_case(name: str) -> str:
    """
    Write a name as JavaScript does, and Twisted: C{poolSize} for C{pool_size}.
    """
    return re.sub(r"(?<=[a-z0-9])_([a-z])", lambda found: found[1].upper(), name)


def without_secrets(argument: str) -> str:
    """
    Show an argument that stands where nobody expected one, without a URL's password or query.

    @since: 0.1.0
    """
    without_credentials = re.sub(r"//.*@", "//***@", argument)
    return repr(re.sub(r"(?<=[?#]).+", "***", without_credentials))
