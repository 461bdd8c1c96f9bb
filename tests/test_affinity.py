"""
Tests for L{wsmultipool._affinity}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from weakref import ref

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wsmultipool._affinity import _REMEMBERED, KeyAffinity, Move
from wsmultipool.keys import PinnedKey

from .support import Numbered

KEYS = [f"key {number}" for number in range(200)]

Affinity = KeyAffinity[Numbered]
Homes = dict[Hashable, Numbered | None]


def opened(count: int) -> tuple[Affinity, list[Numbered]]:
    """
    Make a pool of open connections.
    """
    affinity: Affinity = KeyAffinity()
    connections = [Numbered(id) for id in range(count)]
    for connection in connections:
        assert affinity.opened(connection, ()) == []
    return affinity, connections


def homes(affinity: Affinity, keys: Iterable[Hashable] = KEYS) -> Homes:
    """
    Ask for the home of each key.
    """
    return {key: affinity.home(key) for key in keys}


def at(homes: Homes, connection: Numbered) -> set[Hashable]:
    """
    Return the keys whose home is this connection.
    """
    return {key for key, home in homes.items() if home is connection}


def lose(affinity: Affinity, connection: Numbered) -> None:
    """
    Lose a connection in one step, as happens without a closing handshake.
    """
    leaving, ended = affinity.closing(connection)
    assert ended == []
    affinity.arrived(leaving)


def back(count: int = 3) -> tuple[Affinity, list[Numbered], list[Move[Numbered]], set[Hashable]]:
    """
    Make a pool whose first connection was lost, and has just come back.

    @return: also the moves to it, and the keys that it had before.
    """
    affinity, connections = opened(count)
    keys = at(homes(affinity), connections[0])
    lose(affinity, connections[0])
    assert at(homes(affinity), connections[0]) == set()
    return affinity, connections, affinity.opened(connections[0], ()), keys


# Homes


def test_nobody_is_at_home_while_nothing_is_open() -> None:
    """Before the first connection opens, messages of a key have nowhere to go."""
    affinity, _ = opened(0)
    assert affinity.home("key") is None
    only = Numbered(0)
    assert affinity.opened(only, ()) == []
    assert set(homes(affinity).values()) == {only}


def test_a_key_keeps_its_connection() -> None:
    """Asked again, and whatever was asked for in between, the answer is the same."""
    affinity, connections = opened(5)
    first = homes(affinity)
    assert homes(affinity, reversed(KEYS)) == first
    assert set(first.values()) == set(connections)


def test_equal_keys_have_one_home() -> None:
    """Keys that Python calls equal, such as 1 and 1.0, are one key."""
    affinity, _ = opened(5)
    assert affinity.home(1) is affinity.home(1.0)
    assert affinity.home(("a", 1)) is affinity.home(("a", 1))


def test_keys_are_at_the_same_connection_in_whatever_order_it_opened() -> None:
    """New keys go where they would have gone if all had been open from the beginning."""
    one, connections = opened(5)
    other: Affinity = KeyAffinity()
    for connection in reversed(connections):
        other.opened(connection, ())
    assert homes(one) == homes(other)


@pytest.mark.parametrize("name", ["text", "number", "even", "pair"])
@pytest.mark.parametrize("count", [2, 5, 16])
def test_keys_are_spread_evenly(name: str, count: int) -> None:
    """No connection gets many more keys than another, whatever the keys look like."""
    number_of_keys = 1000 * count
    keys: dict[str, list[Hashable]] = {
        "text": [f"user-{number}" for number in range(number_of_keys)],
        "number": list(range(number_of_keys)),
        "even": [number * 1024 for number in range(number_of_keys)],
        "pair": [(number % 7, number) for number in range(number_of_keys)],
    }
    affinity, connections = opened(count)
    spread = Counter(homes(affinity, keys[name]).values())
    shares = [spread[connection] for connection in connections]
    # Hashes of text differ from run to run, but six standard deviations are rare.
    assert min(shares) > 800
    assert max(shares) < 1200


def test_only_the_keys_of_a_lost_connection_move() -> None:
    """When a connection is lost, all other keys stay, and its own are spread over the others."""
    affinity, connections = opened(5)
    before = homes(affinity)
    lose(affinity, connections[2])
    after = homes(affinity)
    moved = {key for key in KEYS if after[key] is not before[key]}
    assert moved == at(before, connections[2])
    assert {after[key] for key in moved} == set(connections) - {connections[2]}


def test_a_second_loss_moves_only_the_keys_that_were_there() -> None:
    """When another connection is lost as well, what was not on it stays."""
    affinity, connections = opened(5)
    lose(affinity, connections[2])
    before = homes(affinity)
    lose(affinity, connections[3])
    after = homes(affinity)
    assert {key for key in KEYS if after[key] is not before[key]} == at(before, connections[3])


def test_the_last_loss_leaves_nobody_a_home() -> None:
    """With every connection lost, a key has no home until one opens."""
    affinity, connections = opened(2)
    before = homes(affinity)
    for connection in connections:
        lose(affinity, connection)
    assert set(homes(affinity).values()) == {None}
    for connection in connections:
        affinity.opened(connection, ())
    assert homes(affinity) == before


# Moving to a connection that opened


def test_keys_move_once_their_messages_have_arrived() -> None:
    """A connection that comes back gets its keys when what was sent elsewhere was received."""
    affinity, connections, moves, keys = back()
    away = homes(affinity)
    assert {move.old for move in moves} == set(connections[1:])
    for move in moves:
        assert move.new is connections[0]
        assert move.keys == at({key: away[key] for key in keys}, move.old)
        assert all(affinity.moving(key) is move for key in move.keys)
        affinity.arrived(move)
        assert not any(affinity.moving(key) for key in move.keys)
        assert set(homes(affinity, move.keys).values()) == {connections[0]}
    assert at(homes(affinity), connections[0]) == keys


def test_a_connection_that_is_new_gets_its_share() -> None:
    """When the pool grows, keys in use move to the new connection in the same careful way."""
    affinity, connections = opened(3)
    before = homes(affinity)
    new = Numbered(3)
    moves = affinity.opened(new, ())
    share = set().union(*(move.keys for move in moves))
    assert {move.old for move in moves} == set(connections)
    assert all(move.new is new for move in moves)
    staying = set(KEYS) - share
    assert homes(affinity, staying) == {key: before[key] for key in staying}
    for move in moves:
        affinity.arrived(move)
    assert at(homes(affinity), new) == share
    from_the_beginning, its_connections = opened(4)
    assert at(homes(from_the_beginning), its_connections[3]) == share


def test_other_keys_do_not_move_meanwhile() -> None:
    """The return of a connection concerns its keys, and no others."""
    affinity, _, _, keys = back()
    assert all(affinity.moving(key) is None for key in set(KEYS) - keys)
    assert affinity.moving("never used") is None


def test_keys_stay_when_nobody_knows_what_arrived() -> None:
    """Without a pong a key stays where it is, so that its messages keep their order."""
    affinity, connections, moves, keys = back()
    away = homes(affinity)
    for move in moves:
        affinity.stayed(move)
    assert not any(affinity.moving(key) for key in KEYS)
    assert homes(affinity) == away
    assert at(away, connections[0]) == set()
    assert keys


def test_keys_that_stayed_may_move_the_next_time() -> None:
    """When the connection is lost and comes back once more, there is another move."""
    affinity, connections, (first,), keys = back(2)
    affinity.stayed(first)
    lose(affinity, connections[0])
    (second,) = affinity.opened(connections[0], ())
    assert second.keys == keys
    affinity.arrived(second)
    assert at(homes(affinity), connections[0]) == keys


def test_a_key_in_the_middle_of_a_message_does_not_move() -> None:
    """While a fragmented message is being sent for a key, it stays where its fragments are."""
    affinity, connections = opened(2)
    keys = at(homes(affinity), connections[0])
    lose(affinity, connections[0])
    homes(affinity)
    occupied = min(map(str, keys))
    (move,) = affinity.opened(connections[0], {occupied})
    assert move.keys == keys - {occupied}
    assert affinity.moving(occupied) is None
    affinity.arrived(move)
    assert affinity.home(occupied) is connections[1]


def test_a_key_takes_part_in_one_move_at_a_time() -> None:
    """A key that is on its way is not called to a newer connection meanwhile."""
    affinity, _, (move,), keys = back(2)
    called: set[Hashable] = set()
    for id in range(2, 6):
        called.update(*(each.keys for each in affinity.opened(Numbered(id), ())))
    assert not called & keys
    assert all(affinity.moving(key) is move for key in keys)


def test_unused_keys_do_not_move() -> None:
    """Nothing is to be waited for if no key was used while a connection was away."""
    affinity, connections = opened(3)
    lose(affinity, connections[0])
    assert affinity.opened(connections[0], ()) == []


# Leaving a connection that closes


def test_keys_of_a_closing_connection_wait_until_it_is_gone() -> None:
    """What a closing connection was given may still arrive, so its keys go nowhere before."""
    affinity, connections = opened(3)
    before = homes(affinity)
    leaving, ended = affinity.closing(connections[0])
    assert ended == []
    assert (leaving.old, leaving.new) == (connections[0], None)
    assert leaving.keys == at(before, connections[0])
    assert all(affinity.moving(key) is leaving for key in leaving.keys)
    staying = set(KEYS) - leaving.keys
    assert homes(affinity, staying) == {key: before[key] for key in staying}
    affinity.arrived(leaving)
    assert not any(affinity.moving(key) for key in KEYS)
    assert set(homes(affinity).values()) == set(connections[1:])


def test_new_keys_do_not_go_to_a_closing_connection() -> None:
    """From the moment that a connection closes, it is nobody's home."""
    affinity, connections = opened(2)
    affinity.closing(connections[0])
    assert set(homes(affinity).values()) == {connections[1]}


