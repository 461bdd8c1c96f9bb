"""
Where it happens: a pool, the proxy, and a server behind it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.defer import Deferred

from wsmultipool import ReconnectingPoolFactory, TLSOptions, WebSocketOptions

from ..integration.certificates import Authority
from ..integration.deadline import limited
from ..integration.processes import PeerProcess
from ..integration.running_reactor import reactor
from .plan import KINDS
from .record import Record
from .servers import FaultyServer, faulty_server

# How long whatever must happen may take: a guard, far more than it needs.
PATIENCE = 30.0


@dataclass(frozen=True)
class Scene:
    """
    @ivar record: what the server has received.
    """

    server: FaultyServer
    proxy: PeerProcess
    pool: ReconnectingPoolFactory
    record: Record

    async def quiet(self) -> None:
        """
        Close the pool if that was not done, and wait until all that was under way has arrived, or
        never will.
        """
        await limited(self.pool.close(), PATIENCE)
        for party in (self.proxy, self.server.peer):
            count = party.journal.count("idle")
            party.tell("idle")
            await limited(Deferred.fromCoroutine(party.event("idle", count + 1)), PATIENCE)


def _pool_options(kinds: Sequence[str]) -> dict[str, Any]:
    """
    Return options by which a pool reconnects at once, and never gives up a message for want of
    room; and by which it finds out fast about silence, if there will be some.
    """
    silent = any(KINDS[name].silent for name in kinds)
    return {
        "pool_size": 4,
        "reconnect_interval": 0.01,
        "max_reconnect_interval": 0.05,
        "min_uptime": 0.0,
        "open_timeout": 2.0,
        # A graceful close is to be one, however slow the machine is.
        "close_timeout": 1.0 if silent else 10.0,
        "heartbeat_interval": 0.2 if silent else 0,
        "heartbeat_timeout": 0.2 if silent else 5.0,
        "overflow": "wait",
        "logger": False,
    }


@asynccontextmanager
async def scene(
    proxy: PeerProcess,
    kinds: Sequence[str],
    *,
    server: str = "node",
    authority: Authority | None = None,
    server_options: dict[str, Any] | None = None,
    pool_options: dict[str, Any] | None = None,
) -> AsyncIterator[Scene]:
    """
    Set it up, with every connection of the pool open, and take it down.

    @param proxy: a proxy that nobody else uses meanwhile.
    @param kinds: what will break.
    @param server: one of L{tests.faults.servers.SERVERS}.
    @param authority: who issues the server's certificate; C{None} for C{ws}.
    @param pool_options: instead of those that it gets otherwise.
    """
    options = {**_pool_options(kinds), **(pool_options or {})}
    tls: dict[str, Any] = {}
    if authority is not None:
        issued = authority.issue("localhost")
        tls = {"tls": {"key": issued.key_file, "cert": issued.certificate_file}}
        options["ws_options"] = WebSocketOptions(tls=TLSOptions(trust_root=authority.trust_root))
    url = f"{'wss://localhost' if tls else 'ws://127.0.0.1'}:{proxy.port}/"
    with TemporaryDirectory() as directory:
        record = Record(Path(directory) / "record")
        async with faulty_server(server, record.path, **tls, **(server_options or {})) as faulty:
            targeted = proxy.journal.count("targeted")
            proxy.tell("target", port=faulty.port)
            await proxy.event("targeted", targeted + 1)
            pool = ReconnectingPoolFactory(url, reactor=reactor, **options)
            pool.on("error", lambda *_: None)  # expected
            try:
                await limited(pool.when_ready(), PATIENCE)
                yield Scene(faulty, proxy, pool, record)
            finally:
                await limited(pool.close(), PATIENCE)
