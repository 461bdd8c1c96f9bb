"""
A server in this process that remembers what has arrived, for the service to connect to.
"""

from __future__ import annotations

from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol

from .journal import Journal


class Recorded(WebSocketServerProtocol):
    """
    Echoes, and remembers headers and messages.
    """

    def onConnect(self, request: Any) -> None:
        self.factory.journal.record("key", request.headers.get("x-key", ""))

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.factory.messages.append(payload)
        self.sendMessage(payload, isBinary)  # type: ignore[no-untyped-call]


class Upstream(WebSocketServerFactory):
    """
    The server that the service connects to.

    @ivar journal: C{key} for each handshake, with the header C{X-Key}.
    @ivar messages: everything that has arrived.
    """

    protocol = Recorded
    noisy = False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # Autobahn's timers run on a loop of their own, and would outlive the test.
        self.setProtocolOptions(  # type: ignore[no-untyped-call]
            openHandshakeTimeout=0, closeHandshakeTimeout=0
        )
        self.journal = Journal()
        self.messages: list[bytes] = []
