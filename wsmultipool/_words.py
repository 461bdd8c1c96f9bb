"""
How to speak of what somebody typed: what was probably meant, and nothing that may be a password.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["nearest", "without_secrets"]


def nearest(word: str, known: Iterable[str]) -> str:
    """
    Phrase a suggestion for a name that is not known.

    @return: text to append to a message; empty if nothing resembles C{word}.
    @since: 0.1.0
    """
    close = get_close_matches(word, list(known), n=1)
    return f": did you mean {close[0]!r}?" if close else ""


def without_secrets(argument: str) -> str:
    """
    Show an argument that stands where nobody expected one, without a URL's password or query.

    @since: 0.1.0
    """
    without_credentials = re.sub(r"//.*@", "//***@", argument)
    return repr(re.sub(r"(?<=[?#]).+", "***", without_credentials))
