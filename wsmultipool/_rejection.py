"""
Reading a server's refusal to upgrade: an ordinary HTTP/1.x response (RFC 9112), with its body.

The standard library's parser was tried here.  It reads from files, takes a chunk that has not
arrived for one that is short, and raises more than C{HTTPException}.
"""

from __future__ import annotations

import re

from .errors import HandshakeInvalid
from .handshake import UpgradeResponse

LONGEST_BODY = 65536
"""Octets of a body that are kept; the rest is not waited for."""

_LONGEST_RESPONSE = 4 * LONGEST_BODY

_STATUS_LINE = re.compile(r"HTTP/1\.[01] +([1-9][0-9]{2})(?: +(.*))?")
_FOLD = re.compile(r"\r\n[ \t]+")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}(?=[ \t;]|$)")


def read_rejection(data: bytes, at_end: bool) -> UpgradeResponse | None:
    """
    Read a whole response from its first octets, from the beginning each time more has arrived:
    such responses are short, rare, and bounded.

    @param data: everything received so far.
    @param at_end: whether nothing more will come.
    @return: the response; C{None} while it is incomplete and more may come.
    @raise HandshakeInvalid: this is no HTTP response.
    """
    if len(data) > _LONGEST_RESPONSE:
        at_end = True  # or interim responses, or chunks with more header than content, would go on
    status = 100
    while status < 200:  # interim responses (RFC 9110, section 15.2) are not the answer
        head, end_of_head, data = data.partition(b"\r\n\r\n")
        if not end_of_head:
            if at_end:
                raise HandshakeInvalid("the connection ended within the response's head")
            return None
        status, reason, headers = _read_head(head)
        if status == 101:
            raise HandshakeInvalid("status 101 came after another one")
    body, complete = _read_body(data, status, headers)
    if not (complete or at_end or len(body) >= LONGEST_BODY):
        return None
    return UpgradeResponse(
        status=status, reason=reason, headers=headers, body=bytes(body[:LONGEST_BODY])
    )


def _read_head(head: bytes) -> tuple[int, str, dict[str, str]]:
    lines = _FOLD.sub(" ", head.decode("latin-1")).split("\r\n")
    status_line = _STATUS_LINE.fullmatch(lines[0])
    if status_line is None:
        # What the peer sent, and nothing of ours; but no more of it than makes the point.
        raise HandshakeInvalid(f"bad status line {lines[0][:80]!r}")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            name, value = name.strip().lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return int(status_line[1]), (status_line[2] or "").strip(), headers


def _read_body(data: bytes, status: int, headers: dict[str, str]) -> tuple[bytes, bool]:
    """
    @return: what of the body has arrived, and whether that is all of it (RFC 9112, section 6.3).
    """
    if status in (204, 304):
        return b"", True
    coding = headers.get("transfer-encoding", "").lower()
    if coding:
        return _read_chunks(data) if coding.endswith("chunked") else (data, False)
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit() and len(length) < 20:
        return data[: int(length)], len(data) >= int(length)
    return data, False  # it ends with the connection


def _read_chunks(data: bytes) -> tuple[bytes, bool]:
    body = bytearray()
    start = 0
    while True:
        end_of_line = data.find(b"\r\n", start)
        if end_of_line < 0:
            return bytes(body), False
        size = _CHUNK_SIZE.match(data, start, end_of_line)
        if size is None:
            return bytes(body), True  # more octets can't mend that
        length = int(size[0], 16)
        if length == 0:
            return bytes(body), True  # whatever trailers follow
        start = end_of_line + 2
        body += data[start : start + min(length, LONGEST_BODY)]
        start += length + 2
        if len(body) >= LONGEST_BODY or len(data) < start:
            return bytes(body), False
