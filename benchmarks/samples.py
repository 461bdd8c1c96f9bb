"""
What one run of one client gave, and the figures that follow from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from .cells import Cell

RATE = "rate"
PROCESSOR_RATE = "processor_rate"


@dataclass(frozen=True)
class Sample:
    """
    One client's turn in one round.

    @ivar result: what the client wrote: see L{benchmarks.clients.measures.run}; C{None} if it
        failed.
    @ivar error: why it failed; C{None} if it did not.
    """

    cell: Cell
    peer: str
    round: int
    result: Mapping[str, Any] | None = None
    error: str | None = None

    def value(self, figure: str) -> float | None:
        """
        @param figure: L{RATE}, per second of wall clock; L{PROCESSOR_RATE}, per second of the
            client's processor time; or what its result calls it.
        @return: C{None} if the client failed, or has no such figure.
        """
        if self.result is None:
            return None
        if figure == RATE:
            return float(self.result["messages"] / self.result["seconds"])
        if figure == PROCESSOR_RATE:
            return float(self.result["messages"] / max(self.result["cpu_seconds"], 1e-6))
        found = self.result.get(figure)
        return None if found is None else float(found)


class Spread(NamedTuple):
    """
    A median of several rounds, with the least and the greatest of them.
    """

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """
        @return: C{None} if there are no values.
        """
        listed = sorted(values)
        return cls(median(listed), listed[0], listed[-1]) if listed else None


@dataclass(frozen=True)
class Reading:
    """
    One figure of one peer in one cell.
    """

    cell: Cell
    peer: str
    figure: str = RATE


class Samples:
    """
    All that was measured.
    """

    def __init__(self, samples: Iterable[Sample]) -> None:
        self.all = list(samples)

    def cells(self) -> list[Cell]:
        """Return what was measured, in the order in which it was first."""
        return list(dict.fromkeys(sample.cell for sample in self.all))

    def peers(self, cell: Cell) -> list[str]:
        """Return who took part, in alphabetical order."""
        return sorted({sample.peer for sample in self.all if sample.cell == cell})

    def by_round(self, reading: Reading) -> dict[int, float]:
        """Return a figure by the round it is from."""
        values = {
            sample.round: sample.value(reading.figure)
            for sample in self.all
            if sample.cell == reading.cell and sample.peer == reading.peer
        }
        return {number: value for number, value in values.items() if value is not None}

    def spread(self, reading: Reading) -> Spread | None:
        """
        @return: C{None} if it was not measured.
        """
        return Spread.of(self.by_round(reading).values())

    def ratio(self, top: Reading, bottom: Reading) -> Spread | None:
        """
        Compare two figures round by round, so that what slows down the whole machine for a while
        slows down both.

        @return: the spread of the ratios; C{None} if there is no round that has both.
        """
        tops, bottoms = self.by_round(top), self.by_round(bottom)
        return Spread.of(tops[number] / bottoms[number] for number in tops.keys() & bottoms.keys())

    def fastest(self, cell: Cell, peers: Iterable[str]) -> str | None:
        """
        @return: which of these peers has the highest median rate; C{None} if none was measured.
        """
        rates = {peer: self.spread(Reading(cell, peer)) for peer in peers}
        measured = {peer: spread.median for peer, spread in rates.items() if spread is not None}
        return max(measured, key=measured.__getitem__) if measured else None

    def errors(self) -> list[Sample]:
        """Return the runs that failed."""
        return [sample for sample in self.all if sample.error is not None]
