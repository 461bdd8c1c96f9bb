"""
Servers on unix sockets, and other endpoints that the user chooses.
"""

from __future__ import annotations

from pathlib import Path

from twisted.internet.endpoints import UNIXClientEndpoint, clientFromString

from wsmultipool import WebSocketOptions

from .deadline import within
from .peers import node_server
from .running_reactor import reactor
from .starting import Start, StartPool


@within(30)
async def test_endpoint_string(
    node: None, tmp_path: Path, start: Start, start_pool: StartPool
) -> None:
    """An endpoint string says where to connect; the URL still says host and path."""
    path = str(tmp_path / "server.sock")
    server = await start(node_server(unix=path))

    pool, journal = start_pool(
        "ws://inside.example/feed", ws_options=WebSocketOptions(endpoint=f"unix:{path}")
    )
    await pool.send("by string")

    assert (await journal.nth("message"))[0] == b"by string"
    (event,) = await server.journal.nth("open")
    assert event["url"] == "/feed"
    assert event["headers"]["host"].split(":")[0] == "inside.example"


@within(30)
async def test_endpoint_object(
    node: None, tmp_path: Path, start: Start, start_pool: StartPool
) -> None:
    """An endpoint object serves every connection of the pool, and every attempt."""
    path = str(tmp_path / "server.sock")
    server = await start(node_server(unix=path))

    pool, journal = start_pool(
        "ws://localhost/",
        pool_size=3,
        ws_options=WebSocketOptions(endpoint=UNIXClientEndpoint(reactor, path)),
    )
    await pool.when_ready()
    server.tell("terminate")
    await journal.nth("open", 6)
    await pool.send("by object")

    assert (await journal.nth("message"))[0] == b"by object"


@within(30)
async def test_socket_that_is_not_there_yet(
    node: None, tmp_path: Path, start: Start, start_pool: StartPool
) -> None:
    """While the socket does not exist, attempts fail; when it does, the pool connects."""
    path = str(tmp_path / "server.sock")
    pool, journal = start_pool(
        "ws://localhost/",
        ws_options=WebSocketOptions(endpoint=clientFromString(reactor, f"unix:{path}")),
    )
    await journal.nth("error")

    await start(node_server(unix=path))

    await pool.when_ready()
