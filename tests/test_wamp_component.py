"""
The life of a component: joining, losing the router, being refused, and ending in good order.

Autobahn's own timers run on the same clock as ours; what it connects to is a router in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast

import pytest
import txaio
from autobahn.wamp.auth import create_authenticator
from autobahn.wamp.message import Hello, Publish, Register, Yield
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from wsmultipool.testing import MemoryPool
from wsmultipool.wamp import JoinRefused, PoolClient, PoolComponent, WampService, pool_component

from .support import outcome
from .wamp_router import Link, MemoryRouter
from .wamp_support import PREFIX


class _Transport:
    """
    What Autobahn takes for the protocol of a transport.
    """

    def connectionLost(self, reason: object) -> None: ...


@implementer(IStreamClientEndpoint)
class Endpoint:
    """
    Leads to a router in memory.

    @ivar attempts: the times of all attempts.
    @ivar mode: C{accept}, C{refuse}, or C{hang}.
    """

    def __init__(self, router: MemoryRouter, clock: Clock) -> None:
        self.router = router
        self.clock = clock
        self.attempts: list[float] = []
        self.mode = "accept"
        self.sessions: list[Any] = []
        self.hanging: list[Deferred[Any]] = []

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        self.attempts.append(self.clock.seconds())
        if self.mode == "refuse":
            return fail(ConnectionRefusedError())
        if self.mode == "hang":
            self.hanging.append(Deferred())
            return self.hanging[-1]
        return succeed(self._connected(protocolFactory))

    def _connected(self, factory: Any) -> _Transport:
        session = factory._factory()
        transport = _Transport()
        self.sessions.append(session)
        session.on(
            "disconnect",
            lambda *_, **__: self.clock.callLater(
                0, lambda: transport.connectionLost(Failure(ConnectionDone()))
            ),
        )
        self.clock.callLater(0, self.router.join, session)
        return transport


class Scene:
    """
    A component on a clock, and a client of it.
    """

    def __init__(self, service: bool = False, **options: Any) -> None:
        self.memory = MemoryPool(pool_size=2, logger=False, clock=_clocks[-1])
        self.clock = self.memory.clock
        self.router = MemoryRouter()
        self.endpoint = Endpoint(self.router, self.clock)
        url = {"url": "ws://router.test/", "endpoint": self.endpoint}
        given = {"realm": "realm1", "prefix": PREFIX, **options}
        self.service: WampService | None = None
        self.refused: list[JoinRefused] = []
        if service:
            self.service = WampService(
                self.memory.pool,
                url=url,
                on_refused=self.refused.append,
                reactor=self.clock,
                **given,
            )
            self.component = self.service.component
        else:
            self.component = pool_component(self.memory.pool, url, **given)
            self.memory.open()
        self.client = PoolClient(self.router.join(), PREFIX, reactor=self.clock)

    def start(self) -> list[Any]:
        """Start it, and return what it ends with, once it has."""
        ended = outcome(self.component.start(self.clock))
        self.memory.settle()
        self.memory.advance(0.01)
        return ended

    @property
    def link(self) -> Link:
        return cast(Link, self.endpoint.sessions[-1]._transport)

    def close(self) -> None:
        """End all, and check that nothing is left."""
        closed = outcome(self.component.close())
        self.memory.advance(0.1)
        assert closed == [None]
        self.memory.close()


@pytest.fixture(autouse=True)
def _autobahn_on_the_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    Have Autobahn take the clock of the scene.
    """
    _clocks.append(Clock())
    monkeypatch.setattr(cast(Any, txaio).config, "loop", _clocks[-1])
    yield
    _clocks.clear()


_clocks: list[Clock] = []


def test_a_component_offers_its_pool() -> None:
    """Started, it joins, registers, and answers calls; closed, it is gone and the pool is not."""
    scene = Scene()
    joined = [scene.component.is_joined]
    ended = scene.start()
    joined.append(scene.component.is_joined)
    assert isinstance(scene.component, PoolComponent)
    sent = outcome(scene.client.send("x"))
    scene.memory.settle()
    assert sent == [0]
    assert scene.component.get_stats()["calls"] == 1
    closed = outcome(scene.component.close())
    scene.memory.advance(0.1)
    assert (closed, ended) == ([None], [None])
    assert [*joined, scene.component.is_joined] == [False, True, False]
    assert scene.router.offers(f"{PREFIX}.send") == 0
    assert scene.memory.pool.open_connections == 2
    scene.memory.close()


