"""
Tests for L{wsmultipool.service.metrics} and L{wsmultipool.service.catalogue}.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from wsmultipool import errors
from wsmultipool.service import PrometheusCollector
from wsmultipool.service.catalogue import METRICS
from wsmultipool.testing import MemoryPool

from .support import without_prometheus
from .test_web import Relay

HOWTO = Path(__file__).resolve().parent.parent / "docs" / "howto" / "metrics.rst"
ENDPOINT = {"pool": "memory.test", "endpoint": "memory.test:80"}


class Scraped:
    """
    A pool in memory, and a registry that asks its collector.
    """

    def __init__(self, **options: Any) -> None:
        self.memory = MemoryPool(**options)
        self.collector = PrometheusCollector(self.memory.pool)
        self.registry = CollectorRegistry()
        self.registry.register(self.collector)

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of one series, of this pool unless told otherwise."""
        return self.registry.get_sample_value(
            f"wsmultipool_{name}", {"pool": "memory.test", **labels}
        )


@contextmanager
def scraped(**options: Any) -> Iterator[Scraped]:
    """
    Close the pool at the end.
    """
    found = Scraped(**options)
    yield found
    found.memory.close()


def test_connections_are_counted_by_state() -> None:
    """Every state is there, also with 0, so that no series comes and goes."""
    with scraped(pool_size=3) as found:
        found.memory.open()
        found.memory.server.be_silent()
        found.memory.server.peers[0].drop()
        found.memory.settle()
        states = {
            state: found.value("connections", **ENDPOINT, state=state)
            for state in ("idle", "connecting", "open", "closing", "closed", "destroyed")
        }
        assert states == {
            **dict.fromkeys(("idle", "connecting", "closing", "destroyed"), 0),
            "open": 2,
            "closed": 1,
        }


def test_attempts_are_counted_by_outcome_and_timed() -> None:
    """A rejected upgrade is told from a refused connection, and both from success."""
    with scraped(pool_size=1, reconnect_interval=1) as found:
        found.memory.server.reject(503)
        found.memory.pool.start()
        found.memory.settle()
        found.memory.server.accept()
        found.memory.advance(1)
        assert found.value("connect_attempts_total", **ENDPOINT, outcome="opened") == 1
        assert found.value("connect_attempts_total", **ENDPOINT, outcome="upgrade_rejected") == 1
        assert found.value("connect_attempts_total", **ENDPOINT, outcome="transport_failed") == 0
        assert found.value("connect_seconds_count", **ENDPOINT, outcome="opened") == 1
        assert found.value("retry_delay_seconds_sum") == 1


def test_several_servers_are_told_apart() -> None:
    """Connections and attempts count where they were at that moment."""
    urls = ["ws://a.test/feed?token=1", "wss://b.test/"]
    with scraped(url=urls, pool_size=4, name="memory.test") as found:
        found.memory.server.refuse()  # which is the first one
        found.memory.pool.start()
        found.memory.settle()
        a, b = ({"endpoint": endpoint} for endpoint in ("a.test:80", "b.test:443"))
        assert found.value("connect_attempts_total", **a, outcome="transport_failed") == 2
        assert found.value("connect_attempts_total", **b, outcome="transport_failed") == 0
        assert found.value("connections", **a, state="open") == 0
        assert found.value("connections", **b, state="open") == 2


def test_disconnects_are_counted_by_reason_with_their_lifetimes() -> None:
    """A closing handshake is told from a drop."""
    with scraped(pool_size=2) as found:
        found.memory.open()
        found.memory.advance(20)
        found.memory.server.peers[0].drop()
        found.memory.server.peers[1].close(1001)
        found.memory.settle()
        assert found.value("disconnects_total", **ENDPOINT, reason="connection_dropped") == 1
        assert found.value("disconnects_total", **ENDPOINT, reason="closed") == 1
        assert found.value("disconnects_total", **ENDPOINT, reason="heartbeat_timeout") == 0
        assert found.value("connection_lifetime_seconds_count", **ENDPOINT) == 2
        assert found.value("connection_lifetime_seconds_sum", **ENDPOINT) == 40
        assert found.value("connection_lifetime_seconds_bucket", **ENDPOINT, le="5.0") == 0
        assert found.value("connection_lifetime_seconds_bucket", **ENDPOINT, le="30.0") == 2
        found.memory.advance(1)
        assert found.value("reconnects_total") == 2


