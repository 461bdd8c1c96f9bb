"""
The demo: a pool sends numbered messages while connections are being closed, and all must arrive.
"""

from __future__ import annotations

import math
import os
import platform
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, TextIO

from twisted.internet.defer import CancelledError, TimeoutError
from twisted.internet.task import LoopingCall, deferLater

from ._demo_server import NUMBER_BYTES, DemoServer, numbered
from ._version import __version__
from .errors import PoolError
from .options import ServerURL, TLSOptions, WebSocketOptions
from .pool import ReconnectingPoolFactory

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from .stats import PoolStats

__all__ = ["Demo", "DemoOptions", "Progress", "Screen", "missing", "table"]

_CLOSES = 20
_PINGS = 100
_DRAW_EVERY = 0.2
_BAR = 20
_MOST_DOTS = 16
_MOST_NOTES = 10
_MOST_NUMBERS = 5
_MOST_ROWS = 20


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """
    What may be said on the command line.

    @ivar messages: how many to send.
    @ivar pool_size: connections to keep open.
    @ivar size: bytes per message.
    @ivar url: the server to use; C{None} for the demo's own.
    @ivar insecure: accept any certificate.
    """

    messages: int = 100_000
    pool_size: int = 4
    size: int = 64
    url: str | None = field(default=None, repr=False)
    insecure: bool = False


def table(
    stats: PoolStats,
    server: DemoServer | None,
    sent: int,
    seconds: float,
    opens: Mapping[int, int],
    round_trips: Mapping[int, Sequence[float]],
) -> list[str]:
    """
    Tell how it went, in lines of at most 80 columns.

    @param server: who counted what arrived; C{None} if nobody did.
    @param sent: how many messages the pool took, in C{seconds}.
    @param opens: how often each connection opened.
    @param round_trips: of each connection, in seconds.
    """
    counts = {
        "sent": sent,
        "delivered": server.delivered if server else None,
        "duplicates": server.duplicates if server else None,
        "re-routed": stats.requeued_messages,
        **({"closed by the server": server.closed} if server else {}),
        "reconnects": stats.reconnects,
        "messages per second": round(sent / seconds),
    }
    lines = [
        f"{name:<22}{'not counted' if count is None else f'{count:,}':>14}"
        for name, count in counts.items()
    ]
    lines += ["", "connection        sent  reconnects  round trip p50         p99"]
    for connection in stats.connections[:_MOST_ROWS]:
        reconnects = max(opens.get(connection.id, 0) - 1, 0)
        times = round_trips.get(connection.id, ())
        lines.append(
            f"{connection.id:>10}{connection.sent_messages:>12,}{reconnects:>12,}"
            f"{_milliseconds(times, 0.5):>16}{_milliseconds(times, 0.99):>12}"
        )
    if stats.total > _MOST_ROWS:
        lines.append(f"{'':7}and {stats.total - _MOST_ROWS:,} more")
    return lines


def missing(stats: PoolStats, server: DemoServer | None, sent: int, messages: int) -> list[str]:
    """
    Tell which messages are missing, in lines of at most 80 columns; none if none is.
    """
    if server is None:
        lost = messages - sent + stats.dropped_messages
        return [f"{lost:,} of {messages:,} messages were not sent."] if lost else []
    if not server.missing:
        return []
    numbers = ", ".join(map(str, server.missing_numbers(_MOST_NUMBERS)))
    more = ", ..." if server.missing > _MOST_NUMBERS else ""
    return [
        f"{server.missing:,} of {messages:,} messages were not delivered.",
        f"Missing, counted from 0: {numbers}{more}",
    ]


def _milliseconds(seconds: Sequence[float], share: float) -> str:
    """
    Show the least of some times that at least C{share} of them do not exceed.
    """
    if not seconds:
        return "-"
    return f"{sorted(seconds)[math.ceil(share * len(seconds)) - 1] * 1000:,.2f} ms"


def _connections(number: int) -> str:
    return "1 connection" if number == 1 else f"{number:,} connections"


class Screen:
    """
    A stream for people to read, and what it is able to show.

    @ivar live: it is a terminal, on which a line can be drawn again.
    """

    def __init__(self, stream: TextIO) -> None:
        self.live = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._colors = self.live and not os.environ.get("NO_COLOR")
        self._stream = stream
        try:
            "█░●○".encode(stream.encoding or "ascii")
        except UnicodeEncodeError:
            self.full, self.empty, self.dot, self.circle = "#", "-", "*", "o"
        else:
            self.full, self.empty, self.dot, self.circle = "█", "░", "●", "○"

    @property
    def width(self) -> int:
        """How many columns a line may take."""
        try:
            return min(os.get_terminal_size(self._stream.fileno()).columns or 80, 80)
        except (OSError, ValueError):
            return 80

    def write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def write_line(self, text: str = "") -> None:
        self.write(f"{text}\n")

    def colored(self, text: str, code: int) -> str:
        """
        @param code: as in ECMA-48, section 8.3.117.
        """
        return f"\x1b[{code}m{text}\x1b[m" if self._colors else text


_RED, _GREEN, _YELLOW = 31, 32, 33


