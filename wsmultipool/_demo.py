"""
The demo: a pool sends numbered messages while connections are being closed, and all must arrive.
"""

from __future__ import annotations

import platform
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, TextIO

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, TimeoutError
from twisted.internet.task import deferLater

from . import speedups
from ._deadline_clock import DeadlineClock
from ._demo_report import GREEN, RED, Progress, Screen, connections, missing, table
from ._demo_server import NUMBER_BYTES, DemoServer, numbered
from ._patience import Patience
from ._refusals import Refusals
from ._version import __version__
from .errors import PoolError
from .options import ServerURL, TLSOptions, WebSocketOptions
from .pool import ReconnectingPoolFactory

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure


__all__ = ["Demo", "DemoOptions"]

_CLOSES = 20
_PINGS = 100
_UNCONFIRMED = 1_000
# After so many messages the demo's own server, which shares the reactor, gets a turn: among
# thousands that it gets at once it could not close connections.
_FOR_THE_SERVER = 500
_MOST_NOTES = 10


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """
    What may be said on the command line.

    @ivar messages: how many to send.
    @ivar pool_size: connections to keep open.
    @ivar size: bytes per message.
    @ivar confirm: wait for the proof that each has arrived, and have connections reset as well.
    @ivar url: the server to use; C{None} for the demo's own.
    @ivar insecure: accept any certificate.
    """

    messages: int = 100_000
    pool_size: int = 4
    size: int = 64
    confirm: bool = False
    url: str | None = field(default=None, repr=False)
    insecure: bool = False


