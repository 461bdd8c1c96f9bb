"""
Work measured in lines of code instead of seconds: the same on every machine.
"""

from __future__ import annotations

import sys
from types import FrameType, TracebackType
from typing import Any


class Effort:
    """
    Counts the lines that one module runs, up to a limit, as long as this is open.

    @param file: the end of the module's file name.
    @ivar lines: how many there were; hardly more than the limit, at which counting ends.
    """

    def __init__(self, file: str, limit: int) -> None:
        self.lines = 0
        self._file = file
        self._limit = limit
        self._outer: Any = None

    def __enter__(self) -> Effort:
        self._outer = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        sys.settrace(self._outer)

    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:
        if not frame.f_code.co_filename.endswith(self._file):
            return None
        self.lines += event == "line"
        return self._trace if self.lines <= self._limit else None
