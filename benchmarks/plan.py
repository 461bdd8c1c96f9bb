"""
Which runs there are, in which order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from random import Random
from typing import NamedTuple

from .cells import MEASURES, PAYLOADS, Cell
from .peers import PEERS


class Run(NamedTuple):
    """
    One peer's turn.
    """

    cell: Cell
    peer: str
    round: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """
    @ivar rounds: how often everything is measured.
    @ivar seconds: how long one measurement takes, about.
    @ivar measures: names.
    @ivar peers: names.
    @ivar payloads: bytes per message, where a measure has them.
    @ivar most_connections: larger numbers of connections are cut down to this.
    """

    rounds: int = 5
    seconds: float = 0.5
    measures: tuple[str, ...] = field(default=tuple(MEASURES))
    peers: tuple[str, ...] = field(default=tuple(PEERS))
    payloads: tuple[int, ...] = PAYLOADS
    most_connections: int = 1024

    def cells(self) -> list[Cell]:
        """
        Return what is compared.  A measure that has none of the payloads keeps its smallest.
        """
        cells = []
        for name in self.measures:
            measure = MEASURES[name]
            payloads = [size for size in measure.payloads if size in self.payloads]
            sizes = dict.fromkeys(min(size, self.most_connections) for size in measure.connections)
            cells += [
                Cell(name, payload, size)
                for payload in payloads or measure.payloads[:1]
                for size in sizes
            ]
        return cells

    def runs(self, random: Random) -> Iterator[Run]:
        """
        Return all runs.  Those which are compared follow each other in random order, so that what
        else goes on in the machine does not always hit the same peer.
        """
        for number in range(self.rounds):
            for _, cells in groupby(self.cells(), lambda cell: (cell.measure, cell.payload)):
                runs = [
                    Run(cell, peer, number)
                    for cell in cells
                    for peer in MEASURES[cell.measure].peers
                    if peer in self.peers
                ]
                random.shuffle(runs)
                yield from runs


QUICK = Plan(
    rounds=3,
    seconds=0.25,
    measures=("send", "receive", "broadcast", "echo", "pool-size", "link"),
    peers=("wsmultipool", "wsmultipool-plain", "node-pool", "node-pool-await", "picows"),
    payloads=(16, 16384),
)
SMOKE = Plan(rounds=1, seconds=0.01, payloads=(1024,), most_connections=4)
