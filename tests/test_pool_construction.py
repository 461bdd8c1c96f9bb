"""
Making a pool: what it checks, and what it does not do yet.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from twisted.internet.task import Clock
from zope.interface.verify import verifyClass, verifyObject

from wsmultipool import (
    IPooledConnection,
    IWebSocketPool,
    IWireListener,
    PooledConnection,
    ReconnectingPoolFactory,
    TLSOptions,
    WebSocketOptions,
    noop_logger,
)
from wsmultipool.testing import MemoryPool, MemoryServer


def pool_on(clock: Clock, **options: Any) -> tuple[ReconnectingPoolFactory, MemoryServer]:
    """
    Build a pool as a user would, on a clock and connected to a server in memory.
    """
    server = MemoryServer(clock)
    pool = ReconnectingPoolFactory(
        options.pop("url", "ws://memory.test/"),
        reactor=clock,
        ws_options=WebSocketOptions(endpoint=server),
        **options,
    )
    return pool, server


def test_construction_starts_on_the_next_turn() -> None:
    """With start=True, the default, listeners attached right after it miss nothing."""
    clock = Clock()
    pool, server = pool_on(clock, pool_size=2)
    assert server.attempts == []
    assert [c.state for c in pool.get_stats().connections] == ["idle"] * 2
    upgraded: list[int] = []
    pool.on("upgrade", lambda response, connection_id: upgraded.append(connection_id))
    clock.advance(0)
    assert upgraded == [0, 1]
    pool.destroy()
    clock.advance(0)
    assert clock.getDelayedCalls() == []


def test_construction_with_start_false_waits_for_start() -> None:
    """With start=False nothing happens until start()."""
    clock = Clock()
    pool, server = pool_on(clock, start=False)
    clock.advance(100)
    assert server.attempts == []
    pool.start()
    assert len(server.attempts) == 5
    pool.destroy()
    clock.advance(0)
    assert clock.getDelayedCalls() == []


def test_construction_and_start_connect_once() -> None:
    """start() before the next turn takes the place of the automatic start."""
    clock = Clock()
    pool, server = pool_on(clock, pool_size=1)
    pool.start()
    assert len(server.attempts) == 1
    clock.advance(0)
    assert len(server.attempts) == 1
    pool.destroy()
    clock.advance(0)
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize("end", ["close", "destroy"])
def test_construction_may_be_ended_before_the_next_turn(end: str) -> None:
    """close() or destroy() right after construction leaves nothing on the reactor."""
    clock = Clock()
    pool, server = pool_on(clock)
    getattr(pool, end)()
    assert clock.getDelayedCalls() == []
    clock.advance(10)
    assert server.attempts == []


def test_construction_does_not_import_the_reactor() -> None:
    """With reactor= given, the global reactor is neither imported nor installed."""
    program = (
        "import sys\n"
        "from twisted.internet.task import Clock\n"
        "from wsmultipool import ReconnectingPoolFactory\n"
        "from wsmultipool.testing import MemoryPool\n"
        "pool = ReconnectingPoolFactory('ws://localhost/', reactor=Clock())\n"
        "pool.destroy()\n"
        "memory = MemoryPool(); memory.open(); memory.close()\n"
        "sys.exit('twisted.internet.reactor' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_construction_without_a_reactor_takes_the_global_one() -> None:
    """reactor=None means the reactor that everybody uses."""
    pool = ReconnectingPoolFactory("ws://localhost/", start=False)
    assert pool.total_connections == 5
    pool.destroy()


@pytest.mark.parametrize("reactor", [object(), "reactor", 0])
def test_construction_refuses_what_is_no_reactor(reactor: Any) -> None:
    """What does not provide IReactorTime is refused by name."""
    with pytest.raises(TypeError, match=r"reactor.*IReactorTime"):
        ReconnectingPoolFactory("ws://localhost/", reactor=reactor)


@pytest.mark.parametrize("start", [None, 0, "yes"])
def test_construction_refuses_a_start_that_is_no_bool(start: Any) -> None:
    """start is True or False, not something like it."""
    with pytest.raises(TypeError, match="start"):
        ReconnectingPoolFactory("ws://localhost/", reactor=Clock(), start=start)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://localhost/", ValueError),
        ("localhost", ValueError),
        ("ws://", ValueError),
        ("ws://localhost/#fragment", ValueError),
        ("ws://localhost:99999/", ValueError),
        ("", ValueError),
        (None, TypeError),
        (b"ws://localhost/", TypeError),
    ],
)
def test_construction_refuses_what_is_no_url(url: Any, error: type[Exception]) -> None:
    """A URL that is none, or not of a WebSocket, is refused by name."""
    with pytest.raises(error, match="url"):
        ReconnectingPoolFactory(url, reactor=Clock())


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("pool_size", 0, ValueError),
        ("pool_size", 1.5, TypeError),
        ("pool_size", True, TypeError),
        ("reconnect_interval", 0, ValueError),
        ("max_reconnect_interval", 0.5, ValueError),
        ("reconnect_backoff_multiplier", 0.5, ValueError),
        ("max_reconnect_attempts", 0, ValueError),
        ("min_uptime", -1, ValueError),
        ("open_timeout", 0, ValueError),
        ("close_timeout", float("inf"), ValueError),
        ("heartbeat_interval", -1, ValueError),
        ("heartbeat_timeout", 0, ValueError),
        ("message_queue_size", -1, ValueError),
        ("overflow", "drop", ValueError),
        ("max_buffered_bytes", 0, ValueError),
        ("max_message_size", 0, ValueError),
        ("balancer", object(), TypeError),
        ("on_connect", 1, TypeError),
        ("max_deliveries", 0, ValueError),
        ("max_deliveries", 1.5, TypeError),
        ("max_connecting", 0, ValueError),
        ("name", "", ValueError),
        ("logger", "log", TypeError),
        ("ws_factory", object(), TypeError),
        ("ws_options", 1, TypeError),
    ],
)
def test_construction_names_the_option_that_is_wrong(
    option: str, value: Any, error: type[Exception]
) -> None:
    """Every invalid option is refused at once; the message names it."""
    clock = Clock()
    with pytest.raises(error, match=option):
        ReconnectingPoolFactory("ws://localhost/", reactor=clock, **{option: value})
    assert clock.getDelayedCalls() == []


def test_construction_suggests_what_was_meant() -> None:
    """A misspelt option is refused with the right spelling."""
    with pytest.raises(TypeError, match="pool_size"):
        ReconnectingPoolFactory("ws://localhost/", reactor=Clock(), pool_sise=1)  # type: ignore[call-arg]


def test_construction_has_the_defaults_of_the_documentation() -> None:
    """The defaults are those that are promised."""
    pool = ReconnectingPoolFactory("ws://localhost/", reactor=Clock(), start=False)
    options = pool.options
    assert (options.pool_size, options.max_connecting, options.max_reconnect_attempts) == (
        5,
        None,
        None,
    )
    assert (options.reconnect_interval, options.max_reconnect_interval) == (1.0, 30.0)
    assert (options.reconnect_backoff_multiplier, options.min_uptime) == (2.0, 5.0)
    assert (options.open_timeout, options.close_timeout) == (10.0, 5.0)
    assert (options.heartbeat_interval, options.heartbeat_timeout) == (0, 5.0)
    assert (options.message_queue_size, options.overflow) == (100, "drop_oldest")
    assert (options.max_buffered_bytes, options.max_message_size) == (64 << 20, 100 << 20)
    assert pool.total_connections == 5
    pool.destroy()


def test_construction_provides_the_interfaces() -> None:
    """A pool is an IWebSocketPool, its connections are IPooledConnection and IWireListener."""
    connections: list[PooledConnection] = []
    memory = MemoryPool(pool_size=1, on_connect=connections.append)
    assert verifyClass(IWebSocketPool, ReconnectingPoolFactory)
    assert verifyObject(IWebSocketPool, memory.pool)
    memory.open()
    assert verifyObject(IPooledConnection, connections[0])
    assert verifyObject(IWireListener, connections[0])
    memory.close()


@pytest.mark.parametrize(("options", "name"), [({}, "memory.test"), ({"name": "quotes"}, "quotes")])
def test_construction_names_the_pool(options: dict[str, Any], name: str) -> None:
    """A pool has the name it is given, or else that of its host; its repr shows both."""
    clock = Clock()
    pool, _ = pool_on(clock, url="ws://u:secret@memory.test/x?secret=1", start=False, **options)
    assert pool.name == name
    assert repr(pool) == f"<ReconnectingPoolFactory {name} ws://memory.test/x>"
    pool.destroy()


def test_construction_warns_of_unverified_tls() -> None:
    """verify=False is logged, with the pool's name, when the pool is built."""
    from zope.interface import implementer

    from wsmultipool import IPoolLogger

    lines: list[str] = []

    @implementer(IPoolLogger)
    class Recorder:
        def debug(self, message: str, *args: object) -> None: ...

        info = error = debug

        def warn(self, message: str, *args: object) -> None:
            lines.append(message % args)

    def build(verify: bool) -> None:
        MemoryPool(
            "wss://memory.test/",
            logger=Recorder(),
            ws_options=WebSocketOptions(tls=TLSOptions(verify=verify)),
        ).close()

    build(True)
    assert lines == []
    build(False)
    assert lines == ["memory.test: verify=False: the server's certificate is not checked"]


