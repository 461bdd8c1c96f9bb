"""
Opens 10,000 connections, or 2,000 in a brief run, to a server that drops each, and prints, as JSON,
what that left behind.

A program of its own, so that the memory it measures is that of the pool and nothing else.
"""

from __future__ import annotations

import gc
import json
import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from wsmultipool import ReconnectingPoolFactory

from ..thoroughness import cases
from .listening import listening
from .misbehaving import DropsAtOnce
from .resident_memory import resident_bytes

CYCLES = cases(10_000)
WARM_UP = 1_000


def measured() -> int:
    gc.collect()
    return resident_bytes()


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def main(reactor: Any) -> None:
    warm: Deferred[int] = Deferred()
    done: Deferred[int] = Deferred()
    cycles = 0

    def closed(*_: object) -> None:
        nonlocal cycles
        cycles += 1
        if cycles == WARM_UP:
            warm.callback(measured())
        elif cycles == CYCLES:
            done.callback(measured())

    # The reactor has some descriptors of its own, from its first turn and its first listener on.
    async with listening(DropsAtOnce):
        await deferLater(reactor, 0)
    calls, descriptors = len(reactor.getDelayedCalls()), open_descriptors()
    async with listening(DropsAtOnce) as server:
        pool = ReconnectingPoolFactory(
            server.url,
            reactor=reactor,
            pool_size=10,
            reconnect_interval=0.001,
            max_reconnect_interval=0.001,
            min_uptime=0,
        )
        pool.on("close", closed)
        pool.on("error", lambda *_: None)
        growth = -(await warm) + await done
        await pool.close()
    # Not before the server is gone: it may still accept what the pool has closed already.
    report = {
        "cycles": cycles,
        "growth": growth,
        "delayed_calls": len(reactor.getDelayedCalls()) - calls,
        "descriptors": open_descriptors() - descriptors,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
