"""
Plans: the same from the same seed, and of every kind that was asked for.
"""

from __future__ import annotations

from itertools import islice

import pytest

from .plan import KINDS, Fault, drawn
from .proxy import Link

ALL = list(KINDS.values())


def first(seed: int, count: int = 200, period: float = 0.05) -> list[Fault]:
    return list(islice(drawn(seed, ALL, period), count))


def test_seed_repeats_a_plan() -> None:
    """The same seed draws the same faults; another one, others."""
    assert first(1) == first(1)
    assert first(1) != first(2)


def test_every_kind_is_drawn() -> None:
    """In the long run nothing is left out."""
    assert {fault.kind.name for fault in first(1, 1000)} == set(KINDS)


def test_period() -> None:
    """Faults come as often as they are to, on the average, and not in step."""
    pauses = [fault.pause / fault.kind.slowly for fault in first(1, 2000)]

    assert 0.048 < sum(pauses) / len(pauses) < 0.052
    assert min(pauses) >= 0.025
    assert max(pauses) <= 0.075


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind.party == "proxy"])
def test_proxy_knows_the_fault(kind: object) -> None:
    """What is asked of the proxy is something it can do to a link."""
    assert callable(getattr(Link, kind.do))  # type: ignore[attr-defined]
