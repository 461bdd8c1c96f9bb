"""
What the wire of a client reports to: first who is at the door, then the client it has become.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ._relay_protocol import RelayWire
    from ._unfinished import UnfinishedMessages
    from .access import Refusal
    from .turn_share import TurnShare


class Guest(Protocol):
    """
    What a wire reports to once its client was let in.
    """

    def receive(self, payloads: Sequence[bytes], is_binary: bool) -> int:
        """Messages arrived.  Returns how many were taken; the others come again later."""

    def did_not_finish(self) -> None:
        """A message has begun, and too little of it has come for too long."""

    def overflowed(self) -> None:
        """It does not read; what waited for it was dropped."""

    def lost(self, code: int | None, failed_by_relay: bool) -> None:
        """
        The transport is gone.  C{code} is that of the Close frame that went first, the client's
        or, if C{failed_by_relay}, the one by which it was told what it did wrong.
        """


class Door(Protocol):
    """
    Who decides about those who come.

    @ivar share: what of each turn of the reactor all of them have together.
    @ivar unfinished: what all of them have begun to send.
    """

    share: TurnShare
    unfinished: UnfinishedMessages

    def arrived(self, wire: RelayWire) -> None:
        """Somebody has connected."""

    def refusal(self, headers: Mapping[str, str]) -> Refusal | None:
        """Decide about a valid handshake."""

    def refused(self, wire: RelayWire, refusal: Refusal) -> None:
        """Somebody was turned away."""

    def not_secured(self, wire: RelayWire, text: str) -> None:
        """TLS with somebody came to nothing, for a reason that OpenSSL has this text for."""

    def let_in(self, wire: RelayWire) -> Guest:
        """The WebSocket is open."""

    def left(self, wire: RelayWire) -> None:
        """The transport of a wire is gone, whether or not it was let in."""