def test_it_joins_again_when_the_router_is_back() -> None:
    """The pool stays open meanwhile; attempts are no more than C{max_rejoin_delay} apart."""
    scene = Scene(max_rejoin_delay=4.0)
    scene.start()
    scene.endpoint.mode = "refuse"
    scene.link.abort()
    scene.memory.advance(60)
    joined = [scene.component.is_joined]
    assert scene.memory.pool.open_connections == 2
    times = scene.endpoint.attempts
    gaps = [after - before for before, after in pairwise(times[2:])]
    assert 10 < len(gaps) < 40
    assert max(gaps) <= 4.01
    scene.endpoint.mode = "accept"
    scene.memory.advance(4.1)
    assert [*joined, scene.component.is_joined] == [False, True]
    assert scene.router.offers(f"{PREFIX}.send") == 1
    assert scene.component.get_stats()["sessions"] == 2
    scene.close()


def test_a_polite_goodbye_of_the_router_is_not_the_end() -> None:
    """A session that an administrator ends is made again."""
    scene = Scene()
    ended = scene.start()
    scene.router.say_goodbye(scene.endpoint.sessions[-1], "wamp.close.normal")
    scene.memory.advance(1)
    assert ended == []
    assert scene.component.is_joined
    assert len(scene.endpoint.sessions) == 2
    scene.close()


@pytest.mark.parametrize(
    ("uri", "option"),
    [
        ("wamp.error.no_such_realm", "realm"),
        ("wamp.error.not_authorized", "authentication"),
        ("wamp.error.authentication_failed", "authentication"),
        ("wamp.error.no_auth_method", "authentication"),
    ],
)
def test_what_will_not_change_is_a_failure_to_start(uri: str, option: str) -> None:
    """A realm that does not exist, or a wrong ticket: the first refusal is final, and named."""
    scene = Scene()
    scene.router.abort = uri
    ended = scene.start()
    scene.memory.advance(1)
    (failure,) = ended
    assert failure.check(JoinRefused)
    assert (failure.value.option, failure.value.uri) == (option, uri)
    assert str(failure.value) == f"{option}: the router refused it ({uri})"
    assert len(scene.endpoint.attempts) == 1
    scene.close()


def test_a_refusal_later_is_waited_out() -> None:
    """A router that is being restarted may not have its realm yet: that is no reason to end."""
    scene = Scene()
    ended = scene.start()
    scene.router.abort = "wamp.error.no_such_realm"
    scene.link.abort()
    scene.memory.advance(20)
    assert ended == []
    scene.router.abort = None
    scene.memory.advance(6)
    assert scene.component.is_joined
    scene.close()


def test_a_session_in_which_nothing_can_be_registered_is_not_made_in_a_hot_loop() -> None:
    """Missing rights are tried again by backoff, up to C{max_rejoin_delay}."""
    scene = Scene(max_rejoin_delay=5.0)
    scene.router.refused[f"{PREFIX}.send"] = "wamp.error.not_authorized"
    ended = scene.start()
    scene.memory.advance(120)
    assert ended == []
    joined = [scene.component.is_joined]
    assert len(scene.endpoint.attempts) < 200
    # The pauses are random, 2.5 s on average.
    late = [time for time in scene.endpoint.attempts if time > 60]
    assert len(late) < 80
    scene.router.refused.clear()
    scene.memory.advance(10)
    assert [*joined, scene.component.is_joined] == [False, True]
    scene.close()


def test_closing_lets_calls_end() -> None:
    """Calls under way are answered before the session ends; new ones go elsewhere."""
    scene = Scene()
    scene.start()
    for peer in scene.memory.server.open_peers:
        peer.stop_reading()
    sent = outcome(scene.client.send("x", confirm=True))
    scene.memory.settle()
    closed = outcome(scene.component.close(drain=10))
    scene.memory.advance(1)
    assert (sent, closed) == ([], [])
    assert scene.router.offers(f"{PREFIX}.send") == 0
    for peer in scene.memory.server.open_peers:
        peer.resume_reading()
    scene.memory.advance(0.1)
    assert sent == [0]
    assert closed == [None]
    scene.memory.close()


