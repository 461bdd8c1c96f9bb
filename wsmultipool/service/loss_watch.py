"""
Telling the operator what lost connections may have taken with them.

@since: 0.1.0
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError

from ..errors import DeliveryUnknown, PoolError
from .log_level import service_logger

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from ..pool import ReconnectingPoolFactory

__all__ = ["LossWatch"]

# Not a class attribute: as one it would take its namespace from the class.
_log = service_logger()


class LossWatch:
    """
    Has the pool say, whenever a connection is lost, whether messages that it had written are known
    to have arrived.  So the flush at the end of the service tells only of what was lost then.
    """

    def __init__(self, pool: ReconnectingPoolFactory) -> None:
        self._pool = pool
        self._flush: Deferred[None] | None = None
        self._again = False

    def start(self) -> None:
        """Begin to watch."""
        self._pool.on("close", self._closed)

    def stop(self) -> None:
        """Watch no more."""
        self._pool.off("close", self._closed)
        self._again = False
        if self._flush is not None:
            self._flush.cancel()

    def _closed(self, connection_id: int, code: int, reason: str) -> None:
        if self._flush is not None:
            # One at a time: each pings all connections.
            self._again = True
            return
        self._again = False
        flush = self._flush = self._pool.flush()
        flush.addErrback(self._lost).addCallback(self._flushed)

    def _lost(self, failure: Failure) -> None:
        failure.trap(PoolError, CancelledError)
        if failure.check(DeliveryUnknown):
            _log.warn(
                "{pool}: a connection was lost: {error}",
                pool=self._pool.name,
                error=failure.getErrorMessage(),
            )

    def _flushed(self, _: object) -> None:
        self._flush = None
        if self._again:
            self._closed(0, 0, "")
