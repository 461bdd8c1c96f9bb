"""
The soak, for a few seconds.
"""

from __future__ import annotations

from ..integration.deadline import within
from ..integration.processes import PeerProcess
from .churn import seed_of
from .soak import soak


@within(120)
async def test_soak(fault_proxy: PeerProcess) -> None:
    """Under all faults at random no confirmed message is lost, and nothing is left behind."""
    lines: list[str] = []

    soaked = await soak(
        fault_proxy, minutes=0.1, rate=4000, seed=seed_of(), patient=True, report=lines.append
    )

    assert soaked.problems() == [], soaked
    assert soaked.account.sent == 0.1 * 60 * 4000
    # How many faults strike in that time depends on the machine.
    assert len(soaked.faults) >= 3, soaked.faults
    assert lines
