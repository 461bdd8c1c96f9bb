"""
A pool as part of a Twisted application.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.application.service import Service

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from ..interfaces import IWebSocketPool

__all__ = ["PoolService"]


class PoolService(Service):
    """
    An L{IService<twisted.application.service.IService>} that starts a pool and closes it: for
    C{twistd -y} files and C{twisted.application}.

    A pool can't be started again after it was closed, and neither can this service.

    @param pool: the pool; built with C{start=False}, it connects when the service is started.
    @param drain: seconds for which, when it is stopped, it goes on delivering what is queued;
        C{None} fails that at once.
    @since: 0.1.0
    """

    def __init__(self, pool: IWebSocketPool, *, drain: float | None = None) -> None:
        self.pool = pool
        self._drain = drain

    def startService(self) -> None:
        """
        Start the pool.

        @since: 0.1.0
        """
        super().startService()  # type: ignore[no-untyped-call]
        self.pool.start()

    def stopService(self) -> Deferred[None]:
        """
        Close the pool.

        @return: a Deferred that fires when every connection is closed; it does not fail.
        @since: 0.1.0
        """
        super().stopService()  # type: ignore[no-untyped-call]
        return self.pool.close(drain=self._drain)
