"""
A relay between real clients and real servers.
"""

from __future__ import annotations

import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from twisted.internet.endpoints import SSL4ServerEndpoint, TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.ssl import CertificateOptions
from twisted.internet.threads import deferToThread

from .certificates import Authority
from .deadline import within
from .listening import unused_port
from .peers import websockets_server
from .relay_clients import NODE_CLIENT, run, run_websockets
from .relays import relaying
from .running_reactor import reactor
from .starting import Start, StartPool

ECHOED = {"received": ["text", "00ff"], "text": [True, False]}
TOKEN = "s3same"


def http_answer(url: str) -> tuple[int, str]:
    """Ask for a page, in a thread; return status and body."""
    try:
        with urlopen(url, timeout=10) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


@within(60)
async def test_clients_on_python(start: Start, start_pool: StartPool, tmp_path: Path) -> None:
    """websockets talks through a relay, over TCP and over a unix socket."""
    server = await start(websockets_server())
    pool, _ = start_pool(server.url, pool_size=2)
    by_tcp = await start(relaying(pool))
    assert await run_websockets(url=by_tcp.url) == ECHOED

    path = str(tmp_path / "relay.sock")
    by_unix = await start(relaying(pool, f"unix:{path}", fanout="sticky"))
    assert await run_websockets(unix=path) == ECHOED
    assert by_unix.service.get_stats().messages_from_clients == 2


@within(60)
async def test_clients_on_node(node: None, start: Start, start_pool: StartPool) -> None:
    """ws talks through a relay, if it knows the token, and closes as it should."""
    program = shutil.which("node")
    assert program is not None
    server = await start(websockets_server())
    pool, _ = start_pool(server.url)
    relay = await start(relaying(pool, token=TOKEN, confirm=True))
    refused = await run([program, NODE_CLIENT], url=relay.url, headers={})
    assert refused == {"status": 401}
    right = {"Authorization": f"Bearer {TOKEN}"}
    answered = await run([program, NODE_CLIENT], url=relay.url, headers=right)
    assert answered == {**ECHOED, "code": 1000}
    stats = relay.service.get_stats()
    assert (stats.accepted, dict(stats.refused)) == (1, {"token": 1})
    assert stats.messages_from_clients == 2


@within(60)
async def test_clients_over_tls(authority: Authority, start: Start, start_pool: StartPool) -> None:
    """A relay may listen on TLS; who comes by HTTP gets its answer there as well."""
    server = await start(websockets_server())
    pool, _ = start_pool(server.url)
    private = authority.issue("127.0.0.1").private
    options = CertificateOptions(
        private.privateKey.original, private.original, acceptableProtocols=[b"http/1.1"]
    )
    endpoint = SSL4ServerEndpoint(reactor, 0, options, interface="127.0.0.1")
    relay = await start(relaying(pool, endpoint))
    url = f"wss://127.0.0.1:{relay.port}/"
    assert await run_websockets(url=url, authority=authority.file) == ECHOED
    refused = await run_websockets(
        url=url, authority=authority.file, headers={"Origin": "https://evil.example"}
    )
    assert refused == {"status": 403}


@within(60)
async def test_a_request_by_http(start_pool: StartPool, start: Start) -> None:
    """Somebody who takes the relay for a web server reads what it is."""
    pool, _ = start_pool(f"ws://127.0.0.1:{unused_port()}/")
    relay = await start(relaying(pool))
    status, body = await deferToThread(http_answer, f"http://127.0.0.1:{relay.port}/")
    assert status == 426
    assert "ws://" in body


# Twisted leaves the socket that it could not bind to the garbage collector, up to 24.7 at least.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@within(60)
async def test_a_port_in_use(start: Start, start_pool: StartPool, stack: AsyncExitStack) -> None:
    """Whoever starts the relay hears of it."""
    pool, _ = start_pool(f"ws://127.0.0.1:{unused_port()}/")
    relay = await start(relaying(pool))
    taken = TCP4ServerEndpoint(reactor, relay.port, interface="127.0.0.1")
    with pytest.raises(CannotListenError, match=str(relay.port)):
        await stack.enter_async_context(relaying(pool, taken))
