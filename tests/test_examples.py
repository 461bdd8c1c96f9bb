"""
The programs in C{docs/examples} run, and do what the documentation says that they do.

Each runs as its reader would run it: in a process of its own, without seeing the tests.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

import wsmultipool

from .integration.autobahn_server import echo_factory
from .integration.certificates import Authority
from .integration.connect_proxy import ConnectProxy
from .integration.deadline import within
from .integration.listening import listening, unused_port
from .integration.requests import fetch
from .integration.running_reactor import reactor
from .integration.signalling import signal_if_there

# Where the package that is tested was imported from: the checkout, or where its wheel is installed.
INSTALLED = Path(wsmultipool.__file__).resolve().parent.parent
EXAMPLES = Path(__file__).resolve().parent.parent / "docs" / "examples"
TWISTD = ["-c", "from twisted.scripts.twistd import run; run()", "--nodaemon", "--pidfile="]

pytestmark = [
    pytest.mark.integration,
    # Twisted's TLS itself does what pyOpenSSL warns of.
    pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning"),
]


class Program(ProcessProtocol):
    """
    One running example.

    @ivar output: what it has printed, and logged, by now.
    """

    def __init__(self) -> None:
        self.output = ""
        self._reason: Failure | None = None
        self._changed: Deferred[None] = Deferred()

    async def printed(self, pattern: str) -> re.Match[str]:
        """Wait until the output matches."""
        while (found := re.search(pattern, self.output)) is None:
            assert self._reason is None, f"{pattern!r} was never printed:\n{self.output}"
            await self._change()
        return found

    async def finished(self) -> str:
        """Wait for its end, which must be a success; return the output."""
        while self._reason is None:
            await self._change()
        assert self._reason.check(ProcessDone), self.output
        assert "Traceback" not in self.output
        return self.output

    async def stop(self, signal: str = "KILL") -> None:
        """End it now, if it is still running."""
        if self._reason is None:
            assert self.transport is not None
            signal_if_there(self.transport, signal)
        while self._reason is None:
            await self._change()

    async def _change(self) -> None:
        await self._changed

    def outReceived(self, data: bytes) -> None:
        self.output += data.decode("utf-8", "replace")
        self._wake()

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        self._reason = reason
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, Deferred()
        changed.callback(None)


@asynccontextmanager
async def running(*arguments: str | Path, **environment: str) -> AsyncIterator[Program]:
    """
    Run Python for the length of the context, in the directory of the examples.
    """
    program = Program()
    reactor.spawnProcess(
        program,
        sys.executable,
        [sys.executable, "-B", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(INSTALLED), **environment},
        path=str(EXAMPLES),
    )
    try:
        yield program
    finally:
        await program.stop()


async def output_of(*arguments: str | Path, **environment: str) -> str:
    """
    Run an example to its end.
    """
    async with running(*arguments, **environment) as program:
        return await program.finished()


@asynccontextmanager
async def echo_server(port: int = 0) -> AsyncIterator[tuple[Program, int]]:
    """
    Run C{echo_server.py} for the length of the context; say on which port.
    """
    async with running("echo_server.py", f"tcp:{port}:interface=127.0.0.1") as program:
        found = await program.printed(r"listening on .*port=(\d+)")
        yield program, int(found[1])


# The tutorial


@within(60)
async def test_first_pool() -> None:
    """Three connections take six messages in turn, and every one is answered."""
    async with echo_server() as (_, port):
        output = await output_of("first_pool.py", f"ws://127.0.0.1:{port}/")

    assert "3 connections are open" in output
    for number in range(6):
        assert f"connection {number % 3} has taken hello {number}" in output
        assert f"connection {number % 3} brought hello {number}" in output
    assert output.endswith("closed\n")


@within(60)
async def test_survive() -> None:
    """The pool survives the death of its server, and sends what had waited meanwhile."""
    async with (
        echo_server() as (server, port),
        running("survive.py", f"ws://127.0.0.1:{port}/", "40") as client,
    ):
        await client.printed("answer to message 5 ")
        await server.stop()
        await client.printed("no connection is open")
        await client.printed("Connection was refused")
        async with echo_server(port):
            output = await client.finished()

    assert re.search(r"[1-9]\d* messages had waited, and are sent", output)
    assert "not sent" not in output
    found = re.search(r"(\d+) of 40 answered, 3 reconnects", output)
    assert found is not None
    # What the server had received and not answered when it was killed is lost.
    assert 35 <= int(found[1]) <= 40


# Programs that bring their own server


@within(60)
async def test_receive() -> None:
    """The loop receives, and can be left."""
    output = await output_of("receive.py")
    assert len(re.findall(r"^1\d\d from connection [01]$", output, re.MULTILINE)) == 5


@within(60)
async def test_stop_when_refused() -> None:
    """A pool that is refused by status or by close code is closed, and says what it was told."""
    output = await output_of("stop_when_refused.py")
    assert output.splitlines() == [
        "no token: the server rejected the upgrade: 401 Unauthorized",
        "bad token: closed with 4001: invalid API key",
    ]


@within(60)
async def test_fresh_tokens() -> None:
    """Every attempt has a token of its own."""
    output = await output_of("fresh_tokens.py")
    assert output == "admitted token-1\nadmitted token-2\nadmitted token-3\n"


@within(60)
async def test_tokens_in_the_url() -> None:
    """Every attempt has a URL of its own."""
    output = await output_of("tokens_in_the_url.py")
    assert output == "admitted token-1\nadmitted token-2\nadmitted token-3\n"


@within(60)
async def test_with_asyncio() -> None:
    """Hooks and handlers await asyncio and Deferreds under the asyncio reactor."""
    assert await output_of("with_asyncio.py") == "stored: log in\nstored: hello\n"


@within(60)
async def test_threads() -> None:
    """A thread has the reactor send for it, and is refused what it does by itself."""
    assert await output_of("threads.py") == (
        "received: half of it is done\n"
        "received: the result is 42\n"
        "the server has it, from connection 0\n"
        "not like this\n"
    )


@within(60)
async def test_fleet() -> None:
    """What a dead server had goes to the others evenly; growing and shrinking undoes it."""
    assert await output_of("fleet.py") == (
        "open: 2 at A, 2 at B, 2 at C\n"
        "B is dead: 3 at A, 0 at B, 3 at C\n"
        "B is back: 2 at A, 2 at B, 2 at C\n"
    )


@within(60)
async def test_subscribe() -> None:
    """Every connection is set up before it is open, and again after it was lost."""
    output = await output_of("subscribe.py")
    assert len(re.findall("connection [01] is subscribed", output)) >= 4
    assert output.endswith("twelve ticks\n")


@within(60)
async def test_unix_socket() -> None:
    """A unix socket takes the place of the host in the URL."""
    assert await output_of("unix_socket.py") == "hello\n"


@within(60)
async def test_relay() -> None:
    """A program on this machine talks to the server through the relay."""
    # It runs "relay_client.py".
    assert await output_of("relay.py") == "hello\n"


@within(60)
async def test_backpressure() -> None:
    """Awaiting each send, 64 MiB for a slow server never are more than a few messages here."""
    output = await output_of("backpressure.py")
    found = re.fullmatch(r"sent 64 MiB, held at most (\d+) KiB\n", output)
    assert found is not None
    assert int(found[1]) <= 256


@within(60)
async def test_keyed() -> None:
    """What shares a key arrives in the order sent."""
    output = await output_of("keyed.py")
    assert len(re.findall(r"^\w+ in order$", output, re.MULTILINE)) == 5


@within(60)
async def test_confirmed() -> None:
    """Nothing is lost, although the server drops one connection after another."""
    assert await output_of("confirmed.py") == "1000 orders booked, 0 failed\n"


@within(60)
async def test_fragments() -> None:
    """Fragments arrive as one message, whatever is sent beside them."""
    length = sum(len(f"line {number}\n") for number in range(1000))
    assert await output_of("fragments.py") == f"one message of {length} bytes\n"


@within(60)
async def test_log_to_stdlib() -> None:
    """The log goes where the standard library's logging sends it, without the query string."""
    output = await output_of("log_to_stdlib.py")
    assert "INFO app.feed feed: keeping 1 connection to ws://127.0.0.1:1/feed\n" in output
    assert "ERROR app.feed feed: connection 0: no connection could be made" in output
    assert "secret" not in output


