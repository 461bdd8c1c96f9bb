"""
Tests for L{wsmultipool._turn}.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock

from tests.leftovers import LoggedFailures
from wsmultipool._turn import EndOfTurn
from wsmultipool.testing import MemoryPool


@pytest.fixture
def clock() -> Iterator[Clock]:
    """
    A clock; at the end of the test, nothing may be left on it.
    """
    clock = Clock()
    yield clock
    assert clock.getDelayedCalls() == []


def test_everything_is_called_at_the_end_of_the_turn(clock: Clock) -> None:
    """What was added is called once, in order, and not before the present turn is over."""
    end = EndOfTurn(clock)
    called: list[str] = []
    end.add(lambda: called.append("a"))
    end.add(lambda: called.append("b"))
    assert called == []
    clock.advance(0)
    assert called == ["a", "b"]
    clock.advance(1)
    assert called == ["a", "b"]


def test_one_delayed_call_does_for_all(clock: Clock) -> None:
    """Writing on a thousand connections costs the reactor no more than writing on one."""
    end = EndOfTurn(clock)
    called: list[int] = []
    for number in range(1000):
        end.add(lambda number=number: called.append(number))  # type: ignore[misc]
    assert len(clock.getDelayedCalls()) == 1
    clock.advance(0)
    assert called == list(range(1000))


def test_a_turn_begins_with_the_first_thing_to_do(clock: Clock) -> None:
    """Who counts by turns hears of it, once for each."""
    end = EndOfTurn(clock)
    told: list[str] = []
    end.began = lambda: told.append("began")
    end.turned = lambda: told.append("turned")
    for _ in range(2):
        end.add(lambda: None)
        end.add(lambda: None)
        clock.advance(0)
    assert told == ["began", "turned"] * 2


def test_what_is_added_meanwhile_is_for_the_next_turn(clock: Clock) -> None:
    """A callable may add others, even itself, without keeping the turn from ending."""
    end = EndOfTurn(clock)
    called: list[str] = []

    def again() -> None:
        called.append("again")
        if called.count("again") < 3:
            end.add(again)

    def at_the_end() -> None:
        clock.callLater(0, called.append, "next turn")

    end.add(again)
    end.add(at_the_end)
    clock.advance(0)
    assert called == ["again", "again", "next turn", "again"]


def test_it_is_used_turn_after_turn(clock: Clock) -> None:
    """After the end of one turn comes that of the next."""
    end = EndOfTurn(clock)
    called: list[str] = []
    end.add(lambda: called.append("first"))
    clock.advance(0)
    end.add(lambda: called.append("second"))
    assert called == ["first"]
    clock.advance(0)
    assert called == ["first", "second"]


def test_cancelled_it_calls_nothing(clock: Clock) -> None:
    """A pool that has ended leaves no call behind; to cancel nothing is a no-op."""
    end = EndOfTurn(clock)
    called: list[str] = []
    end.cancel()
    end.add(lambda: called.append("a"))
    end.cancel()
    assert clock.getDelayedCalls() == []
    clock.advance(1)
    assert called == []


def test_it_may_be_cancelled_from_what_it_calls(clock: Clock) -> None:
    """When the pool ends in the middle, what was added since is not called either."""
    end = EndOfTurn(clock)
    called: list[str] = []

    def last() -> None:
        end.add(lambda: called.append("too late"))
        end.cancel()

    end.add(last)
    clock.advance(0)
    clock.advance(1)
    assert called == []


def test_one_that_raises_does_not_keep_the_others_from_being_called(
    clock: Clock, logged_failures: LoggedFailures
) -> None:
    """What goes wrong for one connection is logged, and the others still write."""
    end = EndOfTurn(clock)
    called: list[str] = []

    def wrong() -> None:
        raise LookupError

    end.add(wrong)
    end.add(lambda: called.append("second"))
    clock.advance(0)
    assert called == ["second"]
    assert len(logged_failures.flush(LookupError)) == 1


@pytest.mark.parametrize("reading", [False, True])
def test_what_is_broken_off_goes_on_in_the_next_turn(clock: Clock, reading: bool) -> None:
    """C{SystemExit} goes to whatever runs the reactor; what others have added is not forgotten."""
    end = EndOfTurn(clock)
    called: list[str] = []

    def leave() -> None:
        called.append("leave")
        end.add(lambda: called.append("added"))
        raise SystemExit

    if reading:
        end.begin_reading()
    for name in "ab":
        end.add(lambda name=name: called.append(name))  # type: ignore[misc]
        end.add(leave)
    with pytest.raises(SystemExit):
        end.end_reading() if reading else clock.advance(0)
    assert called == ["a", "leave"]
    with pytest.raises(SystemExit):
        clock.advance(0)
    assert called == ["a", "leave", "b", "leave"]
    clock.advance(0)
    assert called == ["a", "leave", "b", "leave", "added", "added"]


def test_what_handlers_add_is_called_when_they_are_through(clock: Clock) -> None:
    """Nothing waits for the next turn, and no delayed call is made, for what a read has caused."""
    end = EndOfTurn(clock)
    called: list[str] = []
    end.begin_reading()
    end.add(lambda: called.append("a"))
    end.add(lambda: called.append("b"))
    assert (called, clock.getDelayedCalls()) == ([], [])
    end.end_reading()
    assert called == ["a", "b"]
    end.begin_reading()
    end.end_reading()
    assert called == ["a", "b"]


def test_what_waits_for_the_end_of_the_turn_goes_on_waiting(clock: Clock) -> None:
    """What had been added before the read keeps its moment, and what the read adds its place."""
    end = EndOfTurn(clock)
    called: list[str] = []
    end.add(lambda: called.append("before"))
    end.begin_reading()
    end.add(lambda: called.append("reading"))
    end.end_reading()
    assert called == []
    clock.advance(0)
    assert called == ["before", "reading"]


def test_what_is_added_after_a_read_waits_again(clock: Clock) -> None:
    """Also what a callable adds that was called at the end of a read."""
    end = EndOfTurn(clock)
    called: list[str] = []
    end.begin_reading()
    end.add(lambda: end.add(lambda: called.append("later")))
    end.end_reading()
    end.add(lambda: called.append("last"))
    assert called == []
    clock.advance(0)
    assert called == ["later", "last"]


def test_a_handler_that_ends_the_program_does_not_end_the_turns() -> None:
    """What raises more than an C{Exception} goes to the reactor; later messages are sent."""
    memory = MemoryPool(pool_size=2)
    memory.open()

    def leave(data: bytes, is_binary: bool, connection_id: int) -> None:
        raise SystemExit

    memory.pool.once("message", leave)
    memory.server.peers[0].send("leave")
    with pytest.raises(SystemExit):
        memory.settle()
    memory.pool.broadcast("later").addCallback(lambda _: None)
    memory.settle()
    assert [peer.received for peer in memory.server.peers] == [[(b"later", False)]] * 2
    memory.close()


def test_that_a_turn_is_over_is_told_first(clock: Clock) -> None:
    """Before anything that was added is called, whichever way the end comes."""
    end = EndOfTurn(clock)
    called: list[str] = []
    end.turned = lambda: called.append("turned")
    end.add(lambda: called.append("a"))
    clock.advance(0)
    end.begin_reading()
    end.add(lambda: called.append("b"))
    end.end_reading()
    assert called == ["turned", "a", "turned", "b"]


def test_a_turn_ends_though_the_reactors_time_was_set_back(clock: Clock) -> None:
    """Else what is to be sent would wait until the time is again what it was."""
    end = EndOfTurn(clock)
    called: list[str] = []
    clock.advance(3600)
    end.add(lambda: called.append("a"))
    clock.rightNow = 0
    clock.advance(0)
    assert called == []

    end.ask_again()

    clock.advance(0)
    assert called == ["a"]
    end.ask_again()  # there is nothing to ask for
