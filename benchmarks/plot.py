"""
The plot: ratios to the Node pool, and the throughput of pools on a limited link.
"""

from __future__ import annotations

import matplotlib

matplotlib.use("svg")

from pathlib import Path
from typing import Any

from matplotlib import pyplot

from .cells import MEASURES, in_words
from .peers import BASELINES, PEERS
from .samples import Reading, Samples

_PANELS = ("send", "receive", "broadcast")
_PEERS = ("wsmultipool", "wsmultipool-plain", "picows", "aiohttp", "websockets", "autobahn")
_COLORS = ("#1f4e8c", "#7aa6d6", "#d98c1f", "#8a6bb1", "#5b9c5a", "#999999")
_SIZE = (11.0, 8.0)


def draw(samples: Samples, path: Path) -> None:
    """
    Write the plot as SVG, the same octets for the same samples.
    """
    matplotlib.rcParams.update({"svg.hashsalt": "wsmultipool", "svg.fonttype": "none"})
    figure, panels = pyplot.subplots(2, 2, figsize=_SIZE, layout="constrained")
    for panel, measure in zip(panels.flat, _PANELS, strict=False):
        _ratios(panel, samples, measure)
    _link(panels.flat[3], samples)
    handles: dict[str, Any] = {}
    for panel in panels.flat[: len(_PANELS)]:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
    # Without the date, it changes only with the figures.
    figure.savefig(path, metadata={"Date": None}, facecolor="white")
    pyplot.close(figure)


def _ratios(panel: Any, samples: Samples, measure: str) -> None:
    cells = [cell for cell in samples.cells() if cell.measure == measure]
    width = 0.8 / len(_PEERS)
    for index, (peer, color) in enumerate(zip(_PEERS, _COLORS, strict=True)):
        places, heights, below, above = [], [], [], []
        for place, cell in enumerate(cells):
            baseline = samples.fastest(cell, BASELINES)
            if baseline is None:
                continue
            ratio = samples.ratio(Reading(cell, peer), Reading(cell, baseline))
            if ratio is None:
                continue
            places.append(place + (index - (len(_PEERS) - 1) / 2) * width)
            heights.append(ratio.median)
            below.append(ratio.median - ratio.least)
            above.append(ratio.most - ratio.median)
        if places:
            panel.bar(
                places,
                heights,
                width,
                color=color,
                label=PEERS[peer].title,
                yerr=(below, above),
                error_kw={"elinewidth": 0.8, "ecolor": "#333333"},
            )
    panel.axhline(1, color="black", linewidth=1)
    panel.set_title(MEASURES[measure].title)
    panel.set_ylabel("times the Node pool")
    panel.set_xticks(range(len(cells)), [in_words(cell.payload) for cell in cells])


def _link(panel: Any, samples: Samples) -> None:
    cells = sorted(
        (cell for cell in samples.cells() if cell.measure == "link"),
        key=lambda cell: cell.connections,
    )
    sizes, medians = [], []
    for cell in cells:
        rate = samples.spread(Reading(cell, "wsmultipool"))
        if rate is not None:
            sizes.append(cell.connections)
            medians.append(rate.median * cell.payload / 1e6)
    if medians:
        panel.plot(sizes, medians, "o-", color=_COLORS[0], label="measured")
        ideal = [medians[0] / sizes[0] * size for size in sizes]
        panel.plot(sizes, ideal, "--", color="black", linewidth=1, label="as many times one")
        panel.legend()
    panel.set_title(MEASURES["link"].title)
    panel.set_xlabel("connections")
    panel.set_ylabel("MB/s")
