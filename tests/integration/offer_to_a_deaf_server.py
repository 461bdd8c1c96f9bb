"""
Offers 1 GB to a server that does not read, in messages of the size given as argument, and prints,
as JSON, what that cost.

A program of its own, so that the memory it measures is that of the pool and nothing else.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react
from twisted.python.failure import Failure

from wsmultipool import ReconnectingPoolFactory

from .listening import listening
from .misbehaving import StopsReading
from .resident_memory import resident_bytes

SIZE = int(sys.argv[1])
COUNT = 1024**3 // SIZE
LIMIT = 64 * 1024 * 1024


async def main(reactor: Any) -> None:
    outcomes: Counter[str] = Counter()

    def failed(failure: Failure) -> None:
        outcomes[type(failure.value).__name__] += 1

    def taken(_: int) -> None:
        outcomes["taken"] += 1

    async with listening(StopsReading) as server:
        pool = ReconnectingPoolFactory(
            server.url, reactor=reactor, pool_size=4, max_buffered_bytes=LIMIT, close_timeout=0.5
        )
        await pool.when_ready()
        before = peak = resident_bytes()
        for number in range(COUNT):
            # Each message is a new object: the same one many times would cost nothing.
            payload = number.to_bytes(8, "big") * (SIZE // 8)
            pool.send(payload).addCallbacks(taken, failed)
            if number % (4 * 1024 * 1024 // SIZE) == 0:
                peak = max(peak, resident_bytes())
                await deferLater(reactor, 0)
        peak = max(peak, resident_bytes())
        at_the_end = dict(outcomes)
        queued_bytes = pool.get_stats().queued_bytes
        await pool.close()
    print(
        json.dumps(
            {
                "offered": COUNT,
                "size": SIZE,
                "limit": LIMIT,
                "growth": peak - before,
                "queued_bytes": queued_bytes,
                "outcomes": at_the_end,
                "settled": outcomes.total(),
            }
        )
    )


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
