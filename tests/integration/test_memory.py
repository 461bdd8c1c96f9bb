"""
What the pool holds on to: no more than it says, and nothing of what is gone.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.utils import getProcessOutputAndValue

from ..thoroughness import BRIEF, cases
from .deadline import within

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="memory is measured with Linux's /proc"
)

MIB = 1024 * 1024


async def report_of(program: str, *arguments: str) -> Any:
    """
    Run a program of this package in a process of its own, and return the JSON that it prints.
    """
    package = __package__ or ""
    root = Path(__file__).parents[len(package.split("."))]
    search = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    output, errors, status = await getProcessOutputAndValue(
        sys.executable,
        ["-m", f"{package}.{program}", *arguments],
        env={**os.environ, "PYTHONPATH": search},
    )
    assert status == 0, errors.decode("utf-8", "replace")
    return json.loads(output)


@pytest.mark.parametrize("size", [65536] if BRIEF else [1024, 65536])
@within(120)
async def test_server_that_does_not_read_costs_bounded_memory(size: int) -> None:
    """Of 1 GB offered, what is beyond C{max_buffered_bytes} is refused, and memory bounded."""
    report = await report_of("offer_to_a_deaf_server", str(size))

    outcomes = report["outcomes"]
    assert set(outcomes) == {"taken", "BufferFull"}
    assert report["growth"] < report["limit"] + 64 * MIB
    assert report["queued_bytes"] <= report["limit"]
    # What was neither taken nor refused waits, and that is what fits into the bound.
    waiting = report["offered"] - sum(outcomes.values())
    assert waiting * report["size"] == report["queued_bytes"]
    assert outcomes["BufferFull"] > report["offered"] * 0.8
    assert report["settled"] == report["offered"]


@within(120)
async def test_dropped_connections_leave_nothing_behind() -> None:
    """10,000 times open and dropped: no delayed call, no descriptor, and no growth of memory."""
    report = await report_of("open_and_drop")

    assert report["cycles"] >= cases(10_000)
    assert report["delayed_calls"] == 0
    assert report["descriptors"] == 0
    assert report["growth"] < 5 * MIB
