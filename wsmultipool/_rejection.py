"""
Reading a server's refusal to upgrade: an ordinary HTTP/1.x response (RFC 9112), with its body.

The standard library's parser was tried here.  It reads from files, takes a chunk that has not
arrived for one that is short, and raises more than C{HTTPException}.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Generator

from ._explanation import explain
from ._response_head import ResponseHead
from .handshake import UpgradeResponse

LONGEST_BODY = 65536
"""Octets of a body that are kept; the rest is not waited for."""

_LONGEST_CODED_BODY = 4 * LONGEST_BODY

_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}(?=[ \t;]|$)")


class RejectionReader:
    """
    Reads the body of one response as it arrives.  A server may send it octet by octet: the work is
    in proportion to what arrives, and ends with 256 KiB of it.
    """

    def __init__(self, head: ResponseHead, secrets: Collection[str] = ()) -> None:
        """
        @param head: of the response.
        @param secrets: what is not to be repeated in the explanation.
        """
        self._head = head
        self._headers = head.headers
        self._secrets = secrets
        self._unread = bytearray()
        self._received = 0
        self._at_end = False
        self._body = bytearray()
        self._reading = self._read_body()

    def read(self, data: bytes, at_end: bool) -> UpgradeResponse | None:
        """
        @param data: what has arrived since the last call.
        @param at_end: whether nothing more will come, or is waited for.
        @return: the response, with as much of its body as came; C{None} while that is incomplete
            and more may come.
        """
        self._unread += data
        self._received += len(data)
        # Or chunks with more header than content would go on.
        self._at_end = at_end or self._received > _LONGEST_CODED_BODY
        if next(self._reading, "complete") is None:
            return None
        head, body = self._head, bytes(self._body)
        return UpgradeResponse(
            status=head.status,
            reason=head.reason,
            headers=self._headers,
            fields=head.fields,
            body=body,
            explanation=self._explain(body),
        )

    def _explain(self, body: bytes) -> str:
        if "content-encoding" in self._headers:  # which was not asked for
            return ""
        return explain(
            body,
            self._headers.get("content-type", ""),
            f"{self._head.status} {self._head.reason}",
            self._secrets,
            cut=self._at_end,
        )

    # What follows yields when it needs more than has arrived, which it does not at the end.

    def _read_body(self) -> Generator[None, None, None]:
        """Collect the body, of which there are three kinds (RFC 9112, section 6.3)."""
        if self._head.status in (204, 304):
            return
        coding = self._headers.get("transfer-encoding", "").lower()
        length = self._headers.get("content-length", "")
        if coding.endswith("chunked"):
            yield from self._read_chunks()
        elif not coding and length.isascii() and length.isdigit() and len(length) < 20:
            yield from self._take_body(int(length))
        else:  # it ends with the connection
            yield from self._take_body(LONGEST_BODY)

    def _read_chunks(self) -> Generator[None, None, None]:
        while len(self._body) < LONGEST_BODY:
            line = yield from self._take_line()
            size = _CHUNK_SIZE.match(line or b"")
            if size is None:
                return  # more octets can't mend that
            length = int(size[0], 16)
            if length == 0:
                return  # whatever trailers follow
            yield from self._take_body(length)
            if len(self._body) < LONGEST_BODY and (yield from self._take_line()) != b"":
                return

    def _take_line(self) -> Generator[None, None, bytes | None]:
        """
        @return: what comes before the end of a line; C{None} if that never comes.
        """
        searched = 0
        while (end := self._unread.find(b"\r\n", searched)) < 0:
            if self._at_end:
                return None
            searched = max(0, len(self._unread) - 1)
            yield
        taken = bytes(self._unread[:end])
        del self._unread[: end + 2]
        return taken

    def _take_body(self, length: int) -> Generator[None, None, None]:
        """Take so many octets, or as many as are kept."""
        wanted = min(len(self._body) + length, LONGEST_BODY)
        while True:
            missing = wanted - len(self._body)
            self._body += self._unread[:missing]
            del self._unread[:missing]
            if len(self._body) == wanted or self._at_end:
                return
            yield
