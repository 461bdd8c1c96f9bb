"""
Making a call again, where that may be done, until it succeeds or its time is up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from ..backoff import ExponentialBackoff
from ..errors import DeliveryUnknown, PoolClosed, PoolExhausted
from .errors import CallLost, CallTimeout, NotOffered, TooManyCalls, WampError

__all__ = ["may_be_repeated", "retrying"]

_T = TypeVar("_T")

_FIRST_DELAY = 0.02
_MAX_DELAY = 1.0
# What may be different at the next attempt, which another component may get.
_PASSING = (CallLost, CallTimeout, NotOffered, TooManyCalls, PoolClosed, PoolExhausted)


def may_be_repeated(error: BaseException, twice: bool) -> bool:
    """
    Say whether to make a call again that has failed with this.

    @param twice: whether its messages may be sent twice.
    """
    if isinstance(error, DeliveryUnknown):
        # The pool itself has done that, as often as it may.  Unless it has ended meanwhile.
        return False
    if not isinstance(error, _PASSING):
        return False
    return twice or not (isinstance(error, WampError) and error.may_have_been_sent)


async def retrying(
    attempt: Callable[[], Deferred[_T]], twice: bool, seconds: float, reactor: IReactorTime
) -> _T:
    """
    Make attempts, with growing random delays between, until one succeeds.

    @param twice: whether a message may be sent twice.
    @param seconds: after so long, the next failure is final.
    @raise Exception: what the last attempt has failed with.
    """
    end = reactor.seconds() + seconds
    backoff = ExponentialBackoff(_FIRST_DELAY, _MAX_DELAY)
    while True:
        try:
            return await attempt()
        except Exception as error:
            if not may_be_repeated(error, twice) or reactor.seconds() >= end:
                raise
        await deferLater(reactor, backoff.next())
