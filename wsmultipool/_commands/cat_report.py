"""
What C{wsmultipool cat} says on standard error.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

from twisted.internet.task import LoopingCall

from .._demo_report import Screen

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from ..pool import ReconnectingPoolFactory

__all__ = ["Report"]

_DRAW_EVERY = 0.2
_LINE_EVERY = 5.0
_MOST_NOTES = 10


class Report:
    """
    Counts, shows the counts as time passes, and says what goes wrong.

    @param wanted: whether to show the counts; C{None} for when the stream is a terminal, and the
        output is not, as the two would get mixed up.
    @ivar sent: messages.
    @ivar received: messages.
    """

    def __init__(
        self,
        stream: TextIO,
        clock: IReactorTime,
        pool: ReconnectingPoolFactory,
        wanted: bool | None,
        output_descriptor: int,
    ) -> None:
        self.sent = self.sent_bytes = 0
        self.received = self.received_bytes = 0
        self._screen = Screen(stream)
        self._pool = pool
        self._wanted = (
            self._screen.live and not os.isatty(output_descriptor) if wanted is None else wanted
        )
        self._drawing = LoopingCall(self._draw)
        self._drawing.clock = clock
        self._drawn = False
        self._noted: set[str] = set()

    def start(self) -> None:
        """Begin to show something."""
        if self._wanted:
            self._drawing.start(_DRAW_EVERY if self._screen.live else _LINE_EVERY, now=False)

    def stop(self) -> None:
        """Show the counts as they are at the end."""
        if self._drawing.running:
            self._drawing.stop()
            self._draw()
            if self._screen.live:
                self._screen.write_line()
            self._drawn = False

    def note(self, text: str) -> None:
        """Say something that stays."""
        # Part of it may come from the server, which must not get to control the terminal.
        text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
        begin = "\r\x1b[K" if self._drawn else ""
        self._screen.write_line(f"{begin}wsmultipool cat: {text}")

    def note_once(self, text: str) -> None:
        """Say something, however often it happens, once."""
        if text not in self._noted and len(self._noted) < _MOST_NOTES:
            self._noted.add(text)
            self.note(text)

    def _draw(self) -> None:
        stats = self._pool.get_stats()
        line = (
            f"sent {self.sent:,} ({_size(self.sent_bytes)})"
            f"  received {self.received:,} ({_size(self.received_bytes)})"
            f"  {stats.open:,} of {stats.total:,} open"
        )
        if self._screen.live:
            self._drawn = True
            self._screen.write(f"\r{line[: self._screen.width - 1]}\x1b[K")
        else:
            self._screen.write_line(line)


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} GiB"
