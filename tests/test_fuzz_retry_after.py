"""
C{Retry-After} and C{Date} headers of any kind.
"""

from __future__ import annotations

from .fuzzing import surfaces
from .fuzzing.examples import hold


def test_any_retry_after_is_understood_or_ignored() -> None:
    """Whatever the header says, the wait is between nothing and a day, and nothing raises."""
    hold(surfaces.retry_after, 200)


def test_a_pool_waits_as_long_as_it_was_asked_to() -> None:
    """Whatever the header says, the next attempt comes when it asks for, and does come."""
    hold(surfaces.retry_after_in_a_pool, 40)
