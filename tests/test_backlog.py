"""
Tests for L{wsmultipool._backlog}.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from wsmultipool._backlog import Backlog
from wsmultipool._message_kinds import ConfirmedMessage
from wsmultipool._observers import Observers
from wsmultipool.messages import Lane, Message

from .support import message

CONNECTIONS = ("a", "b", "c")
SHARED = "shared"


def lane_of(backlog: Backlog, name: str | None) -> Lane:
    """
    Find the shared lane, that of the homeless (C{None}), or that of a connection.
    """
    return backlog.shared if name == SHARED else backlog.lane_of(name)


def filled(*entries: tuple[int, str | None]) -> tuple[Backlog, dict[int, Message]]:
    """
    Make a backlog; each entry is the sequence number of a message and the lane it waits in.
    """
    backlog = Backlog()
    messages = {}
    for sequence, name in entries:
        messages[sequence] = message(sequence=sequence)
        backlog.append(messages[sequence], lane_of(backlog, name))
    return backlog, messages


def sequences(messages: Iterable[Message]) -> list[int]:
    """
    Name messages by their place in the order of acceptance.
    """
    return [each.sequence for each in messages]


def taken_by(backlog: Backlog, connection: str) -> list[int]:
    """
    Let a connection take all that it may.
    """
    taken = []
    while (following := backlog.next_for(connection)) is not None:
        backlog.remove(following)
        taken.append(following)
    return sequences(taken)


def test_nothing_waits_at_first() -> None:
    """A new backlog is empty, and has nothing for anyone."""
    backlog = Backlog()
    assert (len(backlog), backlog.count, backlog.size, backlog.undecided) == (0, 0, 0, 0)
    assert list(backlog) == []
    assert backlog.next_for("a") is None
    assert backlog.oldest(lambda _: True) is None
    assert backlog.clear_lane("a") == []
    assert backlog.clear_lane(None) == []


def test_messages_without_a_key_leave_in_the_order_they_came() -> None:
    """What any connection may take is first in, first out."""
    backlog, _ = filled((0, SHARED), (1, SHARED), (2, SHARED))
    assert taken_by(backlog, "a") == [0, 1, 2]


def test_a_connection_takes_its_own_and_the_shared_messages_by_age() -> None:
    """Messages for just one connection keep their place among those for all."""
    backlog, _ = filled((0, SHARED), (1, "a"), (2, SHARED), (3, "a"), (4, "a"), (5, SHARED))
    assert taken_by(backlog, "a") == [0, 1, 2, 3, 4, 5]


def test_a_connection_does_not_take_what_is_for_another() -> None:
    """Messages for another connection, or whose connection is not decided, are left alone."""
    backlog, _ = filled((0, "b"), (1, None), (2, "a"))
    assert taken_by(backlog, "a") == [2]
    assert taken_by(backlog, "c") == []
    assert sequences(backlog) == [0, 1]


def test_looking_does_not_take() -> None:
    """The next message for a connection goes on waiting until it is removed."""
    backlog, messages = filled((0, SHARED))
    assert backlog.next_for("a") is messages[0]
    assert backlog.next_for("a") is messages[0]
    assert backlog.count == 1


def test_iteration_is_over_all_lanes_by_age() -> None:
    """All that waits, wherever, is listed oldest first."""
    backlog, _ = filled((0, "b"), (1, SHARED), (2, None), (3, "a"), (4, "b"), (5, SHARED))
    assert sequences(backlog) == [0, 1, 2, 3, 4, 5]


def test_whatever_is_an_owner_has_a_lane() -> None:
    """What waits for something else than a connection is counted, listed, and cleared as well."""
    backlog, messages = filled((0, SHARED))
    owner = object()
    assert backlog.first_of(owner) is None
    backlog.insert([message(sequence=3), message(sequence=1)], backlog.lane_of(owner))
    assert backlog.count == 3
    assert sequences(backlog) == [0, 1, 3]
    assert backlog.next_for("a") is messages[0]
    assert backlog.first_of(owner) is list(backlog)[1]
    assert sequences(backlog.clear_lane(owner)) == [1, 3]
    assert backlog.first_of(owner) is None
    assert list(backlog) == [messages[0]]


@pytest.mark.parametrize(
    ("waiting", "returned"),
    [
        ([], [1, 2]),
        ([5, 6], [1, 2]),
        ([2, 5], [1, 3, 4]),
        ([1, 3, 5, 7], [6, 0, 2, 4]),
        ([1, 2], [3]),
        ([1, 2], []),
    ],
)
def test_messages_that_come_back_get_their_old_places(
    waiting: list[int], returned: list[int]
) -> None:
    """What a lost connection gives back goes between older and newer messages, in any case."""
    backlog, _ = filled(*((sequence, SHARED) for sequence in waiting))
    backlog.insert([message(sequence=sequence) for sequence in returned], backlog.shared)
    assert sequences(backlog.shared) == sorted(waiting + returned)
    assert backlog.count == len(waiting) + len(returned)
    assert taken_by(backlog, "a") == sorted(waiting + returned)


def test_counts_follow_what_waits() -> None:
    """Number, bytes, and callers who still wait to hear are right after every step."""
    backlog = Backlog()

    def counts() -> tuple[int, int, int]:
        return len(backlog), backlog.size, backlog.undecided

    first = message(b"abc", 0, undecided=True)
    second = message(b"defgh", 1)
    backlog.append(first, backlog.shared)
    backlog.insert([second], backlog.lane_of("a"))
    assert counts() == (2, 8, 1)
    backlog.remove(first)
    assert counts() == (1, 5, 0)
    backlog.remove(second)
    assert counts() == (0, 0, 0)


def test_a_message_knows_where_it_waits_while_it_waits() -> None:
    """A message can be withdrawn without searching for it, and then waits nowhere."""
    backlog, messages = filled((0, "a"), (1, "a"), (2, "a"))
    lanes = [messages[1].lane]
    backlog.remove(messages[1])
    lanes.append(messages[1].lane)
    assert lanes[0] is backlog.lane_of("a")
    assert lanes[1] is None
    assert taken_by(backlog, "a") == [0, 2]


def test_a_lost_connection_leaves_its_lane_behind() -> None:
    """What waited for a connection is given out, oldest first, and waits for it no longer."""
    backlog, messages = filled((0, "a"), (1, SHARED), (2, "a"), (3, "b"))
    assert backlog.clear_lane("a") == [messages[0], messages[2]]
    assert messages[0].lane is None
    assert backlog.clear_lane("a") == []
    assert sequences(backlog) == [1, 3]


def test_the_homeless_are_given_out_when_a_home_is_there() -> None:
    """Messages with a key that waited for any connection are taken out together."""
    backlog, messages = filled((0, None), (1, SHARED), (2, None))
    assert backlog.clear_lane(None) == [messages[0], messages[2]]
    assert backlog.clear_lane(None) == []
    assert sequences(backlog) == [1]


def test_the_oldest_that_may_be_dropped() -> None:
    """The oldest is looked for among what no open connection has been chosen for."""
    backlog, messages = filled((0, "a"), (1, None), (2, SHARED), (3, None), (4, SHARED))
    assert backlog.oldest(lambda _: True) is messages[1]
    assert backlog.oldest(lambda m: m.sequence > 1) is messages[2]
    assert backlog.oldest(lambda m: m.sequence > 2) is messages[3]
    assert backlog.oldest(lambda m: m.sequence > 4) is None


@pytest.mark.parametrize(
    ("waiting", "older_than"),
    [
        ([], {0: False, 9: False}),
        ([(3, SHARED)], {3: False, 4: True}),
        ([(3, None)], {3: False, 4: True}),
        ([(3, "a")], {3: False, 4: True}),
        ([(5, SHARED), (6, None), (2, "a"), (3, "b")], {2: False, 3: True, 9: True}),
    ],
)
def test_whether_anything_older_waits(
    waiting: list[tuple[int, str | None]], older_than: dict[int, bool]
) -> None:
    """Who waits for what was accepted before asks for it, wherever it waits."""
    backlog, _ = filled(*waiting)
    assert {number: backlog.has_older(number) for number in older_than} == older_than


def test_nothing_older_waits_when_it_was_taken() -> None:
    """What comes back counts again; what came later does not."""
    backlog, messages = filled((0, SHARED), (1, "a"), (2, SHARED))
    for sequence in (0, 1):
        backlog.remove(messages[sequence])
    assert not backlog.has_older(2)
    backlog.insert([messages[1]], backlog.lane_of("b"))
    assert backlog.has_older(2)


def test_a_confirmed_message_counts_as_undecided_until_it_was_taken() -> None:
    """One that comes back is not one of those that a full queue may drop."""
    backlog = Backlog()
    waiting = ConfirmedMessage(b"", True)
    waiting.deferred = Deferred()
    backlog.append(waiting, backlog.shared)
    assert (backlog.count, backlog.undecided) == (1, 1)
    backlog.remove(waiting)
    assert (backlog.count, backlog.undecided) == (0, 0)
    waiting.was_taken = True
    backlog.insert([waiting], backlog.shared)
    assert (backlog.count, backlog.undecided) == (1, 0)
    assert backlog.oldest(lambda m: m.undecided) is None
    backlog.remove(waiting)
    assert (backlog.count, backlog.undecided) == (0, 0)


# How long messages wait


class Measured(Observers):
    """
    Keeps what it is told was measured.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, float]] = []

    def __bool__(self) -> bool:
        return True

    def measured(self, what: str, seconds: float) -> None:
        self.told.append((what, seconds))