@within(60)
async def test_price_client() -> None:
    """The tests of the example pass."""
    output = await output_of("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_price_client.py")
    assert "3 passed" in output


# Programs that need a server


@within(60)
@pytest.mark.parametrize("program", ["one_connection.py", "from_one_connection.py"])
async def test_one_connection(program: str) -> None:
    """Before and after: the same conversation."""
    async with echo_server() as (_, port):
        assert await output_of(program, f"ws://127.0.0.1:{port}/") == "hello\n"


@within(60)
async def test_from_node() -> None:
    """The counterpart of the Node.js program sends, broadcasts and pings."""
    async with echo_server() as (_, port):
        output = await output_of("from_node.py", f"ws://127.0.0.1:{port}/")
    assert "\nhello\n" in output
    assert "[wsmultipool] INFO 127.0.0.1: closed\n" in output
    assert "not sent" not in output


@within(60)
async def test_application() -> None:
    """twistd runs the application, and ends it in good order."""
    async with echo_server() as (_, port):
        url = f"ws://127.0.0.1:{port}/"
        async with running(*TWISTD, "-y", "application.py", POOL_URL=url) as twistd:
            await twistd.printed(r"\[application#info\] received hello from twistd")
            await twistd.stop("TERM")
    # The line with which twistd tells of the signal may be missing: it is written by the handler of
    # the signal, which may interrupt the write of the line before it, where Python refuses another
    # (its `io` documentation, Reentrancy).
    shut_down = twistd.output.partition("received hello")[2]
    assert shut_down.count("this side closed the connection: 1000") == 2, twistd.output
    assert "127.0.0.1: closed" in shut_down, twistd.output
    assert "Traceback" not in twistd.output, twistd.output


