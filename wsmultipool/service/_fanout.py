"""
Who gets what arrives from upstream.

Messages that arrive in one turn of the reactor are framed once, and written to each client at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ._client_frames import BINARY, FIN, TEXT, encode_frame

if TYPE_CHECKING:
    from ..pool import ReconnectingPoolFactory
    from ._relay_client import RelayClient

# What Twisted's transports take before they say that they are full.
_WRITE_AT = 65536

_TEXT = FIN | TEXT
_BINARY = FIN | BINARY

Delivered = Callable[[int, int, int], None]
"""Told of so many messages, with so many bytes together, that they went to so many clients."""

Later = Callable[[Callable[[], None]], object]
"""Has something called in the reactor's next turn."""


class FanOut(Protocol):
    """
    A way to choose who gets what.
    """

    def add(self, client: RelayClient) -> None:
        """A client came."""

    def remove(self, client: RelayClient) -> None:
        """A client went; it is no error if it was not here."""

    def message(self, payload: bytes, is_binary: bool, connection_id: int) -> None:
        """A message has arrived on a connection of the pool."""

    def opened(self, connection_id: int) -> None:
        """A connection of the pool opened."""

    def closed(self, connection_id: int, code: int, reason: str) -> None:
        """A connection of the pool is gone."""

    def flush(self) -> None:
        """Write what has arrived in this turn."""


class Channel:
    """
    Clients that all get the same: everybody, or those on one connection.
    """

    def __init__(self, delivered: Delivered, later: Later) -> None:
        # In order, and quick to leave.
        self.clients: dict[RelayClient, None] = {}
        self._delivered = delivered
        self._later = later
        self._frames: list[bytes] = []
        self._size = 0
        self._payload_size = 0

    def add(self, client: RelayClient) -> None:
        self.flush()  # to those who were here when it arrived
        self.clients[client] = None

    def remove(self, client: RelayClient) -> None:
        self.clients.pop(client, None)

    def message(self, payload: bytes, is_binary: bool, connection_id: int) -> None:
        frame = encode_frame(_BINARY if is_binary else _TEXT, payload)
        if not self._frames:
            self._later(self.flush)
        self._frames.append(frame)
        self._payload_size += len(payload)
        self._size += len(frame)
        if self._size >= _WRITE_AT:
            self.flush()

    def flush(self) -> None:
        frames = self._frames
        if not frames:
            return
        payload_size = self._payload_size
        self._frames, self._size, self._payload_size = [], 0, 0
        octets = b"".join(frames) if len(frames) > 1 else frames[0]
        # A client that is closed for being too slow leaves meanwhile.
        receivers = sum(client.deliver(octets) for client in tuple(self.clients))
        self._delivered(len(frames), payload_size, receivers)

    def opened(self, connection_id: int) -> None: ...

    def closed(self, connection_id: int, code: int, reason: str) -> None: ...


class StickyFanOut:
    """
    Each client is pinned to the connection that its key belongs to, and gets what arrives there.

    A pinned key stays while that connection is open.  When it is lost, so is the client's place: it
    gets another one among those that are open, or else as soon as one opens.
    """

    def __init__(self, pool: ReconnectingPoolFactory, delivered: Delivered, later: Later) -> None:
        self._pool = pool
        self._delivered = delivered
        self._later = later
        self._channels: dict[int, Channel] = {}
        self._places: dict[RelayClient, Channel] = {}
        self._homeless: dict[RelayClient, None] = {}

    def add(self, client: RelayClient) -> None:
        self._homeless[client] = None
        self._find_places()

    def remove(self, client: RelayClient) -> None:
        self._homeless.pop(client, None)
        channel = self._places.pop(client, None)
        if channel is not None:
            channel.remove(client)

    def message(self, payload: bytes, is_binary: bool, connection_id: int) -> None:
        if self._homeless:
            self._find_places()
        channel = self._channels.get(connection_id)
        if channel is None or not channel.clients:
            self._delivered(1, len(payload), 0)
        else:
            channel.message(payload, is_binary, connection_id)

    def opened(self, connection_id: int) -> None:
        self._find_places()

    def closed(self, connection_id: int, code: int, reason: str) -> None:
        channel = self._channels.pop(connection_id, None)
        if channel is not None:
            channel.flush()
            for client in channel.clients:
                del self._places[client]
                self._homeless[client] = None
        self._find_places()

    def flush(self) -> None:
        for channel in tuple(self._channels.values()):
            channel.flush()

    def _find_places(self) -> None:
        for client in tuple(self._homeless):
            connection_id = self._pool.connection_of(client.key)
            if connection_id is None:  # none is open, or what it had sent is still being moved
                continue
            channel = self._channels.get(connection_id)
            if channel is None:
                channel = self._channels[connection_id] = Channel(self._delivered, self._later)
            del self._homeless[client]
            self._places[client] = channel
            channel.add(client)
