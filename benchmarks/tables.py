"""
From samples to tables, before it is known where they are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .cells import MEASURES, Cell, in_words
from .peers import BASELINES, PEERS
from .samples import PROCESSOR_RATE, RATE, Reading, Samples, Spread
from .targets import Outcome, outcomes

_NOTHING = "-"
_OURS = "wsmultipool"

_MOST_SIGNIFICANT = 100


@dataclass(frozen=True)
class Table:
    """
    @ivar name: what it is filed under.
    @ivar title: what it shows.
    @ivar header: of its columns.
    @ivar rows: of cells, each of one line or more.
    """

    name: str
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def all_tables(samples: Samples) -> list[Table]:
    """
    Return a table for every measure there are samples of, and the one of targets.
    """
    measured = {cell.measure for cell in samples.cells()}
    tables = [_SPECIAL.get(name, _rates)(samples, name) for name in MEASURES if name in measured]
    return [*tables, targets(outcomes(samples))]


def number(value: float) -> str:
    """
    Return a number with about three significant digits, and words for the thousands.
    """
    for size, unit in ((1e6, " M"), (1e3, " k")):
        if value >= _MOST_SIGNIFICANT * 10 and value >= size:
            return f"{value / size:.3g}{unit}"
    if value >= _MOST_SIGNIFICANT:
        return f"{value:.0f}"
    return f"{value:.3g}"


def times(spread: Spread | None) -> str:
    """
    Return a ratio with its spread.
    """
    if spread is None:
        return _NOTHING
    return f"{spread.median:.2f} x ({spread.least:.2f} to {spread.most:.2f})"


def targets(found: Sequence[Outcome]) -> Table:
    """
    Return what became of the targets.
    """
    rows = [
        [
            outcome.target.text,
            outcome.target.bound,
            times(outcome.ratio),
            times(outcome.processor) if outcome.processor else _NOTHING,
            "yes" if outcome.met else "no",
        ]
        for outcome in found
    ]
    header = ["Target", "Wanted", "Measured", "By processor time", "Met"]
    return Table("targets", "Targets", header, rows)


def machine(context: Mapping[str, Any]) -> Table:
    """
    Return where and with what it was measured.
    """
    host, options = context["machine"], context["options"]
    versions = [f"{name} {version}" for name, version in context["versions"].items() if version]
    rows = [
        ["Processor", f"{host['processor']}, {host['cores']} cores"],
        ["System", host["kernel"]],
        ["Versions", "\n".join(versions)],
        *([f"Masking, {peer}", words] for peer, words in sorted(context["speedups"].items())),
        ["Server", context["server"]],
        ["When", f"{context['time']}; {context['minutes']} minutes"],
        ["Load before and after", f"{host['load']}, {context['load_after']}"],
        ["Rounds", f"{options['rounds']}, of {options['seconds']} s for each measurement"],
    ]
    return Table("machine", "Where it was measured", ["", ""], rows)


# The measures


def _cells(samples: Samples, measure: str) -> list[Cell]:
    return [cell for cell in samples.cells() if cell.measure == measure]


def _peers(samples: Samples, cells: Sequence[Cell], measure: str) -> list[str]:
    took_part = {peer for cell in cells for peer in samples.peers(cell)}
    return [peer for peer in MEASURES[measure].peers if peer in took_part]


def _rates(samples: Samples, measure: str) -> Table:
    """
    Return messages per second by payload, and ratios to the faster of Node's pools.
    """
    cells = _cells(samples, measure)
    rows = []
    for peer in _peers(samples, cells, measure):
        rows.append([PEERS[peer].title, *(_rate(samples, cell, peer) for cell in cells)])
    rows.append(
        ["busy with wsmultipool: client, server", *(_busy(samples, cell) for cell in cells)]
    )
    unit = MEASURES[measure].unit
    header = [f"{unit} per second", *(in_words(cell.payload) for cell in cells)]
    return Table(measure, MEASURES[measure].title, header, rows)


def _rate(samples: Samples, cell: Cell, peer: str) -> str:
    rate = samples.spread(Reading(cell, peer))
    if rate is None:
        return _NOTHING
    lines = [number(rate.median)]
    baseline = samples.fastest(cell, BASELINES)
    if baseline is not None and baseline != peer:
        lines.append(times(samples.ratio(Reading(cell, peer), Reading(cell, baseline))))
        processor = samples.ratio(
            Reading(cell, peer, PROCESSOR_RATE), Reading(cell, baseline, PROCESSOR_RATE)
        )
        if processor is not None:
            lines.append(f"processor {processor.median:.2f} x")
    return "\n".join(lines)


def _busy(samples: Samples, cell: Cell) -> str:
    """
    Return how busy one core was with the client, and one with the server.
    """
    shares = []
    for name in ("cpu_seconds", "server_cpu_seconds"):
        share = Spread.of(
            sample.result[name] / sample.result["seconds"]
            for sample in samples.all
            if sample.cell == cell and sample.peer == _OURS and sample.result is not None
        )
        shares.append(_NOTHING if share is None else f"{share.median:.0%}")
    return ", ".join(shares)


def _round_trips(samples: Samples, measure: str) -> Table:
    cells = _cells(samples, measure)
    rows = []
    for peer in _peers(samples, cells, measure):
        row = [PEERS[peer].title]
        for cell in cells:
            baseline = samples.fastest(cell, BASELINES)
            for figure in ("p50", "p99"):
                spread = samples.spread(Reading(cell, peer, figure))
                lines = [_NOTHING if spread is None else f"{spread.median * 1e6:.0f} µs"]
                if baseline is not None and baseline != peer:
                    theirs = Reading(cell, baseline, figure)
                    lines.append(times(samples.ratio(Reading(cell, peer, figure), theirs)))
                row.append("\n".join(lines))
        rows.append(row)
    header = ["", *(f"{in_words(cell.payload)}, {p}" for cell in cells for p in ("p50", "p99"))]
    return Table(measure, MEASURES[measure].title, header, rows)


def _connects(samples: Samples, measure: str) -> Table:
    (cell,) = _cells(samples, measure)
    rows = []
    for peer in _peers(samples, [cell], measure):
        rate = samples.spread(Reading(cell, peer))
        memory = samples.spread(Reading(cell, peer, "bytes_per_connection"))
        rows.append(
            [
                PEERS[peer].title,
                _NOTHING if rate is None else f"{cell.connections / rate.median:.2f} s",
                _NOTHING if memory is None else f"{memory.median / 1000:.1f} kB",
            ]
        )
    header = ["", f"{cell.connections:,} connections open after", "memory of each"]
    return Table(measure, MEASURES[measure].title, header, rows)


def _pool_sizes(samples: Samples, measure: str) -> Table:
    cells = sorted(_cells(samples, measure), key=lambda cell: cell.connections)
    base = next((cell for cell in cells if cell.connections == 4), cells[0])
    rows = []
    for peer in _peers(samples, cells, measure):
        row = [PEERS[peer].title]
        for cell in cells:
            spread = samples.spread(Reading(cell, peer, PROCESSOR_RATE))
            ratio = samples.ratio(
                Reading(base, peer, PROCESSOR_RATE), Reading(cell, peer, PROCESSOR_RATE)
            )
            cost = _NOTHING if spread is None else f"{1e6 / spread.median:.2f} µs"
            row.append(cost if cell == base else f"{cost}\n{times(ratio)}")
        rows.append(row)
    header = ["processor time per message", *(f"pool of {cell.connections:,}" for cell in cells)]
    return Table(measure, MEASURES[measure].title, header, rows)


def _link(samples: Samples, measure: str) -> Table:
    cells = sorted(_cells(samples, measure), key=lambda cell: cell.connections)
    rows = []
    for cell in cells:
        rate = samples.spread(Reading(cell, _OURS, RATE))
        ratio = samples.ratio(Reading(cell, _OURS), Reading(cells[0], _OURS))
        throughput = _NOTHING if rate is None else f"{rate.median * cell.payload / 1e6:.1f} MB/s"
        rows.append([f"{cell.connections:,}", throughput, times(ratio)])
    return Table(measure, MEASURES[measure].title, ["pool size", "throughput", "ratio"], rows)


_SPECIAL: dict[str, Callable[[Samples, str], Table]] = {
    "echo": _round_trips,
    "relay-echo": _round_trips,
    "connect": _connects,
    "relay-clients": _connects,
    "pool-size": _pool_sizes,
    "link": _link,
}
