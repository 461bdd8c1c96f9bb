"""
A server that turns a command away: on a clock, with a server in memory.
"""

from __future__ import annotations

import pytest

from wsmultipool._refusals import Refusals
from wsmultipool.testing import MemoryPeer, MemoryPool

POLICY = 'the peer closed the connection: 1008 "invalid API key"'


class Scene:
    """
    An open connection, which is opened again a second after it is lost, and whoever listens to it.

    @ivar said: what the server was heard to say.
    @ivar too_long: when patience was lost.
    """

    def __init__(self, timeout: float | None = 4.0, pool_size: int = 1) -> None:
        self.memory = MemoryPool(
            pool_size=pool_size,
            logger=False,
            max_reconnect_interval=1.0,
        )
        self.said: list[str] = []
        self.too_long: list[float] = []
        clock = self.memory.clock
        self.refusals = Refusals(clock, self.memory.pool, self.said.append)
        if timeout is not None:
            self.refusals.limit(timeout, lambda: self.too_long.append(clock.seconds()))
        self.memory.open()

    @property
    def peer(self) -> MemoryPeer:
        """The latest connection of the server."""
        return self.memory.server.peers[-1]

    def turn_away(self, code: int = 1008, reason: str = "invalid API key") -> None:
        self.peer.close(code, reason)
        self.memory.settle()

    def end(self) -> None:
        self.refusals.stop()
        self.memory.close()


def test_a_server_that_closes_with_an_error_turns_us_away() -> None:
    """What it says is told, and is its refusal, until the next connection has lasted 5 seconds."""
    scene = Scene()
    scene.turn_away()
    assert scene.said == [POLICY]
    told = [scene.refusals.latest]
    for seconds in (1 + 4.9, 0.1):
        scene.memory.advance(seconds)
        told.append(scene.refusals.latest)
    assert told == [POLICY, POLICY, None]
    scene.end()
    assert scene.too_long == []


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1008, 1009, 1011, 1013, 3000, 4001])
def test_codes_that_say_that_something_is_wrong(code: int) -> None:
    """A server that closes with one of these does not serve us."""
    scene = Scene()
    scene.turn_away(code, "")
    assert scene.refusals.latest == f"the peer closed the connection: {code}"
    scene.end()


@pytest.mark.parametrize(
    ("code", "reason", "said"),
    [
        (1000, "", []),
        (1001, "", []),
        (1000, "bye", ['the peer closed the connection: 1000 "bye"']),
        (1012, "", ["the peer closed the connection: 1012"]),
    ],
)
def test_a_normal_end_is_no_refusal(code: int, reason: str, said: list[str]) -> None:
    """Who is through, goes away or restarts does not turn us away; its words are told."""
    scene = Scene()
    scene.turn_away(code, reason)
    assert (scene.refusals.latest, scene.said) == (None, said)
    scene.peer.drop()
    scene.memory.settle()
    assert (scene.refusals.latest, scene.said) == (None, said)
    scene.end()


def test_a_server_that_closes_and_leaves_tcp_open() -> None:
    """Its words count, although they come to light when the pool has lost patience."""
    scene = Scene()
    scene.peer.drops_tcp = False
    scene.turn_away()
    scene.memory.advance(4)
    told = [scene.refusals.latest]
    scene.memory.advance(1)
    assert [*told, scene.refusals.latest] == [None, POLICY]
    assert scene.said == []  # the error is said as such
    scene.end()


def test_what_we_close_is_no_refusal() -> None:
    """Whatever code that is done with."""
    scene = Scene()
    closed = scene.memory.pool.close(4001, "we have had enough")
    scene.memory.settle()
    assert scene.memory.result(closed) is None
    assert (scene.refusals.latest, scene.said) == (None, [])
    scene.end()


def test_a_rejected_upgrade_is_a_refusal() -> None:
    """A server that lets nobody in again turns us away."""
    scene = Scene()
    scene.memory.server.reject(401)
    scene.peer.drop()
    scene.memory.advance(1)
    assert scene.refusals.latest == "the server rejected the upgrade: 401"
    scene.memory.advance(4)
    assert scene.too_long != []
    scene.end()


def test_a_server_that_is_away_does_not_turn_us_away() -> None:
    """Where nobody listens, nobody refuses anything."""
    scene = Scene()
    scene.memory.server.refuse()
    scene.peer.drop()
    scene.memory.advance(60)
    assert (scene.refusals.latest, scene.too_long) == (None, [])
    scene.end()


def test_patience_ends() -> None:
    """A server that goes on turning us away is borne with for the time given."""
    scene = Scene(timeout=3.5)
    for _ in range(3):
        scene.turn_away()
        scene.memory.advance(1)
    assert scene.too_long == []
    for _ in range(3):
        scene.turn_away()
        scene.memory.advance(1)
    assert scene.too_long == [3.5]
    scene.end()


def test_patience_ends_between_two_attempts() -> None:
    """That is noticed when the time is over, and not only at the next attempt."""
    scene = Scene(timeout=0.5)
    scene.turn_away()
    scene.memory.advance(0.6)
    assert scene.too_long == [0.5]
    scene.end()


def test_a_connection_may_still_last() -> None:
    """When the time is over while one is open, that one decides."""
    scene = Scene(timeout=3.0)
    scene.turn_away()
    scene.memory.advance(4)
    assert scene.too_long == []
    scene.turn_away()
    assert scene.too_long == [4.0]
    scene.end()


def test_what_has_lasted_is_a_new_beginning() -> None:
    """Between two refusals a connection may have served us well: each then has all the time."""
    scene = Scene(timeout=3.0)
    scene.turn_away()
    scene.memory.advance(10)
    scene.turn_away()
    assert (scene.refusals.latest, scene.too_long) == (POLICY, [])
    scene.memory.advance(10)
    scene.peer.close(1000)
    scene.memory.settle()
    assert scene.refusals.latest is None
    scene.end()


def test_messages_are_worth_patience() -> None:
    """As long as a server sends something before it turns us away, it is of use."""
    scene = Scene(timeout=4.0)
    scene.refusals.heard()
    for _ in range(10):
        scene.turn_away()
        scene.memory.advance(1)
        scene.refusals.heard()
    assert scene.too_long == []
    assert scene.refusals.latest == POLICY
    scene.end()


def test_one_connection_of_several_that_is_turned_away() -> None:
    """A server that serves others of our connections does serve us."""
    scene = Scene(timeout=4.0, pool_size=2)
    scene.memory.advance(10)
    for _ in range(10):
        scene.turn_away()
        scene.memory.advance(1)
    assert (scene.refusals.latest, scene.too_long) == (None, [])
    scene.end()


def test_patience_without_a_limit() -> None:
    """Without a limit it is up to others to end."""
    scene = Scene(timeout=None)
    for _ in range(10):
        scene.turn_away()
        scene.memory.advance(1)
    assert scene.refusals.latest == POLICY
    scene.end()
