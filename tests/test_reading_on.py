"""
Long messages are read from the socket in long pieces.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import Factory
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import WrappingFactory
from zope.interface import implementer

from wsmultipool.testing import MemoryPool

from .wire_runs import frame

FULL = 65536


class Socket:
    """
    A socket that has something to read, or raises.

    @ivar sizes: how much was asked for, each time.
    """

    def __init__(self, *reads: bytes | OSError) -> None:
        self.sizes: list[int] = []
        self._reads = [*reads]

    def recv(self, size: int) -> bytes:
        self.sizes.append(size)
        read = self._reads.pop(0)
        if isinstance(read, OSError):
            raise read
        return read


def reading(socket: Socket) -> tuple[MemoryPool, Any, list[int]]:
    """
    Open a connection whose transport is said to have this socket.

    @return: its pool, its wire, and where the sizes of messages go.
    """
    wires: list[Any] = []
    memory = MemoryPool(pool_size=1)
    memory.pool.on("message", lambda data, is_binary, connection_id: sizes.append(len(data)))
    sizes: list[int] = []
    memory.pool.start()
    memory.settle()
    (connection,) = memory.pool._supervisor.connections
    wires.append(connection._wire)
    wires[0]._socket = socket
    return memory, wires[0], sizes


def test_behind_a_full_read_there_is_more() -> None:
    """It is read at once, and all messages are delivered in order."""
    stream = b"".join(frame(bytes(size)) for size in (10_000, 50_000, 30_000, 40_000))
    socket = Socket(stream[FULL:])
    memory, wire, sizes = reading(socket)
    wire.dataReceived(stream[:FULL])
    assert sizes == [10_000, 50_000, 30_000, 40_000]
    assert socket.sizes == [1024 * 1024]
    memory.close()


@pytest.mark.parametrize("nothing", [BlockingIOError(), ConnectionResetError(), b""])
def test_there_may_be_nothing_more(nothing: bytes | OSError) -> None:
    """What became of the connection is for the transport to find out."""
    stream = b"".join(frame(bytes(30_000)) for _ in range(3))
    memory, wire, sizes = reading(Socket(nothing))
    wire.dataReceived(stream[:FULL])
    assert sizes == [30_000, 30_000]
    wire.dataReceived(stream[FULL:])
    assert sizes == [30_000] * 3
    assert memory.pool.open_connections == 1
    memory.close()


def test_short_reads_and_short_messages_are_left_alone() -> None:
    """A read that was not full has got all; thousands of short messages are enough at once."""
    socket = Socket()
    memory, wire, sizes = reading(socket)
    wire.dataReceived(frame(bytes(FULL - 100)))
    wire.dataReceived(frame(bytes(14)) * (FULL // 16))
    assert len(sizes) == 1 + FULL // 16
    assert socket.sizes == []
    memory.close()


def test_who_does_not_want_to_receive_gets_no_more() -> None:
    """A handler that pauses, or closes, is asked before the socket is."""
    for stop in ("pause", "close"):
        socket = Socket()
        memory, wire, sizes = reading(socket)
        action = memory.pool.pause_receiving if stop == "pause" else memory.pool.close
        memory.pool.on("message", lambda *_, action=action: action() and None)
        wire.dataReceived((frame(bytes(40_000)) * 2)[:FULL])
        assert sizes == [40_000]
        assert socket.sizes == []
        memory.close()


class WithSocket(StringTransport):
    """
    A transport that has a socket, and says nothing of reading from it.
    """

    def getHandle(self) -> str:
        return "socket"


@implementer(IReadDescriptor)
class Reading(WithSocket):
    """
    A transport that is a socket's.
    """

    def fileno(self) -> int:
        return -1

    def logPrefix(self) -> str:
        return ""

    def doRead(self) -> None:
        """Nothing is read."""

    def connectionLost(self, reason: object) -> None:
        """Nothing to clean up."""


@pytest.mark.parametrize(
    ("transport", "wrapped", "expected"),
    [(WithSocket, False, None), (Reading, False, "socket"), (Reading, True, None)],
)
def test_only_a_plain_socket_is_read_from(
    transport: Callable[[], Any], wrapped: bool, expected: str | None
) -> None:
    """
    With TLS, or what else is between them, what arrives at the transport are not octets of the
    WebSocket; though Twisted's wrappers say that they provide whatever the wrapped one does.
    """
    memory, wire, _ = reading(Socket())
    another = type(wire)(wire._request, 0)
    another.factory = wire.factory
    another.listener = wire.listener
    if wrapped:
        factory = cast(Any, Factory())
        factory.buildProtocol = lambda address: another
        wrapper = cast(Any, WrappingFactory)(factory).buildProtocol(None)
        wrapper.makeConnection(transport())
        assert IReadDescriptor.providedBy(another.transport)
    else:
        another.makeConnection(transport())
    assert another._socket == expected
    memory.close()
