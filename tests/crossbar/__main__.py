"""
The figures of the documentation: C{tox -e figures}, or, where C{WSMULTIPOOL_CROSSBAR} is set,
C{python -m tests.crossbar [seconds]}.

Each is measured in short turns, a pool and the bare procedure after each other, so that whatever
else the machine does is shared by both.  Ratios are those of one turn; what is shown is the median.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react

from ..integration.peers import install_node_server, node_server
from .callers import both_offered, calling, component_process, helper_process
from .node import PREFIX, TICKETS, Node

TURNS = 7
AT_ONCE = 48
BATCH = 100
PAYLOAD = b"x" * 256


class Rate(NamedTuple):
    """
    What one turn has found.

    @ivar per_second: by the clock.
    @ivar per_processor: by second of processor time, of all processes that take part together.
    """

    per_second: float
    per_processor: float


def processor_time() -> float:
    """
    Return the seconds that this process has taken, with all that it has started, and they.
    """
    taken: dict[int, tuple[int, float]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = file.read_text().rpartition(")")[2].split()
            ticks = int(fields[11]) + int(fields[12])
            taken[int(file.parent.name)] = (int(fields[1]), ticks / os.sysconf("SC_CLK_TCK"))

    def is_ours(process: int) -> bool:
        while process in taken and process != os.getpid():
            process = taken[process][0]
        return process == os.getpid()

    return sum(seconds for process, (_, seconds) in taken.items() if is_ours(process))


async def rate(call: Callable[[], Deferred[Any]], seconds: float, at_once: int = AT_ONCE) -> Rate:
    """
    Make calls for so long, with so many under way.
    """
    done = 0
    busy = processor_time()
    begun = perf_counter()

    async def one_after_another() -> None:
        nonlocal done
        while perf_counter() - begun < seconds:
            await call()
            done += 1

    await gatherResults([Deferred.fromCoroutine(one_after_another()) for _ in range(at_once)])
    taken = perf_counter() - begun
    return Rate(done / taken, done / (processor_time() - busy))


async def measure(node: Node, processes: int, seconds: float) -> dict[str, list[Rate]]:
    """
    Return calls, and messages, per second, of each turn.
    """
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(node_server(mode="count"))
        for _ in range(processes):
            await stack.enter_async_context(component_process(node, server.url))
            await stack.enter_async_context(
                helper_process("echo_process", {"router": node.url, "ticket": TICKETS["feed"]})
            )
        caller, client = await stack.enter_async_context(calling(node, retry=True))
        if processes == 2:
            await both_offered(client)
        verbs: dict[str, tuple[Callable[[], Deferred[Any]], int]] = {
            "echo": (lambda: caller.session.call(f"{PREFIX}.echo", PAYLOAD), AT_ONCE),
            "send": (lambda: client.send(PAYLOAD), AT_ONCE),
            "send, confirmed": (lambda: client.send(PAYLOAD, confirm=True), AT_ONCE),
            "send_many": (lambda: client.send_many([PAYLOAD] * BATCH), 4),
        }
        found: dict[str, list[Rate]] = {name: [] for name in verbs}
        for _ in range(TURNS):
            for name, (call, at_once) in verbs.items():
                found[name].append(await rate(call, seconds, at_once))
        found["send_many"] = [
            Rate(*(batches * BATCH for batches in each)) for each in found["send_many"]
        ]
        return found


def ratio(these: list[Rate], those: list[Rate]) -> str:
    """
    Show the ratio of two things in the same turn: the median, and the least and the greatest.
    """
    shown = []
    for by, place in (("by the clock", 0), ("by processor time", 1)):
        ratios = [this[place] / that[place] for this, that in zip(these, those, strict=True)]
        shown.append(f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) {by}")
    return ", ".join(shown)


def show(processes: int, found: dict[str, list[Rate]]) -> None:
    """
    Print the figures of one run.
    """
    print(f"component processes: {processes}")
    for name, rates in found.items():
        unit = "messages" if name == "send_many" else "calls"
        by_clock, by_processor = (median(each) for each in zip(*rates, strict=True))
        print(
            f"  {name}: {by_clock:.0f} {unit} per second,"
            f" {by_processor:.0f} per second of processor time"
        )
    print(f"  send to echo: {ratio(found['send'], found['echo'])}")
    print(f"  send_many({BATCH}) to send: {ratio(found['send_many'], found['send'])}", flush=True)


async def main(reactor: object, seconds: str = "1") -> None:
    """
    Measure with one component process, and with two.
    """
    install_node_server()
    with tempfile.TemporaryDirectory() as directory:
        node = Node(Path(directory) / "crossbar")
        node.start()
        try:
            node.wait()
            for processes in (1, 2):
                show(processes, await measure(node, processes, float(seconds)))
        finally:
            node.kill()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