def test_closing_does_not_wait_for_ever() -> None:
    """What is not answered within C{drain} fails, and says that it may have been sent."""
    scene = Scene()
    scene.start()
    for peer in scene.memory.server.open_peers:
        peer.stop_reading()
    sent = outcome(scene.client.send("x", confirm=True))
    scene.memory.settle()
    closed = outcome(scene.component.close(drain=3))
    scene.memory.advance(3.1)
    assert closed == [None]
    assert sent[0].value.may_have_been_sent
    scene.memory.pool.destroy()


def test_closing_does_not_wait_for_a_silent_router() -> None:
    """A router that does not answer the goodbye holds nothing up for more than seconds."""
    from autobahn.wamp.message import Goodbye, Unregister

    scene = Scene()
    scene.start()
    scene.router.holding = (Goodbye, Unregister)
    closed = outcome(scene.component.close(drain=1))
    scene.memory.advance(1.5)
    assert closed == []
    link = scene.link
    scene.memory.advance(6)
    assert closed == [None]
    # Nothing of it is left.
    assert not link.open
    scene.memory.close()


def test_a_router_that_does_not_let_it_in_is_left() -> None:
    """Neither let in nor refused for 30 s, it tries anew; and joins when the router answers."""
    scene = Scene()
    scene.router.holding = (Hello,)
    ended = scene.start()
    scene.memory.advance(29)
    assert len(scene.endpoint.attempts) == 1
    scene.memory.advance(7)
    assert len(scene.endpoint.attempts) == 2
    scene.router.holding = ()
    joined = [scene.component.is_joined]
    scene.memory.advance(36)
    assert [*joined, scene.component.is_joined] == [False, True]
    assert ended == []
    scene.close()


def test_a_router_that_registers_nothing_is_left() -> None:
    """What is not registered within 30 s is not waited for: the next session may have more luck."""
    scene = Scene()
    scene.router.holding = (Register,)
    ended = scene.start()
    scene.memory.advance(29)
    assert len(scene.endpoint.attempts) == 1
    scene.router.holding = ()
    joined = [scene.component.is_joined]
    scene.memory.advance(12)
    assert [*joined, scene.component.is_joined] == [False, True]
    assert len(scene.endpoint.attempts) == 2
    assert ended == []
    scene.close()


def test_a_router_that_acknowledges_nothing_is_left() -> None:
    """Events that are not acknowledged for 30 s are published again, in another session."""
    scene = Scene(publish=("message",))
    scene.start()
    scene.router.holding = (Publish,)
    peer = scene.memory.server.open_peers[0]
    for number in range(300):
        peer.send(f"{number}")
    scene.memory.advance(29)
    assert scene.router.published == []
    scene.router.holding = ()
    scene.memory.advance(7)
    assert len(scene.endpoint.attempts) == 2
    assert [arguments[1] for arguments in scene.router.published] == [str(n) for n in range(300)]
    # Of acknowledgements that come, each is worth the whole time again.
    for _ in range(10):
        peer.send("more")
        scene.memory.advance(20)
    assert len(scene.endpoint.attempts) == 2
    scene.close()


@pytest.mark.parametrize("mode", ["refuse", "hang"])
def test_closed_while_it_connects_it_tries_no_more(mode: str) -> None:
    """Neither a pause between attempts nor an attempt under way outlives the component."""
    scene = Scene()
    scene.endpoint.mode = mode
    ended = scene.start()
    scene.memory.advance(3)
    closed = outcome(scene.component.close())
    scene.memory.advance(0.1)
    for attempt in scene.endpoint.hanging:
        attempt.errback(ConnectionRefusedError())
    scene.memory.advance(0.1)
    assert (closed, ended) == ([None], [None])
    attempts = len(scene.endpoint.attempts)
    scene.memory.advance(60)
    assert len(scene.endpoint.attempts) == attempts
    scene.memory.close()


def test_closing_twice() -> None:
    """Both times it ends, also with a router that does not answer."""
    from autobahn.wamp.message import Goodbye

    scene = Scene()
    scene.start()
    scene.router.holding = (Goodbye,)
    closed = [outcome(scene.component.close()), outcome(scene.component.close())]
    scene.memory.advance(1)
    closed.append(outcome(scene.component.close()))
    scene.memory.advance(12)
    assert closed == [[None]] * 3
    scene.memory.close()


