"""
What waits for a client: as long as its transport takes more, nothing; then up to a limit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
class Outbox:
    """
    The way to one client.  It is the transport's producer, so that it is told how full that is.

    @param limit: bytes that may wait; something larger may, if nothing else does.
    @param overflowed: called, at most once, when more would have to wait than may; what waited is
        dropped then.
    @ivar waiting: how many bytes wait.
    """

    __slots__ = ("_held", "_limit", "_overflowed", "_paused", "_pong", "_transport", "waiting")

    def __init__(self, transport: Any, limit: int, overflowed: Callable[[], None]) -> None:
        self.waiting = 0
        self._transport = transport
        self._limit = limit
        self._overflowed: Callable[[], None] | None = overflowed
        self._paused = False
        self._held: list[bytes] = []
        self._pong: bytes | None = None

    @property
    def is_full(self) -> bool:
        """Whether the client does not read as fast as it is written to."""
        return self._paused

    @property
    def is_ended(self) -> bool:
        """Whether nothing is written any more, as the last was or it is dropped."""
        return self._overflowed is None

    def write(self, octets: bytes) -> None:
        """Write whole frames, or let them wait."""
        if self._overflowed is None:
            return
        if not self._paused:
            self._transport.write(octets)
        elif self.waiting and self.waiting + len(octets) > self._limit:
            overflowed = self._overflowed
            self.drop()
            overflowed()
        else:
            self._held.append(octets)
            self.waiting += len(octets)

    def write_pong(self, octets: bytes) -> None:
        """
        Answer a ping.  Of a client that pings but does not read, only the latest is answered (RFC
        6455, section 5.5.3).
        """
        if self._overflowed is None:
            return
        if self._paused:
            self._pong = octets
        else:
            self._transport.write(octets)

    def write_last(self, octets: bytes) -> None:
        """Write what waits, then this, and nothing any more, however full the transport is."""
        last = [*self._held, octets]
        self.drop()
        self._transport.write(b"".join(last))

    def drop(self) -> None:
        """Forget what waits, and write nothing any more."""
        self._overflowed = None
        self._held.clear()
        self.waiting = 0
        self._pong = None

    # IPushProducer

    def pauseProducing(self) -> None:
        """The transport holds more than it likes to; called on each write while it does."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The transport is empty."""
        self._paused = False
        held, self._held = self._held, []
        self.waiting = 0
        if self._pong is not None:
            held.append(self._pong)
            self._pong = None
        if held:
            self._transport.write(b"".join(held))

    def stopProducing(self) -> None:
        """The transport is gone."""
        self.drop()
