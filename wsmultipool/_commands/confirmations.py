"""
Messages that were sent, and are not confirmed yet: how many there may be, and for how long.

The pool sends a message again whose connection is lost, and waits for a connection to do so for as
long as it takes.  A command has somebody who waits for its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import DeferredSemaphore

from .._patience import Patience
from ..errors import DeliveryUnknown, PoolError

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure

__all__ = ["Confirmations"]

_MOST = 1_000


class Confirmations:
    """
    Follows confirmed messages to their end.

    @param timeout: seconds to wait, while something is not confirmed, for any confirmation;
        infinity for ever.
    @param held: says whether it is we who do not read the confirmations just now.
    @param failed: called once, with the reason in words, when a message will not be confirmed, or
        none was for that long.
    @ivar confirmed: messages that were.
    @ivar unknown: messages that were written and never confirmed: they may have arrived, or not.
    @ivar not_sent: messages that were never written.
    """

    def __init__(
        self,
        clock: IReactorTime,
        timeout: float,
        held: Callable[[], bool],
        failed: Callable[[str], object],
    ) -> None:
        self.confirmed = 0
        self.unknown = 0
        self.not_sent = 0
        self._timeout = timeout
        self._failed: Callable[[str], object] | None = failed
        self._room = DeferredSemaphore(_MOST)
        self._under_way = 0
        self._patience = Patience(clock, timeout, held, self._too_late)

    async def room(self) -> None:
        """
        Wait until another message may be sent, which is to be L{follow}ed then.  To wait for the
        confirmation of each would take a round trip each.
        """
        await self._room.acquire()

    def follow(self, sent: Deferred[int]) -> None:
        """
        @param sent: fires when the message is confirmed.
        """
        self._under_way += 1
        self._patience.start()
        sent.addCallbacks(self._is_confirmed, self._is_not_confirmed)

    async def settled(self) -> None:
        """
        Wait until every message has come to its end.
        """
        for _ in range(_MOST):
            await self._room.acquire()

    def stop(self) -> None:
        """Report nothing more; what ends from here on is only counted."""
        self._failed = None
        self._patience.stop()

    def __str__(self) -> str:
        counts = [(self.confirmed, "confirmed"), (self.unknown, "unknown")]
        if self.not_sent:
            counts.append((self.not_sent, "not sent"))
        return ", ".join(f"{count:,} {fate}" for count, fate in counts)

    def _is_confirmed(self, _: int) -> None:
        self.confirmed += 1
        self._patience.progress()
        self._leave()

    def _is_not_confirmed(self, failure: Failure) -> None:
        failure.trap(PoolError)
        if failure.check(DeliveryUnknown):
            self.unknown += 1
        else:
            self.not_sent += 1
        # What waits for room, or for the end, may go on, and fail of the same, at once.
        self._report(f"a message was not confirmed: {failure.getErrorMessage()}")
        self._leave()

    def _leave(self) -> None:
        self._under_way -= 1
        if not self._under_way:
            self._patience.stop()
        self._room.release()

    def _too_late(self) -> None:
        self._report(f"no message was confirmed within {self._timeout:g} s")

    def _report(self, reason: str) -> None:
        failed, self._failed = self._failed, None
        if failed is not None:
            failed(reason)
