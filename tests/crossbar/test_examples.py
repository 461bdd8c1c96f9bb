"""
The programs of the documentation run with a real node, and do what it says.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ..integration.deadline import within
from ..integration.peers import node_server
from ..integration.starting import Start
from ..test_examples import EXAMPLES, TWISTD, running
from .callers import calling
from .node import PREFIX, TICKETS, Node

pytestmark = pytest.mark.usefixtures("node")


@within(60)
async def test_service_and_caller(crossbar: Node, start: Start) -> None:
    """twistd offers a pool to the realm; the caller uses it; both end in good order."""
    server = await start(node_server())
    directory = EXAMPLES / "crossbar"
    environment = {
        "POOL_URL": server.url,
        "ROUTER_URL": crossbar.url,
        "POOL_TICKET": TICKETS["feed"],
        "APP_TICKET": TICKETS["app"],
    }
    async with running(*TWISTD, "-y", directory / "pool_service.py", **environment) as twistd:
        await twistd.printed("offered as com.example.feed")
        async with running(directory / "caller.py", **environment) as caller:
            output = await caller.finished()
        await twistd.stop("TERM")
    assert re.search(r"connection [0-3] has delivered hello", output)
    assert "100 of 100 orders delivered" in output
    assert re.search(r"connection [0-3] brought 'hello'", output)
    assert "127.0.0.1: closed" in twistd.output
    assert "Traceback" not in twistd.output
    for ticket in TICKETS.values():
        assert ticket not in twistd.output + output


@within(60)
async def test_twistd_with_options(crossbar: Node, start: Start, tmp_path: Path) -> None:
    """The same without a program: options are enough, and a wrong realm is a failure to start."""
    server = await start(node_server())
    ticket = tmp_path / "ticket"
    ticket.write_text(TICKETS["feed"])
    options: list[str | Path] = [
        *("wsmultipool", "--url", server.url, "--wamp-url", crossbar.url),
        *("--wamp-prefix", PREFIX, "--wamp-authid", "feed", "--wamp-ticket-file", ticket),
    ]
    async with running(*TWISTD, *options, "--realm", "realm1") as twistd:
        _, client = await start(calling(crossbar, retry=True))
        assert await client.send("hello", confirm=True) in range(5)
        await twistd.stop("TERM")
    assert "Traceback" not in twistd.output
    async with running(*TWISTD, *options, "--realm", "elsewhere") as refused:
        await refused.printed(r"wamp: realm: the router refused it \(wamp.error.no_such_realm\)")
