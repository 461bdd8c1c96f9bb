"""
What Prometheus can ask of a pool.

L{wsmultipool.service.catalogue} lists every metric; L{PrometheusCollector} gives their values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

from .catalogue import METRICS, Metric
from .measurements import Measurements, endpoint_of

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

    from ..pool import ReconnectingPoolFactory
    from ..stats import PoolStats

__all__ = ["PrometheusCollector"]


_STATES = ("idle", "connecting", "open", "closing", "closed", "destroyed")
_OUTCOMES = (
    "opened",
    "connection_dropped",
    "handshake_invalid",
    "open_timeout",
    "transport_failed",
    "upgrade_rejected",
)
_REASONS = ("closed", "connection_dropped", "heartbeat_timeout", "protocol_violation")
_DROPS = (
    "closed",
    "connection lost",
    "exhausted",
    "fragment",
    "overflow",
    "timeout",
    "unconfirmed",
)

_Sample = tuple[str, Sequence[str], Any]  # the name after the prefix, labels, value


class CountsClients(Protocol):
    """
    A relay, as far as metrics are concerned.

    @since: 0.1.0
    """

    def get_stats(self) -> Any:
        """
        @return: a C{RelayStats}.
        @since: 0.1.0
        """


class PrometheusCollector:
    """
    A C{Collector} for C{prometheus_client} that reads the state of pools when it is asked for it,
    and counts what happens to them in between::

        REGISTRY.register(PrometheusCollector(pool))

    It does not serve requests; L{wsmultipool.service.web.StatusService} does, or any of the servers
    of C{prometheus_client} in the reactor's thread.

    @param pools: one pool or several, of different names.  One collector has to serve all that
        share a registry.
    @raise ImportError: C{prometheus_client}, which the extra C{metrics} brings, is not installed.
    @raise ValueError: two of the pools have the same name.
    @since: 0.1.0
    """

    def __init__(self, *pools: ReconnectingPoolFactory) -> None:
        try:
            from prometheus_client import metrics_core
        except ImportError as error:
            raise ImportError(
                "metrics need prometheus_client: pip install 'wsmultipool[metrics]'"
            ) from error
        self._families: dict[str, Callable[..., Any]] = {
            "counter": metrics_core.CounterMetricFamily,
            "gauge": metrics_core.GaugeMetricFamily,
            "histogram": metrics_core.HistogramMetricFamily,
        }
        self._pools: dict[ReconnectingPoolFactory, Measurements] = {}
        self._relays: dict[ReconnectingPoolFactory, CountsClients] = {}
        for pool in pools:
            self.add(pool)

    def add(self, pool: ReconnectingPoolFactory, relay: CountsClients | None = None) -> None:
        """
        Collect from one more pool.

        @param relay: the relay that lets local clients use it, to collect from that, too; C{None}
            without one.
        @raise ValueError: there is one of that name.
        @since: 0.1.0
        """
        if pool.name in {each.name for each in self._pools}:
            raise ValueError(f"there is a pool named {pool.name!r} already: give one another name=")
        self._pools[pool] = measurements = Measurements()
        pool.add_observer(measurements)
        if relay is not None:
            self._relays[pool] = relay

    def remove(self, pool: ReconnectingPoolFactory) -> None:
        """
        Undo L{add}, and let go of the pool.

        @raise KeyError: it was not added.
        @since: 0.1.0
        """
        pool.remove_observer(self._pools.pop(pool))
        self._relays.pop(pool, None)

    def describe(self) -> Iterable[Family]:
        """
        @return: every metric, without values.
        @since: 0.1.0
        """
        return [self._family(metric) for metric in METRICS]

    def collect(self) -> Iterable[Family]:
        """
        @return: every metric that has values, with those of this moment.
        @since: 0.1.0
        """
        values: dict[str, list[tuple[Sequence[str], Any]]] = {metric.name: [] for metric in METRICS}
        for pool, measurements in self._pools.items():
            stats = pool.get_stats()
            endpoints = sorted({endpoint_of(each.url) for each in stats.connections})
            for name, labels, value in chain(_state(stats), _history(measurements, endpoints)):
                values[f"wsmultipool_{name}"].append(((pool.name, *labels), value))
        for pool, relay in self._relays.items():
            for name, labels, value in _clients(relay.get_stats()):
                values[f"wsmultipool_relay_{name}"].append(((pool.name, *labels), value))
        families = []
        for metric in METRICS:
            family = self._family(metric)
            for labels, value in values[metric.name]:
                if metric.kind == "histogram":
                    family.add_metric(labels, value.cumulative(), value.total)
                else:
                    family.add_metric(labels, value)
            if family.samples:
                families.append(family)
        return families

    def _family(self, metric: Metric) -> Any:
        return self._families[metric.kind](
            metric.name, metric.help, labels=["pool", *metric.labels]
        )


def _state(stats: PoolStats) -> Iterator[_Sample]:
    """What a pool says of itself."""
    states: Counter[tuple[str, str]] = Counter()
    paused: Counter[str] = Counter()
    buffered: Counter[str] = Counter()
    for each in stats.connections:
        endpoint = endpoint_of(each.url)
        states[endpoint, each.state] += 1
        paused[endpoint] += each.paused
        buffered[endpoint] += each.buffered_bytes
    for endpoint in paused:
        for state in _STATES:
            yield "connections", (endpoint, state), states[endpoint, state]
        yield "paused_connections", (endpoint,), paused[endpoint]
        yield "buffered_bytes", (endpoint,), buffered[endpoint]
    for direction in ("sent", "received"):
        yield "messages_total", (direction,), getattr(stats, f"{direction}_messages")
        yield "message_bytes_total", (direction,), getattr(stats, f"{direction}_bytes")
    for reason in sorted({*_DROPS, *stats.dropped}):
        yield "dropped_messages_total", (_label(reason),), stats.dropped.get(reason, 0)
    yield "reconnects_total", (), stats.reconnects
    yield "queue_messages", (), stats.queued_messages
    yield "queue_bytes", (), stats.queued_bytes
    yield "queue_oldest_seconds", (), stats.oldest_wait or 0.0
    yield "requeued_messages_total", (), stats.requeued_messages
    yield "resent_messages_total", (), stats.resent_messages
    yield "unconfirmed_messages", (), stats.unconfirmed_messages
    yield "unconfirmed_bytes", (), stats.unconfirmed_bytes


def _history(measurements: Measurements, endpoints: Iterable[str]) -> Iterator[_Sample]:
    """What was counted while it happened; what has not happened yet, with 0."""
    attempts = Counter({(each, outcome): 0 for each in endpoints for outcome in _OUTCOMES})
    attempts.update(measurements.attempts)
    for labels, count in attempts.items():
        yield "connect_attempts_total", labels, count
    for labels, seconds in measurements.attempt_seconds.items():
        yield "connect_seconds", labels, seconds
    disconnects = Counter({(each, reason): 0 for each in endpoints for reason in _REASONS})
    disconnects.update(measurements.disconnects)
    for labels, count in disconnects.items():
        yield "disconnects_total", labels, count
    for endpoint, seconds in measurements.lifetimes.items():
        yield "connection_lifetime_seconds", (endpoint,), seconds
    yield "queue_wait_seconds", (), measurements.shorter["queue wait"]
    yield "ping_round_trip_seconds", (), measurements.shorter["round trip"]
    yield "retry_delay_seconds", (), measurements.shorter["retry delay"]


def _clients(stats: Any) -> Iterator[_Sample]:
    """What a relay says of itself."""
    for name in ("clients", "paused_clients", "slow_clients", "pending_messages"):
        yield name, (), getattr(stats, name)
    yield "accepted_total", (), stats.accepted
    for reason, count in sorted(stats.refused.items()):
        yield "refused_total", (_label(reason),), count
    for reason, count in sorted(stats.closed.items()):
        yield "closed_total", (_label(reason),), count
    for direction in ("from_clients", "to_clients"):
        yield "messages_total", (direction,), getattr(stats, f"messages_{direction}")
        yield "message_bytes_total", (direction,), getattr(stats, f"bytes_{direction}")
    yield "failed_messages_total", (), stats.failed_messages
    yield "unheard_messages_total", (), stats.unheard_messages


def _label(reason: str) -> str:
    return reason.replace(" ", "_").replace("-", "_")