def test_a_router_that_is_lost_while_it_closes() -> None:
    """Nothing is offered again; nobody waits for a goodbye to a router that is gone."""
    scene = Scene()
    ended = scene.start()
    for peer in scene.memory.server.open_peers:
        peer.stop_reading()
    sent = outcome(scene.client.send("x", confirm=True))
    scene.memory.settle()
    closed = outcome(scene.component.close(drain=10))
    scene.link.abort()
    scene.memory.advance(2)
    assert len(scene.endpoint.attempts) == 1
    assert (len(sent), ended, closed) == (1, [None], [])
    for peer in scene.memory.server.open_peers:
        peer.resume_reading()
    scene.memory.advance(0.1)
    assert closed == [None]
    scene.memory.close()


def test_it_is_started_once() -> None:
    """A second start would offer the pool twice."""
    scene = Scene()
    scene.start()
    with pytest.raises(RuntimeError, match="started already"):
        scene.component.start(scene.clock)
    scene.close()


def test_an_authenticator_of_ones_own() -> None:
    """What Autobahn takes besides a mapping is taken here as well."""
    scene = Scene(authentication={"ticket": create_authenticator("ticket", ticket="x")})
    scene.start()
    assert scene.component.is_joined
    scene.close()


def test_a_session_that_comes_too_late_is_left() -> None:
    """Closed in the middle of joining, it leaves as soon as it has joined."""
    scene = Scene()
    scene.router.holding = (Hello,)
    ended = scene.start()
    closed = outcome(scene.component.close())
    scene.memory.advance(0.1)
    assert closed == []
    scene.router.release()
    scene.memory.advance(0.1)
    assert (closed, ended) == ([None], [None])
    assert scene.router.registered == []
    scene.memory.close()


def test_closing_what_was_never_started() -> None:
    """It is over at once, also the second time."""
    scene = Scene()
    assert outcome(scene.component.close()) == [None]
    assert outcome(scene.component.close()) == [None]
    assert scene.start() == [None]
    assert scene.endpoint.attempts == []
    scene.memory.close()


def test_an_answer_for_a_router_that_is_gone_is_no_error() -> None:
    """A call that ends after its session is dropped without a sound."""
    scene = Scene()
    scene.start()
    scene.memory.server.refuse()
    for peer in scene.memory.server.open_peers:
        peer.drop()
    scene.memory.settle()
    good = outcome(scene.client.send("x"))
    bad = outcome(scene.client.send("y", timeout=1))
    scene.memory.settle()
    scene.link.abort()
    scene.memory.advance(2)
    scene.memory.server.accept()
    scene.memory.advance(3)
    assert [failure.value.may_have_been_sent for (failure,) in (good, bad)] == [True, True]
    scene.close()


# As a service


def test_the_service_starts_both_and_ends_both() -> None:
    """The pool connects and is offered; at the end no call is cut off, and then the pool closes."""
    scene = Scene(service=True, drain=5.0)
    assert scene.service is not None
    scene.service.startService()
    scene.memory.advance(0.01)
    assert scene.memory.pool.open_connections == 2
    assert scene.component.is_joined
    for peer in scene.memory.server.open_peers:
        peer.stop_reading()
    sent = outcome(scene.client.send("x", confirm=True))
    scene.memory.settle()
    stopped = outcome(scene.service.stopService())
    scene.memory.advance(1)
    assert (sent, stopped) == ([], [])
    for peer in scene.memory.server.open_peers:
        peer.resume_reading()
    scene.memory.advance(0.1)
    assert (sent, stopped) == ([0], [None])
    scene.memory.close()


def test_the_service_tells_of_a_refusal() -> None:
    """A wrong realm does not go unnoticed."""
    scene = Scene(service=True)
    assert scene.service is not None
    scene.router.abort = "wamp.error.no_such_realm"
    scene.service.startService()
    scene.memory.advance(1)
    assert [refusal.option for refusal in scene.refused] == ["realm"]
    stopped = outcome(scene.service.stopService())
    scene.memory.advance(0.1)
    assert stopped == [None]
    scene.memory.close()


def test_a_held_answer_is_an_answer() -> None:
    """The router may take its time with an answer."""
    scene = Scene()
    scene.start()
    scene.router.holding = (Yield,)
    sent = outcome(scene.client.send("x"))
    scene.memory.advance(5)
    assert sent == []
    scene.router.release()
    assert sent == [0]
    scene.close()
