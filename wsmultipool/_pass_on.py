"""
What user code raises that is not meant for the pool, such as C{SystemExit}.

It is for whatever runs the reactor.  On its way there from the middle of the pool's work it would
pass through what has nothing to do with it, another connection for instance, and leave that half
done.  So it goes there from a turn of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime


def pass_on(clock: IReactorTime, raised: BaseException) -> None:
    """
    Raise it in the reactor's next turn.
    """
    clock.callLater(0, _raise, raised)


def _raise(raised: BaseException) -> None:
    raise raised
