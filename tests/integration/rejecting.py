"""
Servers that answer the upgrade request with another status than 101, and a body.
"""

from __future__ import annotations

from .upgrade import UpgradeServer


class Rejects(UpgradeServer):
    """
    Answers with a status and a body whose length is told in one of HTTP's three ways.

    @ivar framing: C{"length"} (Content-Length), C{"chunked"}, or C{"eof"}: until TCP ends.
    """

    def __init__(
        self, status: str, *headers: str, body: bytes = b"", framing: str = "length"
    ) -> None:
        super().__init__()
        self.status = status
        self.more_headers = headers
        self.body = body
        self.framing = framing

    def requested(self) -> None:
        headers = [header.encode("ascii") for header in self.more_headers]
        body = self.body
        match self.framing:
            case "length":
                headers.append(b"Content-Length: %d" % len(body))
            case "chunked":
                headers.append(b"Transfer-Encoding: chunked")
                body = chunked(body)
        self.respond(self.status.encode("ascii"), *headers, body=body)
        if self.framing == "eof":
            assert self.transport is not None
            self.transport.loseConnection()


def chunked(body: bytes, size: int = 1000) -> bytes:
    """
    Return C{body} in the chunked coding (RFC 9112, section 7.1).
    """
    chunks = [body[start : start + size] for start in range(0, len(body), size)] + [b""]
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