def test_the_end_of_the_old_home_ends_a_move() -> None:
    """If the old home closes meanwhile, its keys wait for its end instead of the pong."""
    affinity, connections, (move,), _ = back(2)
    leaving, ended = affinity.closing(connections[1])
    assert ended == [move]
    assert leaving.keys == set(KEYS)
    affinity.arrived(move)
    assert all(affinity.moving(key) is leaving for key in KEYS)
    affinity.arrived(leaving)
    assert set(homes(affinity).values()) == {connections[0]}


def test_the_end_of_the_new_home_ends_a_move() -> None:
    """If the connection is lost again before the pong, its keys stay where they are."""
    affinity, connections, (move,), keys = back(2)
    leaving, ended = affinity.closing(connections[0])
    assert ended == [move]
    assert leaving.keys == set()
    assert not any(affinity.moving(key) for key in keys)
    assert set(homes(affinity).values()) == {connections[1]}


@pytest.mark.parametrize("side", ["old", "new"])
@pytest.mark.parametrize("verdict", ["arrived", "stayed"])
def test_a_pong_that_comes_too_late_changes_nothing(side: str, verdict: str) -> None:
    """After either side was lost, the end of that move is no news."""
    affinity, _, moves, _ = back(3)
    leaving, _ = affinity.closing(getattr(moves[0], side))
    affinity.arrived(leaving)
    settled = homes(affinity)
    getattr(affinity, verdict)(moves[0])
    assert homes(affinity) == settled


