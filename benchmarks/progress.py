"""
How far it is, on standard error.
"""

from __future__ import annotations

from time import monotonic
from typing import TextIO

_WIDTH = 24


class Progress:
    """
    One line that is written again and again; without a terminal, nothing.
    """

    def __init__(self, stream: TextIO, total: int) -> None:
        self._stream = stream
        self._total = total
        self._done = 0
        self._started = monotonic()
        self._shown = stream.isatty()

    def step(self, what: str) -> None:
        """
        One more is done.

        @param what: that one, in words.
        """
        self._done += 1
        if self._shown:
            self._stream.write(f"\r{self._line(what)}\x1b[K")
            self._stream.flush()

    def say(self, text: str) -> None:
        """
        Write a line that stays.
        """
        self._stream.write(f"\r\x1b[K{text}\n" if self._shown else f"{text}\n")

    def end(self) -> None:
        """
        Remove the line.
        """
        if self._shown:
            self._stream.write("\r\x1b[K")

    def _line(self, what: str) -> str:
        filled = _WIDTH * self._done // self._total
        left = (monotonic() - self._started) * (self._total - self._done) / self._done
        bar = "#" * filled + "." * (_WIDTH - filled)
        return f"[{bar}] {self._done}/{self._total}, {left / 60:.0f} min left: {what}"
