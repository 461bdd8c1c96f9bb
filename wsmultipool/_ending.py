"""
How an attempt to connect, or a connection, has ended, and how bad that is.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import ConnectionClosed, ConnectionDropped


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
    @ivar begun_here: whether this side had asked for it to end.
    """

    cause: Exception
    code: int
    reason: str
    was_open: bool
    lasted: bool
    wanted: bool
    begun_here: bool

    @property
    def error(self) -> Exception | None:
        """What has failed; C{None} when a connection ended in good order, or as was wanted."""
        in_order = self.closed is not None and self.was_open
        return None if in_order or (self.wanted and self._is_plain) else self.cause

    @property
    def _is_plain(self) -> bool:
        """Whether it just ended, so that it is as good as any end if one was asked for."""
        return isinstance(self.cause, (ConnectionClosed, ConnectionDropped))

    @property
    def closed(self) -> ConnectionClosed | None:
        """The closing handshake, if there was one."""
        return self.cause if isinstance(self.cause, ConnectionClosed) else None

    @property
    def closed_by_peer(self) -> bool:
        """Whether the peer began one."""
        return self.closed is not None and self.closed.by_peer

    @property
    def is_trouble(self) -> bool:
        """Whether an operator should know, although it may have been in good order."""
        if self._is_plain and (self.wanted or self.begun_here):
            return False
        return self.closed is None or not self.lasted or not self.closed.orderly