def test_a_late_pong_does_not_end_the_move_after_it() -> None:
    """A second move of the same keys waits for a pong of its own."""
    affinity, connections, (first,), keys = back(2)
    affinity.closing(connections[0])
    (second,) = affinity.opened(connections[0], ())
    affinity.arrived(first)
    assert all(affinity.moving(key) is second for key in keys)
    affinity.arrived(second)
    assert at(homes(affinity), connections[0]) == keys


# What is remembered


def forgetful() -> tuple[Affinity, list[int], Numbered]:
    """
    Make a pool of one connection that remembers as many keys as it can, and a second connection.
    """
    affinity, _ = opened(1)
    keys = list(range(_REMEMBERED))
    homes(affinity, keys)
    return affinity, keys, Numbered(1)


def test_the_key_used_least_recently_is_forgotten_first() -> None:
    """Of very many keys, only the last ones used are known to have messages under way."""
    affinity, keys, second = forgetful()
    assert affinity.home(keys[0]) is not None  # used again
    affinity.home("one too many")
    moving = set().union(*(move.keys for move in affinity.opened(second, ())))
    from_the_beginning, its_connections = opened(2)
    share = at(homes(from_the_beginning, [*keys, "one too many"]), its_connections[1])
    assert moving == share - {keys[1]}


def test_memory_is_bounded_also_when_forgotten_keys_arrive() -> None:
    """Keys that were forgotten while they moved do not make the memory grow."""
    affinity, keys, second = forgetful()
    moves = affinity.opened(second, ())
    homes(affinity, (-2 - key for key in keys))
    for move in moves:
        affinity.arrived(move)
    for number in range(10):
        affinity.home(f"another {number}")
    leaving = [affinity.closing(connection)[0] for connection in (moves[0].old, second)]
    assert sum(len(each.keys) for each in leaving) <= _REMEMBERED


def test_a_pinned_key_stays_however_many_other_keys_there_are() -> None:
    """It is not among those of which the one used least recently is forgotten."""
    affinity, connections = opened(1)
    pinned = [PinnedKey() for _ in range(64)]
    assert set(homes(affinity, pinned).values()) == {connections[0]}
    affinity.opened(Numbered(1), ())
    homes(affinity, range(_REMEMBERED + 1))
    assert set(homes(affinity, pinned).values()) == {connections[0]}