def test_construction_does_not_touch_the_global_random_numbers() -> None:
    """A pool neither seeds nor uses the generator that belongs to the application."""
    import random

    random.seed(1)
    expected = random.getstate()
    memory = MemoryPool(pool_size=3, logger=noop_logger)
    memory.open()
    memory.server.peers[0].drop()
    memory.advance(5)
    memory.close()
    # Autobahn's server, at the other end here, masks nothing.
    assert random.getstate() == expected


def test_construction_pools_are_independent() -> None:
    """Two pools on one reactor and server do not share anything else."""
    clock = Clock()
    server = MemoryServer(clock)
    first = MemoryPool(pool_size=1, clock=clock, server=server)
    second = MemoryPool(pool_size=2, clock=clock, server=server)
    first.open()
    second.open()
    messages: list[tuple[str, bytes]] = []
    first.pool.on("message", lambda data, *_: messages.append(("first", data)))
    second.pool.on("message", lambda data, *_: messages.append(("second", data)))
    for peer in server.peers:
        peer.send("x")
    clock.advance(0)
    assert messages == [("first", b"x"), ("second", b"x"), ("second", b"x")]
    first.pool.close()
    second.close()
    first.close()


def test_construction_may_be_followed_by_a_close_that_drains() -> None:
    """close(drain=) right after construction still delivers what was sent before it."""
    clock = Clock()
    pool, server = pool_on(clock, pool_size=1)
    sent: list[int] = []
    closed: list[None] = []
    pool.send("x").addCallback(sent.append)
    pool.close(drain=5).addCallback(closed.append)
    for _ in range(20):
        clock.advance(0)
    assert sent == [0]
    assert closed == [None]
    assert server.peers[0].received == [(b"x", False)]
    assert clock.getDelayedCalls() == []
