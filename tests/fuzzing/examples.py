"""
Surfaces as tests: some examples of each, the same in every run.
"""

from __future__ import annotations

from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ..leftovers import LoggedFailures
from ..thoroughness import cases
from .surfaces import Surface
from .watching import Meddled


def hold(surface: Surface, examples: int, *, shrink: bool = True) -> None:
    """
    Run so many cases of a surface.

    @param shrink: false where user code draws from the randomness in the middle of the library's
        code, which would catch what Hypothesis raises to end an example.
    """

    @settings(
        max_examples=cases(examples),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.randoms(use_true_random=not shrink))
    def holds(random: Random) -> None:
        surface(random)

    holds()


def hold_with_user_code(surface: Surface, examples: int, logged_failures: LoggedFailures) -> None:
    """
    Run so many cases of a surface with user code, whose own errors are logged.
    """
    hold(surface, examples, shrink=False)
    logged_failures.flush(Meddled)
