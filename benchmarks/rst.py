"""
Tables for the documentation, in reStructuredText.
"""

from __future__ import annotations

import re

from .tables import Table

_GENERATED = ".. Written by: tox -e bench -- --docs\n\n"


def render(table: Table) -> str:
    """
    Return a table, without its title, for a page that includes it.
    """
    header = any(table.header)
    lines = [".. list-table::"]
    if header:
        lines.append("   :header-rows: 1")
    lines.append("")
    for row in [table.header, *table.rows] if header else table.rows:
        for index, cell in enumerate(row):
            lines += _cell("   * -" if index == 0 else "     -", cell)
    return _GENERATED + "\n".join(lines) + "\n"


def _cell(bullet: str, text: str) -> list[str]:
    """
    Return one cell; as a line block, if it has several lines.
    """
    first, *others = [_escaped(line) for line in text.split("\n")]
    if not others:
        return [f"{bullet} {first}".rstrip()]
    return [f"{bullet} | {first}", *(f"       | {line}" for line in others)]


def _escaped(text: str) -> str:
    return re.sub(r"([\\*`|_])", r"\\\1", text)
