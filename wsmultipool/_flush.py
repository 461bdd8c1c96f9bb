"""
Knowing that everything sent so far has arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from .errors import DeliveryUnknown, FlushTimeout

if TYPE_CHECKING:
    from ._connection import PooledConnection
    from ._dispatch import Dispatch


class Flushing:
    """
    Waits until what was accepted has left the backlog, and then for a pong on each connection that
    has something unproven; and once more, if one that is lost has given any of it back.  What else
    is lost meanwhile does not matter: losses alone can't keep a flush from its end.

    @param connections: returns all there are.
    """

    def __init__(
        self,
        clock: IReactorTime,
        dispatch: Dispatch,
        connections: Callable[[], Iterable[PooledConnection]],
    ) -> None:
        self._clock = clock
        self._dispatch = dispatch
        self._connections = connections
        self._reported = 0

    def flush(self, sequence: int, timeout: float | None) -> Deferred[None]:
        """
        @param sequence: what was accepted before this number is concerned.
        """
        flushed = Deferred.fromCoroutine(self._flush(sequence))
        if timeout is not None:
            flushed.addTimeout(timeout, self._clock, _too_late)
        return flushed.addErrback(_without_frames)

    async def _flush(self, sequence: int) -> None:
        losses = self._dispatch.losses
        reported = self._reported
        with losses.watching(sequence) as returns:
            await self._prove(sequence)
            while returns.any:
                returns.any = False
                await self._prove(sequence)
        unknown = losses.unknown - reported
        if unknown:
            self._reported = losses.unknown
            raise DeliveryUnknown(unknown, 1) from losses.lost_by

    async def _prove(self, sequence: int) -> None:
        """
        Wait until all that is concerned was taken, and each connection has proven that it has
        arrived, or is lost.
        """
        dispatch = self._dispatch
        while dispatch.backlog.has_older(sequence):
            await dispatch.when_less_waits()
        proofs = [proof for each in self._connections() if (proof := each.when_proven())]
        try:
            for proof in proofs:
                await proof
        finally:
            # When nobody waits any more: of those not awaited yet, none may go on waiting.
            for proof in proofs:
                proof.addErrback(lambda _: None).cancel()


def _too_late(_: Any, timeout: float) -> Failure:
    return Failure(FlushTimeout(timeout))


def _without_frames(failure: Failure) -> Failure:
    """A caller who keeps the failure would keep the whole pool with those of a coroutine."""
    assert failure.value is not None
    return Failure(failure.value.with_traceback(None))
