"""
The server of the demo: it counts what arrives, and closes one connection after another.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, cast

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.address import IPv4Address
from twisted.internet.defer import succeed
from twisted.internet.interfaces import IReactorTCP

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IListeningPort, IReactorTime

__all__ = ["NUMBER_BYTES", "DemoServer", "numbered"]

NUMBER_BYTES = 8

# With less room, many connections made at once would wait for TCP to try again.
_BACKLOG = 4096

_SERVICE_RESTART = 1012  # registered at IANA, as RFC 6455, section 7.4.2, asks for


def numbered(number: int, padding: bytes) -> bytes:
    """
    Make the payload of a message that L{DemoServer} recognizes.
    """
    return number.to_bytes(NUMBER_BYTES, "big") + padding


class DemoServer:
    """
    Knows of every message how often it arrived.

    @param messages: how many it expects, numbered from 0.
    @param closes: how many connections it closes on the way, evenly spread over the messages.
    @param kept: how many it leaves open; a close that has to wait for that is made up for.
    @param resets: whether every other one is not closed but reset, with all that it has not read.
    @ivar delivered: how many of the messages have arrived.
    @ivar duplicates: how many times one arrived that had arrived before.
    @ivar closed: how many connections it has closed.
    """

    def __init__(self, messages: int, closes: int, kept: int = 0, resets: bool = False) -> None:
        self.delivered = 0
        self.duplicates = 0
        self.closed = 0
        self._messages = messages
        self._closes = closes
        self._kept = kept
        self._resets = resets
        self._close_every = max(messages // (closes + 1), 1)
        self._arrived = bytearray(messages)
        self._open: list[_CountingProtocol] = []
        self._listening: IListeningPort | None = None

    def listen(self, reactor: IReactorTime) -> str:
        """
        Listen on a free port of the loopback interface.

        @return: the URL.
        """
        factory = _Factory(self, reactor)
        port = IReactorTCP(reactor).listenTCP(0, factory, _BACKLOG, "127.0.0.1")
        self._listening = port
        address = port.getHost()
        assert isinstance(address, IPv4Address)
        return f"ws://127.0.0.1:{address.port}/"

    def stop(self) -> Deferred[None]:
        """
        Listen no more, and drop what is still connected.
        """
        listening, self._listening = self._listening, None
        for protocol in self._open:
            protocol.dropConnection(abort=True)
        if listening is None:
            return succeed(None)
        return cast("Deferred[None]", listening.stopListening())

    @property
    def missing(self) -> int:
        """How many messages have not arrived."""
        return self._messages - self.delivered

    def missing_numbers(self, at_most: int) -> list[int]:
        """
        @return: the first of the messages that have not arrived.
        """
        return list(islice((n for n, arrived in enumerate(self._arrived) if not arrived), at_most))

    def opened(self, protocol: _CountingProtocol) -> None:
        self._open.append(protocol)
        self._close_what_is_due()

    def lost(self, protocol: _CountingProtocol) -> None:
        if protocol in self._open:
            self._open.remove(protocol)

    def received(self, payload: bytes) -> None:
        """
        Count one message.
        """
        number = int.from_bytes(payload[:NUMBER_BYTES], "big")
        if number >= self._messages:
            return  # not from the demo: any program on this machine can connect
        if self._arrived[number]:
            self.duplicates += 1
            return
        self._arrived[number] = True
        self.delivered += 1
        self._close_what_is_due()

    def _close_what_is_due(self) -> None:
        """
        Close those connections that have been open for the longest time.
        """
        due = min(self.delivered // self._close_every, self._closes) if self.missing else 0
        while self.closed < due and len(self._open) > self._kept:
            self.closed += 1
            protocol = self._open.pop(0)
            if self._resets and self.closed % 2 == 0:
                protocol.dropConnection(abort=True)
            else:
                # Not sendClose, which lets only 1000 and private codes pass.
                protocol.sendCloseFrame(_SERVICE_RESTART, b"service restart")


class _CountingProtocol(WebSocketServerProtocol):
    """
    The server's end of one connection.

    Between the Close it sends and the client's answer, messages that were on their way go on
    arriving, and count: RFC 6455, section 5.5.1, lets a client finish what it is at.
    """

    factory: _Factory

    def onOpen(self) -> None:
        self.factory.server.opened(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.factory.server.received(payload)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.factory.server.lost(self)


class _Factory(WebSocketServerFactory):
    noisy = False

    def __init__(self, server: DemoServer, reactor: IReactorTime) -> None:
        super().__init__(reactor=reactor)  # type: ignore[no-untyped-call]
        self.server = server
        self.protocol = _CountingProtocol
        self.failByDrop = False
        # It waits for the answer to its Close for as long as the client takes.  Cut off sooner,
        # messages on their way would be lost, and it would be this server that loses them.
        self.closeHandshakeTimeout = 0
        self.openHandshakeTimeout = 0
