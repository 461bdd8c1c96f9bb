"""
Name resolution that hangs, or that fails, on a real reactor and with the system's resolver.
"""

from __future__ import annotations

import signal
import socket
import sys
from threading import Event
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from wsmultipool import OpenTimeout, TransportFailed

from .autobahn_server import echo_factory
from .deadline import within
from .listening import listening
from .programs import running
from .running_reactor import reactor
from .starting import Start, StartPool

pytestmark = pytest.mark.integration

PROGRAM = [sys.executable, "-m", "tests.integration.hanging_names"]
URL = "ws://hanging.example/"
POOL = ["--url", URL, "--pool-size", "5"]


class Resolver:
    """
    The system's resolver, for names that this machine knows, and for one that it waits for.

    @ivar asked: how often it was asked for that one.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self.answered = Event()
        self._system = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._getaddrinfo)

    def _getaddrinfo(self, host: Any, *arguments: Any) -> Any:
        if host != "slow.example":
            return self._system(host, *arguments)
        self.asked += 1
        self.answered.wait()
        return self._system("127.0.0.1", *arguments)


@within(60)
async def test_a_hanging_lookup_leaves_the_threads_of_the_reactor_alone(
    monkeypatch: pytest.MonkeyPatch, start: Start, start_pool: StartPool
) -> None:
    """While a name hangs there is one look-up, and threads serve the application."""
    resolver = Resolver(monkeypatch)
    server = await start(listening(echo_factory()))
    pool, journal = start_pool(f"ws://slow.example:{server.port}/", pool_size=4, open_timeout=0.1)
    await journal.nth("error", 40)
    error, _ = journal.of("error")[-1]
    assert isinstance(error, OpenTimeout)
    assert error.stage == "name look-up"
    assert resolver.asked == 1
    assert await deferToThread(lambda: "served") == "served"
    resolver.answered.set()
    await journal.nth("pool:ready")
    assert pool.open_connections == 4


@within(60)
async def test_close_does_not_wait_for_a_lookup(
    monkeypatch: pytest.MonkeyPatch, start_pool: StartPool
) -> None:
    """A pool whose look-up never ends closes in the same turn of the reactor."""
    resolver = Resolver(monkeypatch)
    pool, _ = start_pool("ws://slow.example/", pool_size=4)
    began: Deferred[None] = Deferred()
    reactor.callLater(0, began.callback, None)
    await began
    closing = pool.close()
    assert closing.called
    await closing
    resolver.answered.set()


@within(60)
async def test_a_name_that_does_not_exist_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch, start_pool: StartPool
) -> None:
    """The error names the stage, the name, and what the system says of it."""

    def getaddrinfo(*_: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    _, journal = start_pool("ws://nowhere.example/")
    error, _ = await journal.nth("error")
    assert isinstance(error, TransportFailed)
    assert error.stage == "name look-up"
    assert "nowhere.example: Name or service not known" in str(error)


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(
    "arguments",
    [["cat", URL], ["relay", *POOL, "--listen", "tcp:0:interface=127.0.0.1"]],
    ids=["cat", "relay"],
)
@within(60)
async def test_a_signal_ends_a_program_whose_name_server_hangs(
    arguments: list[str], how: str
) -> None:
    """No program waits, when it is to end, for a look-up that may never do so."""
    async with running(*PROGRAM, *arguments) as program:
        await program.wrote("looking up hanging.example")
        assert program.transport is not None
        program.transport.signalProcess(getattr(signal, how))
        await program.ended()
    assert program.output.count("looking up") == 1


@within(60)
async def test_a_program_ends_by_itself_although_its_name_server_hangs() -> None:
    """C{cat} with a timeout says that nothing opened, and exits at once."""
    async with running(*PROGRAM, "cat", URL, "--timeout", "1") as program:
        await program.ended()
    assert not program.succeeded
    assert "within 1 s" in program.output
