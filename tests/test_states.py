"""
The life of a connection is total: whatever happens in whatever state, everything settles.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock
from zope.interface import implementer

from wsmultipool import (
    ConnectionFailed,
    PooledConnection,
    PoolError,
    WebSocketFactory,
    WebSocketOptions,
    noop_logger,
)
from wsmultipool.testing import MemoryPeer, MemoryPool, MemoryServer


@implementer(IStreamClientEndpoint)
class Scene:
    """
    A pool, put into some state, in which anything may be asked of it.

    It is the pool's endpoint, and source of headers, so that each of these can be withheld.
    """

    def __init__(self, **options: Any) -> None:
        clock = Clock()
        self.server = MemoryServer(clock)
        self.withheld: set[str] = set()
        self.connections: dict[int, PooledConnection] = {}
        self.results: list[list[Any]] = []
        self.errors: list[Exception] = []
        self.balance: dict[int, int] = {}
        defaults: dict[str, Any] = {
            "pool_size": 1,
            "open_timeout": 3,
            "close_timeout": 2,
            "heartbeat_interval": 4,
            "heartbeat_timeout": 1,
            "max_reconnect_interval": 2,
        }
        self.memory = MemoryPool(
            clock=clock,
            server=self.server,
            logger=noop_logger,
            ws_factory=WebSocketFactory(),
            ws_options=WebSocketOptions(endpoint=self, headers=self.headers),
            on_connect=self.on_connect,
            **{**defaults, **options},
        )
        self.pool = self.memory.pool
        self.pool.on("error", lambda error, connection_id: self.errors.append(error))
        self.pool.on("open", lambda connection_id: self.count(connection_id, 1))
        self.pool.on("close", lambda connection_id, code, reason: self.count(connection_id, -1))

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        if "transport" in self.withheld:
            return Deferred()
        return self.server.connect(protocolFactory)

    def headers(self) -> Any:
        return Deferred() if "headers" in self.withheld else {}

    def on_connect(self, connection: PooledConnection) -> Any:
        self.connections[connection.id] = connection
        return Deferred() if "on_connect" in self.withheld else None

    def count(self, connection_id: int, change: int) -> None:
        """Every close belongs to an open, and comes after it."""
        self.balance[connection_id] = self.balance.get(connection_id, 0) + change
        assert self.balance[connection_id] in (0, 1)

    def collect(self, deferred: Deferred[Any]) -> None:
        """Remember what a Deferred comes to."""
        result: list[Any] = []
        self.results.append(result)
        deferred.addCallbacks(result.append, lambda failure: result.append(failure.value))

    def peers(self) -> list[MemoryPeer]:
        """The server's ends that still have a transport."""
        return [peer for peer in self.server.peers if peer.connected]

    def check(self) -> None:
        """What holds at every moment."""
        stats = self.pool.get_stats()
        assert stats.open + stats.connecting + stats.closed == stats.total
        assert stats.open == self.pool.open_connections
        assert stats.total == self.pool.total_connections == len(stats.connections)
        assert stats.open == sum(c.state == "open" for c in stats.connections)
        assert all(isinstance(error, ConnectionFailed) for error in self.errors)

    def finish(self) -> None:
        """Bring everything to its end, and check that nothing was forgotten."""
        for _ in range(4):
            self.memory.advance(0.7)
            self.check()
        self.memory.close()
        self.check()
        for result in self.results:
            assert len(result) == 1, "a Deferred never fired"
            assert not isinstance(result[0], Exception) or isinstance(result[0], PoolError)
        assert not any(self.balance.values()), "an open connection was never told as closed"


def opened(**options: Any) -> Scene:
    """Begin with a pool that is open."""
    scene = Scene(**options)
    scene.memory.open()
    return scene


def reconnecting(withheld: str = "", **options: Any) -> Scene:
    """Open a pool, lose it, and wait until it is in its next attempt."""
    scene = opened(**options)
    scene.withheld = {withheld}
    scene.server.peers[0].drop()
    scene.memory.advance(1)
    return scene


def in_state(scene: Scene, state: str) -> Scene:
    """Be sure of the state of the first connection."""
    assert scene.pool.get_stats().connections[0].state == state
    return scene


def handshake() -> Scene:
    scene = opened()
    scene.server.be_silent()
    scene.server.peers[0].drop()
    scene.memory.advance(1)
    return in_state(scene, "connecting")


def rejected() -> Scene:
    scene = opened()
    scene.server.answer(b"HTTP/1.1 503 Busy\r\nContent-Length: 10\r\nRetry-After: 2\r\n\r\nabc")
    scene.server.peers[0].drop()
    scene.memory.advance(1)
    return in_state(scene, "connecting")


