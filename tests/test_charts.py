"""
Tests for L{wsmultipool.service.charts}.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from wsmultipool.service.charts import nice_ceiling, sparkline, throughput


def points(svg: str) -> list[tuple[float, float]]:
    """
    Return the points of the line, having parsed the picture as XML.
    """
    line = ElementTree.fromstring(svg).find("polyline")
    assert line is not None
    return [(float(x), float(y)) for x, y in re.findall(r"(\S+),(\S+)", line.get("points", ""))]


@pytest.mark.parametrize(
    ("number", "ceiling"),
    [(0, 1), (0.3, 1), (1, 1), (1.1, 2), (3, 5), (5.1, 10), (99, 100), (101, 200), (1e6, 1e6)],
)
def test_axes_end_with_round_numbers(number: float, ceiling: float) -> None:
    """1, 2 and 5 times a power of ten; nothing at all still has an axis."""
    assert nice_ceiling(number) == ceiling


def test_time_goes_from_left_to_right_and_much_is_high() -> None:
    """What is now is at the right edge, and the largest value at the top."""
    (first, second, third) = points(sparkline([(40, 0), (70, 5), (100, 10)], 100, 60))
    assert (first[0], second[0], third[0]) == (0, 48, 96)
    assert first[1] > second[1] > third[1] > 0


@pytest.mark.parametrize("values", [[], [(10.0, 0.0)], [(9.0, 0.0), (10.0, 0.0)]])
def test_nothing_can_be_drawn(values: list[tuple[float, float]]) -> None:
    """A connection without history, or without traffic, has an empty picture."""
    assert len(points(sparkline(values, 10, 60))) == len(values)


def test_the_chart_is_told_in_words_too() -> None:
    """Who does not see it hears what it shows; its upper edge is what the axis says."""
    svg, top = throughput("sent", [(90, 10), (100, 30)], 100, 60, "at most 30")
    assert top == 50
    assert ElementTree.fromstring(svg).get("aria-label") == "at most 30"
    assert [y for _, y in points(svg)] == [79, 40]
