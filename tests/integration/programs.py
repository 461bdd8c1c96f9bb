"""
Programs from elsewhere that tests run: for the length of a context, or to their end.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from .deadline import limited
from .running_reactor import reactor
from .signalling import signal_if_there


def path_of(program: str, package: str) -> str:
    """
    Find a program; without it the test is skipped, but never in CI.

    @param package: the Debian package that it comes in.
    """
    found = shutil.which(program)
    if found is None:
        message = f"{program} is not on this machine: apt-get install {package}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found


class Running(ProcessProtocol):
    """
    One process.

    @ivar output: what it has written, on standard output and error, by now.
    """

    def __init__(self, standard_input: bytes) -> None:
        self.output = ""
        self.reason: Failure | None = None
        self.exited: Deferred[None] = Deferred()
        self._input = standard_input
        self._changed: Deferred[None] = Deferred()

    @property
    def succeeded(self) -> bool:
        return self.reason is not None and self.reason.check(ProcessDone) is not None

    async def wrote(self, pattern: str) -> re.Match[str]:
        """Wait until its output matches."""
        while (found := re.search(pattern, self.output)) is None:
            assert self.reason is None, f"{pattern!r} was never written:\n{self.output}"
            await self._changed
        return found

    async def ended(self) -> None:
        """Wait for its end."""
        while self.reason is None:
            await self._changed

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self._input)
        self.transport.closeStdin()

    def outReceived(self, data: bytes) -> None:
        self.output += data.decode("utf-8", "replace")
        self._wake()

    errReceived = outReceived

    def processExited(self, reason: Failure) -> None:
        self.exited.callback(None)

    def processEnded(self, reason: Failure) -> None:
        self.reason = reason
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, Deferred()
        changed.callback(None)


@asynccontextmanager
async def running(*command: str, standard_input: bytes = b"") -> AsyncIterator[Running]:
    """
    Run a program for the length of the context; then end it, gently at first.
    """
    program = Running(standard_input)
    process = reactor.spawnProcess(program, command[0], command, env=dict(os.environ))
    try:
        yield program
    finally:
        if program.reason is None:
            signal_if_there(process, "TERM")
            impatience = reactor.callLater(5, signal_if_there, process, "KILL")
            await limited(program.exited, 10)
            if impatience.active():
                impatience.cancel()
            # Children of its own may still hold the pipes.
            process.loseConnection()
            await limited(Deferred.fromCoroutine(program.ended()), 10)


async def output_of(*command: str, standard_input: bytes = b"") -> tuple[bool, str]:
    """
    Run a program to its end.

    @return: whether it succeeded, and what it wrote.
    """
    async with running(*command, standard_input=standard_input) as program:
        await program.ended()
    return program.succeeded, program.output
