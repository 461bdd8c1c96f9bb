"""
HTTP requests to servers on this machine.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import Agent, FileBodyProducer
from twisted.web.http_headers import Headers

from .running_reactor import reactor


async def fetch(
    url: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, bytes]:
    """
    Make one request.

    @return: the status, and the body.
    """
    agent = Agent(reactor)
    response = await agent.request(
        method.encode(),
        url.encode(),
        Headers({name: [value] for name, value in headers.items()}),
        None if body is None else FileBodyProducer(BytesIO(body)),
    )
    # Not readBody, which warns where all of the body has arrived with the head.
    body_protocol = _Body()
    response.deliverBody(body_protocol)
    return response.code, await body_protocol.whole


class _Body(Protocol):
    """
    Collects a body.
    """

    def __init__(self) -> None:
        self.whole: Deferred[bytes] = Deferred()
        self._received = b""

    def dataReceived(self, data: bytes) -> None:
        self._received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.whole.callback(self._received)


async def fetch_json(url: str, method: str = "GET", body: Any = None) -> Any:
    """
    Make one request with JSON, for JSON.
    """
    octets = None if body is None else json.dumps(body).encode()
    return json.loads((await fetch(url, method, octets))[1])


async def eventually(look: Callable[[], Awaitable[Any]]) -> Any:
    """
    Look at another process again and again, which can't tell us, until there is something.

    @return: the first thing seen that is true.
    """
    while not (seen := await look()):
        await deferLater(reactor, 0.05, lambda: None)
    return seen
