"""
A pool as a service of twistd, in a process of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGTERM

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from .deadline import within
from .peers import websockets_server
from .running_reactor import reactor
from .signalling import signal_if_there
from .starting import Start

TWISTD = "from twisted.scripts.twistd import run; run()"


class Twistd(ProcessProtocol):
    """
    Keeps what twistd logs, and says how it ended.
    """

    def __init__(self) -> None:
        self.log = ""
        self.ended: Deferred[ProcessDone | ProcessTerminated] = Deferred()

    def outReceived(self, data: bytes) -> None:
        self.log += data.decode("utf-8", "replace")

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        assert isinstance(reason.value, (ProcessDone, ProcessTerminated))
        self.ended.callback(reason.value)

    def terminate(self) -> None:
        """Ask it to stop, as an init system does."""
        assert self.transport is not None
        self.transport.signalProcess("TERM")


@asynccontextmanager
async def twistd_with_pool(url: str) -> AsyncIterator[Twistd]:
    """
    Run C{pool_application.py} under twistd for the length of the context.
    """
    twistd = Twistd()
    application = str(Path(__file__).with_name("pool_application.py"))
    arguments = [sys.executable, "-c", TWISTD, "--nodaemon", "--pidfile=", "-y", application]
    process = reactor.spawnProcess(
        twistd, sys.executable, arguments, env={**os.environ, "POOL_URL": url}
    )
    try:
        yield twistd
    finally:
        if not twistd.ended.called:
            signal_if_there(process, "KILL")
            await twistd.ended


@within(60)
async def test_pool_under_twistd(start: Start) -> None:
    """C{twistd -y} connects the pool; its end closes every connection with a handshake."""
    server = await start(websockets_server(mode="report"))
    twistd = await start(twistd_with_pool(server.url))
    await server.event("open", 2)
    assert (await server.event("message"))["text"] == "hello from twistd"

    twistd.terminate()
    how = await twistd.ended

    codes = [(await server.event("closed", number))["code"] for number in (1, 2)]
    assert codes == [1000, 1000], twistd.log
    # Having stopped all services, twistd ends itself by the signal that it was sent.
    assert how.signal == SIGTERM, twistd.log
    assert "Traceback" not in twistd.log
