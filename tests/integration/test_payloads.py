"""
Every kind of payload reaches every kind of server, and comes back as it was.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from twisted.internet.defer import gatherResults

from wsmultipool import WebSocketOptions

from .autobahn_server import echo_factory
from .deadline import within
from .listening import listening
from .peers import node_server, websockets_server
from .starting import Start, StartPool

MIB = 1024 * 1024


@pytest.fixture(params=["node", "websockets", "autobahn"])
def echo(request: pytest.FixtureRequest) -> Any:
    """
    Builds an echo server: Node's C{ws}, Python's C{websockets}, or Autobahn.
    """
    if request.param == "node":
        request.getfixturevalue("node")
        return node_server
    if request.param == "websockets":
        return websockets_server
    return lambda deflate=False: listening(echo_factory(deflate=deflate))


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param("hello", id="text"),
        pytest.param("grüß dich, 世界 \U0001f680", id="non-ascii"),
        pytest.param(b"\x00\x01\xfe\xff", id="binary"),
        pytest.param("", id="empty-text"),
        pytest.param(b"", id="empty-binary"),
        pytest.param("0123456789abcdef" * MIB, id="16-MiB-text"),
        pytest.param(random.Random(1).randbytes(MIB) * 16, id="16-MiB-binary"),
    ],
)
@within(60)
async def test_payload_comes_back(
    echo: Any, payload: str | bytes, start: Start, start_pool: StartPool
) -> None:
    """A message is echoed byte for byte, and text stays text, binary stays binary."""
    server = await start(echo())
    pool, journal = start_pool(server.url)

    await pool.send(payload)

    data, is_binary, connection_id = await journal.nth("message")
    # Compared outside the assert: pytest would spend minutes on explaining 16 MiB.
    identical = data == (payload if isinstance(payload, bytes) else payload.encode("utf-8"))
    assert identical
    assert is_binary is isinstance(payload, bytes)
    assert connection_id == 0


@pytest.mark.parametrize("size", [10, 1023, 1024, 300_000])
@within(30)
async def test_compressed_payload_comes_back(
    echo: Any, size: int, start: Start, start_pool: StartPool
) -> None:
    """With permessage-deflate agreed on, messages on both sides of the threshold arrive intact."""
    server = await start(echo(deflate=True))
    pool, journal = start_pool(server.url, ws_options=WebSocketOptions(compression=True))
    text = ("wsmultipool " * size)[:size]

    # Twice: the second message depends on the compression context of the first.
    await pool.send(text)
    await pool.send(text.encode("ascii"))

    assert (await journal.nth("message", 1))[:2] == (text.encode("ascii"), False)
    assert (await journal.nth("message", 2))[:2] == (text.encode("ascii"), True)
    (response, _) = await journal.nth("upgrade")
    assert response.extensions == ("permessage-deflate",)


@within(30)
async def test_compression_can_be_chosen_per_message(
    echo: Any, start: Start, start_pool: StartPool
) -> None:
    """C{compress=} overrides the threshold in both directions, and the peer follows."""
    server = await start(echo(deflate=True))
    pool, journal = start_pool(server.url, ws_options=WebSocketOptions(compression=True))
    messages = [("a" * 2000, False), ("b" * 10, True), ("c" * 2000, None), ("d" * 10, None)]

    for text, compress in messages:
        await pool.send(text, compress=compress)

    await journal.nth("message", len(messages))
    echoed = [data.decode("ascii") for data, _, _ in journal.of("message")]
    assert echoed == [text for text, _ in messages]


@within(30)
async def test_server_without_compression_gets_plain_messages(
    echo: Any, start: Start, start_pool: StartPool
) -> None:
    """A server that does not agree to compression is sent uncompressed messages."""
    server = await start(echo())
    pool, journal = start_pool(server.url, ws_options=WebSocketOptions(compression=True))

    await pool.send("x" * 5000, compress=True)

    assert (await journal.nth("message"))[0] == b"x" * 5000
    (response, _) = await journal.nth("upgrade")
    assert response.extensions == ()


@within(60)
async def test_many_messages_over_four_connections(
    echo: Any, start: Start, start_pool: StartPool
) -> None:
    """Thousands of messages, sent without waiting in between, all arrive, on all connections."""
    server = await start(echo())
    pool, journal = start_pool(server.url, pool_size=4)
    await pool.when_ready()
    count = 4000

    took = await gatherResults([pool.send(f"message {number}") for number in range(count)])

    assert {took.count(connection) for connection in range(4)} == {count // 4}
    await journal.nth("message", count)
    echoed = sorted(int(data.split()[1]) for data, _, _ in journal.of("message"))
    assert echoed == list(range(count))
    assert {connection for _, _, connection in journal.of("message")} == {0, 1, 2, 3}


@within(30)
async def test_order_holds_on_each_connection(
    echo: Any, start: Start, start_pool: StartPool
) -> None:
    """Messages that went over one connection arrive in the order in which they were sent."""
    server = await start(echo())
    pool, journal = start_pool(server.url, pool_size=4)
    await pool.when_ready()
    count = 1000

    for number in range(count):
        await pool.send(str(number), key=number % 7)

    await journal.nth("message", count)
    for key in range(7):
        received = [int(data) for data, _, _ in journal.of("message") if int(data) % 7 == key]
        assert received == list(range(key, count, 7))
