"""
One case: a pool meets peers that follow scripts, and then a good one.

Whatever it heard, it must come back: open, with messages flowing both ways, and leave nothing
behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.internet.task import Clock

from wsmultipool import Compression, ServerURL, WebSocketFactory, WebSocketOptions
from wsmultipool._proxy import ProxyEndpoint
from wsmultipool.errors import ConnectionFailed, UpgradeRejected
from wsmultipool.testing import MemoryPool, MemoryServer

from ..support import BusyClock
from .peers import GoodProxy, HostileServer, Script
from .watching import PROXY_CREDENTIALS, SECRET_HEADER, SECRET_URL, Watch, check_text

if TYPE_CHECKING:
    from wsmultipool import PoolOptions, ReconnectingPoolFactory, UpgradeRequest, UpgradeResponse

LARGEST = 2000
"""The size of the largest message that a pool takes here."""

RETRY = 8.0
"""Seconds that backoff asks for at most."""

FRAGMENTED = "parts"
"""The key by which user code may send a message in fragments."""

# How many times anything may happen in one case before it is taken for a loop without end.
_MOST_CALLS = 20_000


@dataclass
class Heard:
    """
    What a pool told its user.
    """

    messages: list[tuple[bytes, bool]] = field(default_factory=list)
    pings: list[bytes] = field(default_factory=list)
    pongs: list[bytes] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    closes: list[tuple[int, str]] = field(default_factory=list)
    upgrades: list[UpgradeResponse] = field(default_factory=list)
    rejections: list[UpgradeResponse] = field(default_factory=list)

    def listen(self, pool: ReconnectingPoolFactory) -> None:
        """Listen to everything."""
        pool.on("message", lambda data, is_binary, _: self.messages.append((data, is_binary)))
        pool.on("ping", lambda data, _: self.pings.append(data))
        pool.on("pong", lambda data, _: self.pongs.append(data))
        pool.on("error", lambda error, _: self.errors.append(error))
        pool.on("close", lambda _, code, reason: self.closes.append((code, reason)))
        pool.on("upgrade", lambda response, _: self.upgrades.append(response))

        @pool.on("unexpected-response")
        def rejected(request: UpgradeRequest, response: UpgradeResponse, _: int) -> None:
            check_text(repr(request), "the request's repr")
            check_text(repr(response), "the response's repr")
            self.rejections.append(response)


class _Factory(WebSocketFactory):
    """
    Connects to what the case wants, directly or through what talks like a proxy.
    """

    def __init__(self, endpoint: IStreamClientEndpoint, proxied: bool) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._proxied = proxied

    def build_endpoint(
        self, reactor: IReactorTime, url: ServerURL, options: PoolOptions
    ) -> IStreamClientEndpoint:
        if not self._proxied:
            return self._endpoint
        return ProxyEndpoint(self._endpoint, url.host, url.port, PROXY_CREDENTIALS)


class Case:
    """
    A pool of one connection among hostile peers.

    @ivar heard: what it told its user.
    @ivar hostile: where it connected to.
    @ivar waiting: the Deferreds it returned, each of which must fire.
    @ivar over: whether user code is to let the pool alone now.
    """

    def __init__(
        self,
        scripts: Sequence[Script],
        *,
        proxied: bool = False,
        compression: Compression | bool = False,
        protocols: Sequence[str] = (),
        largest: int = LARGEST,
        **options: Any,
    ) -> None:
        self.heard = Heard()
        self.waiting: list[Deferred[Any]] = []
        self.over = False
        self._later: list[IDelayedCall] = []
        clock = BusyClock(_MOST_CALLS)
        good = MemoryServer(clock, compression=bool(compression))
        way = GoodProxy(clock, good) if proxied else good
        self.hostile = HostileServer(clock, scripts, way)
        self.memory = MemoryPool(
            SECRET_URL,
            clock=clock,
            server=good,
            ws_factory=_Factory(self.hostile, proxied),
            ws_options=WebSocketOptions(
                headers={"X-Token": SECRET_HEADER},
                compression=compression,
                compression_threshold=0,
                protocols=protocols,
            ),
            pool_size=1,
            max_message_size=largest,
            max_reconnect_interval=RETRY,
            **options,
        )
        self.pool = self.memory.pool
        self.heard.listen(self.pool)

    @property
    def clock(self) -> Clock:
        """What it runs on."""
        return self.memory.clock

    def run(self, meddle: Callable[[Case], None] | None = None) -> Heard:
        """
        Let it meet all peers, and check what must hold.

        @param meddle: called before the start, to add user code that is not nice either.
        """
        try:
            with Watch() as watch:
                if meddle is not None:
                    meddle(self)
                self.pool.start()
                self._meet_all()
                if not self._ended:
                    self._talk()
                self._end()
                watch.check()
        finally:
            for deferred in self.waiting:
                deferred.addErrback(lambda _: None)
        self._check()
        return self.heard

    def later(self, delay: float, function: Callable[..., object], *args: object) -> None:
        """
        Call a function of the user after some time, unless the case is over by then.
        """
        self._later.append(self.clock.callLater(delay, function, *args))

    @property
    def _ended(self) -> bool:
        return self.pool._supervisor.closing

    def _meet_all(self) -> None:
        """
        Let time pass until all scripts are used up and the connection to the good server is open.
        """
        for _ in range(200):
            self.memory.settle()
            stats = self.pool.get_stats()
            assert stats.open + stats.connecting + stats.closed == stats.total
            if self._ended or (stats.open == stats.total and not self.hostile.busy):
                return
            calls = self.clock.getDelayedCalls()
            if calls:
                due = min(call.getTime() for call in calls)
                self.clock.advance(max(0.0, due - self.clock.seconds()))
            else:
                # An open connection may be silent for ever, until it is not open any more.
                assert self.hostile.connected, f"the pool does nothing: {stats}"
                self.pool.resume_receiving()
                for peer in self.hostile.connected:
                    peer.drop()
        raise AssertionError(f"the pool does not come back: {self.pool.get_stats()}")

    def _talk(self) -> None:
        self.over = True
        self.pool.resume_receiving()
        # What user code left unfinished would keep everything else off its connection.
        self.waiting.append(self.pool.send("", key=FRAGMENTED))
        self.memory.settle()
        sent = self.pool.send("are you there?")
        self.waiting.append(sent)
        self.memory.settle()
        reached = [
            peer
            for peer in self.memory.server.open_peers
            if (b"are you there?", False) in peer.received
        ]
        assert reached, "a message did not arrive"
        reached[0].send(b"yes, I am")
        self.memory.settle()
        assert self.heard.messages[-1:] == [(b"yes, I am", True)]

    def _end(self) -> None:
        self.pool.destroy()
        self.memory.advance(self.pool.options.close_timeout)
        assert self.pool._supervisor.ended
        for call in self._later:
            if call.active():
                call.cancel()
        left = self.clock.getDelayedCalls()
        assert not left, f"delayed calls are left: {left}"
        assert not self.hostile.connected, "a transport is left"
        assert not any(peer.connected for peer in self.memory.server.peers), "a transport is left"
        forgotten = [deferred for deferred in self.waiting if not deferred.called]
        assert not forgotten, f"Deferreds did not fire: {forgotten}"

    def _check(self) -> None:
        for error in self.heard.errors:
            assert isinstance(error, ConnectionFailed), repr(error)
            cause: BaseException | None = error
            while cause is not None:
                check_text(f"{cause} {cause!r} {cause.args!r}", "an error")
                cause = cause.__cause__
            if isinstance(error, UpgradeRejected) and error.retry_after is not None:
                assert 0 <= error.retry_after <= 86400
        assert all(
            len(data) <= self.pool.options.max_message_size for data, _ in self.heard.messages
        )