def timed(*entries: tuple[float, int, str | None]) -> tuple[Backlog, Clock, Measured]:
    """
    Make a backlog with a clock; each entry is a time, and a message as in L{filled}.
    """
    backlog, clock, observers = Backlog(), Clock(), Measured()
    backlog.now = clock.seconds
    backlog.observers = observers
    for at, sequence, name in entries:
        clock.rightNow = at
        backlog.append(message(sequence=sequence), lane_of(backlog, name))
    return backlog, clock, observers


def test_nothing_has_waited_while_nothing_waits() -> None:
    """An empty backlog has no oldest message."""
    assert Backlog().oldest_wait is None


def test_the_oldest_message_counts_wherever_it_waits() -> None:
    """The age of the backlog is that of its oldest message."""
    backlog, clock, _ = timed((1, 0, "a"), (2, 1, SHARED), (3, 2, None))
    clock.rightNow = 10
    assert backlog.oldest_wait == 9
    backlog.remove(next(iter(backlog)))
    assert backlog.oldest_wait == 8


def test_observers_hear_how_long_a_message_has_waited_when_it_is_taken() -> None:
    """What is withdrawn instead has not waited for a connection, but in vain."""
    backlog, clock, observers = timed((1, 0, SHARED), (2, 1, SHARED))
    clock.rightNow = 4
    first, second = backlog
    backlog.take(first)
    backlog.remove(second)
    assert observers.told == [("queue wait", 3)]
    assert backlog.count == 0


