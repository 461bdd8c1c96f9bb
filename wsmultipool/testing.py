"""
Testing code that uses a pool, without sockets and without waiting: what our own tests use.

L{MemoryPool} is a pool on a clock that only moves when it is told to, connected to a
L{MemoryServer} in the same process by pipes in memory.  What runs over them is the real protocol,
with Autobahn at both ends; every run of a test is exactly like the one before::

    def test_my_client_subscribes_again():
        memory = MemoryPool(pool_size=2)
        client = MyClient(memory.pool)
        memory.open()
        memory.server.peers[0].drop()
        memory.advance(1)
        assert memory.server.peers[-1].received == [(b"subscribe", False)]
        memory.close()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from ._autobahn import WebSocketFactory
from ._memory_server import MemoryPeer, MemoryServer
from ._urls import parse_urls
from ._words import counted
from .pool import ReconnectingPoolFactory

if TYPE_CHECKING:
    from typing import Unpack

    from twisted.internet.interfaces import IReactorTime

    from .options import PoolOptions, PoolOptionsDict, ServerURL

__all__ = ["MemoryPeer", "MemoryPool", "MemoryServer"]

_T = TypeVar("_T")


class _MemoryFactory(WebSocketFactory):
    """
    Connects every connection to the server in memory that stands for its URL.
    """

    def __init__(self, servers: Mapping[ServerURL, MemoryServer]) -> None:
        super().__init__()
        self._servers = servers

    def build_endpoint(
        self, reactor: IReactorTime, url: ServerURL, options: PoolOptions
    ) -> IStreamClientEndpoint:
        if url in self._servers:
            return self._servers[url]
        # From a url callable: it is for a server of the pool, if one has this host.
        known = {(each.host, each.port): server for each, server in self._servers.items()}
        return known.get((url.host, url.port), next(iter(self._servers.values())))


class MemoryPool:
    """
    A pool, its clock, and its server, or its servers.

    @param url: as of L{ReconnectingPoolFactory}; TLS is not done, whatever it says.
    @param server: the server for every URL, or a sequence of one for each; C{None} for one for each
        that accepts everything.
    @param uniform: takes the place of chance in backoff: called with 0 and the ceiling, it returns
        the delay.  C{None} for always the ceiling, so that a test knows when a retry comes.
    @param clock: C{None} for a new one.
    @param options: of the pool.  It does not start by itself.
    @ivar pool: the L{ReconnectingPoolFactory}.
    @ivar server: the L{MemoryServer}, of the first URL if there are several.
    @ivar servers: all of them, in the order of their URLs.
    @ivar clock: the L{Clock<twisted.internet.task.Clock>} that both run on; use L{advance}.
    @since: 0.1.0
    """

    def __init__(
        self,
        url: str | Sequence[str] = "ws://memory.test/",
        *,
        server: MemoryServer | Sequence[MemoryServer] | None = None,
        uniform: Callable[[float, float], float] | None = None,
        clock: Clock | None = None,
        **options: Unpack[PoolOptionsDict],
    ) -> None:
        self.clock = clock or Clock()
        urls = parse_urls(url)
        if server is None:
            server = [MemoryServer(self.clock) for _ in urls]
        elif isinstance(server, MemoryServer):
            server = [server] * len(urls)
        elif len(server) != len(urls):
            servers, names = counted(len(server), "server"), counted(len(urls), "URL")
            raise ValueError(f"server: {servers} for {names}: give one for each, or one for all")
        self.servers = list(server)
        self.server = self.servers[0]
        by_url = dict(zip(urls, self.servers, strict=True))
        options.setdefault("ws_factory", _MemoryFactory(by_url))
        self.pool = _build_pool(uniform or _the_ceiling, url, self.clock, options)

    def open(self) -> None:
        """
        Start the pool and let every connection open.

        @raise AssertionError: they did not.
        @since: 0.1.0
        """
        self.pool.start()
        self.settle()
        stats = self.pool.get_stats()
        assert stats.open == stats.total, f"{stats.open} of {stats.total} connections are open"

    def settle(self) -> None:
        """
        Let everything happen that takes no time.

        @since: 0.1.0
        """
        self.clock.advance(0)

    def advance(self, seconds: float) -> None:
        """
        Let time pass, with every timer at its own moment.  C{clock.advance} would have all of them
        see the time at the end.

        @since: 0.1.0
        """
        end = self.clock.seconds() + seconds
        while calls := self.clock.getDelayedCalls():
            due = min(call.getTime() for call in calls)
            if due > end:
                break
            self.clock.advance(max(0.0, due - self.clock.seconds()))
        self.clock.advance(max(0.0, end - self.clock.seconds()))

    def result(self, deferred: Deferred[_T]) -> _T:
        """
        Get what a Deferred has fired with by now.

        @raise AssertionError: it has not fired.
        @raise Exception: it has failed with that.
        @since: 0.1.0
        """
        self.settle()
        results: list[Any] = []
        deferred.addBoth(results.append)
        assert results, f"{deferred} has not fired"
        if isinstance(results[0], Failure):
            results[0].raiseException()
        result: _T = results[0]
        return result

    def close(self) -> None:
        """
        Close the pool and check that it leaves nothing behind.

        @raise AssertionError: it does not close within its C{close_timeout}, leaves a delayed call
            on the clock, or a connection.
        @since: 0.1.0
        """
        closed: list[object] = []
        self.pool.close().addBoth(closed.append)
        self.settle()
        if not closed:
            self.advance(self.pool.options.close_timeout)
        assert closed, f"{self.pool} did not close"
        self.settle()
        left = self.clock.getDelayedCalls()
        assert not left, f"delayed calls are left: {left}"
        peers = [peer for server in self.servers for peer in server.peers]
        connected = [peer for peer in peers if peer._protocol.transport.peer.connected]
        assert not connected, f"{len(connected)} transports are left"


def _the_ceiling(low: float, high: float) -> float:
    return high


def _build_pool(
    uniform: Callable[[float, float], float],
    url: str | Sequence[str],
    clock: Clock,
    options: PoolOptionsDict,
) -> ReconnectingPoolFactory:
    class Pool(ReconnectingPoolFactory):
        _uniform = staticmethod(uniform)

    Pool.__name__ = ReconnectingPoolFactory.__name__
    return Pool(url, reactor=clock, start=False, **options)