def paused_by_transport() -> Scene:
    scene = opened()
    scene.server.peers[0].stop_reading()
    scene.collect(scene.pool.send(bytes(200_000)))
    scene.memory.settle()
    scene.collect(scene.pool.send("waits"))
    return in_state(scene, "open")


def receiving_paused() -> Scene:
    scene = opened()
    scene.pool.pause_receiving()
    scene.server.peers[0].send("held back")
    scene.memory.settle()
    return in_state(scene, "open")


def closing_by_us() -> Scene:
    scene = opened()
    scene.server.peers[0].answers_close = False
    scene.collect(scene.connections[0].close())
    scene.memory.settle()
    return in_state(scene, "closing")


def closing_by_peer() -> Scene:
    scene = opened()
    scene.pool.pause_receiving()
    scene.server.peers[0].drops_tcp = False
    scene.server.peers[0].close(1012, "restart")
    scene.pool.resume_receiving()
    scene.memory.settle()
    return in_state(scene, "closing")


def answered_but_tcp_stays() -> Scene:
    scene = opened()
    scene.server.peers[0].drops_tcp = False
    scene.collect(scene.connections[0].close())
    scene.memory.settle()
    return in_state(scene, "closing")


def waiting() -> Scene:
    scene = opened()
    scene.server.refuse()
    scene.server.peers[0].drop()
    scene.memory.settle()
    return in_state(scene, "closed")


def at_the_gate() -> Scene:
    scene = Scene(pool_size=2, max_connecting=1)
    scene.server.be_silent()
    scene.pool.start()
    scene.memory.settle()
    assert [c.state for c in scene.pool.get_stats().connections] == ["connecting", "idle"]
    return scene


def gave_up() -> Scene:
    scene = opened(max_reconnect_attempts=1)
    scene.server.peers[0].drop()
    scene.memory.advance(1)
    return in_state(scene, "closed")


def closing_for_good() -> Scene:
    scene = opened()
    scene.server.peers[0].answers_close = False
    scene.collect(scene.pool.close())
    scene.memory.settle()
    return in_state(scene, "closing")


def closed() -> Scene:
    scene = opened()
    scene.collect(scene.pool.close())
    scene.memory.settle()
    return in_state(scene, "closed")


def destroyed_just_now() -> Scene:
    scene = opened()
    scene.pool.destroy()
    return in_state(scene, "destroyed")


def destroyed() -> Scene:
    scene = destroyed_just_now()
    scene.memory.settle()
    return scene


def draining() -> Scene:
    scene = waiting()
    scene.collect(scene.pool.send("in the queue"))
    scene.collect(scene.pool.close(drain=1.5))
    return scene


def leaving() -> Scene:
    scene = opened(pool_size=2)
    for peer in scene.server.peers:
        peer.answers_close = False
    scene.collect(scene.pool.resize(1))
    scene.memory.settle()
    return in_state(scene, "open")


STATES: dict[str, Callable[[], Scene]] = {
    "idle": Scene,
    "headers pending": lambda: in_state(reconnecting("headers"), "connecting"),
    "dialling": lambda: in_state(reconnecting("transport"), "connecting"),
    "handshake": handshake,
    "rejected": rejected,
    "on_connect": lambda: in_state(reconnecting("on_connect"), "connecting"),
    "open": opened,
    "paused by transport": paused_by_transport,
    "receiving paused": receiving_paused,
    "closing by us": closing_by_us,
    "closing by peer": closing_by_peer,
    "answered, but TCP stays": answered_but_tcp_stays,
    "waiting for retry": waiting,
    "at the gate": at_the_gate,
    "gave up": gave_up,
    "closing for good": closing_for_good,
    "closed": closed,
    "destroyed just now": destroyed_just_now,
    "destroyed": destroyed,
    "draining": draining,
    "leaving": leaving,
}


def each_connection(scene: Scene, act: Callable[[PooledConnection], object]) -> None:
    for connection in list(scene.connections.values()):
        act(connection)


def each_peer(scene: Scene, act: Callable[[MemoryPeer], object]) -> None:
    for peer in scene.peers():
        act(peer)


def peers_close(scene: Scene) -> None:
    each_peer(scene, lambda peer: peer.close(1001, "going away") if peer.is_open else None)


def peers_talk(scene: Scene) -> None:
    for peer in scene.peers():
        if peer.is_open:
            peer.send("hello")
            peer.ping(b"?")


def close_twice(scene: Scene) -> None:
    scene.collect(scene.pool.close())
    scene.collect(scene.pool.close(3000, "again"))


def destroy_twice(scene: Scene) -> None:
    scene.pool.destroy()
    scene.pool.destroy()


