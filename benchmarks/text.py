"""
Tables for a terminal.
"""

from __future__ import annotations

from collections.abc import Sequence

from .tables import Table


def render(table: Table) -> str:
    """
    Return a table with its title, aligned by spaces.
    """
    rows = [table.header, *table.rows]
    widths = [
        max(len(line) for row in rows for line in row[column].split("\n"))
        for column in range(len(table.header))
    ]
    rule = "  ".join("-" * width for width in widths)
    lines = [table.title, "=" * len(table.title), *_lines(table.header, widths), rule]
    for row in table.rows:
        lines += _lines(row, widths)
    return "\n".join(lines) + "\n"


def _lines(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    parts = [cell.split("\n") for cell in row]
    return [
        "  ".join(
            (part[index] if index < len(part) else "").ljust(width)
            for part, width in zip(parts, widths, strict=True)
        ).rstrip()
        for index in range(max(map(len, parts)))
    ]
