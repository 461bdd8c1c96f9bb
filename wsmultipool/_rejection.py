"""
Reading a server's refusal to upgrade: an ordinary HTTP/1.x response, with its body.
"""

from __future__ import annotations

from http.client import HTTPException, HTTPResponse, IncompleteRead
from io import BytesIO
from typing import Any, cast

from .errors import HandshakeInvalid
from .handshake import UpgradeResponse

LONGEST_BODY = 65536
"""Octets of a body that are kept; the rest is not waited for."""


class _Octets:
    """
    What C{HTTPResponse} wants of a socket.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> BytesIO:
        return BytesIO(self._data)


def read_rejection(data: bytes, at_end: bool) -> UpgradeResponse | None:
    """
    Read a whole response from its first octets.  The standard library parses it, from the
    beginning each time more has arrived: such responses are short, rare, and bounded.

    @param data: everything received so far, at least the whole head.
    @param at_end: whether nothing more will come.
    @return: the response; C{None} while its body is incomplete and more may come.
    @raise HandshakeInvalid: this is no HTTP response.
    """
    response = HTTPResponse(cast(Any, _Octets(data)))
    try:
        response.begin()
        complete = True
        try:
            body = response.read(LONGEST_BODY)
        except IncompleteRead as cut:
            body, complete = cut.partial, False
        # read(n) does not complain about a short body, and without a length (None) only the end
        # of the connection is the end of the body.
        if len(body) < LONGEST_BODY and response.length != 0 and not response.chunked:
            complete = False
    except (HTTPException, ValueError) as error:
        # The text may quote the peer's octets; it holds nothing of ours.
        raise HandshakeInvalid(f"{type(error).__name__}: {error}") from error
    if not complete and not at_end:
        return None
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        name = name.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return UpgradeResponse(
        status=response.status, reason=response.reason, headers=headers, body=body
    )
