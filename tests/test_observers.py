"""
Tests for L{wsmultipool._observers}: who watches a pool hears how long things took.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock
from zope.interface import implementer

from wsmultipool import IPooledConnection, IPoolObserver
from wsmultipool.testing import MemoryPool, MemoryServer

from .leftovers import LoggedFailures


@implementer(IPoolObserver)
class Observer:
    """
    Keeps what it is told: attempts and connections by number, errors by the name of their class.

    @ivar raises: raise this instead, every time.
    """

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.raises: type[BaseException] | None = None

    def attempt_ended(
        self, connection: IPooledConnection, error: Exception | None, seconds: float
    ) -> None:
        self._keep("attempt", connection.id, error and type(error).__name__, seconds)

    def connection_ended(
        self, connection: IPooledConnection, error: Exception | None, seconds: float
    ) -> None:
        self._keep("connection", connection.id, error and type(error).__name__, seconds)

    def measured(self, what: str, seconds: float) -> None:
        self._keep(what, seconds)

    def _keep(self, *told: object) -> None:
        if self.raises is not None:
            raise self.raises()
        self.told.append(told)


def observed(latency: float = 0.0, **options: Any) -> tuple[MemoryPool, Observer]:
    """
    Make a pool of one connection, unless told otherwise, and its observer.
    """
    clock = Clock()
    server = MemoryServer(clock, latency=latency)
    memory = MemoryPool(server=server, clock=clock, **{"pool_size": 1, **options})
    observer = Observer()
    memory.pool.add_observer(observer)
    return memory, observer


def test_an_attempt_that_opens_is_told_with_its_duration() -> None:
    """The TCP connection, the handshake and on_connect count together."""
    memory, observer = observed(latency=0.5, pool_size=2)
    memory.pool.start()
    memory.advance(1)
    assert observer.told == [("attempt", 0, None, 1.0), ("attempt", 1, None, 1.0)]
    memory.pool.destroy()
    memory.advance(1)
    memory.close()


def test_an_attempt_that_fails_is_told_with_its_error_and_the_delay_after_it() -> None:
    """Whatever it failed with, the observer hears that, and when the next one will be."""
    memory, observer = observed(open_timeout=3, reconnect_interval=2)
    memory.server.be_silent()
    memory.pool.start()
    memory.advance(4)
    memory.server.refuse()
    memory.advance(1)
    assert observer.told == [
        ("attempt", 0, "OpenTimeout", 3.0),
        ("retry delay", 2.0),
        ("attempt", 0, "TransportFailed", 0.0),
        ("retry delay", 4.0),
    ]
    memory.close()


def test_an_attempt_that_the_pool_itself_ends_has_not_opened() -> None:
    """Closing a pool that connects is no success of the attempt."""
    memory, observer = observed()
    memory.server.be_silent()
    memory.pool.start()
    memory.advance(1)
    memory.close()
    assert observer.told == [("attempt", 0, "ConnectionDropped", 1.0)]


def test_the_end_of_a_connection_is_told_with_how_long_it_was_open() -> None:
    """A drop has an error; a closing handshake has none."""
    memory, observer = observed()
    memory.open()
    memory.advance(7)
    memory.server.peers[0].drop()
    memory.settle()
    memory.advance(1)
    memory.advance(2)
    memory.server.peers[1].close(1012)
    memory.settle()
    ends = [told for told in observer.told if told[0] == "connection"]
    assert ends == [("connection", 0, "ConnectionDropped", 7.0), ("connection", 0, None, 2.0)]
    memory.close()


def test_messages_that_wait_are_told_with_how_long_they_did() -> None:
    """A message that a connection takes at once is not told of."""
    memory, observer = observed()
    memory.pool.send("waits")
    memory.advance(3)
    memory.open()
    memory.pool.send("does not wait")
    memory.settle()
    assert [told for told in observer.told if told[0] == "queue wait"] == [("queue wait", 3.0)]
    memory.close()


def test_round_trips_are_told() -> None:
    """That of a ping of the user's, and of those that confirm messages."""
    memory, observer = observed(latency=0.25)
    memory.pool.start()
    memory.advance(1)
    memory.pool.ping()
    memory.pool.send("confirmed", confirm=True)
    memory.advance(1)
    assert [told for told in observer.told if told[0] == "round trip"] == [("round trip", 0.5)] * 2
    memory.pool.destroy()
    memory.advance(1)
    memory.close()


