"""
Whether a message costs more in a larger pool: processor time per awaited send of 16 bytes, by the
number of connections, as a ratio to a pool of 10 in the same round.
"""

from __future__ import annotations

import sys
import time
from statistics import median
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater, react

from wsmultipool import ReconnectingPoolFactory

from . import child

_SIZES = (1, 10, 100, 1000)
_BASE = 10
_MESSAGES = 200_000
_ROUNDS = 5


def measure() -> dict[str, Any]:
    """
    @return: microseconds per message, and its ratio to a pool of 10, by pool size: medians of
        rounds in which every size has its turn.
    """
    rounds: list[dict[int, float]] = []
    with child.server("sink") as port:
        for number in range(_ROUNDS):
            sys.stderr.write(f"  round {number + 1} of {_ROUNDS}\n")
            rounds.append(
                {size: float(child.run("cost_by_pool_size", port, size)) for size in _SIZES}
            )
    return {
        "microseconds_per_send_by_pool_size": {
            str(size): round(median(times[size] for times in rounds), 3) for size in _SIZES
        },
        "ratio_to_a_pool_of_10": {
            str(size): round(median(times[size] / times[_BASE] for times in rounds), 3)
            for size in _SIZES
        },
    }


async def _client(reactor: IReactorTime, port: int, size: int) -> None:
    pool = ReconnectingPoolFactory(f"ws://127.0.0.1:{port}/", pool_size=size, logger=False)
    await pool.when_ready()
    payload = bytes(16)
    for _ in range(1000):
        await pool.send(payload)
    started = time.process_time()
    for _ in range(_MESSAGES):
        await pool.send(payload)
    # Until the last octet is with the kernel, so that the cost of writing is in it.
    while any(connection.buffered_bytes for connection in pool.get_stats().connections):
        await deferLater(reactor, 0)
    sys.stdout.write(f"{(time.process_time() - started) / _MESSAGES * 1e6}\n")
    pool.destroy()


def main() -> None:
    port, size = map(int, sys.argv[1:])
    react(lambda reactor: Deferred.fromCoroutine(_client(reactor, port, size)))


if __name__ == "__main__":
    main()
