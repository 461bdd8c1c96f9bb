"""
What every client can do, whatever library it is made with.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable
from time import process_time
from typing import Any, ClassVar, NamedTuple

from .loops import ASYNCIO, Loop, Signal


class Counts(NamedTuple):
    """
    What the server has counted by now.

    @ivar messages: binary messages, on all connections together.
    @ivar bytes: their payload.
    @ivar processor: seconds of processor time that the server has used.
    """

    messages: int
    bytes: int
    processor: float


class Client(ABC):
    """
    Some connections to the server.  Binary messages are the traffic; the server answers commands
    in text messages.

    @cvar loop: what it runs on.
    @ivar received: binary messages that have arrived; handlers count them here, and call
        L{arrived} when they reach C{wanted}.
    @ivar wanted: see C{received}; C{-1} for never.
    @ivar connections: as many things as there are connections.
    """

    loop: ClassVar[Loop] = ASYNCIO

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.received = 0
        self.wanted = -1
        self._arrived: Signal | None = None
        self._answered: Signal | None = None

    # What each library does in its own way

    @abstractmethod
    async def open(self, url: str, authority: str | None, connections: int) -> None:
        """Open all connections."""

    @abstractmethod
    async def send(self, count: int) -> None:
        """Send the payload so many times, over the connections in turn, with backpressure."""

    @abstractmethod
    async def tell(self, text: str) -> None:
        """Send a text message over one connection."""

    @abstractmethod
    async def tell_all(self, text: str) -> None:
        """Send a text message over every connection."""

    async def broadcast(self, count: int) -> None:
        """Send the payload so many times over every connection, with backpressure."""
        raise NotImplementedError

    async def confirm(self, count: int) -> None:
        """Send the payload so many times, and wait until the peer is known to have it."""
        raise NotImplementedError

    def processor(self) -> float:
        """Return the seconds of processor time that what is measured has used."""
        return process_time()

    def notes(self) -> dict[str, Any]:
        """Return what else is worth knowing about how it works."""
        return {}

    # What is the same for all of them

    def arrived(self) -> None:
        """The messages that were waited for have arrived."""
        assert self._arrived is not None
        self.wanted = -1
        self._arrived.fire(None)

    def answered(self, text: str) -> None:
        """The server has answered a command."""
        assert self._answered is not None
        self._answered.fire(text)

    def when_received(self, count: int) -> Awaitable[None]:
        """Return what fires when so many more messages have arrived than by now."""
        self._arrived = self.loop.signal()
        self.wanted = self.received + count
        return self._arrived.value

    async def counted(self, messages: int) -> Counts:
        """Wait until the server has so many messages, and ask what it has counted."""
        self._answered = self.loop.signal()
        await self.tell(f"until {messages}")
        count, size, processor = (await self._answered.value).split()
        return Counts(int(count), int(size), float(processor))

    async def receive(self, count: int, connections: int) -> None:
        """Have the server send so many messages over every connection, and wait for them."""
        arrived = self.when_received(count * connections)
        await self.tell_all(f"blast {count} {len(self.payload)}")
        await arrived
