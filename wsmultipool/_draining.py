"""
Going on, for some time, to deliver what was accepted before the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ._timer import Timer

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime


class Draining:
    """
    One wait until everything has been settled, which takes at most so long.

    @param seconds: the most that it takes.
    @param settled: fires when there is nothing more to deliver.
    @param drained: called once, when the wait is over.
    """

    def __init__(
        self,
        clock: IReactorTime,
        seconds: float,
        settled: Deferred[None],
        drained: Callable[[], None],
    ) -> None:
        self._settled = settled
        self._drained = drained
        self._timer = Timer(clock)
        self._timer.set(seconds, self.finish)
        settled.addCallbacks(lambda _: self.finish(), lambda _: None)

    def finish(self) -> None:
        """Wait no longer, be it that there is nothing any more to deliver to."""
        self.give_up()
        self._drained()

    def give_up(self) -> None:
        """Nobody wants to know any more."""
        self._timer.clear()
        self._settled.cancel()
