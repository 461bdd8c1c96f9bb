"""
Tests for L{wsmultipool._fleet}.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsmultipool._fleet import Fleet, Place, by_worth
from wsmultipool.options import ServerURL


def fleet_of(servers: int) -> Fleet:
    """
    Build a fleet of so many servers, with secrets in their URLs.
    """
    return Fleet([ServerURL.parse(f"ws://user:secret@s{i}.test/x?secret") for i in range(servers)])


def route(place: Place, failures: int) -> list[int]:
    """
    Where a connection is after each of so many failures in a row.
    """
    stops = []
    for _ in range(failures):
        assert place.failed(1.0) == 1.0
        stops.append(place.index)
    return stops


# Where connections begin


def test_new_connections_are_dealt_out_in_order() -> None:
    """Connection n begins at server n, and so on round and round."""
    fleet = fleet_of(3)
    places = [fleet.place() for _ in range(8)]
    assert [place.index for place in places] == [0, 1, 2, 0, 1, 2, 0, 1]
    assert fleet.crowds == [3, 3, 2]
    assert places[1].url is fleet.urls[1]


def test_new_connections_fill_gaps() -> None:
    """A connection that leaves makes room for the next one at its server, and only once."""
    fleet = fleet_of(3)
    places = [fleet.place() for _ in range(6)]
    places[1].leave()
    places[1].leave()
    assert fleet.crowds == [2, 1, 2]
    assert fleet.place().index == 1


# Where they go


def test_one_failure_is_a_mishap() -> None:
    """The first failure in a row is tried again where it was."""
    assert route(fleet_of(3).place(), 1) == [0]


def test_every_further_failure_moves_on() -> None:
    """From the second failure on, every server is tried once before one is tried again."""
    place = fleet_of(4).place()
    assert route(place, 9) == [0, 1, 2, 3, 0, 1, 2, 3, 0]


def test_a_single_server_has_no_alternative() -> None:
    """With one URL a connection stays, however often it fails."""
    fleet = fleet_of(1)
    assert route(fleet.place(), 5) == [0] * 5
    assert fleet.crowds == [1]


def test_being_well_forgives() -> None:
    """After a connection that lasted, the next failure is the first again."""
    place = fleet_of(2).place()
    assert route(place, 2) == [0, 1]
    place.well()
    assert route(place, 2) == [1, 0]


def test_what_a_dead_server_had_is_spread_evenly() -> None:
    """Its connections do not all go to its neighbour."""
    fleet = fleet_of(4)
    places = [fleet.place() for _ in range(24)]
    for place in places:
        if place.index == 1:
            route(place, 2)
    assert fleet.crowds == [8, 0, 8, 8]


def test_equal_servers_are_taken_in_order() -> None:
    """Where several have as few connections, the next in order is taken, not always the first."""
    for index, following in ((0, 1), (1, 2), (2, 0)):
        fleet = fleet_of(3)
        places = [fleet.place() for _ in range(3)]
        assert route(places[index], 2) == [index, following]


def test_a_server_that_came_back_is_filled_by_those_that_move() -> None:
    """Nobody is fetched back, but who must move goes where the fewest are."""
    fleet = fleet_of(3)
    places = [fleet.place() for _ in range(6)]
    for place in (places[0], places[3]):
        route(place, 2)
        place.well()
    assert fleet.crowds == [0, 3, 3]
    assert route(places[1], 2) == [1, 0]


# Servers that want to be left alone


def test_patience_is_asked_for_one_server_only() -> None:
    """A server that asks for time is left at once, also with the first failure."""
    place = fleet_of(3).place()
    place.ask_not_before(100)
    assert place.failed(1) == 1
    assert place.index == 1


def test_a_single_server_gets_the_time_it_asked_for() -> None:
    """Without another server, the connection waits."""
    place = fleet_of(1).place()
    place.ask_not_before(100)
    assert place.failed(1) == 100
    assert place.failed(120) == 120


def test_less_patience_than_backoff_is_nothing_special() -> None:
    """Who would not be asked before that anyway need not be left."""
    place = fleet_of(2).place()
    place.ask_not_before(5)
    assert place.failed(6) == 6
    assert place.index == 0


def test_the_others_are_tried_in_the_meantime() -> None:
    """A server that asked for time is passed over until then, the others are tried in turn."""
    place = fleet_of(3).place()
    place.ask_not_before(100)
    stops = []
    for due in (1, 2, 3, 4, 100, 101):
        assert place.failed(due) == due
        stops.append(place.index)
    assert stops == [1, 2, 1, 2, 0, 1]


def test_the_only_one_that_did_not_ask_for_time_is_tried_on() -> None:
    """With every other server asking for time, a connection stays where it may try."""
    place = fleet_of(2).place()
    place.ask_not_before(100)
    stops = []
    for due in (1, 2, 3):
        assert place.failed(due) == due
        stops.append(place.index)
    assert stops == [1, 1, 1]


def test_when_all_ask_for_time_the_first_to_be_ready_is_waited_for() -> None:
    """No server is tried before the time it asked for."""
    place = fleet_of(3).place()
    for wanted in (90, 60, 70):
        place.ask_not_before(wanted)
        due = place.failed(1)
    assert due == 60
    assert place.index == 1


# All of that together


@pytest.mark.parametrize("servers", [1, 2, 7])
def test_names_are_fit_for_logs(servers: int) -> None:
    """Logs name the server where there are several, without credentials and query strings."""
    fleet = fleet_of(servers)
    assert str(fleet).split(", ") == [f"ws://s{i}.test/x" for i in range(servers)]
    more = {1: "", 2: " and 1 more", 7: " and 6 more"}[servers]
    assert repr(fleet) == f"ws://s0.test/x{more}"
    assert fleet.name(3, None) == "connection 3"
    at = "" if servers == 1 else " to ws://s1.test/x"
    assert fleet.name(3, "ws://s1.test/x") == f"connection 3{at}"


@dataclass(frozen=True)
class Connection:
    """
    What counts of a connection when the pool becomes smaller.
    """

    id: int
    is_open: bool = True
    gave_up: bool = False


def test_connections_are_kept_by_worth() -> None:
    """Open before others, others before those that gave up; else one of each server in turn."""
    fleet = fleet_of(2)
    connections = [
        Connection(0, is_open=False, gave_up=True),
        *(Connection(1), Connection(2), Connection(3), Connection(4), Connection(5)),
        Connection(6, is_open=False),
    ]
    places = {connection: fleet.place() for connection in connections}
    assert [connection.id for connection in by_worth(places)] == [1, 2, 3, 4, 5, 6, 0]
    route(places[connections[1]], 2)  # to where 0, 2, 4 and 6 are
    assert [connection.id for connection in by_worth(places)] == [1, 3, 2, 5, 4, 6, 0]
    assert by_worth({}) == []


@settings(derandomize=True, deadline=None)
@given(data=st.data(), servers=st.integers(1, 5), connections=st.integers(1, 30))
def test_whatever_is_kept_is_spread_evenly(
    data: st.DataObject, servers: int, connections: int
) -> None:
    """A server has fewer connections than another only if it had no more."""
    fleet = fleet_of(servers)
    places = {Connection(number): fleet.place() for number in range(connections)}
    for place in data.draw(st.lists(st.sampled_from(list(places.values())))):
        place.failed(1.0)
    kept = by_worth(places)[: data.draw(st.integers(1, connections))]
    share = Counter(places[connection].index for connection in kept)
    most = max(share.values())
    for server, had in enumerate(fleet.crowds):
        assert share[server] >= min(had, most - 1)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    servers=st.integers(2, 6),
    connections=st.integers(1, 40),
    dead=st.sets(st.integers(0, 5), min_size=1),
    seed=st.integers(0, 2**32),
)
def test_whatever_dies_the_rest_shares_it_evenly(
    servers: int, connections: int, dead: set[int], seed: int
) -> None:
    """
    In whatever order connections fail: each finds a server that lives before it comes back to one,
    and no server that lives has two connections more than another.
    """
    dead = {server for server in dead if server < servers - 1}  # the last one lives
    fleet = fleet_of(servers)
    places = [fleet.place() for _ in range(connections)]
    failing = [place for place in places if place.index in dead]
    failures = dict.fromkeys(failing, 0)
    order = random.Random(seed)
    while failing:
        place = order.choice(failing)
        place.failed(1.0)
        failures[place] += 1
        if place.index not in dead:
            failing.remove(place)
    assert all(count <= len(dead) + 1 for count in failures.values())
    alive = [fleet.crowds[server] for server in range(servers) if server not in dead]
    assert max(alive) - min(alive) <= 1
    assert sum(alive) == sum(fleet.crowds) == connections


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    servers=st.integers(1, 5),
    steps=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 60)), max_size=60),
)
def test_no_server_is_tried_before_it_wants_to_be(
    servers: int, steps: list[tuple[int, int]]
) -> None:
    """
    Whatever servers ask for: no attempt comes too early, and none later than need be.
    """
    place = fleet_of(servers).place()
    wanted: dict[int, float] = {}
    now = 0.0
    for backoff, patience in steps:
        if patience > 30:
            wanted[place.index] = now + patience
            place.ask_not_before(now + patience)
        due = now + backoff
        now = place.failed(due)
        assert now >= due
        assert now >= wanted.get(place.index, 0)
        earliest = min(wanted.get(server, 0) for server in range(servers))
        assert now <= max(due, earliest)
