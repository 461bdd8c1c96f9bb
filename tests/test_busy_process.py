"""
What becomes of deadlines that ran out while the process was busy, or suspended.

The tests let several seconds pass at once, as they do for such a process: then everything that is
due is done in order, and each deadline comes before that which it has waited for.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from wsmultipool.errors import FlushTimeout, HeartbeatTimeout, PingTimeout, PongOverdue
from wsmultipool.testing import MemoryPool, MemoryServer

from .support import error_of, outcome

LATENCY = 0.3
ON_THE_WAY = 0.4
"""Then the server has answered, and the answer is on its way."""
TOO_SHORT = 0.5
"""A deadline that is over before the answer arrives, unless nobody looks at it then."""


def slow_pool(**options: Any) -> tuple[MemoryPool, list[Exception]]:
    """
    Make a pool of one connection to a server that is far away, and the list of its errors.
    """
    clock = Clock()
    server = MemoryServer(clock, latency=LATENCY)
    memory = MemoryPool(clock=clock, server=server, pool_size=1, **options)
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, _: errors.append(error))
    return memory, errors


def open_pool(**options: Any) -> tuple[MemoryPool, list[Exception]]:
    """
    Make such a pool that is open.
    """
    memory, errors = slow_pool(**options)
    memory.pool.start()
    memory.advance(2 * LATENCY)
    assert memory.pool.open_connections == 1
    return memory, errors


def be_busy(memory: MemoryPool) -> None:
    """
    Do nothing for a while, and then all that should have been done.
    """
    memory.advance(ON_THE_WAY)
    memory.clock.advance(60)


def test_a_heartbeat_does_not_kill_a_peer_that_has_answered() -> None:
    """Its pong has arrived while the process was busy: it is read before anybody is judged."""
    memory, errors = open_pool(heartbeat_interval=1, heartbeat_timeout=TOO_SHORT)
    memory.advance(1)
    be_busy(memory)
    assert errors == []
    assert len(memory.server.peers) == 1
    memory.close()


def test_a_heartbeat_finds_a_peer_that_has_not_answered() -> None:
    """However busy the process was."""
    memory, errors = open_pool(heartbeat_interval=1, heartbeat_timeout=TOO_SHORT)
    memory.server.peers[0].fall_silent()
    memory.advance(1)
    be_busy(memory)
    assert [type(error) for error in errors] == [HeartbeatTimeout]
    memory.pool.destroy()
    memory.settle()


def test_confirmed_messages_are_not_sent_twice_when_their_pong_has_come() -> None:
    """The deadline for it waits until it was read, however much is to be read before it."""
    memory = MemoryPool(pool_size=1, heartbeat_interval=1, heartbeat_timeout=TOO_SHORT)
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, _: errors.append(error))
    memory.open()
    (peer,) = memory.server.peers
    peer.stop_reading()
    confirmed = outcome(memory.pool.send("once", confirm=True))
    memory.settle()

    def answer() -> None:
        for _ in range(64):  # 4 MiB come before the pong
            peer.send(bytes(65536))
        peer.resume_reading()

    memory.clock.callLater(1.4, answer)
    memory.clock.advance(60)

    assert confirmed == [0]
    assert errors == []
    assert peer.received == [(b"once", False)]
    memory.close()


def test_a_peer_that_talks_and_does_not_read_is_found_mute() -> None:
    """However busy the process was, and however much the peer has to say."""
    memory = MemoryPool(pool_size=1, heartbeat_interval=1, heartbeat_timeout=TOO_SHORT)
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, _: errors.append(error))
    memory.open()
    (peer,) = memory.server.peers
    peer.stop_reading()
    outcome(memory.pool.send("once", confirm=True))
    memory.settle()
    memory.clock.callLater(1.4, peer.send, bytes(4 * 1024 * 1024))
    memory.clock.advance(60)
    memory.settle()
    assert [type(error) for error in errors] == [PongOverdue]
    memory.pool.destroy()
    memory.settle()


def test_a_ping_that_was_answered_does_not_time_out() -> None:
    """Its pong is read first; one that does not come does time out."""
    memory, _ = open_pool()
    pinged = outcome(memory.pool.ping(timeout=TOO_SHORT))
    be_busy(memory)
    assert pinged[0] > 0
    memory.server.peers[0].fall_silent()
    late = memory.pool.ping(timeout=TOO_SHORT)
    be_busy(memory)
    assert isinstance(error_of(late), PingTimeout)
    memory.pool.destroy()
    memory.settle()


def test_a_flush_that_is_proven_does_not_time_out() -> None:
    """The pongs are read first; without one it does time out."""
    memory, _ = open_pool()
    memory.pool.send("all of this")
    flushed = outcome(memory.pool.flush(TOO_SHORT))
    be_busy(memory)
    assert flushed == [None]
    memory.server.peers[0].fall_silent()
    memory.pool.send("and of that")
    late = memory.pool.flush(TOO_SHORT)
    be_busy(memory)
    assert isinstance(error_of(late), FlushTimeout)
    memory.pool.destroy()
    memory.settle()


def test_an_attempt_is_not_given_up_when_the_server_has_answered() -> None:
    """C{open_timeout} is over, and the response is there to be read."""
    memory, errors = slow_pool(open_timeout=TOO_SHORT)
    memory.pool.start()
    memory.settle()
    be_busy(memory)
    assert errors == []
    assert memory.pool.open_connections == 1
    memory.close()


def test_a_message_is_sent_when_a_connection_has_opened_in_time() -> None:
    """The C{timeout} of a send is over, and the connection that takes it is about to open."""
    memory, _ = slow_pool()
    memory.pool.start()
    memory.settle()
    sent = outcome(memory.pool.send("hello", timeout=TOO_SHORT))
    be_busy(memory)
    memory.advance(LATENCY)
    assert sent == [0]
    assert memory.server.peers[0].received == [(b"hello", False)]
    memory.close()


def test_a_closing_handshake_that_is_complete_is_not_cut_short() -> None:
    """C{close_timeout} is over, and the server's Close frame and TCP's end are there to be read."""
    memory = MemoryPool(pool_size=1, close_timeout=TOO_SHORT)
    errors: list[Exception] = []
    codes: list[int] = []
    memory.pool.on("error", lambda error, _: errors.append(error))
    memory.pool.on("close", lambda _, code, __: codes.append(code))
    memory.open()
    (peer,) = memory.server.peers
    peer.answers_close = False
    closed = outcome(memory.pool.close())
    memory.settle()

    def answer() -> None:
        peer.write(b"\x88\x02" + (1000).to_bytes(2, "big"))
        peer._protocol.transport.loseConnection()

    memory.clock.callLater(TOO_SHORT + 0.1, answer)
    memory.clock.advance(60)
    assert closed == [None]
    assert codes == [1000]
    assert errors == []


def test_draining_counts_what_was_confirmed_meanwhile() -> None:
    """The time to drain is over, and the confirmation is there to be read."""
    memory, _ = open_pool()
    confirmed = outcome(memory.pool.send("the last", confirm=True))
    closed = outcome(memory.pool.close(drain=TOO_SHORT))
    be_busy(memory)
    memory.advance(4 * LATENCY)
    assert confirmed == [0]
    assert closed == [None]
    assert memory.server.peers[0].received == [(b"the last", False)]
