"""
Reading a server's refusal to upgrade: an ordinary HTTP/1.x response (RFC 9112), with its body.

The standard library's parser was tried here.  It reads from files, takes a chunk that has not
arrived for one that is short, and raises more than C{HTTPException}.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Generator

from ._quotes import quote
from .errors import HandshakeInvalid
from .handshake import UpgradeResponse

LONGEST_BODY = 65536
"""Octets of a body that are kept; the rest is not waited for."""

MOST_INTERIM_RESPONSES = 16
"""How many interim responses (RFC 9110, section 15.2) may come before the answer."""

_LONGEST_RESPONSE = 4 * LONGEST_BODY

_STATUS_LINE = re.compile(r"HTTP/1\.[01] +([1-9][0-9]{2})(?: ([^\n]*))?")
_FOLD = re.compile(r"\r\n[ \t]+")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}(?=[ \t;]|$)")


class RejectionReader:
    """
    Reads one response as it arrives.  A server may send it octet by octet: the work is in
    proportion to what arrives, and ends with 256 KiB of it.
    """

    def __init__(self, secrets: Collection[str] = ()) -> None:
        """
        @param secrets: what is not to be repeated in the reason phrase and in errors.
        """
        self._secrets = secrets
        self._unread = bytearray()
        self._received = 0
        self._at_end = False
        self._body = bytearray()
        self._reading = self._read_response()

    def read(self, data: bytes, at_end: bool) -> UpgradeResponse | None:
        """
        @param data: what has arrived since the last call.
        @param at_end: whether nothing more will come.
        @return: the response; C{None} while it is incomplete and more may come.
        @raise HandshakeInvalid: this is no HTTP response.
        """
        self._unread += data
        self._received += len(data)
        # Or chunks with more header than content would go on.
        self._at_end = at_end or self._received > _LONGEST_RESPONSE
        try:
            next(self._reading)
        except StopIteration as end:
            response: UpgradeResponse = end.value
            return response
        return None

    # What follows yields when it needs more than has arrived, which it does not at the end.

    def _read_response(self) -> Generator[None, None, UpgradeResponse]:
        for _ in range(MOST_INTERIM_RESPONSES + 1):
            head = yield from self._take_until(b"\r\n\r\n")
            if head is None:
                raise HandshakeInvalid("the connection ended within the response's head")
            status, reason, headers = self._parse_head(head)
            if status == 101:
                raise HandshakeInvalid("status 101 came after another one")
            if status >= 200:
                break
        else:
            raise HandshakeInvalid(f"more than {MOST_INTERIM_RESPONSES} interim responses")
        yield from self._read_body(status, headers)
        return UpgradeResponse(
            status=status, reason=reason, headers=headers, body=bytes(self._body)
        )

    def _parse_head(self, head: bytes) -> tuple[int, str, dict[str, str]]:
        lines = _FOLD.sub(" ", head.decode("latin-1")).split("\r\n")
        status_line = _STATUS_LINE.fullmatch(lines[0])
        if status_line is None:
            raise HandshakeInvalid(quote(f'bad status line "{lines[0]}"', self._secrets))
        values: dict[str, list[str]] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if colon:
                values.setdefault(name.strip().lower(), []).append(value.strip())
        headers = {name: ", ".join(several) for name, several in values.items()}
        return int(status_line[1]), quote(status_line[2] or "", self._secrets), headers

    def _read_body(self, status: int, headers: dict[str, str]) -> Generator[None, None, None]:
        """Collect the body, of which there are three kinds (RFC 9112, section 6.3)."""
        if status in (204, 304):
            return
        coding = headers.get("transfer-encoding", "").lower()
        length = headers.get("content-length", "")
        if coding.endswith("chunked"):
            yield from self._read_chunks()
        elif not coding and length.isascii() and length.isdigit() and len(length) < 20:
            yield from self._take_body(int(length))
        else:  # it ends with the connection
            yield from self._take_body(LONGEST_BODY)

    def _read_chunks(self) -> Generator[None, None, None]:
        while len(self._body) < LONGEST_BODY:
            line = yield from self._take_until(b"\r\n")
            size = _CHUNK_SIZE.match(line or b"")
            if size is None:
                return  # more octets can't mend that
            length = int(size[0], 16)
            if length == 0:
                return  # whatever trailers follow
            yield from self._take_body(length)
            if len(self._body) < LONGEST_BODY and (yield from self._take_until(b"\r\n")) != b"":
                return

    def _take_until(self, mark: bytes) -> Generator[None, None, bytes | None]:
        """
        @return: what comes before C{mark}; C{None} if that never comes.
        """
        searched = 0
        while (end := self._unread.find(mark, searched)) < 0:
            if self._at_end:
                return None
            searched = max(0, len(self._unread) - len(mark) + 1)
            yield
        taken = bytes(self._unread[:end])
        del self._unread[: end + len(mark)]
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