@within(60)
async def test_status_page() -> None:
    """twistd runs the application, and its page shows the pool, open."""
    port = unused_port()
    where = f"tcp:{port}:interface=127.0.0.1"
    async with echo_server() as (_, upstream):
        url = f"ws://127.0.0.1:{upstream}/"
        environment = {"POOL_URL": url, "STATUS_ENDPOINT": where}
        async with running(*TWISTD, "-y", "status_page.py", **environment) as twistd:
            await twistd.printed("all 2 connections are open")
            status, page = await fetch(f"http://127.0.0.1:{port}/")
            assert (status, b"All 2 open" in page) == (200, True)
            assert (await fetch(f"http://127.0.0.1:{port}/readyz"))[0] == 200
            await twistd.stop("TERM")
    assert "Traceback" not in twistd.output


@within(60)
async def test_own_metrics() -> None:
    """The program's own metrics and the pool's are in one answer."""
    async with (
        echo_server() as (_, upstream),
        running("own_metrics.py", f"ws://127.0.0.1:{upstream}/") as program,
    ):
        url = (await program.printed(r"metrics are at (\S+)"))[1]
        await program.printed("3 orders are sent")
        _, metrics = await fetch(url)
    assert b"orders_total 3.0" in metrics
    assert b'wsmultipool_messages_total{direction="sent",pool="orders"} 3.0' in metrics


@within(60)
async def test_private_ca(tmp_path: Path) -> None:
    """The private authority is trusted, because it was given; the platform's would not do."""
    authority = Authority(tmp_path)
    tls = authority.issue("localhost").private.options()
    async with listening(echo_factory(), tls=tls) as server:
        url = f"wss://localhost:{server.port}/"
        assert re.fullmatch(r"[\d.]+ ms\n", await output_of("private_ca.py", url, authority.file))


@within(60)
async def test_client_certificate(tmp_path: Path) -> None:
    """The server demands a certificate, and has another name than the URL's host."""
    authority = Authority(tmp_path)
    client = authority.issue("client@feed.test")
    tls = authority.demanding(authority.issue("feed.test"))
    async with listening(echo_factory(), tls=tls) as server:
        output = await output_of(
            "client_certificate.py",
            f"wss://127.0.0.1:{server.port}/",
            "feed.test",
            authority.file,
            client.certificate_file,
            client.key_file,
        )
    assert re.fullmatch(r"[\d.]+ ms\n", output)


@within(60)
async def test_through_a_proxy() -> None:
    """The proxy's credentials come from its URL; other ones are refused."""
    proxy = ConnectProxy("user:password")
    async with listening(echo_factory()) as server, listening(proxy) as tunnels:
        address = f"127.0.0.1:{tunnels.port}"
        output = await output_of(
            "through_a_proxy.py", server.url, PROXY=f"http://user:password@{address}"
        )
        async with running(
            "through_a_proxy.py", server.url, PROXY=f"http://user:other@{address}"
        ) as refused:
            await refused.printed("the proxy wants other credentials")
    assert output == "hello\n"
    assert len(proxy.tunnels) == 2


def test_every_example_is_run() -> None:
    """No example is forgotten here."""
    here = Path(__file__).read_text(encoding="utf-8")
    forgotten = [path.name for path in EXAMPLES.glob("*.py") if f'"{path.name}"' not in here]
    assert forgotten == []
