"""
The documentation's table of faults is about the faults that are tested, and names tests that exist.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from . import test_confirming_under_faults, test_delivery_under_faults
from .plan import KINDS

TABLE = Path(__file__).parents[2] / "docs" / "topics" / "delivery-faults.rst.inc"


@pytest.fixture(scope="module")
def table() -> str:
    """The text of the table, and of what is said about it."""
    return TABLE.read_text(encoding="utf-8")


def test_every_fault_has_a_row(table: str) -> None:
    """No fault is tested and not documented, or the other way round."""
    rows = re.findall(r"^   \* - (``(?:.|\n(?!     - ))*)", table, re.MULTILINE)
    faults = [name for row in rows for name in re.findall(r"``([a-z0-9 -]+)``", row.split(":")[0])]
    faults = [name for name in faults if name not in ("ws", "wss")]

    assert set(faults) == set(KINDS)


def test_named_tests_exist(table: str) -> None:
    """Every test that the documentation names is one."""
    named = set(re.findall(r"\btest_\w+\b(?!\.py)", table))

    assert len(named) > 8
    for name in named:
        modules = (test_delivery_under_faults, test_confirming_under_faults)
        assert any(callable(getattr(module, name, None)) for module in modules), name
