"""
The server's half of a WebSocket handshake, and frames, by hand.

Just enough for servers that misbehave in ways which no WebSocket library allows.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha1

from twisted.internet.protocol import Protocol

# RFC 6455, section 1.3.
ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


class UpgradeServer(Protocol):
    """
    Reads an upgrade request, accepts it, and then does nothing; subclasses do one thing else.

    @ivar headers: the request's, by lower-case name.
    """

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self._head = b""

    def dataReceived(self, data: bytes) -> None:
        if self.headers:
            self.received(data)
            return
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if end:
            lines = head.split(b"\r\n")[1:]
            pairs = (line.split(b":", 1) for line in lines)
            self.headers = {name.strip().lower(): value.strip() for name, value in pairs}
            self.requested()
            if rest:
                self.received(rest)

    def requested(self) -> None:
        """The request is complete."""
        self.accept()

    def received(self, data: bytes) -> None:
        """Something arrived after the request: frames, not taken apart."""

    def accept(self, *more_headers: bytes) -> None:
        """Answer 101, and be open."""
        self.respond(
            b"101 Switching Protocols",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Accept: " + self.accept_key(),
            *more_headers,
        )

    def accept_key(self) -> bytes:
        return b64encode(sha1(self.headers[b"sec-websocket-key"] + ACCEPT_GUID).digest())

    def respond(self, status: bytes, *headers: bytes, body: bytes = b"") -> None:
        assert self.transport is not None
        self.transport.write(b"\r\n".join([b"HTTP/1.1 " + status, *headers, b"", body]))


def frame(opcode: int, payload: bytes = b"", *, rsv: int = 0, masked: bool = False) -> bytes:
    """
    Return one final frame (RFC 6455, section 5.2), also of kinds that no server may send.

    @param rsv: the three reserved bits; 4 is the one of permessage-deflate.
    @param masked: set the mask bit, with a key of zeros, which leaves the payload as it is.
    """
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 2**16:
        length = b"\x7e" + size.to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    mask = bytes(4) if masked else b""
    first = bytes([0x80 | rsv << 4 | opcode, length[0] | (0x80 if masked else 0)])
    return first + length[1:] + mask + payload
