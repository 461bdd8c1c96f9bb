"""
What the project wants to reach, and whether it does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .cells import BROADCAST_CONNECTIONS, CONNECTIONS, KIB, MEASURES, Cell, in_words
from .peers import BASELINES
from .samples import PROCESSOR_RATE, RATE, Reading, Samples, Spread

NODE = "node"
"""Stands for the faster of Node's pools in the cell."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """
    A ratio of two figures from the same round.

    @ivar text: what is compared.
    @ivar cell: where.
    @ivar peer: whose figure is on top.
    @ivar against: whose is below; L{NODE} for the faster of Node's pools.
    @ivar against_cell: where that is; C{None} for the same cell.
    @ivar figure: what is compared.
    @ivar at_least: the ratio wanted, if more is better.
    @ivar at_most: the ratio wanted, if less is better.
    @ivar inverted: compare what one message costs, not how many there are.
    """

    text: str
    cell: Cell
    peer: str
    against: str = NODE
    against_cell: Cell | None = None
    figure: str = RATE
    at_least: float | None = None
    at_most: float | None = None
    inverted: bool = False

    @property
    def bound(self) -> str:
        """The ratio wanted, in words."""
        return f"≥ {self.at_least}" if self.at_least is not None else f"≤ {self.at_most}"

    def ratio(self, samples: Samples, figure: str | None = None) -> Spread | None:
        """
        @param figure: another one than the target's.
        @return: C{None} if it was not measured.
        """
        cell = self.against_cell or self.cell
        against: str | None = self.against
        if against == NODE:
            against = samples.fastest(cell, BASELINES)
        if against is None:
            return None
        ours = Reading(self.cell, self.peer, figure or self.figure)
        theirs = Reading(cell, against, figure or self.figure)
        return samples.ratio(theirs, ours) if self.inverted else samples.ratio(ours, theirs)

    @property
    def compares_processors(self) -> bool:
        """Whether the clients' processor time tells the same: they do the same work."""
        return self.figure == RATE and self.against_cell is None and self.against != "raw"

    def met_by(self, ratio: Spread) -> bool:
        """
        Say whether the median of the ratios is good enough.
        """
        if self.at_least is not None:
            return ratio.median >= self.at_least
        assert self.at_most is not None
        return ratio.median <= self.at_most


@dataclass(frozen=True)
class Outcome:
    """
    @ivar ratio: of the target's figure.
    @ivar processor: the same of the clients' processor time; C{None} where that says nothing.
    @ivar met: whether the target is reached.
    """

    target: Target
    ratio: Spread
    processor: Spread | None
    met: bool


def _by_payload(
    text: str, measure: str, peer: str, connections: int, *at_least: float
) -> Iterator[Target]:
    for payload, bound in zip(MEASURES[measure].payloads, at_least, strict=True):
        yield Target(
            text=f"{text}, {in_words(payload)}",
            cell=Cell(measure, payload, connections),
            peer=peer,
            at_least=bound,
        )


def _all() -> Iterator[Target]:
    one, other = "wsmultipool", "wsmultipool-plain"
    yield from _by_payload("send, extra fast", "send", one, CONNECTIONS, 4, 2.5, 1.5, 1.0)
    yield from _by_payload("send, plain install", "send", other, CONNECTIONS, 3, 1.8, 1.2, 0.9)
    for payload, bound in ((16, 2.0), (KIB, 1.5)):
        yield Target(
            text=f"confirmed send, to a plain one of Node's, {in_words(payload)}",
            cell=Cell("confirmed", payload, CONNECTIONS),
            peer=one,
            at_least=bound,
        )
    yield from _by_payload("receive", "receive", one, CONNECTIONS, 1.3, 1.3, 1.0, 1.0)
    yield from _by_payload(
        "broadcast to 64", "broadcast", one, BROADCAST_CONNECTIONS, 3, 3, 1.5, 1.0
    )
    for payload, bound in ((16, 2.0), (KIB, 1.5)):
        yield Target(
            text=f"send, to picows' send, {in_words(payload)}",
            cell=Cell("send", payload, CONNECTIONS),
            peer=one,
            against="picows",
            at_least=bound,
        )
    for payload in MEASURES["picows-sink"].payloads:
        yield Target(
            text=f"send to a server on picows, to its limit, {in_words(payload)}",
            cell=Cell("picows-sink", payload, CONNECTIONS),
            peer=one,
            against="raw",
            at_least=0.4,
        )
    for figure, bound in (("p50", 1.3), ("p99", 1.5)):
        yield Target(
            text=f"round trip {figure}, 16 B",
            cell=Cell("echo", 16, CONNECTIONS),
            peer=one,
            figure=figure,
            at_most=bound,
        )
    yield Target(
        text=f"8 clients of a relay, to direct sends, {in_words(KIB)}",
        cell=Cell("relay", KIB, CONNECTIONS),
        peer="relay",
        against=one,
        at_least=0.5,
    )
    (payload,) = MEASURES["link"].payloads
    for size, bound in ((4, 3.6), (16, 13.0)):
        yield Target(
            text=f"limited link, pool of {size} to one connection",
            cell=Cell("link", payload, size),
            peer=one,
            against=one,
            against_cell=Cell("link", payload, 1),
            at_least=bound,
        )
    yield Target(
        text="processor time per send, pool of 1,024 to pool of 4",
        cell=Cell("pool-size", 16, 1024),
        peer=one,
        against=one,
        against_cell=Cell("pool-size", 16, 4),
        figure=PROCESSOR_RATE,
        at_most=1.2,
        inverted=True,
    )


TARGETS = tuple(_all())


def outcomes(samples: Samples) -> list[Outcome]:
    """
    Return what became of the targets that were measured.
    """
    found = []
    for target in TARGETS:
        ratio = target.ratio(samples)
        if ratio is None:
            continue
        processor = target.ratio(samples, PROCESSOR_RATE) if target.compares_processors else None
        found.append(Outcome(target, ratio, processor, target.met_by(ratio)))
    return found
