"""
The service as a program: TLS with its clients, and with the server.
"""

from __future__ import annotations

import pytest

from .certificates import Authority, Issued
from .deadline import within
from .listening import unused_port
from .peers import websockets_server
from .relay_clients import run_websockets
from .service_programs import RUNNERS, running
from .starting import Start

pytestmark = pytest.mark.integration


def tls(port: int, issued: Issued, interface: str = "0.0.0.0") -> str:
    """
    Return the string of an endpoint that shows a certificate.
    """
    return (
        f"ssl:{port}:privateKey={issued.key_file}:certKey={issued.certificate_file}"
        f":interface={interface}"
    )


@within(60)
async def test_a_relay_for_whoever_has_a_certificate(authority: Authority, start: Start) -> None:
    """
    Beyond loopback no token is needed when TLS demands a certificate: without one, nobody gets as
    far as to ask for a WebSocket, and the log says so.
    """
    server = await start(websockets_server())
    port = unused_port()
    options = ("--client-ca", authority.file, "--listen", tls(port, authority.issue("127.0.0.1")))
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