class Demo:
    """
    One run.

    @param out: where the table goes.
    @param err: where the progress goes, and everything that goes wrong on the way.
    @param server: what to connect to, if C{options} have no URL; C{None} for a new one.
    @ivar to_open: seconds to wait for connections at the beginning.
    @ivar to_send: seconds to wait for a connection that takes the next message, or for one more to
        be confirmed.
    @ivar to_ping: seconds to wait, when everything is sent, for connections to come back, and
        seconds to ping them for.
    @ivar to_arrive: seconds to wait, at the end, for messages that have not arrived.
    """

    to_open = 10.0
    to_send = 30.0
    to_ping = 1.0
    to_arrive = 3.0

    def __init__(
        self,
        reactor: IReactorTime,
        options: DemoOptions,
        out: TextIO,
        err: TextIO,
        server: DemoServer | None = None,
    ) -> None:
        self._reactor = reactor
        self._options = options
        self._out = Screen(out)
        self._server = server
        if options.url is None:
            kept = min(options.pool_size - 1, 1)
            self._server = server or DemoServer(options.messages, _CLOSES, kept, options.confirm)
            self._url = self._server.listen(reactor)
        else:
            self._url = options.url
        self._pool = self._build_pool()
        self._progress = Progress(Screen(err), reactor, self._pool, options.messages)
        self._clock = DeadlineClock(reactor)
        self._refusals = Refusals(self._clock, self._pool, self._server_said)
        self._sending: Deferred[None] | None = None
        self._is_stuck = False
        self._noted: set[str] = set()
        self._opens: Counter[int] = Counter()
        self._round_trips: defaultdict[int, list[float]] = defaultdict(list)

    def _build_pool(self) -> ReconnectingPoolFactory:
        tls = TLSOptions(verify=False) if self._options.insecure else None
        pool = ReconnectingPoolFactory(
            self._url,
            reactor=self._reactor,
            pool_size=self._options.pool_size,
            # Less patient than the defaults, so that much happens in little time.
            reconnect_interval=0.05,
            max_reconnect_interval=1.0,
            min_uptime=0.01,
            close_timeout=self.to_send,
            overflow="wait",
            logger=False,
            ws_options=WebSocketOptions(tls=tls),
        )
        pool.on("open", lambda connection_id: self._opens.update([connection_id]))
        pool.on("error", self._failed)
        return pool

    async def run(self) -> int:
        """
        Send all messages, and tell how it went.

        @return: the exit status: 0, or 1 if messages are missing.
        """
        try:
            self._introduce()
            self._progress.start()
            if not await self._connected():
                return 1
            seconds = await self._send_all()
            await self._measure_round_trips()
            self._progress.stop()
            await self._pool.close(drain=None if self._is_stuck else self.to_send)
            await self._arrivals()
            return self._report(seconds)
        except CancelledError:
            self._progress.stop()
            self._progress.note("interrupted")
            raise
        finally:
            self._progress.stop()
            self._pool.off("error", self._failed)  # what fails from here on fails because of us
            self._refusals.stop()
            self._pool.destroy()
            if self._server is not None:
                await self._server.stop()

    async def _connected(self) -> bool:
        try:
            await self._pool.when_ready().addTimeout(self.to_open, self._clock)
        except TimeoutError:
            count = self._pool.open_connections
            self._progress.note(
                f"{count or 'none'} of {connections(self._pool.total_connections)} to"
                f" {ServerURL.parse(self._url)} opened within {self.to_open:g} s"
            )
            return count > 0
        return True

    async def _send_all(self) -> float:
        """
        @return: how many seconds it took, until the server had read everything.
        """
        self._progress.began()
        began = self._reactor.seconds()
        send = self._send_confirmed if self._options.confirm else self._send_each
        self._sending = Deferred.fromCoroutine(send())
        try:
            await self._sending
        except PoolError as error:
            self._progress.note(f"stopped: {error}")
        except CancelledError:
            if not self._is_stuck:
                raise
            self._progress.note(f"stopped: no message was confirmed within {self.to_send:g} s")
        return self._reactor.seconds() - began

    async def _send_each(self) -> None:
        pool, progress = self._pool, self._progress
        padding = bytes(self._options.size - NUMBER_BYTES)
        for number in range(self._options.messages):
            # To wait for each is all there is to do about backpressure, and about outages.
            await pool.send(numbered(number, padding), timeout=self.to_send)
            progress.count()
            if self._server is not None and number % _FOR_THE_SERVER == 0:
                await deferLater(self._reactor, 0)
        # Pongs come in order: at the last one the server has read what was sent before.
        await pool.broadcast_ping(timeout=self.to_send)

    async def _send_confirmed(self) -> None:
        # To wait for each of these would take a round trip each.
        unconfirmed = DeferredSemaphore(_UNCONFIRMED)
        patience = Patience(self._clock, self.to_send, lambda: False, self._stuck)
        padding = bytes(self._options.size - NUMBER_BYTES)

        def confirmed(_: int) -> None:
            patience.progress()
            self._progress.count()

        patience.start()
        try:
            for number in range(self._options.messages):
                await unconfirmed.acquire()
                sent = self._pool.send(numbered(number, padding), confirm=True)
                sent.addCallbacks(confirmed, self._not_confirmed)
                sent.addBoth(lambda _: unconfirmed.release())
            for _ in range(_UNCONFIRMED):
                await unconfirmed.acquire()
        finally:
            patience.stop()

    def _stuck(self) -> None:
        """Nothing more will be confirmed: wait no longer."""
        self._is_stuck = True
        assert self._sending is not None
        self._sending.cancel()

    def _not_confirmed(self, failure: Failure) -> None:
        self._note(f"a message failed: {failure.getErrorMessage()}")

    async def _measure_round_trips(self) -> None:
        """
        Ping all connections, when those that were lost have come back.
        """
        pool, clock = self._pool, self._reactor
        with suppress(TimeoutError):
            await pool.when_ready().addTimeout(self.to_ping, clock)
        end = clock.seconds() + self.to_ping
        for _ in range(_PINGS):
            stats = pool.get_stats().connections
            are_open = [connection.id for connection in stats if connection.state == "open"]
            results = await pool.broadcast_ping(timeout=self.to_ping)
            for connection_id, (_, seconds) in zip(are_open, results, strict=True):
                if isinstance(seconds, float):
                    self._round_trips[connection_id].append(seconds)
            if clock.seconds() > end:
                break

    async def _arrivals(self) -> None:
        """
        Wait until everything has arrived, or nothing has for some time.
        """
        server = self._server
        delivered = -1
        while server is not None and server.missing and server.delivered > delivered:
            delivered = server.delivered
            await deferLater(self._reactor, self.to_arrive)

    def _failed(self, error: Exception, connection_id: int) -> None:
        self._note(str(error))

    def _server_said(self, words: str) -> None:
        # The demo's own server closes connections on purpose.
        if self._server is None:
            self._note(words)

    def _note(self, text: str) -> None:
        """
        Say something once, however often it happens.
        """
        if text not in self._noted and len(self._noted) < _MOST_NOTES:
            self._noted.add(text)
            self._progress.note(text)

    def _introduce(self) -> None:
        options = self._options
        twisted, autobahn = map(metadata.version, ("twisted", "autobahn"))
        lines = [
            f"wsmultipool {__version__}, Python {platform.python_version()}, Twisted {twisted},"
            f" Autobahn {autobahn}, {type(self._reactor).__name__}",
            f"Masking: {speedups()}",
            f"{options.messages:,} messages of {options.size:,} bytes over"
            f" {connections(options.pool_size)} to {ServerURL.parse(self._url)}",
        ]
        if self._server is not None:
            closes = "closes and resets" if options.confirm else "closes"
            lines.append(f"The server {closes} one connection after another.")
        if options.insecure:
            lines.append("The server's certificate is not checked.")
        self._out.write_line("\n".join(lines))

    def _report(self, seconds: float) -> int:
        """
        Write the table.

        @return: the exit status.
        """
        out, server, sent = self._out, self._server, self._progress.sent
        stats = self._pool.get_stats()
        lines = table(stats, server, sent, seconds, self._opens, self._round_trips)
        out.write_line("\n".join(["", *lines, ""]))
        # One that was dropped before it was confirmed does not count as sent.
        dropped = 0 if self._options.confirm else stats.dropped_messages
        lines = missing(server, sent, dropped, self._options.messages)
        if self._refusals.latest is not None:
            lines.append(f"The server turns us away: {self._refusals.latest}")
        for line in lines:
            out.write_line(out.colored(line, RED))
        if not lines:
            done = "sent" if server is None else "delivered"
            out.write_line(out.colored(f"Every message was {done}.", GREEN))
        return 1 if lines else 0
