"""
A timer that its owner sets, and sets anew, without asking whether it still runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Timer:
    """
    Calls one function, later, unless it is cleared or set to something else before.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._call: IDelayedCall | None = None

    @property
    def remaining(self) -> float | None:
        """Seconds until it strikes, 0 if it is late; C{None} while it is not set."""
        if self._call is None:
            return None
        return max(0.0, self._call.getTime() - self._clock.seconds())

    def set(self, delay: float, function: Callable[[], object]) -> None:
        """Call C{function} after so many seconds, and not what it was set to before."""
        self.clear()
        self._call = self._clock.callLater(delay, self._strike, function)

    def clear(self) -> None:
        """Call nothing."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _strike(self, function: Callable[[], object]) -> None:
        self._call = None
        function()
