"""
A relay whose server is behind nginx, which ends TLS there and is restarted under load.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from wsmultipool import TLSOptions, WebSocketOptions

from .certificates import Authority, Issued
from .deadline import limited, within
from .listening import unused_port
from .peers import websockets_server
from .relay_clients import run_websockets
from .relays import relaying
from .running_reactor import reactor
from .signalling import signal_if_there
from .starting import Start, StartPool

CONFIGURATION = """
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {issued.certificate_file};
        ssl_certificate_key {issued.key_file};
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
        }}
    }}
}}
"""
NUMBERS = 6000
CLIENTS = 3


@pytest.fixture(scope="module")
def nginx() -> str:
    """
    The path of nginx; without it the test is skipped, but never in CI.
    """
    path = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if path is None:
        message = "nginx not found: no tests behind a reverse proxy"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


class Nginx(ProcessProtocol):
    """
    One nginx process; its workers end with it.
    """

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred()
        self.errors = b""

    def errReceived(self, data: bytes) -> None:
        self.errors += data

    def processEnded(self, reason: Failure) -> None:
        self.ended.callback(None)


@asynccontextmanager
async def proxy(nginx: str, configuration: Path) -> AsyncIterator[Any]:
    """
    Run nginx; C{restart()} has it drop all connections, and starts it anew.
    """
    processes: list[Nginx] = []

    def start() -> None:
        processes.append(Nginx())
        command = [nginx, "-e", "stderr", "-p", str(configuration.parent), "-c", str(configuration)]
        reactor.spawnProcess(processes[-1], nginx, command, env=dict(os.environ))

    async def stop() -> None:
        assert processes[-1].transport is not None
        if not processes[-1].ended.called:
            signal_if_there(processes[-1].transport, "TERM")
        await limited(processes[-1].ended, 10)

    async def restart() -> None:
        await stop()
        start()

    start()
    try:
        yield restart
    finally:
        await stop()


def write_configuration(directory: Path, port: int, upstream: int, issued: Issued) -> Path:
    """Write nginx' configuration, with everything it writes in one directory."""
    path = directory / "nginx.conf"
    text = CONFIGURATION.format(directory=directory, port=port, upstream=upstream, issued=issued)
    path.write_text(text, encoding="utf-8")
    return path


@within(120)
async def test_restarts_under_load_lose_nothing(
    nginx: str, authority: Authority, start: Start, start_pool: StartPool, tmp_path: Path
) -> None:
    """With confirm=True all that local programs send arrives, however often the proxy restarts."""
    server = await start(websockets_server(mode="report"))
    port = unused_port()
    configuration = write_configuration(tmp_path, port, server.port, authority.issue("127.0.0.1"))
    restart = await start(proxy(nginx, configuration))
    pool, journal = start_pool(
        f"wss://127.0.0.1:{port}/",
        pool_size=3,
        overflow="drop_newest",
        message_queue_size=1000,  # room for what all clients may have under way
        max_deliveries=10,
        ws_options=WebSocketOptions(tls=TLSOptions(trust_root=authority.file)),
    )
    await pool.when_ready()
    relay = await start(relaying(pool, confirm=True))

    clients = [
        Deferred.fromCoroutine(run_websockets(url=relay.url, numbers=NUMBERS))
        for _ in range(CLIENTS)
    ]
    for share in (1, 2, 3):
        await server.event("message", share * NUMBERS * CLIENTS // 5)
        await restart()
    results = [await limited(client, 60) for client in clients]
    await limited(pool.flush(), 30)

    assert results == [{"sent": NUMBERS}] * CLIENTS
    # Each restart ends all that are open, which some of three may not be yet after the one before.
    assert journal.count("close") >= 3
    received = [event["text"] for (event,) in server.journal.of("message")]
    times = {str(number): 0 for number in range(NUMBERS)}
    for text in received:
        times[text] += 1
    assert min(times.values()) >= CLIENTS
    stats = relay.service.get_stats()
    assert stats.messages_from_clients == NUMBERS * CLIENTS
    assert stats.failed_messages == 0
    assert dict(stats.closed) == {"client": CLIENTS}