def test_pinned_keys_do_not_count_against_the_others() -> None:
    """Nor is another key forgotten for them."""
    affinity, keys, second = forgetful()
    pinned = [PinnedKey() for _ in range(64)]
    homes(affinity, pinned)
    leaving, _ = affinity.closing(affinity.opened(second, ())[0].old)
    assert leaving.keys == {*keys, *pinned}


def test_a_pinned_key_that_nobody_has_any_more_is_forgotten() -> None:
    """A program may make a new one for each thing that it does, for years."""
    affinity, _ = opened(2)
    key = PinnedKey()
    assert affinity.home(key) is not None
    gone = ref(key)
    del key
    assert gone() is None


def test_a_pinned_key_is_nowhere_while_nothing_is_open() -> None:
    """As any other."""
    affinity, _ = opened(0)
    key = PinnedKey()
    assert affinity.home(key) is None
    only = Numbered(0)
    affinity.opened(only, ())
    assert affinity.home(key) is only


class Moving(RuleBasedStateMachine):
    """
    A pool whose connections come and go, beside what every user of a key must be able to rely on.
    """

    keys = st.sampled_from([f"key {number}" for number in range(12)])

    def __init__(self) -> None:
        super().__init__()
        self.affinity: Affinity = KeyAffinity()
        self.closed = [Numbered(id) for id in range(4)]
        self.open: list[Numbered] = []
        self.homes: dict[Hashable, Numbered] = {}
        self.under_way: list[Move[Numbered]] = []
        self.over: list[Move[Numbered]] = []

    @rule(key=keys)
    def send(self, key: str) -> None:
        """A message for a key is sent, unless it has to wait."""
        if self.affinity.moving(key) is not None:
            return
        home = self.affinity.home(key)
        if not self.open:
            assert home is None
            return
        assert home is not None
        assert home in self.open
        assert self.homes.setdefault(key, home) is home, "moved without having arrived"

    @precondition(lambda self: self.closed)
    @rule(data=st.data(), occupied=st.sets(keys, max_size=3))
    def opens(self, data: st.DataObject, occupied: set[Hashable]) -> None:
        """A connection opens."""
        connection = data.draw(st.sampled_from(self.closed))
        self.closed.remove(connection)
        self.open.append(connection)
        moves = self.affinity.opened(connection, occupied)
        assert len({move.old for move in moves}) == len(moves)
        for move in moves:
            assert move.new is connection
            assert move.old in self.open
            assert move.keys
            assert not move.keys & occupied
            assert all(self.homes[key] is move.old for key in move.keys)
        self.under_way += moves

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def closes(self, data: st.DataObject) -> None:
        """A connection takes nothing any more."""
        connection = data.draw(st.sampled_from(self.open))
        self.open.remove(connection)
        leaving, ended = self.affinity.closing(connection)
        assert (leaving.old, leaving.new) == (connection, None)
        assert leaving.keys == {key for key, home in self.homes.items() if home is connection}
        assert len(ended) == len(set(ended))
        assert set(ended) == {move for move in self.under_way if connection in (move.old, move.new)}
        self.under_way = [move for move in self.under_way if move not in ended]
        self.under_way.append(leaving)
        self.over += ended

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), received=st.booleans())
    def ends(self, data: st.DataObject, received: bool) -> None:
        """The pong comes or does not; or the connection is gone."""
        move = data.draw(st.sampled_from(self.under_way))
        self.under_way.remove(move)
        self.over.append(move)
        if move.new is None:
            self.affinity.arrived(move)
            self.closed.append(move.old)
            for key in move.keys:
                del self.homes[key]
        elif received:
            self.affinity.arrived(move)
            self.homes.update(dict.fromkeys(move.keys, move.new))
        else:
            self.affinity.stayed(move)

    @precondition(lambda self: self.over)
    @rule(data=st.data(), received=st.booleans())
    def ends_again(self, data: st.DataObject, received: bool) -> None:
        """The verdict on a move that is over comes late."""
        move = data.draw(st.sampled_from(self.over))
        (self.affinity.arrived if received else self.affinity.stayed)(move)

    @invariant()
    def only_those_under_way_are_moving(self) -> None:
        """The keys of moves under way wait, and no others."""
        moving = {key: move for move in self.under_way for key in move.keys}
        for number in range(12):
            key = f"key {number}"
            assert self.affinity.moving(key) is moving.get(key)


Moving.TestCase.settings = settings(derandomize=True, deadline=None, stateful_step_count=40)


class TestMoving(Moving.TestCase):  # type: ignore[misc, valid-type]
    """
    A key's home never changes while its home is open, unless what was sent there has arrived.
    """
