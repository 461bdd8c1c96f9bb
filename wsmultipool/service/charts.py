"""
Curves as inline SVG, which has the colours of the page around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import log10

__all__ = ["nice_ceiling", "sparkline", "throughput"]

_WIDTH = 600
_HEIGHT = 100


def nice_ceiling(number: float) -> float:
    """
    @return: the next number from C{number} on that looks good at the end of an axis; at least 1.
    @since: 0.1.0
    """
    if number <= 1:
        return 1.0
    power: float = 10 ** int(log10(number))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= number)


def sparkline(points: Sequence[tuple[float, float]], now: float, window: float) -> str:
    """
    Draw times and values, without words.

    @param window: seconds that the whole width stands for.
    @return: C{<svg>}, hidden from those who do not see it; the value now is told beside it.
    @since: 0.1.0
    """
    top = max((value for _, value in points), default=0.0) or 1.0
    line = _points(((at, value / top) for at, value in points), now, window, 96, 22)
    return (
        '<svg class="spark" viewBox="0 0 96 22" aria-hidden="true" focusable="false">'
        f'{_area(line, "", 22)}<polyline points="{line}"/><path class="axis" d="M0 21.5H96"/></svg>'
    )


def throughput(
    name: str, points: Sequence[tuple[float, float]], now: float, window: float, label: str
) -> tuple[str, float]:
    """
    Draw times and values against an axis.

    @param name: the class that gives it its colour.
    @param label: what it shows, for those who do not see it.
    @return: C{<svg>}, stretched to whatever room it has, and the value at its upper edge.
    @since: 0.1.0
    """
    top = nice_ceiling(max((value for _, value in points), default=0.0))
    scaled = ((at, value / top) for at, value in points)
    line = _points(scaled, now, window, _WIDTH, _HEIGHT)
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none"'
        f' role="img" aria-label="{label}" focusable="false">'
        f'<path class="grid" d="M0 .5H{_WIDTH}M0 {_HEIGHT / 2:g}H{_WIDTH}"/>'
        f'{_area(line, name, _HEIGHT)}<polyline class="{name}" points="{line}"/>'
        f'<path class="axis" d="M0 {_HEIGHT - 0.5}H{_WIDTH}"/></svg>'
    ), top


def _area(line: str, name: str, height: int) -> str:
    """Fill what is beneath a line."""
    if not line:
        return ""
    left, right = (point.partition(",")[0] for point in (line, line.rpartition(" ")[2]))
    return f'<polygon class="{name}" points="{left},{height} {line} {right},{height}"/>'


def _points(
    values: Iterable[tuple[float, float]], now: float, window: float, width: int, height: int
) -> str:
    """
    @param values: times, and what is 1 at the upper edge.
    """
    return " ".join(
        f"{width * (1 - (now - at) / window):.0f},{1 + (height - 2) * (1 - value):.0f}"
        for at, value in values
    )
