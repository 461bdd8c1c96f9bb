"""
Results as JSON, and back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cells import Cell
from .samples import Sample, Samples

_DIGITS = 6


@dataclass(frozen=True)
class Results:
    """
    @ivar context: machine, time, versions and options.
    """

    context: Mapping[str, Any]
    samples: Samples

    def to_json(self) -> str:
        """
        @return: one line per sample, so that a difference can be read.
        """
        lines = ",\n".join(f"  {json.dumps(_plain(sample))}" for sample in self.samples.all)
        context = json.dumps(self.context, indent=1, ensure_ascii=False)
        return f'{{"context": {context},\n"samples": [\n{lines}\n]}}\n'

    @classmethod
    def from_json(cls, text: str) -> Results:
        """
        @raise ValueError: it is not what L{to_json} returned.
        """
        try:
            read = json.loads(text)
            return cls(read["context"], Samples(map(_sample, read["samples"])))
        except (KeyError, TypeError) as error:
            raise ValueError(f"these are not results of a benchmark: {error!r}") from error

    @classmethod
    def read(cls, path: Path) -> Results:
        """
        @raise ValueError: as L{from_json}.
        @raise OSError: it cannot be read.
        """
        return cls.from_json(path.read_text(encoding="utf-8"))


def _plain(sample: Sample) -> dict[str, Any]:
    cell = sample.cell
    return {
        "measure": cell.measure,
        "payload": cell.payload,
        "connections": cell.connections,
        "peer": sample.peer,
        "round": sample.round,
        **({"error": sample.error} if sample.result is None else _rounded(sample.result)),
    }


def _rounded(result: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
        for name, value in result.items()
    }


def _sample(plain: dict[str, Any]) -> Sample:
    rest = dict(plain)
    cell = Cell(rest.pop("measure"), rest.pop("payload"), rest.pop("connections"))
    peer, number, error = rest.pop("peer"), rest.pop("round"), rest.pop("error", None)
    return Sample(cell, peer, number, None if error else rest, error)
