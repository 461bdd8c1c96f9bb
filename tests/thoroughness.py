"""
How much is tried by tests that try many cases: all of it, unless the environment asks for little.

Whoever runs C{pytest} tries all.  The environments of tox, of which there is one for every version
of Python, Twisted and Autobahn, set C{WSMULTIPOOL_TESTS=brief}: what they are for is found by few
cases as well as by many.
"""

from __future__ import annotations

import os

BRIEF = os.environ.get("WSMULTIPOOL_TESTS") == "brief"


def cases(number: int) -> int:
    """
    Return how many to try: C{number}, or a fifth.
    """
    return max(1, number // 5) if BRIEF else number
