"""
Why a transport failed, in words a user can read.
"""

from __future__ import annotations


def in_words(error: BaseException) -> str:
    """
    Describe what Twisted, or OpenSSL beneath it, has raised.
    """
    first = error.args[0] if error.args else None
    if isinstance(first, list) and first and all(isinstance(entry, tuple) for entry in first):
        # OpenSSL.SSL.Error: its queue of errors, as (library, function, reason)
        return "TLS: " + ", ".join(str(entry[-1]) for entry in first if entry)
    return str(error) or type(error).__name__
