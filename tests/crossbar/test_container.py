"""
The container form: a pool in a container worker of the node itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ..integration.deadline import within
from ..integration.listening import unused_port
from ..integration.peers import node_server
from ..integration.starting import Start
from .callers import calling
from .node import PREFIX, Node

pytestmark = pytest.mark.usefixtures("node")


class NodeWithContainer(Node):
    """
    A node whose container has this under C{extra}.
    """

    def __init__(self, directory: Path, **extra: Any) -> None:
        self._extra = extra
        super().__init__(directory, "container.json")

    def adapt(self, config: Any) -> None:
        """Put in the port, the tickets, and what the container has."""
        super().adapt(config)
        config["workers"][1]["components"][0]["extra"] |= self._extra


@within(120)
async def test_a_container_offers_its_pool(tmp_path: Path, start: Start) -> None:
    """
    The node starts although nothing listens where the pool connects to; when something does, what
    had waited is sent, and what arrives is published.
    """
    port = unused_port()
    extra = {"reconnect_interval": 0.1, "max_reconnect_interval": 0.5}
    node = NodeWithContainer(tmp_path / "crossbar", url=f"ws://127.0.0.1:{port}/", **extra)
    node.start()
    try:
        node.wait()
        async with calling(node, retry=True) as (caller, client):
            events: list[Any] = []
            await caller.session.subscribe(
                lambda *event: events.append(event), f"{PREFIX}.on_message"
            )
            early = client.send("early", confirm=True)
            await client.get_stats()
            await start(node_server(port=port))
            await early
            await client.send_many(["text", b"\x00\xff"], confirm=True)
            while len(events) < 3:
                await client.ping()
            assert sorted((repr(data), is_binary) for data, is_binary, _ in events) == [
                ("'early'", False),
                ("'text'", False),
                (r"b'\x00\xff'", True),
            ]
            assert (await client.get_stats())["total"] == 4
    finally:
        node.kill()


@within(120)
async def test_a_mistake_under_extra_is_named_by_the_node(tmp_path: Path) -> None:
    """An unknown option: the node does not start, and its log says which."""
    node = NodeWithContainer(tmp_path / "crossbar", poolsize=4)
    node.start()
    try:
        node.wait("unknown option 'poolsize'")
        assert "did you mean 'pool_size'" in node.log
    finally:
        node.kill()
