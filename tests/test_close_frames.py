"""
Tests for L{wsmultipool._close_frames}: valid and invalid Close frames, and the answers to them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from wsmultipool import PooledConnection
from wsmultipool.errors import ProtocolViolation
from wsmultipool.testing import MemoryPeer, MemoryPool

from .local_client import RelayScene, masked

Closed = tuple[int, str]

INVALID_CODES = [0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535]
VALID_CODES = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 4000, 4999]


def close_frame(code: int, reason: bytes = b"") -> bytes:
    """
    Return a Close frame as servers send it.
    """
    return bytes([0x88, 2 + len(reason)]) + struct.pack("!H", code) + reason


class Case:
    """
    One open connection, and what is told of its end.
    """

    def __init__(self) -> None:
        self.connections: list[PooledConnection] = []
        self.memory = MemoryPool(pool_size=1, on_connect=self.connections.append)
        self.errors: list[Exception] = []
        self.closed: list[Closed] = []
        self.memory.pool.on("error", lambda error, _: self.errors.append(error))
        self.memory.pool.on("close", lambda _, code, reason: self.closed.append((code, reason)))
        self.memory.open()

    @property
    def peer(self) -> MemoryPeer:
        """The server's end."""
        return self.memory.server.peers[0]

    def receive(self, octets: bytes) -> None:
        """Have the client receive these, and the server end the connection then."""
        self.peer.write(octets)
        self.memory.settle()
        self.peer.drop()
        self.memory.settle()

    def only_error(self) -> ProtocolViolation:
        """Return what the peer did wrong."""
        (error,) = self.errors
        assert isinstance(error, ProtocolViolation)
        return error


@pytest.mark.parametrize("code", INVALID_CODES)
def test_a_close_code_that_may_not_be_sent_is_a_violation(code: int) -> None:
    """RFC 6455, section 7.4: it is reported, the peer is told, and the close is no clean one."""
    case = Case()
    case.receive(close_frame(code))
    error = case.only_error()
    assert (error.code, error.reason) == (1002, f"invalid close code {code}")
    assert case.closed == [(1006, "")]
    assert case.peer.close_received is not None
    assert case.peer.close_received[0] == 1002
    case.memory.close()


def test_a_close_reason_that_is_not_utf8_is_a_violation() -> None:
    """RFC 6455, section 5.5.1: whatever its code is."""
    case = Case()
    case.receive(close_frame(1000, b"\xff\xfe"))
    assert case.only_error().code == 1007
    assert case.closed == [(1006, "")]
    assert case.peer.close_received is not None
    assert case.peer.close_received[0] == 1007
    case.memory.close()


def test_half_a_close_code_is_a_violation() -> None:
    """RFC 6455, section 5.5.1: there is none, or it has two octets."""
    case = Case()
    case.receive(b"\x88\x01\x03")
    assert case.only_error().code == 1002
    assert case.closed == [(1006, "")]
    case.memory.close()


@pytest.mark.parametrize("code", VALID_CODES)
def test_the_answer_to_a_valid_close_echoes_its_code(code: int) -> None:
    """RFC 6455, section 5.5.1; and the event has the peer's code and words."""
    case = Case()
    case.receive(close_frame(code, "tschüß".encode()))
    assert case.errors == []
    assert case.closed == [(code, "tschüß")]
    assert case.peer.close_received == (code, "")
    case.memory.close()


def test_a_close_without_a_code_is_valid() -> None:
    """It counts as 1005, and is answered with 1000."""
    case = Case()
    case.receive(b"\x88\x00")
    assert case.errors == []
    assert case.closed == [(1005, "")]
    assert case.peer.close_received == (1000, "")
    case.memory.close()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (close_frame(1005), 1002),
        (close_frame(1000, b"\xff"), 1007),
        (b"\x88\x01\x03", 1002),
        (b"\x83\x00", 1002),
    ],
)
def test_a_violation_in_the_answer_to_our_close_is_the_peers(answer: bytes, code: int) -> None:
    """What the peer did is reported, and not the code and the reason that we had sent."""
    case = Case()
    case.peer.answers_close = False
    case.connections[0].close(4000, "our own words")
    case.memory.settle()
    assert case.peer.close_received == (4000, "our own words")
    case.receive(answer)
    error = case.only_error()
    assert error.code == code
    assert "our own words" not in str(error)
    assert case.closed == [(1006, "")]
    case.memory.close()


def test_a_violation_is_the_first_one() -> None:
    """What follows does not change what was wrong; nor does a valid answer to our Close frame."""
    case = Case()
    case.peer.answers_close = False
    case.receive(b"\x83\x00" + close_frame(1002, b"sorry"))
    assert "opcode 3" in case.only_error().reason
    assert case.closed == [(1002, "sorry")]
    case.memory.close()
    case = Case()
    case.peer.answers_close = False
    case.receive(b"\x83\x00" + close_frame(1005))
    assert "opcode 3" in case.only_error().reason
    assert case.closed == [(1006, "")]
    case.memory.close()


def test_the_server_in_memory_answers_as_others_do() -> None:
    """It echoes a valid code, so that a program sees in its tests what it will see."""
    case = Case()
    case.connections[0].close(4242, "bye")
    case.memory.settle()
    assert case.peer.close_received == (4242, "bye")
    assert case.closed == [(4242, "")]
    case.memory.close()


def test_the_server_in_memory_refuses_an_invalid_code() -> None:
    """It tells the client so."""
    case = Case()
    transport = case.peer._protocol.transport.peer
    transport.write(b"\x88\x82\x00\x00\x00\x00" + struct.pack("!H", 1005))
    case.memory.settle()
    assert case.closed[0][0] == 1002
    assert case.peer.close_received == (1005, "")
    case.memory.close()


@pytest.fixture
def relay() -> Iterator[RelayScene]:
    """
    A relay that is ended after the test.
    """
    scene = RelayScene()
    yield scene
    scene.close()


@pytest.mark.parametrize("code", VALID_CODES)
def test_a_relay_echoes_the_code_of_its_client(relay: RelayScene, code: int) -> None:
    """As the pool does."""
    client = relay.connect()
    client.close(code)
    relay.settle()
    assert client.close_frame == (code, "")
    assert relay.relay.get_stats().closed == {"client": 1}


@pytest.mark.parametrize(
    ("payload", "code"),
    [(struct.pack("!H", 1005), 1002), (b"\x03", 1002), (b"\x03\xe8\xff", 1007)],
)
def test_a_relay_takes_an_invalid_close_frame_for_a_violation(
    relay: RelayScene, payload: bytes, code: int
) -> None:
    """The client is told so, and counted among those that broke the protocol."""
    client = relay.connect()
    client.transport.write(masked(0x88, payload))
    relay.settle()
    assert client.close_frame is not None
    assert client.close_frame[0] == code
    assert relay.relay.get_stats().closed == {"violation": 1}
