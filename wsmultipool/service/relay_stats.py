"""
What a relay has done so far, as numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["RelayStats"]


@dataclass(frozen=True, kw_only=True)
class RelayStats:
    """
    A snapshot of a relay.  What is not about the present moment counts from its start.

    @ivar clients: how many are connected.
    @ivar paused_clients: from how many of them nothing is read, as what they have sent is still
        under way.
    @ivar slow_clients: for how many of them something waits, as they don't read.
    @ivar pending_messages: messages from clients under way to a connection of the pool, or to
        their confirmation.
    @ivar accepted: clients that were let in.
    @ivar refused: by reason, how many were not: C{origin}, C{token}, C{host}, C{full}, C{http} (no
        WebSocket handshake, or a wrong one), C{timeout}, C{stopping}.
    @ivar closed: by reason, how many went: C{client} (they wanted it, or are just gone),
        C{too-slow} (1013), C{upstream} (1013: a message could not be sent), C{too-big} (1009),
        C{violation} (1002, 1007), C{unfinished} (1008: a message was begun and not finished),
        C{stopping} (1001).
    @ivar messages_from_clients: messages that the pool has taken; with C{confirm}, that upstream
        has.
    @ivar bytes_from_clients: payload of these.
    @ivar failed_messages: messages of clients that could not be sent; each has cost its client the
        connection.
    @ivar messages_to_clients: messages handed to clients, once for each client.
    @ivar bytes_to_clients: payload of these.
    @ivar unheard_messages: messages from upstream that no client was there for.
    @since: 0.1.0
    """

    clients: int
    paused_clients: int
    slow_clients: int
    pending_messages: int
    accepted: int
    refused: Mapping[str, int]
    closed: Mapping[str, int]
    messages_from_clients: int
    bytes_from_clients: int
    failed_messages: int
    messages_to_clients: int
    bytes_to_clients: int
    unheard_messages: int
