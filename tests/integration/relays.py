"""
Relays that listen, for the length of a context.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint

from wsmultipool import ReconnectingPoolFactory
from wsmultipool.service.relay import RelayService
from wsmultipool.service.relay_options import RelayOptions

from .deadline import limited
from .running_reactor import reactor


class Relay:
    """
    A relay that listens.

    @ivar service: the service.
    @ivar port: its TCP port; 0 without one.
    """

    def __init__(self, service: RelayService) -> None:
        self.service = service
        self.port: int = getattr(service.address, "port", 0)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"


@asynccontextmanager
async def relaying(
    pool: ReconnectingPoolFactory,
    endpoint: str | IStreamServerEndpoint = "tcp:0:interface=127.0.0.1",
    **options: Any,
) -> AsyncIterator[Relay]:
    """
    Run a relay.

    @param options: see L{RelayOptions}.
    """
    if isinstance(endpoint, str):
        listening: IStreamServerEndpoint = serverFromString(reactor, endpoint)
    else:
        listening = endpoint
    service = RelayService(
        pool, listening, RelayOptions(**{"close_timeout": 1.0, **options}), reactor=reactor
    )
    await service.listen()
    service.startService()
    try:
        yield Relay(service)
    finally:
        await limited(service.stopService(), 15)
