"""
What a pool and its connections are doing and have done: snapshots, free to keep and to compare.

Bytes are always payload bytes: as the user gave or got them, before compression and without the
headers of WebSocket frames.  Counters begin at 0 when the pool is built and only grow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ._other_names import NamedElsewhere

__all__ = ["ConnectionStats", "PoolStats"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionStats(NamedElsewhere):
    """
    One connection of a pool; its counters go on across reconnects.

    @ivar id: the number that events call this connection by, from 0.
    @ivar state: C{idle}, C{connecting}, C{open}, C{closing}, C{closed} or C{destroyed}.
    @ivar url: where it is connected to, or will be with its next attempt, without credentials and
        query string.
    @ivar uptime: seconds since it opened; C{None} while it is not open.
    @ivar attempts: consecutive failures to connect, as backoff counts them; 0 once it has stayed
        open for C{min_uptime}.
    @ivar buffered_bytes: payload bytes it has taken and, as far as is known, not yet written.
    @ivar latency: seconds that its last ping took to be answered; C{None} before the first pong.
    @ivar sent_messages: messages handed to its transport.
    @ivar sent_bytes: payload bytes of those.
    @ivar received_messages: whole messages that arrived.
    @ivar received_bytes: payload bytes of those, after decompression.
    @ivar paused: whether its transport is above its high-water mark, so that it takes nothing.
    @ivar retry_delay: seconds until it will try again; C{None} while no retry is set.
    @ivar gave_up: whether it tries no more (C{max_reconnect_attempts}).
    @ivar last_error: what its last failure was, in words without secrets; C{None} if it never
        failed.  It stays after the connection has recovered.
    @since: 0.1.0
    """

    id: int
    state: str
    url: str
    uptime: float | None
    attempts: int
    buffered_bytes: int
    latency: float | None
    sent_messages: int
    sent_bytes: int
    received_messages: int
    received_bytes: int
    paused: bool = False
    retry_delay: float | None = None
    gave_up: bool = False
    last_error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStats(NamedElsewhere):
    """
    A whole pool.  C{open + connecting + closed == total}, always.

    @ivar total: connections that the pool keeps.
    @ivar open: connections that may take traffic.
    @ivar connecting: connections in an attempt, up to the end of C{on_connect}.
    @ivar closed: all others: not started, closing, waiting for the next attempt, or given up.
    @ivar queued_messages: messages accepted that no connection has taken yet.
    @ivar queued_bytes: payload bytes of those.
    @ivar sent_messages: messages handed to a transport, a repetition counted again.
    @ivar sent_bytes: payload bytes of those.
    @ivar received_messages: whole messages that arrived.
    @ivar received_bytes: payload bytes of those, after decompression.
    @ivar dropped_messages: messages that were given up, for whatever reason.
    @ivar requeued_messages: times that a message went back to the queue because its connection was
        lost first.
    @ivar unconfirmed_messages: confirmed sends that connections have taken, and of which nobody
        knows yet whether they have arrived.
    @ivar unconfirmed_bytes: payload bytes of those.
    @ivar resent_messages: times that a confirmed send was made ready to be written once more.
    @ivar reconnects: times that a connection opened again after its first time.
    @ivar connections: each connection, by C{id}.
    @ivar oldest_wait: seconds that the oldest message has waited, since it came back if its
        connection was lost; C{None} when none waits.
    @ivar dropped: L{dropped_messages} by reason: C{overflow}, C{timeout}, C{closed},
        C{exhausted}, C{connection lost}, C{fragment} or C{unconfirmed}; others are 0.
    @since: 0.1.0
    """

    total: int
    open: int
    connecting: int
    closed: int
    queued_messages: int
    queued_bytes: int
    sent_messages: int
    sent_bytes: int
    received_messages: int
    received_bytes: int
    dropped_messages: int
    requeued_messages: int
    unconfirmed_messages: int
    unconfirmed_bytes: int
    resent_messages: int
    reconnects: int
    connections: tuple[ConnectionStats, ...]
    oldest_wait: float | None = None
    dropped: Mapping[str, int] = field(default_factory=dict, hash=False)

    def as_dict(self) -> dict[str, Any]:
        """
        Copy everything into what L{json.dumps} takes and L{json.loads} gives back.

        @return: a new dict of the fields, with C{connections} as a list of dicts.
        @since: 0.1.0
        """
        return {**asdict(self), "connections": [asdict(each) for each in self.connections]}
