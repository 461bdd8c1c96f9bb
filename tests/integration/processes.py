"""
Servers that are processes of their own, told what to do and reporting in lines of JSON.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from .deadline import limited
from .journal import Journal
from .running_reactor import reactor
from .signalling import signal_if_there


class PeerProcess(ProcessProtocol):
    """
    One server process.

    @ivar journal: its events, each with one detail: the whole line, decoded.
    @ivar exited: fires when it is gone, perhaps before all that it wrote was read.
    @ivar ended: fires when that was read as well.
    """

    def __init__(self, scheme: str = "ws") -> None:
        self.journal = Journal()
        self.exited: Deferred[None] = Deferred()
        self.ended: Deferred[None] = Deferred()
        self.port = 0
        self._scheme = scheme
        self._partial = b""
        self._errors = b""
        self._fate = "running"

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}/"

    @property
    def account(self) -> str:
        """What is known of the process, for a test that has failed."""
        errors = self._errors.decode("utf-8", "replace")
        return f"The server process is {self._fate}. On its standard error it wrote:\n{errors}"

    def tell(self, do: str, **details: Any) -> None:
        """Give a command."""
        assert self.transport is not None
        self.transport.write(json.dumps({"do": do, **details}).encode("ascii") + b"\n")

    async def event(self, name: str, count: int = 1) -> dict[str, Any]:
        """Wait for the C{count}-th event of that name."""
        (event,) = await self.journal.nth(name, count)
        assert isinstance(event, dict)
        return event

    async def listening(self) -> None:
        await self.journal.when(lambda: bool(self.journal.names))
        if self.ended.called:
            raise RuntimeError(self._errors.decode("utf-8", "replace"))
        self.port = (await self.event("listening"))["port"]

    def outReceived(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            event = json.loads(line)
            self.journal.record(event["event"], event)

    def errReceived(self, data: bytes) -> None:
        self._errors += data

    def processExited(self, reason: Failure) -> None:
        self._fate = f"gone: {reason.getErrorMessage()}"
        self.exited.callback(None)

    def processEnded(self, reason: Failure) -> None:
        self.ended.callback(None)
        self.journal.record("ended", {})


@asynccontextmanager
async def running(command: Sequence[str], options: dict[str, Any]) -> AsyncIterator[PeerProcess]:
    """
    Run a server process for the length of the context.

    @param options: its one argument after C{command}, as JSON.
    """
    peer = PeerProcess("wss" if options.get("tls") else "ws")
    arguments = [*command, json.dumps(options)]
    process = reactor.spawnProcess(peer, arguments[0], arguments, env=dict(os.environ))
    try:
        await limited(Deferred.fromCoroutine(peer.listening()), 20)
        yield peer
    except BaseException as error:
        error.add_note(peer.account)
        raise
    finally:
        signal_if_there(process, "KILL")
        await limited(peer.ended, 10)
