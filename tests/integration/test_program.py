"""
The service as a program: started, asked to read its configuration again, and ended.
"""

from __future__ import annotations

import ast
import json
import re
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast
from urllib.request import urlopen

import pytest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from wsmultipool import ReconnectingPoolFactory, WebSocketOptions

from .deadline import within
from .listening import listening, unused_port
from .recording_upstream import Upstream
from .running_reactor import reactor
from .service_programs import RUNNERS, TWIST, TWISTD, local_client, run, running, service

pytestmark = pytest.mark.integration

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "docs" / "examples"

# Beginning and end


@within(60)
@pytest.mark.parametrize("program", [TWISTD, TWIST], ids=["twistd", "twist"])
async def test_it_is_listed(program: list[str]) -> None:
    """Whoever asks twistd or twist what they can run reads about it."""
    listed = await run(*program, "--help")
    assert listed.status == 0
    assert re.search(r"\n +wsmultipool +A pool of WebSocket connections", listed.log)


@within(60)
@pytest.mark.parametrize("runner", RUNNERS)
async def test_it_relays_until_told_to_end(runner: str) -> None:
    """However it is started, it carries messages both ways, and ends with 0 when told to."""
    upstream = Upstream()
    async with listening(upstream) as server, service(runner, server) as (program, port):
        answers: list[bytes] = []
        async with local_client(port) as client:
            messages = client.messages()
            await client.send("hello")
            async for data, _, _ in messages:
                answers.append(data)
                break
            await messages.aclose()
        program.signal("TERM")
        assert await program.ended() == 0, program.log
        await server.all_gone()
    assert answers == upstream.messages == [b"hello"]
    assert "Traceback" not in program.log


@within(60)
async def test_help_of_twistd() -> None:
    """Its help is that of the command, under its own name."""
    asked = await run(*RUNNERS["twistd"], "--help")
    assert asked.status == 0
    assert b" wsmultipool --url URL [options]\n" in asked.output
    assert b"the relay for local programs:\n" in asked.output


@within(60)
async def test_the_end_loses_nothing() -> None:
    """
    Told to end while clients send as fast as they can, it delivers all that it has taken from
    them, in order, and says so by its status.
    """
    upstream = Upstream()
    async with listening(upstream) as server, service("twistd", server) as (program, port):
        clients = [local_client(port, close_timeout=10) for _ in range(3)]
        sending = [Deferred.fromCoroutine(_send_numbers(c, n)) for n, c in enumerate(clients)]
        # A thousand have arrived, so that all is in full flow.
        while len(upstream.messages) < 1000:
            await _turns(1)
        program.signal("TERM")
        status = await program.ended()
        for client in clients:
            client.destroy()
        await gatherResults(sending)
        await server.all_gone()
    assert status == 0, program.log
    numbers = defaultdict(list)
    for message in upstream.messages:
        client_number, number = message.split()
        numbers[client_number].append(int(number))
    assert len(numbers) == 3
    for received in numbers.values():
        assert received == list(range(len(received)))


async def _send_numbers(client: ReconnectingPoolFactory, client_number: int) -> None:
    try:
        for number in range(1_000_000):
            await client.send(f"{client_number} {number}")
            await _turns(number % 10 == 0)
    except Exception:
        # The pool of this client has been destroyed.
        assert client.get_stats().open == 0


async def _turns(count: int) -> None:
    for _ in range(count):
        await deferLater(reactor, 0)


@within(60)
async def test_what_could_not_be_delivered_shows_in_the_status() -> None:
    """When messages are left after the time to drain, the log counts them, and the status is 1."""
    async with AsyncExitStack() as upstream:
        server = await upstream.enter_async_context(listening(Upstream()))
        patience = ("--reconnect-interval=30", "--max-reconnect-interval=30")
        http = unused_port()
        arguments = (f"--http=tcp:{http}", "--drain=0.3", *patience)
        async with (
            service("relay", server, *arguments) as (program, port),
            local_client(port) as client,
        ):
            await client.when_open()
            await upstream.aclose()
            await program.wrote("no connection is open")
            await client.send("left")
            while not json.loads(await _get(http, "stats.json"))["relay"]["pending_messages"]:
                pass
            program.signal("TERM")
            assert await program.ended() == 1
    assert "1 message was not delivered" in program.log


@within(60)
async def test_loss_is_told_when_it_happens() -> None:
    """What a lost connection may have lost is logged then, and does not make the end a failure."""
    async with (
        listening(Upstream()) as server,
        service("relay", server, "--pool-size=1") as (program, port),
    ):
        async with local_client(port) as client:
            await client.when_open()
            cast(IPushProducer, server.connections[0].transport).pauseProducing()
            await client.send("lost")
            # When the second one is answered, the relay has written what it had read.
            await client.ping()
            await client.ping()
            server.reset_all()
            await program.wrote("1 message was written once and may have arrived, or not")
            await program.wrote("(?s)the connection is open.*the connection is open")
        program.signal("TERM")
        assert await program.ended() == 0, program.log


