"""
Waiting for what is not ours: user code, and endpoints, of one attempt to connect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress

    from .interfaces import IWebSocketWire


class Attempt:
    """
    One attempt, or one stage of it.  Nobody is trusted to obey when cancelled: once the attempt is
    given up, whatever comes of it is ignored.

    @ivar wanted: false once that is so.
    """

    def __init__(self) -> None:
        self.wanted = True
        self._pending: Deferred[Any] | None = None

    def wait(
        self,
        pending: Deferred[Any],
        done: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """
        Call one of the two when C{pending} has a result, unless it comes too late.
        """
        if not self.wanted:  # ended by what returned this Deferred
            pending.addErrback(lambda _: None)
            pending.cancel()
            return
        self._pending = pending

        def on_result(result: object) -> None:
            if not self.wanted:
                return
            self._pending = None
            if isinstance(result, Failure):
                failed(result.value or CancelledError())
            else:
                done()

        pending.addBoth(on_result)

    def give_up(self) -> None:
        """Nobody waits any more."""
        self.wanted = False
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.cancel()


class OneProtocol(Factory):
    """
    Hands out one wire, to one transport, if C{attach} says that it is still wanted.
    """

    noisy = False

    def __init__(self, wire: IWebSocketWire, attach: Callable[[IWebSocketWire], bool]) -> None:
        self._wire = wire
        self._attach = attach

    def buildProtocol(self, addr: IAddress | None) -> IWebSocketWire | None:  # type: ignore[override]
        return self._wire if self._attach(self._wire) else None
