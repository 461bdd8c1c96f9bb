"""
A relay before the server, as a process of its own: C{python -m benchmarks.clients.relay_process URL
CONNECTIONS} writes the port it listens on, and ends with its standard input.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.stdio import StandardIO
from twisted.internet.task import react
from twisted.python.failure import Failure

from wsmultipool import ReconnectingPoolFactory
from wsmultipool.service.relay import RelayService
from wsmultipool.service.relay_options import RelayOptions


class _Input(Protocol):
    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.ended.callback(None)


async def _relay(reactor: Any, url: str, connections: int) -> None:
    pool = ReconnectingPoolFactory(url, pool_size=connections, logger=False)
    await pool.when_ready()
    endpoint = TCP4ServerEndpoint(reactor, 0, backlog=1024, interface="127.0.0.1")
    options = RelayOptions(max_clients=2000)
    relay = RelayService(pool, endpoint, options, reactor=reactor)
    port = await relay.listen()
    relay.startService()
    sys.stdout.write(f"{port.getHost().port}\n")  # type: ignore[attr-defined]
    sys.stdout.flush()
    ended = _Input()
    StandardIO(ended)
    await ended.ended
    await relay.stopService()
    await pool.close()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(_relay(reactor, sys.argv[1], int(sys.argv[2]))))