INPUTS: dict[str, Callable[[Scene], None]] = {
    "close": lambda s: s.collect(s.pool.close()),
    "close twice": close_twice,
    "close with drain": lambda s: s.collect(s.pool.close(drain=1)),
    "destroy": lambda s: s.pool.destroy(),
    "destroy twice": destroy_twice,
    "close connection": lambda s: each_connection(s, lambda c: s.collect(c.close())),
    "peer drop": lambda s: each_peer(s, MemoryPeer.drop),
    "peer close": peers_close,
    "peer talks": peers_talk,
    "peer violates": lambda s: each_peer(s, lambda peer: peer.write(b"\xff\xff\xff\xff")),
    "silence": lambda s: each_peer(s, MemoryPeer.fall_silent),
    "peer stops reading": lambda s: each_peer(s, MemoryPeer.stop_reading),
    "peer reads again": lambda s: each_peer(s, MemoryPeer.resume_reading),
    "shrink": lambda s: s.collect(s.pool.resize(1)),
    "grow": lambda s: s.collect(s.pool.resize(3)),
    "pause": lambda s: s.pool.pause_receiving(),
    "resume": lambda s: s.pool.resume_receiving(),
    "send": lambda s: s.collect(s.pool.send("x")),
    "send much": lambda s: s.collect(s.pool.send(bytes(100_000))),
    "send on connection": lambda s: each_connection(s, lambda c: s.collect(c.send("x"))),
    "broadcast": lambda s: s.collect(s.pool.broadcast("x")),
    "ping": lambda s: s.collect(s.pool.ping(timeout=1)),
    "ping connection": lambda s: each_connection(s, lambda c: s.collect(c.ping(b"?", timeout=9))),
    "start": lambda s: s.pool.start(),
    "when open": lambda s: s.collect(s.pool.when_open()),
    "when ready": lambda s: s.collect(s.pool.when_ready()),
    "server accepts": lambda s: s.server.accept(),
    "server refuses": lambda s: s.server.refuse(),
    "server drops": lambda s: s.server.drop_when_open(),
    "nothing is withheld": lambda s: s.withheld.clear(),
    "all is withheld": lambda s: s.withheld.update({"headers", "on_connect", "transport"}),
    "a little time": lambda s: s.memory.advance(0.3),
    "much time": lambda s: s.memory.advance(20),
}

# Those that change the life of a connection, of which any two in a row are tried.
CRUCIAL = [
    "close",
    "close with drain",
    "destroy",
    "close connection",
    "peer drop",
    "peer close",
    "peer violates",
    "silence",
    "grow",
    "pause",
    "resume",
    "send much",
    "all is withheld",
    "nothing is withheld",
]


@pytest.mark.parametrize("state", STATES)
def test_states_every_input_settles_in_every_state(state: str) -> None:
    """Whatever is asked of a pool in whatever state, nothing raises, hangs, or is left behind."""
    for given, act in INPUTS.items():
        scene = STATES[state]()
        try:
            scene.check()
            act(scene)
            scene.check()
            scene.memory.settle()
            scene.finish()
        except BaseException as error:
            error.add_note(f"{state}: {given}")
            raise


@pytest.mark.parametrize("settle", [False, True], ids=["at once", "one after the other"])
@pytest.mark.parametrize("state", STATES)
def test_states_every_two_inputs_settle_in_every_state(state: str, settle: bool) -> None:
    """The same for any two things that change the life of a connection, in the same turn or not."""
    for first, second in product(CRUCIAL, CRUCIAL):
        scene = STATES[state]()
        try:
            INPUTS[first](scene)
            scene.check()
            if settle:
                scene.memory.settle()
            INPUTS[second](scene)
            scene.check()
            scene.finish()
        except BaseException as error:
            error.add_note(f"{state}: {first}, {second}")
            raise


@pytest.mark.parametrize(
    "event", ["open", "close", "error", "pool:ready", "pool:empty", "upgrade", "message"]
)
@pytest.mark.parametrize(
    "given", ["close", "close with drain", "destroy", "close connection", "grow", "send", "ping"]
)
def test_states_every_input_settles_inside_a_handler(event: Any, given: str) -> None:
    """What changes a pool may be called by a handler of any of its events."""
    scene = Scene(pool_size=2)
    calls: list[object] = []

    def handler(*args: object) -> None:
        calls.append(args)
        if len(calls) < 4:
            INPUTS[given](scene)

    scene.pool.on(event, handler)
    scene.pool.start()
    scene.memory.settle()
    for peer in scene.peers():
        if peer.is_open:
            peer.send("1")
            peer.send("2")
    scene.memory.settle()
    for peer in scene.peers():
        peer.drop()
    scene.memory.settle()
    assert calls
    scene.finish()


def test_states_are_as_named() -> None:
    """Each state of these tests can be made, and ended."""
    for make in STATES.values():
        scene = make()
        scene.check()
        scene.finish()
