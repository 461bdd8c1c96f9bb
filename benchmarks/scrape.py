"""
How long a scrape takes of a large pool: C{python -m benchmarks.scrape [CONNECTIONS]}.

The pool is one in memory, whose state takes as long to read as that of any other; the scrape is an
HTTP request over loopback, made from a thread of the same process.
"""

from __future__ import annotations

import sys
from statistics import median
from time import perf_counter
from typing import Any
from urllib.request import urlopen

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import react
from twisted.internet.threads import deferToThread

from wsmultipool.service.web import StatusService
from wsmultipool.testing import MemoryPool

_SCRAPES = 50
_CONNECTIONS = 1000


async def measure(reactor: Any, connections: int) -> None:
    """
    Scrape again and again; print how long it took.
    """
    memory = MemoryPool(pool_size=connections)
    endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    service = StatusService(memory.pool, endpoint, reactor=reactor)
    address: Any = (await service.listen()).getHost()
    url = f"http://127.0.0.1:{address.port}/metrics"
    service.startService()
    memory.open()
    for number in range(connections):
        memory.pool.send(f"{number}", confirm=True)
    memory.settle()
    seconds = []
    for _ in range(_SCRAPES):
        began = perf_counter()
        body = await deferToThread(_fetch, url)
        seconds.append(perf_counter() - began)
    await service.stopService()
    memory.close()
    print(
        f"a scrape of {connections} connections: {len(body)} bytes,"
        f" median {median(seconds) * 1000:.1f} ms, longest {max(seconds) * 1000:.1f} ms"
    )


def _fetch(url: str) -> bytes:
    with urlopen(url) as response:
        content: bytes = response.read()
    return content


if __name__ == "__main__":
    size = int(sys.argv[1]) if len(sys.argv) > 1 else _CONNECTIONS
    react(lambda reactor: Deferred.fromCoroutine(measure(reactor, size)), [])
