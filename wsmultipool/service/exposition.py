"""
C{/metrics}: the metrics of a pool and of this process, as Prometheus reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .metrics import PrometheusCollector
from .resources import Answer

if TYPE_CHECKING:
    from twisted.web.server import Request

    from ..pool import ReconnectingPoolFactory
    from .metrics import CountsClients

__all__ = ["Exposition"]


class Exposition:
    """
    Answers scrapes, if C{prometheus_client} is installed.

    @since: 0.1.0
    """

    def __init__(self, pool: ReconnectingPoolFactory, relay: CountsClients | None) -> None:
        self._pool = pool
        self._collector: PrometheusCollector | None = None
        try:
            self._collector = PrometheusCollector()
        except ImportError as error:
            self._missing = str(error)
            return
        self._collector.add(pool, relay)
        from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector

        self._registry = CollectorRegistry()
        self._registry.register(self._collector)
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def answer(self, request: Request) -> Answer:
        """
        @return: the metrics, in the format that the request asks for; 501 without
            C{prometheus_client}.
        @since: 0.1.0
        """
        if self._collector is None:
            return Answer(f"{self._missing}\n", 501)
        from prometheus_client.exposition import choose_encoder

        try:
            encode, content_type = choose_encoder(request.getHeader("accept") or "")
        except (TypeError, ValueError):  # it compares versions, and takes them for numbers
            encode, content_type = choose_encoder("")
        return Answer(encode(self._registry), content_type=content_type)

    def stop(self) -> None:
        """
        Let go of the pool.

        @since: 0.1.0
        """
        if self._collector is not None:
            self._collector.remove(self._pool)
            self._collector = None
            self._missing = "the service is stopped"
