"""
What the demo shows: its progress while it runs, and the table at its end.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from twisted.internet.task import LoopingCall

from .pool import ReconnectingPoolFactory

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from ._demo_server import DemoServer
    from .stats import PoolStats

__all__ = ["Progress", "Screen", "missing", "table"]

_DRAW_EVERY = 0.2
_BAR = 20
_MOST_DOTS = 16
_MOST_NUMBERS = 5
_MOST_ROWS = 20


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
        **({"sent again": stats.resent_messages} if stats.resent_messages else {}),
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


def missing(server: DemoServer | None, sent: int, dropped: int, messages: int) -> list[str]:
    """
    Tell which messages are missing, in lines of at most 80 columns; none if none is.

    @param dropped: how many of those C{sent} the pool had to drop.
    """
    if server is None:
        lost = messages - sent + dropped
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


def connections(number: int) -> str:
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


RED, GREEN, _YELLOW = 31, 32, 33


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
            screen.colored(screen.dot, GREEN)
            if connection.state == "open"
            else screen.colored(screen.circle, _YELLOW)
            for connection in stats.connections[: max(room, 0)]
        ]
        return "  ".join([*parts, "".join(dots)])