def test_a_message_that_moves_to_another_lane_has_waited_all_the_time() -> None:
    """Which connection it waits for makes no difference to its caller."""
    backlog, clock, observers = timed((1, 0, None))
    clock.rightNow = 3
    backlog.insert(backlog.clear_lane(None), backlog.lane_of("a"))
    clock.rightNow = 5
    backlog.take(next(iter(backlog)))
    assert observers.told == [("queue wait", 4)]


def test_a_message_that_comes_back_waits_anew() -> None:
    """While its connection had it, it did not wait."""
    backlog, clock, observers = timed((1, 0, SHARED))
    (waiting,) = backlog
    backlog.take(waiting)
    clock.rightNow = 7
    backlog.insert([waiting], backlog.shared)
    clock.rightNow = 9
    assert backlog.oldest_wait == 2
    backlog.take(waiting)
    assert observers.told == [("queue wait", 0), ("queue wait", 2)]


def test_without_observers_a_message_is_just_taken() -> None:
    """Nobody need listen."""
    backlog, _ = filled((0, SHARED))
    backlog.take(next(iter(backlog)))
    assert (backlog.count, backlog.oldest_wait) == (0, None)


class Waiting(RuleBasedStateMachine):
    """
    A backlog, beside a plain dict of what waits in which lane.
    """

    def __init__(self) -> None:
        super().__init__()
        self.backlog = Backlog()
        self.lanes: dict[Message, str | None] = {}
        self.taken: list[Message] = []
        self.accepted = 0

    def expected(self, *names: str | None) -> list[Message]:
        """What the dict says waits in these lanes, oldest first."""
        waiting = [m for m, name in self.lanes.items() if name in names]
        return sorted(waiting, key=lambda m: m.sequence)

    names = st.sampled_from([SHARED, None, *CONNECTIONS])

    @rule(name=names, payload=st.binary(max_size=5), undecided=st.booleans())
    def accept(self, name: str | None, payload: bytes, undecided: bool) -> None:
        """A new message waits."""
        accepted = message(payload, self.accepted, undecided=undecided)
        self.accepted += 1
        self.backlog.append(accepted, lane_of(self.backlog, name))
        self.lanes[accepted] = name

    @rule(connection=st.sampled_from(CONNECTIONS), settle=st.booleans())
    def take(self, connection: str, settle: bool) -> None:
        """A connection takes the next message; its caller may hear of it."""
        expected = self.expected(SHARED, connection)
        found = self.backlog.next_for(connection)
        assert found is (expected[0] if expected else None)
        if found is not None:
            self.backlog.remove(found)
            if settle:
                found.deferred = None
            del self.lanes[found]
            self.taken.append(found)

    @precondition(lambda self: self.lanes)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        """Any waiting message is withdrawn."""
        withdrawn = data.draw(st.sampled_from(list(self.lanes)))
        self.backlog.remove(withdrawn)
        del self.lanes[withdrawn]

    @rule(name=names, data=st.data())
    def give_back(self, name: str | None, data: st.DataObject) -> None:
        """Some messages that were taken come back, in any order, into any lane."""
        number = data.draw(st.integers(min_value=0, max_value=len(self.taken)))
        self.taken = data.draw(st.permutations(self.taken))
        returned, self.taken = self.taken[:number], self.taken[number:]
        self.backlog.insert(returned, lane_of(self.backlog, name))
        self.lanes.update(dict.fromkeys(returned, name))

    @rule(name=st.sampled_from([None, *CONNECTIONS]))
    def clear(self, name: str | None) -> None:
        """A connection is lost, or the first one opens."""
        expected = self.expected(name)
        assert self.backlog.clear_lane(name) == expected
        for each in expected:
            del self.lanes[each]
        self.taken += expected

    @invariant()
    def all_of_it_is_listed_by_age(self) -> None:
        """Nothing is lost, twice there, or out of order."""
        assert list(self.backlog) == self.expected(SHARED, None, *CONNECTIONS)

    @invariant()
    def counts_are_right(self) -> None:
        """The counts are those of what waits."""
        assert self.backlog.count == len(self.backlog) == len(self.lanes)
        assert self.backlog.size == sum(len(m.payload) for m in self.lanes)
        assert self.backlog.undecided == sum(m.deferred is not None for m in self.lanes)

    @invariant()
    def lanes_are_in_order(self) -> None:
        """Each lane holds what it should, and each message knows its lane."""
        for name in (SHARED, None, *CONNECTIONS):
            lane = lane_of(self.backlog, name)
            assert list(lane) == self.expected(name)
            assert all(m.lane is lane for m in lane)
        assert all(m.lane is None for m in self.taken)

    @invariant()
    def the_oldest_is_known(self) -> None:
        """Nothing older than the oldest message waits, and that one does."""
        oldest = min((m.sequence for m in self.lanes), default=None)
        if oldest is None:
            assert not self.backlog.has_older(self.accepted)
        else:
            assert not self.backlog.has_older(oldest)
            assert self.backlog.has_older(oldest + 1)

    @invariant()
    def the_oldest_undecided_is_found(self) -> None:
        """So is the one that a full queue would drop."""
        wanted = [m for m in self.expected(SHARED, None) if m.deferred is not None]
        found = self.backlog.oldest(lambda m: isinstance(m.deferred, Deferred))
        assert found is (wanted[0] if wanted else None)


Waiting.TestCase.settings = settings(derandomize=True, deadline=None, stateful_step_count=40)


class TestWaiting(Waiting.TestCase):  # type: ignore[misc, valid-type]
    """
    Whatever comes, goes, comes back or is withdrawn: order and counts hold.
    """
