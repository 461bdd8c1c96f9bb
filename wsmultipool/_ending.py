"""
How an attempt to connect, or a connection, has ended, and how bad that is.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import ConnectionClosed, ConnectionDropped

# What servers close with that end, restart, or just are through (RFC 6455, section 7.4.1).  All
# others say that something is wrong: with this client, or with the server.
_IN_GOOD_ORDER = frozenset({1000, 1001, 1005, 1012})


@dataclass(frozen=True, slots=True)
class Ending:
    """
    The end of an attempt or a connection, whose transport is gone.

    @ivar cause: what ended it; a L{ConnectionClosed} after a closing handshake.
    @ivar code: the code of the peer's Close frame, 1005 if it had none, 1006 without a frame.
    @ivar reason: the reason in it, in the peer's own words.
    @ivar was_open: whether it was a connection that may take traffic, and not an attempt.
    @ivar lasted: whether it was open for C{min_uptime}.
    @ivar wanted: whether this side had asked for it to end for good.
    """

    cause: Exception
    code: int
    reason: str
    was_open: bool
    lasted: bool
    wanted: bool

    @property
    def error(self) -> Exception | None:
        """What has failed; C{None} when a connection ended in good order, or as was wanted."""
        in_order = isinstance(self.cause, ConnectionClosed) and self.was_open
        as_wanted = self.wanted and isinstance(self.cause, (ConnectionClosed, ConnectionDropped))
        return None if in_order or as_wanted else self.cause

    @property
    def closed_by_peer(self) -> bool:
        """Whether the peer began a closing handshake."""
        return isinstance(self.cause, ConnectionClosed) and self.cause.by_peer

    @property
    def is_trouble(self) -> bool:
        """Whether an operator should know, although it may have been in good order."""
        if self.error is not None:
            return True
        refused = not self.lasted or self.code not in _IN_GOOD_ORDER
        return self.closed_by_peer and not self.wanted and refused
