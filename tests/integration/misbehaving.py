"""
Servers that misbehave, each in one way, before or after the connection is open.
"""

from __future__ import annotations

from typing import cast

from twisted.internet.interfaces import IConsumer, IPullProducer, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from zope.interface import implementer

from .upgrade import BINARY, CLOSE, TEXT, UpgradeServer, frame


class Silent(Protocol):
    """Accepts TCP, reads, and never answers."""


class Garbage(UpgradeServer):
    """Answers the upgrade request with something that is not HTTP."""

    def requested(self) -> None:
        assert self.transport is not None
        self.transport.write(b"\x00\xff 220 mail.example ESMTP\r\n\r\n")


@implementer(IPullProducer)
class EndlessHead(UpgradeServer):
    """Answers with response headers that never end, as fast as they are taken."""

    def requested(self) -> None:
        self.written = 0
        self.respond(b"101 Switching Protocols", b"Upgrade: websocket")
        cast(IConsumer, self.transport).registerProducer(self, False)

    def resumeProducing(self) -> None:
        header = b"X-More: " + b"x" * 8000 + b"\r\n"
        self.written += len(header)
        assert self.transport is not None
        self.transport.write(header)

    def stopProducing(self) -> None:
        """The client has gone."""


class WrongAccept(UpgradeServer):
    """Accepts with the key that belongs to another request."""

    def accept_key(self) -> bytes:
        return b"c29tZSBvdGhlciBrZXkgdGhhbiB0aGlzIQ=="


class DropsAtOnce(UpgradeServer):
    """Accepts the upgrade and drops the connection, without a closing handshake."""

    def requested(self) -> None:
        self.accept()
        assert self.transport is not None
        self.transport.loseConnection()


class Ignores(UpgradeServer):
    """Stays open and answers nothing at all: no ping, no Close."""


class KeepsTcpOpen(UpgradeServer):
    """Answers a Close, but leaves to the client what RFC 6455 wants of the server: to end TCP."""

    def received(self, data: bytes) -> None:
        # The tests send nothing before the Close, so it is at the head of what arrives.
        if data[0] & 0x0F == CLOSE:
            assert self.transport is not None
            self.transport.write(frame(CLOSE, (1000).to_bytes(2, "big")))


class StopsReading(UpgradeServer):
    """Stays open and reads no more, until it is told to."""

    def requested(self) -> None:
        self.accept()
        cast(IPushProducer, self.transport).pauseProducing()

    def read_again(self) -> None:
        cast(IPushProducer, self.transport).resumeProducing()


@implementer(IPullProducer)
class Floods(UpgradeServer):
    """Sends one message of 64 KiB after the other, as fast as they are taken."""

    def requested(self) -> None:
        self.sent = 0
        self.accept()
        cast(IConsumer, self.transport).registerProducer(self, False)

    def resumeProducing(self) -> None:
        self.sent += 1
        assert self.transport is not None
        self.transport.write(frame(BINARY, bytes(65536)))

    def stopProducing(self) -> None:
        """The client has gone."""


class Chatters(UpgradeServer):
    """Sends a short message every 20 ms, and answers nothing."""

    def requested(self) -> None:
        self.accept()
        self._chatter = LoopingCall(self._say)
        self._chatter.start(0.02)

    def _say(self) -> None:
        assert self.transport is not None
        self.transport.write(frame(TEXT, b"still here"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._chatter.stop()


class Says(UpgradeServer):
    """Sends some bytes as soon as it is open, well-formed or not."""

    def __init__(self, said: bytes, *headers: bytes) -> None:
        super().__init__()
        self.said = said
        self.more_headers = headers

    def requested(self) -> None:
        self.accept(*self.more_headers)
        assert self.transport is not None
        self.transport.write(self.said)
