"""
Deferreds that cost next to nothing as long as nobody looks.

Of those that a pool returns, one for each message, most have fired before anybody asks: to set up a
chain of callbacks, and to run through it while it is empty, would be a good part of what a message
costs.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred

_T = TypeVar("_T")


class LazyDeferred(Deferred[_T]):
    """
    A Deferred that is set up when first something is done with it.

    Until then it is fired by setting C{called} and C{result}, as that of
    L{twisted.internet.defer.succeed} is.

    @ivar watched: whether it was set up, because somebody waits for it or has cancelled it.
    """

    watched = False

    if not TYPE_CHECKING:
        __init__ = object.__init__

    def __getattr__(self, name: str) -> Any:
        # Called for what is not there, as the chain of callbacks is before it is needed.
        if not self.watched:
            self._set_up()
        return super().__getattribute__(name)

    def __await__(self) -> Generator[Deferred[_T], None, _T]:
        if self.watched or not self.called:
            return (yield from super().__await__())
        return self.result  # type: ignore[return-value]

    def pause(self) -> None:
        if not self.watched:
            self._set_up()
        super().pause()

    def _set_up(self) -> None:
        self.watched = True
        super().__init__()


class Fired(LazyDeferred[_T]):
    """
    A Deferred that has fired from the beginning: who makes it sets its C{result}.
    """

    called = True
