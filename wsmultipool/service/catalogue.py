"""
Which metrics there are: names, labels and meanings, as the documentation lists them too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["METRICS", "Metric"]


@dataclass(frozen=True, slots=True)
class Metric:
    """
    What is known of a metric before there is a pool.

    @ivar name: its full name.
    @ivar kind: its type, as Prometheus calls it.
    @ivar labels: the names of its labels, after C{pool}, which all have.
    @ivar help: what it is, in a sentence.
    @since: 0.1.0
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str


METRICS = (
    Metric(
        "wsmultipool_connections",
        "gauge",
        ("endpoint", "state"),
        "Connections by state.",
    ),
    Metric(
        "wsmultipool_paused_connections",
        "gauge",
        ("endpoint",),
        "Open connections whose transport is full, so that they take nothing.",
    ),
    Metric(
        "wsmultipool_buffered_bytes",
        "gauge",
        ("endpoint",),
        "Bytes that connections have taken and not yet written.",
    ),
    Metric(
        "wsmultipool_connect_attempts_total",
        "counter",
        ("endpoint", "outcome"),
        "Attempts to connect: opened, or what they failed with.",
    ),
    Metric(
        "wsmultipool_connect_seconds",
        "histogram",
        ("endpoint", "outcome"),
        "How long attempts to connect took, on_connect included.",
    ),
    Metric(
        "wsmultipool_disconnects_total",
        "counter",
        ("endpoint", "reason"),
        "Open connections that ended: closed in good order, or what happened.",
    ),
    Metric(
        "wsmultipool_connection_lifetime_seconds",
        "histogram",
        ("endpoint",),
        "How long connections that have ended were open.",
    ),
    Metric(
        "wsmultipool_reconnects_total",
        "counter",
        (),
        "Times that a connection opened again.",
    ),
    Metric(
        "wsmultipool_retry_delay_seconds",
        "histogram",
        (),
        "Delays chosen after the end of an attempt or a connection, before the next attempt.",
    ),
    Metric(
        "wsmultipool_messages_total",
        "counter",
        ("direction",),
        "Messages handed to a transport, and whole messages received.",
    ),
    Metric(
        "wsmultipool_message_bytes_total",
        "counter",
        ("direction",),
        "Payload bytes of these messages, before compression.",
    ),
    Metric(
        "wsmultipool_queue_messages",
        "gauge",
        (),
        "Accepted messages that no connection has taken yet.",
    ),
    Metric(
        "wsmultipool_queue_bytes",
        "gauge",
        (),
        "Payload bytes of these messages.",
    ),
    Metric(
        "wsmultipool_queue_oldest_seconds",
        "gauge",
        (),
        "How long the oldest of these messages has waited; 0 when none waits.",
    ),
    Metric(
        "wsmultipool_queue_wait_seconds",
        "histogram",
        (),
        "How long messages had waited when a connection took them; those that did not wait "
        "are not counted.",
    ),
    Metric(
        "wsmultipool_dropped_messages_total",
        "counter",
        ("reason",),
        "Messages that were given up, so that their callers were told of a failure.",
    ),
    Metric(
        "wsmultipool_requeued_messages_total",
        "counter",
        (),
        "Times that a message not yet written was re-routed, as its connection was lost.",
    ),
    Metric(
        "wsmultipool_resent_messages_total",
        "counter",
        (),
        "Times that a confirmed send was made ready to be written once more.",
    ),
    Metric(
        "wsmultipool_unconfirmed_messages",
        "gauge",
        (),
        "Confirmed sends that connections have taken and no pong has confirmed yet.",
    ),
    Metric(
        "wsmultipool_unconfirmed_bytes",
        "gauge",
        (),
        "Payload bytes of these messages.",
    ),
    Metric(
        "wsmultipool_ping_round_trip_seconds",
        "histogram",
        (),
        "Round trips of pings, those of the heartbeat and of confirmed sends included.",
    ),
    # Of a relay, if there is one
    Metric(
        "wsmultipool_relay_clients",
        "gauge",
        (),
        "Local clients connected to the relay.",
    ),
    Metric(
        "wsmultipool_relay_paused_clients",
        "gauge",
        (),
        "Local clients that are not read from, as what they have sent is still under way.",
    ),
    Metric(
        "wsmultipool_relay_slow_clients",
        "gauge",
        (),
        "Local clients for which something waits, as they do not read.",
    ),
    Metric(
        "wsmultipool_relay_pending_messages",
        "gauge",
        (),
        "Messages of local clients that are under way to a connection, or to their confirmation.",
    ),
    Metric(
        "wsmultipool_relay_accepted_total",
        "counter",
        (),
        "Local clients that were let in.",
    ),
    Metric(
        "wsmultipool_relay_refused_total",
        "counter",
        ("reason",),
        "Local clients that were not let in.",
    ),
    Metric(
        "wsmultipool_relay_closed_total",
        "counter",
        ("reason",),
        "Local clients that went, or were closed.",
    ),
    Metric(
        "wsmultipool_relay_messages_total",
        "counter",
        ("direction",),
        "Messages from local clients that the pool has taken, and messages handed to them.",
    ),
    Metric(
        "wsmultipool_relay_message_bytes_total",
        "counter",
        ("direction",),
        "Payload bytes of these messages.",
    ),
    Metric(
        "wsmultipool_relay_failed_messages_total",
        "counter",
        (),
        "Messages of local clients that could not be sent.",
    ),
    Metric(
        "wsmultipool_relay_unheard_messages_total",
        "counter",
        (),
        "Messages from upstream that no local client was there for.",
    ),
)
"""
Every metric, in the order in which they are given.

@since: 0.1.0
"""
