"""
The form for a container: what is under C{extra}, and how it gets along with what a container does.
"""

from __future__ import annotations

from typing import Any

import pytest
from autobahn.wamp.message import Register
from autobahn.wamp.types import ComponentConfig

from wsmultipool.testing import MemoryPool
from wsmultipool.wamp import PoolClient, PoolSession
from wsmultipool.wamp import _extra as extra_module

from .wamp_router import MemoryRouter
from .wamp_support import PREFIX


class Scene:
    """
    A session as a container makes it, whose pool is in memory.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.memory = MemoryPool(pool_size=2, logger=False)
        monkeypatch.setattr(
            extra_module, "ReconnectingPoolFactory", lambda url, **options: self.memory.pool
        )
        self.router = MemoryRouter()
        extra = {"url": "ws://feed.test/", "prefix": PREFIX, "pool_size": 2, "cbdir": "/node"}
        self.session: Any = PoolSession(ComponentConfig("realm1", extra))
        self.ready: list[Any] = []
        self.session.on("ready", self.ready.append)  # type: ignore[no-untyped-call]
        self.client = PoolClient(self.router.join(), PREFIX, reactor=self.memory.clock)


def test_it_registers_first_and_fills_the_pool_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The node goes on to start although the server does not answer; calls wait in the queue."""
    scene = Scene(monkeypatch)
    scene.memory.server.refuse()
    scene.router.join(scene.session)
    assert scene.ready == [scene.session]
    assert scene.memory.pool.open_connections == 0
    sending = scene.client.send("x")
    scene.memory.settle()
    scene.memory.server.accept()
    scene.memory.advance(2)
    assert scene.memory.result(sending) == 0
    scene.session._transport.abort()
    scene.memory.close()


def test_registering_again_when_the_router_has_not_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    The node is not held up for ever by a router that does not answer; what that registers late is
    taken back, so that it can be registered again.
    """
    scene = Scene(monkeypatch)
    monkeypatch.setattr("twisted.internet.reactor", scene.memory.clock)
    scene.router.holding = (Register,)
    scene.router.join(scene.session)
    scene.memory.advance(29)
    assert scene.ready == []
    scene.memory.advance(1)
    assert scene.ready == [scene.session]
    scene.router.release()
    assert scene.router.offers(f"{PREFIX}.send") == 0
    scene.memory.advance(2)
    assert scene.router.offers(f"{PREFIX}.send") == 1
    scene.session._transport.abort()
    scene.memory.close()


def test_the_pool_ends_with_its_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container makes no second session of it, so that nobody would use the pool any more."""
    scene = Scene(monkeypatch)
    scene.router.join(scene.session)
    scene.memory.settle()
    assert scene.memory.pool.open_connections == 2
    scene.session._transport.abort()
    scene.memory.settle()
    assert scene.memory.pool.open_connections == 0
    assert [peer.close_received for peer in scene.memory.server.peers] == [(1000, "")] * 2
    scene.memory.close()


def test_what_cannot_be_registered_does_not_fail_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An C{onJoin} that fails would make the container try again at full speed."""
    scene = Scene(monkeypatch)
    scene.router.refused[f"{PREFIX}.send"] = "wamp.error.not_authorized"
    scene.router.join(scene.session)
    assert scene.ready == [scene.session]
    assert scene.session.is_attached()
    waiting = scene.session._waiting
    assert waiting is not None
    scene.session._transport.abort()
    assert scene.session._waiting is None
    scene.memory.close()


def test_a_mistake_under_extra_is_a_failure_to_start() -> None:
    """The container's error names the option."""
    with pytest.raises(TypeError, match="unknown option 'poolsize': did you mean 'pool_size'"):
        PoolSession(ComponentConfig("realm1", {"url": "ws://feed.test/", "poolsize": 2}))
    with pytest.raises(TypeError, match="prefix is missing"):
        PoolSession(ComponentConfig("realm1", {"url": "ws://feed.test/"}))
    with pytest.raises(TypeError, match="url is missing"):
        PoolSession()