# While it runs


@within(60)
async def test_status_page_and_health(tmp_path: Path) -> None:
    """Relay, status page, metrics and health are there together; a container's check uses them."""
    containerfile = EXAMPLES.joinpath("Containerfile").read_text(encoding="utf-8")
    found = re.search(r"^HEALTHCHECK CMD (.*)$", containerfile.replace("\\\n", ""), re.MULTILINE)
    assert found is not None
    _, *check = ast.literal_eval(found[1])
    http = unused_port()
    arguments = [argument.replace("9100", str(http)) for argument in check]
    async with AsyncExitStack() as upstream:
        server = await upstream.enter_async_context(listening(Upstream()))
        async with (
            service("relay", server, "--http", f"tcp:{http}", "--pool-size=2") as (program, port),
            local_client(port) as client,
        ):
            await client.when_open()
            stats = json.loads(await _get(http, "stats.json"))
            assert (stats["open"], stats["relay"]["clients"]) == (2, 1)
            assert 'wsmultipool_connections{endpoint="' in await _get(http, "metrics")
            assert await _get(http, "healthz") == "alive\n"
            assert (await run(*arguments)).status == 0
            await upstream.aclose()
            await program.wrote("no connection is open")
            assert (await run(*arguments)).status == 1
            program.signal("TERM")
            assert await program.ended() == 0, program.log


def _get(port: int, path: str) -> Deferred[str]:
    def get() -> str:
        with urlopen(f"http://127.0.0.1:{port}/{path}") as response:
            return str(response.read(), "utf-8")

    # In a thread, as the server is on this reactor.
    return deferToThread(get)


@within(60)
async def test_hangup_changes_what_can_be_changed(tmp_path: Path) -> None:
    """
    On SIGHUP the file is read again: headers of the next attempts, size, log level and origins
    change at once, the log names them, and names what takes a restart.
    """
    upstream = Upstream()
    async with listening(upstream) as server:
        config = tmp_path / "config.toml"
        written = f'url = "{server.url}"\nlisten = "tcp:{unused_port()}"\npool_size = %d\n'
        written += 'reconnect_interval = 0.05\nheader = ["X-Key: %s"]\n'
        config.write_text(written % (2, "one"))
        async with running(*RUNNERS["twistd"], "--config", config) as program:
            await program.wrote("all 2 connections are open")
            assert {key for (key,) in upstream.journal.of("key")} == {"one"}

            config.write_text(written % (3, "two") + 'log_level = "debug"\nname = "other"\n')
            program.signal("HUP")
            await program.wrote("Changed: pool_size, header, log_level")
            await program.wrote("Changes with a restart: name")
            assert await upstream.journal.nth("key", 3) == ("two",)
            server.reset_all()
            assert await upstream.journal.nth("key", 4) == ("two",)

            program.signal("HUP")
            await program.wrote("Changed: nothing")
            program.signal("TERM")
            assert await program.ended() == 0, program.log
    assert "Traceback" not in program.log


@within(60)
async def test_hangup_with_a_mistake_changes_nothing(tmp_path: Path) -> None:
    """A file that has a mistake is told in the log, and the service goes on as it is."""
    async with listening(Upstream()) as server:
        config = tmp_path / "config.toml"
        config.write_text(f'url = "{server.url}"\n')
        async with running(*RUNNERS["twistd"], "--config", config) as program:
            await program.wrote("all 5 connections are open")
            config.write_text("pool_siz = 3\n")
            program.signal("HUP")
            await program.wrote(
                "Nothing is changed, as there is a mistake: config .*: unknown option 'pool_siz':"
                " did you mean 'pool_size'"
            )
            program.signal("TERM")
            assert await program.ended() == 0, program.log


@within(60)
async def test_hangup_changes_the_token(tmp_path: Path) -> None:
    """A new token is wanted from those who come after it; who is in, stays."""
    token = tmp_path / "token"
    token.write_text("one")
    token.chmod(0o600)
    async with (
        listening(Upstream()) as server,
        service("relay", server, "--token-file", token) as (program, port),
    ):
        options = WebSocketOptions(headers={"Authorization": "Bearer one"})
        async with local_client(port, ws_options=options) as client:
            await client.when_open()
            token.write_text("two")
            program.signal("HUP")
            await program.wrote("Changed: token")
            async with local_client(port, ws_options=options) as late:
                await program.wrote("Refused .*401")
                assert late.open_connections == 0
            assert client.open_connections == 1
        new = WebSocketOptions(headers={"Authorization": "Bearer two"})
        async with local_client(port, ws_options=new) as client:
            await client.when_open()
