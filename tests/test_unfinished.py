"""
Tests for L{wsmultipool.service._unfinished}.
"""

from __future__ import annotations

from wsmultipool.service._unfinished import UnfinishedMessages


class Holder:
    """
    Somebody who is told when to wait.
    """

    def __init__(self) -> None:
        self.waits = False

    def wait_for_room(self) -> None:
        assert not self.waits
        self.waits = True

    def go_on(self) -> None:
        assert self.waits
        self.waits = False


def test_nobody_waits_below_the_limit() -> None:
    """Up to and including it."""
    messages = UnfinishedMessages(10)
    first, second = Holder(), Holder()
    messages.hold(first, 4)
    messages.hold(second, 6)
    assert messages.total == 10
    assert [first.waits, second.waits] == [False, False]


def test_beyond_the_limit_all_but_the_first_wait() -> None:
    """Whoever began first may go on, also alone beyond the limit, and then the next one."""
    messages = UnfinishedMessages(10)
    first, second, third = Holder(), Holder(), Holder()
    messages.hold(first, 2)
    messages.hold(second, 8)
    messages.hold(third, 1)
    messages.hold(first, 12)
    assert [first.waits, second.waits, third.waits] == [False, False, True]
    messages.hold(second, 9)
    assert [first.waits, second.waits, third.waits] == [False, True, True]
    messages.hold(first, 0)
    assert messages.total == 10
    assert [first.waits, second.waits, third.waits] == [False, False, False]


def test_who_has_become_the_first_goes_on_though_there_is_no_room() -> None:
    """Or nobody would ever make any."""
    messages = UnfinishedMessages(10)
    first, second, third = Holder(), Holder(), Holder()
    messages.hold(first, 1)
    messages.hold(second, 20)
    messages.hold(third, 20)
    messages.hold(first, 0)
    assert [second.waits, third.waits] == [False, True]


def test_who_holds_nothing_any_more_does_not_wait() -> None:
    """Neither for others nor for itself; what is not held may be let go of as well."""
    messages = UnfinishedMessages(10)
    first, second, third = Holder(), Holder(), Holder()
    messages.hold(first, 9)
    messages.hold(second, 9)
    assert second.waits
    messages.hold(second, 0)
    messages.hold(third, 0)
    assert [messages.total, second.waits, third.waits] == [9, False, False]
