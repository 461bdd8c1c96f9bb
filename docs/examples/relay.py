"""
A relay, and a program that uses it as if it were the server.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from autobahn.twisted.websocket import WebSocketServerFactory
from echo_server import Echo
from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.internet.task import react
from twisted.internet.utils import getProcessOutput

from wsmultipool import ReconnectingPoolFactory
from wsmultipool.service.relay import RelayService
from wsmultipool.service.relay_options import RelayOptions

CLIENT = str(Path(__file__).with_name("relay_client.py"))


async def main(reactor: IReactorTime) -> None:
    factory = WebSocketServerFactory()
    factory.protocol = Echo
    upstream = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory)

    async with ReconnectingPoolFactory(
        url_of(upstream), reactor=reactor, pool_size=2, overflow="drop_newest"
    ) as pool:
        endpoint = serverFromString(reactor, "tcp:0:interface=127.0.0.1")
        options = RelayOptions(fanout="sticky", confirm=True, token="s3same")
        relay = RelayService(pool, endpoint, options, reactor=reactor)
        port = await relay.listen()
        relay.startService()

        environment = {**os.environ, "RELAY_URL": url_of(port), "RELAY_TOKEN": "s3same"}
        output = await getProcessOutput(sys.executable, [CLIENT], env=environment, reactor=reactor)
        print(output.decode().strip())

        await relay.stopService()

    await upstream.stopListening()


def url_of(port: IListeningPort) -> str:
    address = port.getHost()
    assert isinstance(address, IPv4Address)
    return f"ws://127.0.0.1:{address.port}/"


if __name__ == "__main__":
    react(main)
