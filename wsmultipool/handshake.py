"""
The two halves of an opening handshake (RFC 6455, section 4), as events and hooks see them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from .options import ServerURL

__all__ = ["UpgradeRequest", "UpgradeResponse"]

# A server may ask for patience, but not park a client for ever.
_LONGEST_RETRY_AFTER = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeRequest:
    """
    What a connection asks a server for.  Its C{repr} shows no header and no query string.

    @ivar url: where it was sent.
    @ivar host: the C{Host} header.
    @ivar headers: the headers that the options add, names as given.
    @ivar protocols: the subprotocols offered, in order of preference.
    @ivar origin: the C{Origin} header, if any.
    @ivar user_agent: the C{User-Agent} header, if any.
    @since: 0.1.0
    """

    url: ServerURL
    host: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    protocols: tuple[str, ...] = ()
    origin: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeResponse:
    """
    What the server answered.  Its C{repr} shows no header and no body.

    @ivar status: the HTTP status code; 101 when it accepted.
    @ivar reason: the reason phrase, possibly empty: at most 200 characters, in printable ASCII, and
        C{***} where the server repeats the query string, or a value of a header, of the request.
    @ivar headers: by lower-case name; values of a repeated header joined by C{", "}; see
        L{get_all}.
    @ivar body: up to 64 KiB of the body of a rejection, as much as came within a second of the
        head; empty when it accepted.
    @ivar protocol: the subprotocol the server chose, or C{None}.
    @ivar extensions: the names of the extensions in use, e.g. C{("permessage-deflate",)}.
    @ivar fields: the header fields one by one, each C{(name, value)}, in the order sent; names in
        lower case.
    @ivar explanation: the beginning of what the body of a rejection says, if it is text or a web
        page: as fit to be shown as C{reason}.
    @since: 0.1.0
    """

    status: int
    reason: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    protocol: str | None = None
    extensions: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    explanation: str = ""

    def get_all(self, name: str) -> list[str]:
        """
        Get the values of a header that may occur several times, and whose values may contain
        commas: C{Set-Cookie}, C{WWW-Authenticate}, C{Link}.

        @param name: of the header, in any case of letters.
        @return: its values, in the order sent; an empty list if it is not there.
        @since: 0.2.0
        """
        name = name.lower()
        if self.fields:
            return [value for each, value in self.fields if each == name]
        return [self.headers[name]] if name in self.headers else []

    def retry_after(self, now: float) -> float | None:
        """
        Read the C{Retry-After} header (RFC 9110, section 10.2.3).

        @param now: seconds since the epoch, for a date when the server sent no C{Date} of its own
            to compare it with.
        @return: seconds to wait from now, at most one day; C{None} without a usable header.
        """
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            # The length is checked first: int() of a very long string is refused by Python.
            digits = value.lstrip("0") or "0"
            seconds = float(digits) if len(digits) < 12 else _LONGEST_RETRY_AFTER
            return min(seconds, _LONGEST_RETRY_AFTER)
        wanted = _timestamp(value)
        if wanted is None:
            return None
        current = _timestamp(self.headers.get("date", ""))
        seconds = wanted - (now if current is None else current)
        return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)


def _timestamp(http_date: str) -> float | None:
    try:
        parsed: datetime = parsedate_to_datetime(http_date)
        if parsed.tzinfo is None:  # "-0000": the RFC 5322 way to say "UTC, I think"
            parsed = parsed.replace(tzinfo=UTC)
        return parsed.timestamp()
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
