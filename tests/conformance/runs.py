"""
Runs of the TestSuite's cases against its servers, each a process of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults

from tests.integration.deadline import limited
from tests.integration.processes import running

from .peers import Peer, plain_peer
from .verdicts import Verdict, Verdicts

HERE = Path(__file__).parent

# Most cases wait for something, some for seconds.
AT_ONCE = 16
# A guard: no case takes so long.
CASE_TIMEOUT = 120


async def with_kosoku(peer: Peer, cases: Sequence[str], count: int) -> Verdicts:
    """
    Run cases against a C{kosoku} of their own, many at once.

    @param cases: their names, or patterns like C{9.*}.
    @param count: how many these are.
    @return: the verdicts, by the names of the cases.
    """
    server_command = [sys.executable, str(HERE / "kosoku_server.py")]
    async with running(server_command, {"cases": cases}) as server:
        await run_cases(peer, server.url, "tests", count, AT_ONCE, CASE_TIMEOUT)
        await plain_peer(f"{server.url}updateReports?agent=tests")
        verdicts = (await server.event("verdicts"))["verdicts"]
    return {case: Verdict(*words) for case, words in verdicts.items()}


async def run_cases(
    peer: Peer,
    server_url: str,
    agent: str,
    count: int,
    at_once: int,
    timeout: float,
    done: Callable[[int], None] = lambda number: None,
) -> None:
    """
    Let C{peer} run the cases 1 to C{count}, C{at_once} of them side by side.

    @param agent: the name that the server files the verdicts under.
    @param timeout: seconds for each case, after which something is wrong with the server.
    @param done: called with the number of each case that has ended.
    """
    turn = DeferredSemaphore(at_once)

    async def run_case(number: int) -> None:
        url = f"{server_url}runCase?case={number}&agent={agent}"
        await limited(Deferred.fromCoroutine(peer(url)), timeout)
        done(number)

    def start(number: int) -> Deferred[None]:
        return Deferred.fromCoroutine(run_case(number))

    await gatherResults(
        [turn.run(start, number) for number in range(1, count + 1)], consumeErrors=True
    )