def test_traffic_is_counted_by_direction() -> None:
    """Messages and payload bytes, out and in."""
    with scraped(pool_size=1) as found:
        found.memory.open()
        found.memory.pool.send("hello")
        found.memory.settle()
        found.memory.server.peers[0].send(b"four")
        found.memory.server.peers[0].send(b"more")
        found.memory.settle()
        values = {
            (name, direction): found.value(f"{name}_total", direction=direction)
            for name in ("messages", "message_bytes")
            for direction in ("sent", "received")
        }
        assert list(values.values()) == [1, 2, 5, 8]


def test_the_queue_is_measured() -> None:
    """How much waits, for how long it has, and how long it had when it was taken."""
    with scraped(pool_size=1) as found:
        found.memory.pool.send("hello")
        found.memory.pool.send("you")
        found.memory.advance(3)
        assert found.value("queue_messages") == 2
        assert found.value("queue_bytes") == 8
        assert found.value("queue_oldest_seconds") == 3
        assert found.value("queue_wait_seconds_count") == 0
        found.memory.open()
        assert found.value("queue_oldest_seconds") == 0
        assert found.value("queue_wait_seconds_count") == 2
        assert found.value("queue_wait_seconds_sum") == 6


def test_dropped_messages_are_counted_by_reason() -> None:
    """Each known reason is there from the start."""
    with scraped(message_queue_size=1) as found:
        assert found.value("dropped_messages_total", reason="connection_lost") == 0
        for _ in range(3):
            found.memory.pool.send("x").addErrback(lambda _: None)
        assert found.value("dropped_messages_total", reason="overflow") == 2


def test_what_is_under_way_is_measured() -> None:
    """Full connections and what they hold, what is not confirmed, and what was sent anew."""
    with scraped(pool_size=2) as found:
        found.memory.open()
        found.memory.server.peers[0].stop_reading()
        found.memory.server.peers[1].stop_reading()
        found.memory.pool.send(b"x" * 1_000_000)
        found.memory.pool.send("confirmed", confirm=True)
        found.memory.settle()
        assert found.value("paused_connections", **ENDPOINT) == 1
        assert (found.value("buffered_bytes", **ENDPOINT) or 0) > 0
        assert found.value("unconfirmed_messages") == 1
        assert found.value("unconfirmed_bytes") == 9
        found.memory.server.peers[1].drop()
        found.memory.server.peers[0].drop()
        found.memory.advance(2)
        assert found.value("resent_messages_total") == 1
        assert found.value("unconfirmed_messages") == 0
        assert (found.value("ping_round_trip_seconds_count") or 0) >= 1


# More than one pool, and the end


def test_several_pools_share_a_collector() -> None:
    """The label C{pool} tells them apart; a second one of the same name is refused."""
    with scraped(name="a") as found:
        other = MemoryPool(name="b", pool_size=7)
        found.collector.add(other.pool)
        assert found.value("connections", **{**ENDPOINT, "pool": "b"}, state="idle") == 7
        assert found.value("connections", **{**ENDPOINT, "pool": "a"}, state="idle") == 5
        twin = MemoryPool(name="a")
        with pytest.raises(ValueError, match="a pool named 'a' already"):
            found.collector.add(twin.pool)
        found.collector.remove(other.pool)
        assert found.value("connections", **{**ENDPOINT, "pool": "b"}, state="idle") is None
        other.open()
        other.close()
        twin.close()


