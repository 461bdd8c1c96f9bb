"""
A process that is suspended for longer than its deadlines, as by Ctrl-Z or a debugger.
"""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.integration

TIMEOUT = 2.0
CLIENT = """
import sys
from twisted.internet import reactor
from wsmultipool import ReconnectingPoolFactory

pool = ReconnectingPoolFactory(
    sys.argv[1], pool_size=1, heartbeat_interval=0.1, heartbeat_timeout=float(sys.argv[2])
)
pongs = []

def end(verdict):
    print(verdict)
    pool.destroy()
    reactor.callLater(0, reactor.stop)

def pong(data, connection_id):
    pongs.append(data)
    if len(pongs) == 2:
        end("alive")

pool.on("pong", pong)
pool.once("error", lambda error, _: end(error))
reactor.run()
"""
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def read_exactly(peer: socket.socket, size: int) -> bytes:
    """
    Read so many octets.
    """
    data = b""
    while len(data) < size:
        more = peer.recv(size - len(data))
        assert more, "the client has closed the connection"
        data += more
    return data


def accept_upgrade(peer: socket.socket) -> None:
    """
    Read the request, and accept it.
    """
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += read_exactly(peer, 1)
    (key,) = [
        line.partition(b":")[2].strip()
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key:")
    ]
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    peer.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def read_ping(peer: socket.socket) -> bytes:
    """
    Read a ping of the pool's, and return the pong for it.
    """
    octet, size = read_exactly(peer, 2)
    assert octet == 0x89
    size &= 0x7F
    mask = read_exactly(peer, 4)
    payload = bytes(o ^ mask[i % 4] for i, o in enumerate(read_exactly(peer, size)))
    return bytes([0x8A, size]) + payload


def test_a_process_that_was_suspended_reads_before_it_judges() -> None:
    """The pong came while it stood still for longer than C{heartbeat_timeout}: all is well."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        url = f"ws://127.0.0.1:{server.getsockname()[1]}/"
        client = subprocess.Popen(
            [sys.executable, "-c", CLIENT, url, str(TIMEOUT)], stdout=subprocess.PIPE, text=True
        )
        try:
            peer, _ = server.accept()
            with peer:
                peer.settimeout(60)
                accept_upgrade(peer)
                pong = read_ping(peer)
                os.kill(client.pid, signal.SIGSTOP)
                peer.sendall(pong)
                time.sleep(TIMEOUT + 0.5)  # which is what it is about
                os.kill(client.pid, signal.SIGCONT)
                peer.sendall(read_ping(peer))
                output, _ = client.communicate(timeout=60)
        finally:
            client.kill()
            client.wait()
    assert output == "alive\n"
