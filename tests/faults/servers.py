"""
The processes of a run: the proxy, and a server that can be killed and come back.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from ..integration.processes import PeerProcess, running

HERE = Path(__file__).parent
SERVERS = ("node", "websockets")


def _command(server: str) -> list[str]:
    if server == "node":
        node = shutil.which("node")
        assert node is not None
        return [node, str(HERE / "server.js")]
    return [sys.executable, str(HERE / f"{server}_server.py")]


class FaultyServer:
    """
    A server process, and then another one on the same port.

    @ivar peer: the present one.
    """

    peer: PeerProcess

    def __init__(self, server: str, options: dict[str, Any]) -> None:
        self._command = _command(server)
        self._options = options
        self._stack = AsyncExitStack()

    @property
    def port(self) -> int:
        """Where it listens, as long as it lives."""
        return self.peer.port

    async def start(self) -> None:
        """Begin to listen."""
        self.peer = await self._stack.enter_async_context(running(self._command, self._options))

    async def stop(self) -> None:
        """Kill it."""
        await self._stack.aclose()

    async def restart(self) -> None:
        """Kill it, and let another one listen on its port."""
        self._options = {**self._options, "port": self.port}
        await self.stop()
        await self.start()


@asynccontextmanager
async def faulty_server(server: str, record: Path, **options: Any) -> AsyncIterator[FaultyServer]:
    """
    Run a server for the length of the context.

    @param server: one of L{SERVERS}.
    @param record: the file in which it writes down what it receives.
    @param options: as C{server.js} documents them.
    """
    record.touch()
    faulty = FaultyServer(server, {"record": str(record), **options})
    try:
        await faulty.start()
        yield faulty
    finally:
        await faulty.stop()


def proxy_process(port: int = 0) -> AbstractAsyncContextManager[PeerProcess]:
    """
    Run the proxy for the length of the context.

    @param port: the server's.
    """
    package = __package__ or ""
    root = HERE.parents[len(package.split(".")) - 1]
    program = (
        f"import runpy, sys; sys.path.insert(0, {str(root)!r}); "
        f"runpy.run_module('{package}.proxy_process', run_name='__main__')"
    )
    return running([sys.executable, "-c", program], {"port": port})
