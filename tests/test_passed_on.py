"""
What hooks and handlers raise that is not meant for the pool: C{SystemExit}, C{KeyboardInterrupt}.

It goes on to whatever runs the reactor, and the pool goes on as if an exception had been raised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wsmultipool import WebSocketOptions
from wsmultipool.errors import HeadersFailed, OnConnectFailed, URLFailed
from wsmultipool.events import EventName
from wsmultipool.testing import MemoryPool

NOT_FOR_US = [SystemExit, KeyboardInterrupt, GeneratorExit]


class Raising:
    """
    Raises once, at the given call of it.

    @ivar calls: how often it was called.
    """

    def __init__(self, kind: type[BaseException], at: int = 1) -> None:
        self.calls = 0
        self._kind = kind
        self._at = at

    def __call__(self, *_: object) -> None:
        self.calls += 1
        if self.calls == self._at:
            raise self._kind

    def headers(self) -> dict[str, str]:
        """The same as a hook that returns something."""
        self()
        return {}


def passes(memory: MemoryPool, kind: type[BaseException]) -> None:
    """
    Let the reactor run into it.
    """
    with pytest.raises(kind):
        memory.advance(1)
    memory.settle()


@pytest.mark.parametrize("at", [1, 2, 4])
@pytest.mark.parametrize("max_connecting", [None, 1, 2])
@pytest.mark.parametrize("kind", NOT_FOR_US)
def test_headers_that_raise_it_leave_the_connect_gate_usable(
    kind: type[BaseException], max_connecting: int | None, at: int
) -> None:
    """Of four connections all open, the one concerned at its next attempt."""
    headers = Raising(kind, at)
    memory = MemoryPool(
        pool_size=4,
        max_connecting=max_connecting,
        ws_options=WebSocketOptions(headers=headers.headers),
        logger=False,
    )
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.pool.start()
    passes(memory, kind)
    assert [type(error) for error in errors] == [HeadersFailed]
    assert isinstance(errors[0].__cause__, kind)
    memory.advance(2)
    assert memory.pool.open_connections == 4
    assert headers.calls == 5
    memory.close()


@pytest.mark.parametrize("kind", NOT_FOR_US)
def test_a_url_that_raises_it_leaves_the_connect_gate_usable(kind: type[BaseException]) -> None:
    """It is as good a hook as the headers are."""
    raising = Raising(kind)

    def url() -> str:
        raising()
        return "ws://memory.test/"

    options = WebSocketOptions(url=url)
    memory = MemoryPool(pool_size=3, max_connecting=1, ws_options=options, logger=False)
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.pool.start()
    passes(memory, kind)
    memory.advance(2)
    assert [type(error) for error in errors] == [URLFailed]
    assert memory.pool.open_connections == 3
    memory.close()


@pytest.mark.parametrize("kind", NOT_FOR_US)
def test_an_on_connect_that_raises_it_leaves_the_connect_gate_usable(
    kind: type[BaseException],
) -> None:
    """The attempt has failed, and does not use up its time."""
    memory = MemoryPool(pool_size=3, max_connecting=1, on_connect=Raising(kind), logger=False)
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.pool.start()
    passes(memory, kind)
    memory.advance(2)
    assert [type(error) for error in errors] == [OnConnectFailed]
    assert memory.pool.open_connections == 3
    memory.close()


def opens(memory: MemoryPool) -> None:
    memory.pool.start()


def rejected(memory: MemoryPool) -> None:
    memory.server.reject(503)
    memory.pool.start()


def lost(memory: MemoryPool) -> None:
    memory.open()
    for peer in memory.server.peers:
        peer.drop()


def recovers(memory: MemoryPool) -> None:
    memory.pool.send("waiting")
    memory.pool.start()


@pytest.mark.parametrize(
    ("event", "happens"),
    [
        ("upgrade", opens),
        ("open", opens),
        ("pool:ready", opens),
        ("unexpected-response", rejected),
        ("error", lost),
        ("close", lost),
        ("pool:empty", lost),
        ("drain", recovers),
    ],
)
def test_a_handler_that_raises_it_does_not_end_the_life_of_a_connection(
    event: EventName, happens: Callable[[MemoryPool], None]
) -> None:
    """Whatever the event was about, in the end all are open, and who waits for that is told."""
    memory = MemoryPool(pool_size=2, max_connecting=1, logger=False)
    handler: Any = Raising(SystemExit)
    ready = memory.pool.when_ready()
    memory.pool.on(event, handler)
    happens(memory)
    passes(memory, SystemExit)
    memory.server.accept()
    memory.advance(5)
    assert memory.pool.open_connections == 2
    assert ready.called
    memory.pool.send("later")
    memory.close()


def test_messages_behind_one_whose_handler_raises_it_are_not_lost() -> None:
    """They are delivered when more arrives, in their order."""
    memory = MemoryPool(pool_size=1, logger=False)
    memory.open()
    received: list[bytes] = []

    def handler(data: bytes, is_binary: bool, connection_id: int) -> None:
        received.append(data)
        if data == b"1":
            raise SystemExit

    memory.pool.on("message", handler)
    for number in range(4):
        memory.server.peers[0].send(b"%d" % number)
    passes(memory, SystemExit)
    memory.server.peers[0].send(b"4")
    memory.settle()
    assert received == [b"0", b"1", b"2", b"3", b"4"]
    assert memory.pool.get_stats().received_messages == 5
    memory.close()
