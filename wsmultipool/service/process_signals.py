"""
What signals mean to the service: TERM and INT end it, HUP has it read its configuration again.

By Twisted's own handlers a program that was told to end dies, in the end, of the signal itself;
whoever waits for it learns nothing else.  With these here it ends with a status.

@since: 0.1.0
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

    from twisted.internet.interfaces import IReactorCore, IReactorFromThreads

    class _Reactor(IReactorCore, IReactorFromThreads):
        pass


__all__ = ["handle_signals"]


def handle_signals(
    reactor: _Reactor, stop: Callable[[bool], object], reload: Callable[[], object]
) -> None:
    """
    Take over from the handlers that the reactor installs, as soon as it runs.

    @param stop: is called on the reactor for SIGTERM and SIGINT, with true for the latter.
    @param reload: the same for SIGHUP, where there is such a thing.
    """

    def install() -> None:
        on(signal.SIGTERM, lambda: stop(False))
        on(signal.SIGINT, lambda: stop(True))
        if hasattr(signal, "SIGHUP"):
            on(signal.SIGHUP, reload)

    def on(number: signal.Signals, call: Callable[[], object]) -> None:
        def handler(received: int, frame: FrameType | None) -> None:
            # A signal may come at any place in the program; this call may be made at any.
            reactor.callFromThread(call)

        signal.signal(number, handler)

    # Called by the reactor after it has installed its own.
    reactor.callWhenRunning(install)
