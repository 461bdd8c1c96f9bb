"""
What the page about performance includes: the tables, the plot, and all results.
"""

from __future__ import annotations

from pathlib import Path

from . import rst, tables
from .results import Results

DIRECTORY = Path(__file__).resolve().parent.parent / "docs" / "performance"


def write(results: Results, directory: Path = DIRECTORY) -> None:
    """
    Replace the files of an earlier run.
    """
    # It is slow to import, and not needed by whoever only measures.
    from .plot import draw

    directory.mkdir(exist_ok=True)
    for table in [*tables.all_tables(results.samples), tables.machine(results.context)]:
        (directory / f"{table.name}.txt").write_text(rst.render(table), encoding="utf-8")
    draw(results.samples, directory / "ratios.svg")
    (directory / "results.json").write_text(results.to_json(), encoding="utf-8")
