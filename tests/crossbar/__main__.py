"""
The figures of the documentation: C{tox -e figures}, or, where C{WSMULTIPOOL_CROSSBAR} is set,
C{python -m tests.crossbar [seconds]}.

Each is measured in short turns, a pool and the bare procedure after each other, so that whatever
else the machine does is shared by both; what is shown is the median of the turns.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react

from ..integration.peers import install_node_server, node_server
from .callers import both_offered, calling, component_process, helper_process
from .node import PREFIX, TICKETS, Node

TURNS = 5
AT_ONCE = 48
BATCH = 100
PAYLOAD = b"x" * 256


async def rate(call: Callable[[], Deferred[Any]], seconds: float, at_once: int = AT_ONCE) -> float:
    """
    Return calls per second, with so many under way.
    """
    done = 0
    begun = perf_counter()

    async def one_after_another() -> None:
        nonlocal done
        while perf_counter() - begun < seconds:
            await call()
            done += 1

    await gatherResults([Deferred.fromCoroutine(one_after_another()) for _ in range(at_once)])
    return done / (perf_counter() - begun)


async def measure(node: Node, processes: int, seconds: float) -> dict[str, float]:
    """
    Return medians of calls, and of messages, per second.
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
        verbs: dict[str, Callable[[], Deferred[Any]]] = {
            "echo": lambda: caller.session.call(f"{PREFIX}.echo", PAYLOAD),
            "send": lambda: client.send(PAYLOAD),
            "send, confirmed": lambda: client.send(PAYLOAD, confirm=True),
        }
        found: dict[str, list[float]] = {name: [] for name in [*verbs, "send_many"]}
        for _ in range(TURNS):
            for name, call in verbs.items():
                found[name].append(await rate(call, seconds))
            batches = await rate(lambda: client.send_many([PAYLOAD] * BATCH), seconds, 4)
            found["send_many"].append(batches * BATCH)
        return {name: median(values) for name, values in found.items()}


async def main(reactor: object, seconds: str = "2") -> None:
    """
    Measure, and print one line for each number of processes.
    """
    install_node_server()
    with tempfile.TemporaryDirectory() as directory:
        node = Node(Path(directory) / "crossbar")
        node.start()
        try:
            node.wait()
            for processes in (1, 2):
                found = await measure(node, processes, float(seconds))
                print(
                    f"{processes} component process(es):"
                    f" echo {found['echo']:.0f} calls/s,"
                    f" send {found['send']:.0f} calls/s"
                    f" (ratio {found['send'] / found['echo']:.2f}),"
                    f" confirmed {found['send, confirmed']:.0f} calls/s,"
                    f" send_many({BATCH}) {found['send_many']:.0f} messages/s"
                    f" ({found['send_many'] / found['send']:.0f} x send)",
                    flush=True,
                )
        finally:
            node.kill()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
