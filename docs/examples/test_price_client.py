"""
Tests of a client that uses a pool: no sockets, no waiting.  Run it with pytest.
"""

from __future__ import annotations

import json

from wsmultipool import PooledConnection, ReconnectingPoolFactory
from wsmultipool.testing import MemoryPool


class PriceClient:
    """
    What is tested: it subscribes on every connection, and remembers the latest price.
    """

    def __init__(self) -> None:
        self.price: float | None = None

    async def subscribe(self, connection: PooledConnection) -> None:
        await connection.send("subscribe")

    def attach(self, pool: ReconnectingPoolFactory) -> None:
        pool.on("message", self._received)

    def _received(self, data: bytes, is_binary: bool, connection_id: int) -> None:
        self.price = json.loads(data)["price"]


def client_and_memory() -> tuple[PriceClient, MemoryPool]:
    client = PriceClient()
    memory = MemoryPool(pool_size=2, on_connect=client.subscribe)
    client.attach(memory.pool)
    memory.open()
    return client, memory


def test_remembers_the_price() -> None:
    client, memory = client_and_memory()
    memory.server.peers[1].send('{"price": 12.5}')
    memory.settle()
    assert client.price == 12.5
    memory.close()


def test_subscribes_again_after_a_loss() -> None:
    _, memory = client_and_memory()
    memory.server.peers[0].drop()
    memory.advance(1)  # reconnect_interval: the first retry comes now
    assert [peer.received for peer in memory.server.open_peers] == [[(b"subscribe", False)]] * 2
    memory.close()


def test_waits_for_a_server_that_is_away() -> None:
    _, memory = client_and_memory()
    memory.server.refuse()
    for peer in memory.server.open_peers:
        peer.drop()
    memory.settle()
    sent = memory.pool.send("buy")
    memory.advance(20)
    assert not sent.called
    memory.server.accept()
    memory.advance(30)
    connection_id = memory.result(sent)
    assert connection_id in (0, 1)
    memory.close()
