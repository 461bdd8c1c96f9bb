"""
The service, as an operator runs it: a process with arguments, a log, signals and a status.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

import wsmultipool
from wsmultipool import ReconnectingPoolFactory

from .listening import Server, unused_port
from .running_reactor import reactor
from .signalling import signal_if_there

# Where the package that is tested was imported from: the checkout, or where its wheel is installed.
INSTALLED = Path(wsmultipool.__file__).resolve().parent.parent
TWISTD = ["-c", "from twisted.scripts.twistd import run; run()", "--nodaemon", "--pidfile="]
TWIST = ["-c", "from twisted.application.twist._twist import Twist; Twist.main()"]
COMMAND = ["-m", "wsmultipool"]
RUNNERS = {
    "twistd": [*TWISTD, "wsmultipool"],
    "twist": [*TWIST, "--log-format=text", "wsmultipool"],
    "relay": [*COMMAND, "relay"],
}


class Program(ProcessProtocol):
    """
    One process.

    @ivar output: what it has written to standard output by now.
    @ivar errors: what it has written to standard error.
    """

    def __init__(self) -> None:
        self.output = b""
        self.errors = b""
        self.status: int | None = None
        self._changed: Deferred[None] = Deferred()

    @property
    def log(self) -> str:
        """Everything it has written, as text."""
        return (self.output + self.errors).decode("utf-8", "replace")

    @property
    def process_id(self) -> int:
        assert self.transport is not None
        return int(self.transport.pid)

    async def wrote(self, pattern: str) -> re.Match[str]:
        """Wait until what it has written matches."""
        while (found := re.search(pattern, self.log)) is None:
            assert self.status is None, f"{pattern!r} was never written:\n{self.log}"
            await self._changed
        return found

    async def ended(self) -> int:
        """Wait for its end; return its exit status, or the number of the signal, negative."""
        while self.status is None:
            await self._changed
        return self.status

    def signal(self, name: str) -> None:
        assert self.transport is not None
        self.transport.signalProcess(name)

    def write(self, data: bytes) -> None:
        """Write to its standard input."""
        assert self.transport is not None
        self.transport.write(data)

    def close_input(self) -> None:
        """Its standard input is at its end."""
        assert self.transport is not None
        self.transport.closeStdin()

    def outReceived(self, data: bytes) -> None:
        self.output += data
        self._wake()

    def errReceived(self, data: bytes) -> None:
        self.errors += data
        self._wake()

    def processEnded(self, reason: Failure) -> None:
        how = reason.value
        assert isinstance(how, (ProcessDone, ProcessTerminated))
        self.status = how.exitCode if how.exitCode is not None else -int(how.signal or 0)
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, Deferred()
        changed.callback(None)


@asynccontextmanager
async def running(*arguments: str | Path, directory: Path | None = None) -> AsyncIterator[Program]:
    """
    Run Python with arguments for the length of the context.  It has ended when the daemon that it
    may have become has as well.

    @param directory: where to; C{None} for here.
    """
    program = Program()
    reactor.spawnProcess(
        program,
        sys.executable,
        [sys.executable, "-B", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(INSTALLED), "COLUMNS": "80"},
        path=None if directory is None else str(directory),
        # The last one is for nothing but its end: a daemon keeps it, and gives up the others.
        childFDs={0: "w", 1: "r", 2: "r", 3: "r"},
    )
    try:
        yield program
    finally:
        if program.status is None:
            signal_if_there(program.transport, "KILL")
        await program.ended()


async def run(*arguments: str | Path, data: bytes = b"") -> Program:
    """
    Run Python with arguments to its end.

    @param data: for its standard input.
    """
    async with running(*arguments) as program:
        program.write(data)
        program.close_input()
        await program.ended()
        return program


@asynccontextmanager
async def service(
    runner: str, server: Server, *arguments: str | Path, url: str = ""
) -> AsyncIterator[tuple[Program, int]]:
    """
    Run the service with a relay for the length of the context; say where the relay listens.
    """
    port = unused_port()
    arguments = ("--url", url or server.url, "--listen", f"tcp:{port}", *arguments)
    async with running(*RUNNERS[runner], *arguments) as program:
        await program.wrote(r"(all \d+ connections are|the connection is) open")
        yield program, port


def local_client(port: int, **options: Any) -> ReconnectingPoolFactory:
    """
    A local program that has one connection to the relay.
    """
    return ReconnectingPoolFactory(
        f"ws://127.0.0.1:{port}/", reactor=reactor, pool_size=1, logger=False, **options
    )
