"""
What the TestSuite says about each case, what of it is good enough, and its summary by section.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

# How many cases each section has in AutobahnTestsuite 25.10.1, and in kosoku.
SECTIONS = {1: 16, 2: 11, 3: 7, 4: 10, 5: 20, 6: 145, 7: 37, 9: 54, 10: 1, 12: 90, 13: 126}

# From best to worst; what is not here is worse still.
_RANKS = ("OK", "INFORMATIONAL", "NON-STRICT")
_GOOD_ENOUGH = ("OK", "INFORMATIONAL")


class Verdict(NamedTuple):
    """
    The TestSuite's verdict on one case: on the messages, and on the closing handshake.
    """

    behavior: str
    behavior_close: str

    @property
    def is_good_enough(self) -> bool:
        return self.behavior in _GOOD_ENOUGH and self.behavior_close in _GOOD_ENOUGH

    def is_worse_than(self, other: Verdict) -> bool:
        return any(_rank(mine) > _rank(its) for mine, its in zip(self, other, strict=True))

    def __str__(self) -> str:
        return self.behavior if self.behavior == self.behavior_close else " / ".join(self)


def _rank(word: str) -> int:
    return _RANKS.index(word) if word in _RANKS else len(_RANKS)


Verdicts = Mapping[str, Verdict]


def section(case: str) -> int:
    """
    Return the section of a case: 12 for C{12.1.18}.
    """
    return int(case.split(".")[0])


def in_order(cases: Iterable[str]) -> list[str]:
    """
    Return the names of cases as the TestSuite orders them.
    """
    return sorted(cases, key=lambda case: [int(part) for part in case.split(".")])


def objections(ours: Verdicts, plain: Verdicts, cases: Mapping[int, int]) -> list[str]:
    """
    Say what keeps a run from passing, one line each; nothing if it passes.

    @param ours: the verdicts on the pool.
    @param plain: those on plain Autobahn.
    @param cases: how many of each section have to be there, so that no empty run passes.
    """
    found = []
    for name, verdicts in (("the pool", ours), ("plain Autobahn", plain)):
        counted = Counter(map(section, verdicts))
        found += [
            f"section {number}: {counted[number]} cases of {expected} were run with {name}"
            for number, expected in sorted({**dict.fromkeys(counted, 0), **cases}.items())
            if counted[number] != expected
        ]
    for case in in_order(ours):
        verdict = ours[case]
        if not verdict.is_good_enough:
            found.append(f"{case}: {verdict}")
        elif case in plain and verdict.is_worse_than(plain[case]):
            found.append(f"{case}: {verdict}, but {plain[case]} with plain Autobahn")
    return found


def summary(runs: Mapping[str, Verdicts]) -> list[str]:
    """
    Return a table, in reStructuredText, of how many cases of each section came out how.

    @param runs: verdicts by the name of who was tested.
    """
    header = ["Section", "Cases"]
    for name in runs:
        header += [f"{name}: OK", "INFORMATIONAL", "others"]
    numbers = sorted({section(case) for verdicts in runs.values() for case in verdicts})
    rows = [
        _row(str(number), {name: _of(number, verdicts) for name, verdicts in runs.items()})
        for number in numbers
    ]
    rows.append(_row("all", runs))
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = " ".join("=" * width for width in widths)
    lines = [
        " ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]
    return [rule, lines[0], rule, *lines[1:], rule]


def _of(number: int, verdicts: Verdicts) -> Verdicts:
    return {case: verdict for case, verdict in verdicts.items() if section(case) == number}


def _row(title: str, runs: Mapping[str, Verdicts]) -> list[str]:
    cells = [title, str(max(map(len, runs.values())))]
    for verdicts in runs.values():
        # A case counts by the worse of its two words.
        counted = Counter(max(verdict, key=_rank) for verdict in verdicts.values())
        good = [counted.pop(word, 0) for word in _GOOD_ENOUGH]
        others = ", ".join(f"{count} {word}" for word, count in sorted(counted.items()))
        cells += [*map(str, good), others or "0"]
    return cells
