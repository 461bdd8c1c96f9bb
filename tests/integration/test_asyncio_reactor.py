"""
Hooks and handlers that await asyncio, over loopback: with the asyncio reactor, and without.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.integration

PROGRAM = """
import asyncio, sys
reactor_name, what = sys.argv[1:]
if reactor_name == "asyncio":
    from twisted.internet import asyncioreactor
    asyncioreactor.install()
else:
    from twisted.internet import selectreactor
    selectreactor.install()

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import react
from twisted.logger import globalLogPublisher
from wsmultipool import ReconnectingPoolFactory, WebSocketOptions

class Echo(WebSocketServerProtocol):
    def onMessage(self, payload, isBinary):
        self.sendMessage(payload, isBinary)

async def something(result=None):
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await asyncio.create_task(asyncio.sleep(0))
    return result

async def main(reactor):
    factory = WebSocketServerFactory()
    factory.protocol = Echo
    port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory)
    address = f"ws://127.0.0.1:{port.getHost().port}/"
    done = Deferred()

    async def on_connect(connection):
        await something()
        await connection.send("from the hook", confirm=True)
        await something()
        await connection.ping()

    pool = ReconnectingPoolFactory(
        address,
        reactor=reactor,
        pool_size=1,
        logger=False,
        on_connect=on_connect if what == "hook" else None,
        ws_options=WebSocketOptions(
            headers=(lambda: something({"X": "1"})) if what == "headers" else None,
            url=(lambda: something(address)) if what == "url" else None,
        ),
    )
    failed = lambda error, *_: done.called or done.callback(str(error))
    pool.on("error", failed)
    globalLogPublisher.addObserver(
        lambda event: "log_failure" in event and failed(event["log_failure"].value)
    )

    @pool.on("message")
    async def message(data, is_binary, connection_id):
        if what == "handler":
            await something()
        if data == b"hello" and not done.called:
            done.callback("received hello")

    pool.send("hello").addErrback(lambda failure: None)
    print(await done)
    await pool.close()
    await port.stopListening()

react(main)
"""
HOOKS = ["hook", "headers", "url", "handler"]


def run(reactor: str, what: str) -> tuple[str, str]:
    """
    Run the program with a reactor; return what it prints, and what it writes on standard error.
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), reactor, what],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout, done.stderr


@pytest.mark.parametrize("what", HOOKS)
def test_with_the_asyncio_reactor_it_works(what: str) -> None:
    """Sleeping, timeouts and tasks of asyncio's, and Deferreds of the pool's in between."""
    assert run("asyncio", what) == ("received hello\n", "")


@pytest.mark.parametrize("what", HOOKS)
def test_with_another_reactor_the_error_says_what_to_do(what: str) -> None:
    """Instead of one that tells of the insides of asyncio."""
    printed, _ = run("select", what)
    assert "asyncioreactor.install()" in printed
    assert "deferLater" in printed