def test_observers_that_were_removed_hear_nothing() -> None:
    """Removing one leaves the others, and may be done twice."""
    memory, observer = observed()
    other = Observer()
    memory.pool.add_observer(other)
    memory.pool.remove_observer(observer)
    memory.pool.remove_observer(observer)
    memory.open()
    assert observer.told == []
    assert other.told == [("attempt", 0, None, 0.0)]
    memory.close()


def test_what_is_no_observer_is_refused() -> None:
    """The mistake is told by name, and at once."""
    memory, _ = observed()
    with pytest.raises(TypeError, match=r"observer: .* does not provide IPoolObserver"):
        memory.pool.add_observer(object())  # type: ignore[arg-type]
    memory.close()


@pytest.mark.parametrize("kind", [ZeroDivisionError, SystemExit])
def test_an_observer_that_fails_disturbs_nothing(
    kind: type[BaseException], logged_failures: LoggedFailures
) -> None:
    """Whatever it raises is logged; the pool and the other observers go on."""
    memory, observer = observed()
    observer.raises = kind
    other = Observer()
    memory.pool.add_observer(other)
    memory.pool.send("waits")
    memory.open()
    memory.server.peers[0].drop()
    memory.advance(1)
    assert memory.pool.open_connections == 1
    # An attempt, the message that waited, the connection, the delay, another attempt.
    assert len(logged_failures.flush(kind)) == len(other.told) == 5
    observer.raises = None
    memory.close()


# What snapshots tell


def test_stats_tell_when_the_next_attempt_will_be() -> None:
    """While a connection waits to try again, its stats count down."""
    memory, _ = observed(reconnect_interval=4)
    memory.server.refuse()
    assert memory.pool.get_stats().connections[0].retry_delay is None
    memory.pool.start()
    memory.settle()
    assert memory.pool.get_stats().connections[0].retry_delay == 4
    memory.advance(1)
    assert memory.pool.get_stats().connections[0].retry_delay == 3
    memory.server.accept()
    memory.advance(3)
    assert memory.pool.get_stats().connections[0].retry_delay is None
    memory.close()


def test_stats_tell_the_last_error_even_after_the_recovery() -> None:
    """An operator sees what went wrong last, however often it has been repaired."""
    memory, _ = observed()
    memory.open()
    assert memory.pool.get_stats().connections[0].last_error is None
    memory.server.peers[0].drop()
    memory.advance(1)
    recovered = memory.pool.get_stats().connections[0]
    assert recovered.state == "open"
    assert "the connection was dropped" in (recovered.last_error or "")
    memory.close()


def test_closing_a_pool_is_no_error() -> None:
    """What was wanted does not stand there as what went wrong."""
    memory, _ = observed()
    memory.open()
    memory.pool.destroy()
    memory.settle()
    assert memory.pool.get_stats().connections[0].last_error is None


def test_stats_tell_who_gave_up() -> None:
    """A connection that tries no more is told from one that waits."""
    memory, _ = observed(max_reconnect_attempts=1)
    memory.server.refuse()
    memory.pool.start()
    memory.settle()
    stats = memory.pool.get_stats().connections[0]
    assert (stats.gave_up, stats.retry_delay, stats.state) == (True, None, "closed")
    memory.close()


def test_stats_tell_which_connection_is_full() -> None:
    """A connection whose peer does not read is paused until it does."""
    memory, _ = observed()
    memory.open()
    memory.server.peers[0].stop_reading()
    memory.pool.send(b"x" * 1_000_000)
    memory.settle()
    assert memory.pool.get_stats().connections[0].paused
    memory.server.peers[0].resume_reading()
    memory.settle()
    assert not memory.pool.get_stats().connections[0].paused
    memory.close()


def test_stats_tell_why_messages_were_dropped() -> None:
    """The reasons add up to all that were."""
    memory, _ = observed(message_queue_size=1)
    for data in ("dropped", "expires"):
        memory.pool.send(data, timeout=1).addErrback(lambda _: None)
    assert memory.pool.get_stats().oldest_wait == 0
    memory.advance(1)
    stats = memory.pool.get_stats()
    assert stats.dropped == {"overflow": 1, "timeout": 1}
    assert (stats.dropped_messages, stats.oldest_wait) == (2, None)
    memory.close()
