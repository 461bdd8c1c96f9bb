"""
The service as a program: TLS with its clients, and with the server.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from shutil import copy

import pytest
from twisted.internet.threads import deferToThread

from .certificates import Authority, Issued
from .deadline import within
from .listening import listening, unused_port
from .peers import websockets_server
from .recording_upstream import Upstream
from .relay_clients import run_websockets
from .service_programs import RUNNERS, running
from .starting import Start

pytestmark = pytest.mark.integration


def tls(port: int, issued: Issued) -> str:
    """
    Return the string of an endpoint that shows a certificate.
    """
    return f"ssl:{port}:privateKey={issued.key_file}:certKey={issued.certificate_file}"


@within(60)
async def test_a_relay_for_whoever_has_a_certificate(authority: Authority, start: Start) -> None:
    """
    Beyond loopback no token is needed when TLS demands a certificate: without one, nobody gets as
    far as to ask for a WebSocket, and the log says so.
    """
    server = await start(websockets_server())
    port = unused_port()
    endpoint = f"{tls(port, authority.issue('127.0.0.1'))}:interface=0.0.0.0"
    options = ("--client-ca", authority.file, "--listen", endpoint)
    client = authority.issue("client@relay.test")
    shown = [client.certificate_file, client.key_file]
    asked = {"url": f"wss://127.0.0.1:{port}/", "authority": authority.file}
    async with running(*RUNNERS["relay"], "--url", server.url, *options) as program:
        await program.wrote("all 5 connections are open")
        answered = await run_websockets(**asked, shown=shown)
        assert answered == {"received": ["text", "00ff"], "text": [True, False]}
        assert await run_websockets(**asked) == {"tls": "refused"}
        await program.wrote(
            r"Refused client 127\.0\.0\.1:\d+ \(TLS\): peer did not return a certificate"
        )
        program.signal("TERM")
        assert await program.ended() == 0, program.log
    assert "Traceback" not in program.log


@within(60)
async def test_hangup_reads_certificates(authority: Authority, tmp_path: Path) -> None:
    """
    Whom to trust and what to show, to the server and to clients, is read again on SIGHUP: the
    next attempt to connect succeeds, and the next client sees another certificate.
    """
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    wrong, right = other.issue("client@feed.test"), authority.issue("client@feed.test")
    shown, new = authority.issue("127.0.0.1"), authority.issue("127.0.0.1")
    port = unused_port()
    said = {"ca": other.file, "cert": wrong.certificate_file, "key": wrong.key_file}
    options = [f"--{name}={path}" for name, path in said.items()]
    options += ["--pool-size=1", "--reconnect-interval=0.05", "--max-reconnect-interval=0.1"]
    demanding = authority.demanding(authority.issue("127.0.0.1"))
    async with (
        listening(Upstream(), tls=demanding) as server,
        running(
            *(*RUNNERS["relay"], f"--url=wss://127.0.0.1:{server.port}/", *options),
            f"--listen={tls(port, shown)}:interface=127.0.0.1",
        ) as program,
    ):
        await program.wrote("certificate verify failed")
        copy(authority.file, said["ca"])
        copy(right.certificate_file, said["cert"])
        copy(right.key_file, said["key"])
        copy(new.certificate_file, shown.certificate_file)
        copy(new.key_file, shown.key_file)
        program.signal("HUP")
        await program.wrote("Changed: ca, cert, key, listen")
        await program.wrote("the connection is open")
        seen = await deferToThread(ssl.get_server_certificate, ("127.0.0.1", port))
        assert seen == Path(new.certificate_file).read_text()
        program.signal("TERM")
        assert await program.ended() == 0, program.log
    assert "Traceback" not in program.log
