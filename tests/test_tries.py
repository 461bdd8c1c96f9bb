"""
Tests for L{wsmultipool._tries}.
"""

from __future__ import annotations

from wsmultipool import PoolOptions
from wsmultipool._fleet import Fleet
from wsmultipool._tries import Tries
from wsmultipool.options import ServerURL

NOW = 100.0


def tries(servers: int = 1, most: int | None = None) -> Tries:
    """
    Build the attempts of one connection, whose delays are 1, 2, 4 and then 5 seconds.
    """
    fleet = Fleet([ServerURL.parse(f"ws://s{i}.test/") for i in range(servers)])
    options = PoolOptions(
        reconnect_interval=1,
        max_reconnect_interval=5,
        reconnect_backoff_multiplier=2,
        max_reconnect_attempts=most,
    )
    return Tries(fleet.place(), options, lambda low, high: high)


def delay_after(attempts: Tries, lasted: bool) -> float:
    """
    Let an attempt end, and return the seconds until the next.
    """
    attempts.ended(lasted)
    return attempts.next(NOW) - NOW


def test_delays_grow_with_each_failure() -> None:
    """The longer a server cannot be reached, the less often it is tried."""
    attempts = tries()
    assert [delay_after(attempts, False) for _ in range(4)] == [1, 2, 4, 5]
    assert attempts.failures == 4


def test_a_connection_that_lasted_forgets_failures() -> None:
    """After C{min_uptime}, an end is no failure, and the delays begin anew."""
    attempts = tries(most=3)
    for _ in range(3):
        delay_after(attempts, False)
    assert attempts.used_up
    assert delay_after(attempts, True) == 1
    assert (attempts.failures, attempts.used_up) == (0, False)


def test_attempts_are_used_up_by_failures_in_a_row() -> None:
    """With C{max_reconnect_attempts} of them, and not before."""
    attempts = tries(most=2)
    attempts.ended(False)
    assert not attempts.used_up
    attempts.ended(False)
    assert attempts.used_up


def test_attempts_are_never_used_up_without_a_limit() -> None:
    """By default, a connection tries for ever."""
    attempts = tries()
    for _ in range(1000):
        attempts.ended(False)
    assert not attempts.used_up


def test_only_failures_lead_to_another_server() -> None:
    """The second failure in a row does; the end of a connection that lasted does not."""
    fleet = Fleet([ServerURL.parse(f"ws://s{i}.test/") for i in range(2)])
    place = fleet.place()
    attempts = Tries(place, PoolOptions(), None)
    visited = []
    for lasted in (True, True, False, False, True):
        attempts.ended(lasted)
        attempts.next(NOW)
        visited.append(place.index)
    assert visited == [0, 0, 0, 1, 1]


def test_it_is_not_due_before_the_server_wants_it() -> None:
    """C{Retry-After} may put an attempt off, and never hastens it."""
    fleet = Fleet([ServerURL.parse("ws://s.test/")])
    place = fleet.place()
    attempts = Tries(place, PoolOptions(), None)
    place.ask_not_before(NOW + 60)
    attempts.ended(False)
    assert attempts.next(NOW) == NOW + 60
