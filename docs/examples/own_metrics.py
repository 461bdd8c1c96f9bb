"""
Metrics of a pool beside those of the program that uses it: C{python own_metrics.py URL}.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import sys
from typing import Any

from prometheus_client import REGISTRY, Counter, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import react
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from wsmultipool import ReconnectingPoolFactory
from wsmultipool.service import PrometheusCollector

ORDERS = Counter("orders", "Orders that were sent.")


class Metrics(Resource):
    """
    Answers scrapes in the reactor's thread, in which the pool lives.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        request.setHeader("content-type", CONTENT_TYPE_LATEST)
        return generate_latest(REGISTRY)


async def main(reactor: Any, url: str) -> None:
    pool = ReconnectingPoolFactory(url, pool_size=2, name="orders", reactor=reactor)
    REGISTRY.register(PrometheusCollector(pool))
    endpoint = serverFromString(reactor, "tcp:0:interface=127.0.0.1")
    port = await endpoint.listen(Site(Metrics(), reactor=reactor))
    print(f"metrics are at http://127.0.0.1:{port.getHost().port}/metrics", flush=True)
    await pool.when_ready()
    for number in range(3):
        await pool.send(f"order {number}", confirm=True)
        ORDERS.inc()
    print("3 orders are sent", flush=True)
    await Deferred()  # until it is interrupted


react(lambda reactor, url: Deferred.fromCoroutine(main(reactor, url)), sys.argv[1:])
