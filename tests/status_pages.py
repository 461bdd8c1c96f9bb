"""
What the tests of the status page share: a pool in memory with the server that shows it.
"""

from __future__ import annotations

from typing import Any

from wsmultipool.service.web import StatusService
from wsmultipool.testing import MemoryPool

from .http_requests import ServerEndpoint


class Shown:
    """
    A pool and its L{StatusService}, started.

    @param options: of the service.
    @param pool_options: of the pool.
    """

    def __init__(
        self,
        endpoint: ServerEndpoint | None = None,
        pool_options: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.endpoint = endpoint or ServerEndpoint()
        self.memory = MemoryPool(**(pool_options or {"pool_size": 2}))
        self.service = StatusService(
            self.memory.pool, self.endpoint, reactor=self.memory.clock, **options
        )
        self.service.startService()
        self.get = self.endpoint.get

    def close(self) -> None:
        """Stop the service, then the pool; nothing is left on the clock."""
        self.memory.result(self.service.stopService())
        self.memory.close()