class Progress:
    """
    How far the sending is: one line that is drawn again and again, or else a line per ten percent.

    @ivar sent: how many messages the pool has taken.
    """

    def __init__(
        self, screen: Screen, clock: IReactorTime, pool: ReconnectingPoolFactory, messages: int
    ) -> None:
        self.sent = 0
        self._screen = screen
        self._clock = clock
        self._pool = pool
        self._messages = messages
        self._began = math.inf
        # At what number of messages the next line is due; on a terminal, time decides instead.
        self._next_line = -1 if screen.live else self._line_after(0)
        self._drawn = False
        self._drawing = LoopingCall(self._draw)
        self._drawing.clock = clock

    def start(self) -> None:
        """Begin to show something."""
        if self._screen.live:
            self._drawing.start(_DRAW_EVERY)

    def began(self) -> None:
        """The sending begins now."""
        self._began = self._clock.seconds()

    def count(self) -> None:
        """One more message was sent."""
        self.sent += 1
        if self.sent == self._next_line:
            self._next_line = self._line_after(self.sent)
            self._screen.write_line(self._line())

    def _line_after(self, sent: int) -> int:
        return math.ceil((sent * 10 // self._messages + 1) * self._messages / 10)

    def note(self, text: str) -> None:
        """Say something that stays."""
        # Part of it may come from the server, which must not get to control the terminal.
        text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
        self._screen.write_line(f"\r\x1b[K{text}" if self._drawn else text)
        if self._drawn:
            self._draw()

    def stop(self) -> None:
        """Leave the line as it is now."""
        if self._drawing.running:
            self._drawing.stop()
            self._draw()
            self._screen.write_line()
            self._drawn = False

    def _draw(self) -> None:
        self._drawn = True
        self._screen.write(f"\r{self._line()}\x1b[K")

    def _line(self) -> str:
        screen = self._screen
        share = self.sent / self._messages
        elapsed = self._clock.seconds() - self._began
        parts = [
            f"{math.floor(share * 100):3} %",
            f"{self.sent:,} of {self._messages:,}",
            f"{self.sent / elapsed if elapsed > 0 else 0:,.0f}/s",
        ]
        if screen.live:
            full = math.floor(share * _BAR)
            parts.insert(1, screen.full * full + screen.empty * (_BAR - full))
        stats = self._pool.get_stats()
        if stats.total > _MOST_DOTS:
            return "  ".join([*parts, f"{stats.open:,} of {stats.total:,} open"])
        # Last, as the colors do not count towards the width.
        room = screen.width - len("  ".join([*parts, ""])) - 1
        dots = [
            screen.colored(screen.dot, _GREEN)
            if connection.state == "open"
            else screen.colored(screen.circle, _YELLOW)
            for connection in stats.connections[: max(room, 0)]
        ]
        return "  ".join([*parts, "".join(dots)])


class Demo:
    """
    One run.

    @param out: where the table goes.
    @param err: where the progress goes, and everything that goes wrong on the way.
    @param server: what to connect to, if C{options} have no URL; C{None} for a new one.
    @ivar to_open: seconds to wait for connections at the beginning.
    @ivar to_send: seconds to wait for a connection that takes the next message.
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
            self._server = server or DemoServer(options.messages, _CLOSES, kept)
            self._url = self._server.listen(reactor)
        else:
            self._url = options.url
        self._pool = self._build_pool()
        self._progress = Progress(Screen(err), reactor, self._pool, options.messages)
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
        pool.on("close", self._closed)
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
            await self._pool.close(drain=self.to_send)
            await self._arrivals()
            return self._report(seconds)
        except CancelledError:
            self._progress.stop()
            self._progress.note("interrupted")
            raise
        finally:
            self._progress.stop()
            self._pool.off("error", self._failed)  # what fails from here on fails because of us
            self._pool.destroy()
            if self._server is not None:
                await self._server.stop()

    async def _connected(self) -> bool:
        try:
            await self._pool.when_ready().addTimeout(self.to_open, self._reactor)
        except TimeoutError:
            count = self._pool.open_connections
            self._progress.note(
                f"{count or 'none'} of {_connections(self._pool.total_connections)} to"
                f" {ServerURL.parse(self._url)} opened within {self.to_open:g} s"
            )
            return count > 0
        return True

    async def _send_all(self) -> float:
        """
        @return: how many seconds it took, until the server had read everything.
        """
        pool, progress = self._pool, self._progress
        padding = bytes(self._options.size - NUMBER_BYTES)
        progress.began()
        began = self._reactor.seconds()
        try:
            for number in range(self._options.messages):
                # To wait for each is all there is to do about backpressure, and about outages.
                await pool.send(numbered(number, padding), timeout=self.to_send)
                progress.count()
            # Pongs come in order: at the last one the server has read what was sent before.
            await pool.broadcast_ping(timeout=self.to_send)
        except PoolError as error:
            progress.note(f"stopped: {error}")
        return self._reactor.seconds() - began

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

    def _closed(self, connection_id: int, code: int, reason: str) -> None:
        # The demo's own server does that on purpose, and an error says more than 1006.
        if self._server is None and code not in (1000, 1006):
            self._note(f"the server closed a connection: {code} {reason}".rstrip())

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
            f"{options.messages:,} messages of {options.size:,} bytes over"
            f" {_connections(options.pool_size)} to {ServerURL.parse(self._url)}",
        ]
        if self._server is not None:
            lines.append("The server closes one connection after another.")
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
        lines = missing(stats, server, sent, self._options.messages)
        for line in lines:
            out.write_line(out.colored(line, _RED))
        if not lines:
            done = "sent" if server is None else "delivered"
            out.write_line(out.colored(f"Every message was {done}.", _GREEN))
        return 1 if lines else 0