def test_a_relay_is_measured_with_its_pool() -> None:
    """What its local clients do has metrics of its own, and goes with the pool."""
    collector = PrometheusCollector()
    registry = CollectorRegistry()
    registry.register(collector)
    memory = MemoryPool()
    collector.add(memory.pool, Relay())
    labels = {"pool": "memory.test", "direction": "from_clients"}
    assert registry.get_sample_value("wsmultipool_relay_message_bytes_total", labels) == 100
    collector.remove(memory.pool)
    assert generate_latest(registry) == b""
    memory.close()


def test_without_prometheus_client_only_the_constructor_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Importing the service never needs the extra; using the collector names it."""
    without_prometheus(monkeypatch)
    with pytest.raises(ImportError, match=r"pip install 'wsmultipool\[metrics\]'"):
        PrometheusCollector()


# What all metrics have in common


def everything() -> Iterator[Scraped]:
    """
    Make a pool of which every metric has values.
    """
    with scraped(pool_size=2) as found:
        found.collector.remove(found.memory.pool)
        found.collector.add(found.memory.pool, Relay())
        found.memory.open()
        found.memory.server.peers[0].drop()
        found.memory.settle()
        yield found


def test_every_metric_of_the_catalogue_is_given_as_it_says() -> None:
    """Names, types, labels and help are those of the catalogue, and there are no others."""
    for found in everything():
        text = generate_latest(found.registry).decode()
        families = {family.name: family for family in text_string_to_metric_families(text)}
        assert len(families) == len(METRICS)
        for metric in METRICS:
            family = families[metric.name.removesuffix("_total")]
            assert (family.type, family.documentation) == (metric.kind, metric.help)
            for sample in family.samples:
                assert set(sample.labels) - {"le"} == {"pool", *metric.labels}


def test_names_follow_the_rules_of_prometheus() -> None:
    """One prefix, base units, and the ending C{_total} for counters and for nothing else."""
    for metric in METRICS:
        assert re.fullmatch(r"wsmultipool(_[a-z]+)+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.name.endswith("_seconds") or metric.kind != "histogram"
        assert metric.help.endswith(".")
        assert set(metric.labels) <= {"endpoint", "state", "outcome", "reason", "direction"}


def test_every_error_has_a_label_of_its_own() -> None:
    """What attempts and connections fail with is a bounded set of words."""
    with scraped(pool_size=1) as found:
        (measurements,) = found.collector._pools.values()
        (connection,) = found.memory.pool._supervisor.connections
        known: list[Any] = [
            kind
            for kind in vars(errors).values()
            if isinstance(kind, type) and issubclass(kind, errors.ConnectionFailed)
        ]

        class Special(errors.ConnectionDropped):
            """One that an IWebSocketFactory of the user's came up with."""

        for kind in [*known, Special, RuntimeError]:
            measurements.attempt_ended(connection, kind.__new__(kind), 1)
        outcomes = {outcome for _, outcome in measurements.attempts}
        assert len(outcomes) == len(known) + 1
        assert {"other", "connection_dropped", "pong_overdue"} < outcomes
        assert measurements.attempts["memory.test:80", "connection_dropped"] == 2
        assert all(re.fullmatch("[a-z_]+", outcome) for outcome in outcomes)


def test_the_documentation_lists_every_metric() -> None:
    """The table of the how-to and the code are the same: names, types, labels."""
    text = HOWTO.read_text(encoding="utf-8")
    rows = re.findall(
        r"^   \* - ``(wsmultipool_\w+)``\n     - (\w+)\n     -(.*)\n     - (.+(?:\n       .+)*)",
        text,
        re.MULTILINE,
    )
    documented = [(name, kind, labels.replace("`", "").strip()) for name, kind, labels, _ in rows]
    assert documented == [
        (metric.name, metric.kind, ", ".join(metric.labels)) for metric in METRICS
    ]
    assert [" ".join(words.split()) for *_, words in rows] == [metric.help for metric in METRICS]
