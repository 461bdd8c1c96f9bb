"""
Waiting for as long as there is progress, and for so long without any.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["Patience"]

# Less than any clock shows: waiting for what rounding left over might not move the clock at all.
_NO_TIME = 1e-6


class Patience:
    """
    Notices when something has made no progress for a while.

    Progress may come a hundred thousand times a second, so it costs no more than a look at the
    clock: the one timer there is looks at it when it strikes, and waits for what is left.

    @param seconds: how long it may take without progress; infinity for ever.
    @param held: says whether it is we who hold it up just now, which does not count.
    @param lost: called once, when it has taken longer.
    """

    def __init__(
        self,
        clock: IReactorTime,
        seconds: float,
        held: Callable[[], bool],
        lost: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._held = held
        self._lost = lost
        self._since = 0.0
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to wait; what has begun goes on."""
        if self._call is None and self._seconds < float("inf"):
            self.progress()
            self._call = self._clock.callLater(self._seconds, self._look)

    def progress(self) -> None:
        """There was some."""
        self._since = self._clock.seconds()

    def stop(self) -> None:
        """There is nothing to wait for."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _look(self) -> None:
        self._call = None
        if self._held():
            self.progress()
        left = self._since + self._seconds - self._clock.seconds()
        if left > _NO_TIME:
            self._call = self._clock.callLater(left, self._look)
        else:
            self._lost()
