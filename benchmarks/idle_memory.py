"""
What an idle connection costs: resident memory of a process with a pool, less that of the same
process before the pool was started, by the number of connections.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from wsmultipool import ReconnectingPoolFactory

from . import child

_SIZES = (100, 1000)


def measure() -> dict[str, Any]:
    """
    @return: bytes per idle connection by pool size.
    """
    results = {}
    for size in _SIZES:
        with child.server("sink") as port:
            results[str(size)] = int(child.run("idle_memory", port, size))
    return {"bytes_per_idle_connection_by_pool_size": results}


def _resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def _client(port: int, size: int) -> None:
    # What is loaded and cached on first use is not a cost of connections.
    warm_up = ReconnectingPoolFactory(f"ws://127.0.0.1:{port}/", pool_size=2, logger=False)
    await warm_up.when_ready()
    await warm_up.close()
    gc.collect()
    before = _resident()
    pool = ReconnectingPoolFactory(f"ws://127.0.0.1:{port}/", pool_size=size, logger=False)
    await pool.when_ready()
    gc.collect()
    sys.stdout.write(f"{(_resident() - before) // size}\n")
    await pool.close()


def main() -> None:
    port, size = map(int, sys.argv[1:])
    react(lambda _: Deferred.fromCoroutine(_client(port, size)))


if __name__ == "__main__":
    main()
