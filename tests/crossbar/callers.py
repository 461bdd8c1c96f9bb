"""
Callers and components of the tests: sessions with the node, and processes that offer a pool.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, cast

from autobahn.twisted.component import Component
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from wsmultipool.wamp import PoolClient

from ..integration.deadline import limited
from ..integration.processes import PeerProcess, running
from ..integration.running_reactor import reactor
from .node import PREFIX, REALM, TICKETS, Node

HERE = Path(__file__).parent


def component_process(
    node: Node, server: str, **given: Any
) -> AbstractAsyncContextManager[PeerProcess]:
    """
    Run a component with a pool to C{server} for the length of the context.

    @param given: as C{component_process.py} documents it.
    """
    options = {
        "server": server,
        "router": node.url,
        "ticket": TICKETS["feed"],
        **given,
        "offer": {"prefix": PREFIX, "publish": [], **given.get("offer", {})},
    }
    return helper_process("component_process", options)


def helper_process(
    module: str, options: dict[str, Any]
) -> AbstractAsyncContextManager[PeerProcess]:
    """
    Run a module of this package as a process for the length of the context.
    """
    package = __package__ or ""
    root = HERE.parents[len(package.split(".")) - 1]
    program = (
        f"import runpy, sys; sys.path.append({str(root)!r}); "
        f"runpy.run_module('{package}.{module}', run_name='__main__')"
    )
    return running([sys.executable, "-c", program], options)


class Caller:
    """
    A component that only calls and subscribes, and its present session.
    """

    def __init__(self, node: Node, serializer: str, ticket: str) -> None:
        transport = {
            "url": node.url,
            "serializers": [serializer],
            "initial_retry_delay": 0.2,
            "max_retry_delay": 1.0,
        }
        self.component = Component(
            transports=[transport],
            realm=REALM,
            authentication={"ticket": {"authid": "app", "ticket": ticket}},
        )
        self.session: Any = None
        self.joined: Deferred[None] = Deferred()
        self.component.on("join", self._joined)

    def client(self, **options: Any) -> PoolClient:
        return PoolClient(self.component, PREFIX, **options)

    def _joined(self, session: Any, details: object) -> None:
        self.session = session
        if not self.joined.called:
            self.joined.callback(None)


@asynccontextmanager
async def calling(
    node: Node, serializer: str = "cbor", ticket: str = TICKETS["app"], **options: Any
) -> AsyncIterator[tuple[Caller, PoolClient]]:
    """
    Have a session, and a client, for the length of the context.

    @param options: of the client.
    """
    caller = Caller(node, serializer, ticket)
    client = caller.client(**options)
    ended = cast("Deferred[None]", caller.component.start(reactor))
    ended.addErrback(lambda _: None)
    await limited(caller.joined, 30)
    try:
        yield caller, client
    finally:
        closed: Deferred[None] = Deferred()
        session = caller.session
        if session.is_attached():
            session.on("disconnect", lambda *_, **__: closed.callback(None))
            caller.component.stop()
            await limited(closed, 10)
        # Autobahn lets go of the transport in the next turns.
        await deferLater(reactor, 0.05)


async def both_offered(client: PoolClient) -> None:
    """
    Call until two components have answered.
    """
    names: set[int] = set()
    while len(names) < 2:
        names.add((await client.get_stats())["wamp"]["session"])
