"""
Reading the head of a server's answer to the upgrade: an HTTP/1.x response (RFC 9112).

A server may say something before its answer (RFC 9110, section 15.2): interim responses, such as
C{103 Early Hints}.  They are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from ._quotes import quote
from .errors import HandshakeInvalid

MOST_INTERIM_RESPONSES = 16
"""How many interim responses may come before the answer."""

LONGEST_HEAD = 65536
"""Octets that the head of an answer may have, those of the interim responses before it included."""

_END = b"\r\n\r\n"
_STATUS_LINE = re.compile(r"HTTP/1\.[01] +([1-9][0-9]{2})(?: ([^\n]*))?")
_FOLD = re.compile(r"\r\n[ \t]+")


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """
    @ivar octets: all of it, up to the empty line at its end.
    @ivar reason: the reason phrase, fit to be shown.
    @ivar fields: its header fields, names in lower case, in the order sent.
    """

    octets: bytes = field(repr=False)
    status: int
    reason: str
    fields: tuple[tuple[str, str], ...] = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """The fields by name; the values of one that occurs several times are joined."""
        values: dict[str, list[str]] = {}
        for name, value in self.fields:
            values.setdefault(name, []).append(value)
        return {name: ", ".join(several) for name, several in values.items()}


class HeadReader:
    """
    Reads one head as it arrives.  A server may send it octet by octet: the work is in proportion
    to what arrives.

    @ivar unread: what came after the head.
    """

    def __init__(self, secrets: Collection[str] = ()) -> None:
        """
        @param secrets: what is not to be repeated in the reason phrase and in errors.
        """
        self.unread = bytearray()
        self._secrets = secrets
        self._searched = 0
        self._size = 0
        self._interim = 0

    def read(self, data: bytes) -> ResponseHead | None:
        """
        @param data: what has arrived since the last call.
        @return: the head of the answer; C{None} while it is incomplete.
        @raise HandshakeInvalid: this is no HTTP response, or goes on for too long.
        """
        self.unread += data
        while (octets := self._take_head()) is not None:
            head = self._parse(octets)
            if head.status == 101 or head.status >= 200:
                return head
            self._interim += 1
            if self._interim > MOST_INTERIM_RESPONSES:
                raise HandshakeInvalid(f"more than {MOST_INTERIM_RESPONSES} interim responses")
        return None

    def _take_head(self) -> bytes | None:
        # What is no HTTP is told apart at once: such a peer may never end its "head".
        if not self.unread.startswith(b"HTTP/"[: len(self.unread)]):
            raise HandshakeInvalid("it is not HTTP")
        end = self.unread.find(_END, self._searched)
        size = self._size + (len(self.unread) if end < 0 else end)
        if size > LONGEST_HEAD:
            raise HandshakeInvalid(f"the response head is longer than {LONGEST_HEAD} bytes")
        if end < 0:
            self._searched = max(0, len(self.unread) - len(_END) + 1)
            return None
        octets = bytes(self.unread[: end + len(_END)])
        del self.unread[: len(octets)]
        self._searched, self._size = 0, size
        return octets

    def _parse(self, octets: bytes) -> ResponseHead:
        text = octets[: -len(_END)].decode("latin-1")
        status_line, *lines = _FOLD.sub(" ", text).split("\r\n")
        found = _STATUS_LINE.fullmatch(status_line)
        if found is None:
            raise HandshakeInvalid(quote(f'bad status line "{status_line}"', self._secrets))
        parts = [line.partition(":") for line in lines]
        fields = tuple(
            (name.strip().lower(), value.strip()) for name, colon, value in parts if colon
        )
        reason = quote(found[2] or "", self._secrets)
        return ResponseHead(octets, int(found[1]), reason, tuple(fields))
