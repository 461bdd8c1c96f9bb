"""
One pool over three servers, one of which dies, and comes back.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.internet.task import deferLater, react

from wsmultipool import ReconnectingPoolFactory


class Client(WebSocketServerProtocol):
    """
    The server's end of one connection.
    """

    def onOpen(self) -> None:
        clients[self.factory].append(self)


clients: defaultdict[WebSocketServerFactory, list[Client]] = defaultdict(list)


class Server:
    """
    A server that can be killed.
    """

    def __init__(self) -> None:
        self.factory = WebSocketServerFactory()
        self.factory.protocol = Client

    async def listen(self, reactor: IReactorTime, port: int = 0) -> int:
        endpoint = serverFromString(reactor, f"tcp:{port}:interface=127.0.0.1")
        self.port: IListeningPort = await endpoint.listen(self.factory)
        return int(self.port.getHost().port)

    async def die(self) -> None:
        await maybeDeferred(self.port.stopListening)
        for client in clients.pop(self.factory, []):
            client.dropConnection(abort=True)


def show(pool: ReconnectingPoolFactory, names: dict[str, str]) -> str:
    connections = Counter(names[each.url] for each in pool.get_stats().connections)
    return ", ".join(f"{connections[name]} at {name}" for name in names.values())


async def main(reactor: IReactorTime) -> None:
    servers = [Server(), Server(), Server()]
    ports = [await server.listen(reactor) for server in servers]
    urls = [f"ws://127.0.0.1:{port}/" for port in ports]
    names = dict(zip(urls, "ABC", strict=True))

    pool = ReconnectingPoolFactory(
        urls, reactor=reactor, pool_size=6, reconnect_interval=0.1, min_uptime=0.1
    )
    await pool.when_ready()
    print("open:", show(pool, names))

    await deferLater(reactor, 0.2)  # longer than min_uptime
    await servers[1].die()
    while pool.open_connections == pool.total_connections:
        await deferLater(reactor, 0.01)
    await pool.when_ready()
    print("B is dead:", show(pool, names))

    await servers[1].listen(reactor, ports[1])
    await pool.resize(12)
    await pool.when_ready()
    await pool.resize(6)
    print("B is back:", show(pool, names))

    await pool.close()
    for server in servers:
        await server.die()


if __name__ == "__main__":
    react(main)
