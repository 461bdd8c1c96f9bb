"""
Knowing that everything sent so far has arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from .errors import DeliveryUnknown, FlushTimeout

if TYPE_CHECKING:
    from ._connection import PooledConnection
    from ._dispatch import Dispatch


class Flushing:
    """
    Waits until what was accepted has left the backlog, and then for a pong on each connection that
    has written any of it.

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
        return flushed

    async def _flush(self, sequence: int) -> None:
        dispatch = self._dispatch
        reported = self._reported
        all_proven = False
        while not all_proven:
            while dispatch.backlog.has_older(sequence):
                await dispatch.when_less_waits()
            proofs = [connection.when_proven() for connection in self._connections()]
            all_proven = True
            for proof in proofs:
                if proof is not None:
                    # A connection that is lost may give back confirmed messages: once more, then.
                    all_proven &= await proof
        unknown = dispatch.losses.unknown - reported
        if unknown:
            self._reported = dispatch.losses.unknown
            raise DeliveryUnknown(unknown, 1)


def _too_late(_: Any, timeout: float) -> None:
    raise FlushTimeout(timeout)
