"""
A WebSocket server that opens every connection and then reads without looking: the cheapest peer
that can be had in Twisted, so that the client is what is measured.
"""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.protocol import Factory, Protocol

_KEY = re.compile(rb"(?i)^sec-websocket-key: *(\S+)", re.MULTILINE)
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


class Sink(Protocol):
    """
    Completes one handshake.
    """

    _head = b""
    _open = False

    def dataReceived(self, data: bytes) -> None:
        if self._open:
            return
        self._head += data
        if b"\r\n\r\n" not in self._head:
            return
        key = _KEY.search(self._head)
        assert key is not None
        accept = base64.b64encode(hashlib.sha1(key[1] + _MAGIC).digest())
        assert self.transport is not None
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self._open = True
        self._head = b""


def main() -> None:
    reactor: Any = global_reactor
    factory = Factory.forProtocol(Sink)
    port = reactor.listenTCP(0, factory, interface="127.0.0.1", backlog=4096)
    sys.stdout.write(f"{port.getHost().port}\n")
    sys.stdout.flush()
    reactor.run()


if __name__ == "__main__":
    main()
