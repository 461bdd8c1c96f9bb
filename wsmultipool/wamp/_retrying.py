"""
Making a call again, where that may be done, until it succeeds or its time is up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from ..backoff import ExponentialBackoff
from ..errors import DeliveryUnknown, PoolClosed, PoolExhausted
from .errors import CallLost, CallTimeout, NotOffered, TooManyCalls, WampError

__all__ = ["may_be_repeated", "may_have_been_sent", "retrying", "without_frames"]

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
    # Not DeliveryUnknown: the pool itself has done that, as often as it may.
    return isinstance(error, _PASSING) and (twice or not may_have_been_sent(error))


def may_have_been_sent(error: BaseException) -> bool:
    """
    Say whether an attempt that has failed with this may have sent something.
    """
    if isinstance(error, WampError):
        return error.may_have_been_sent
    return isinstance(error, DeliveryUnknown)


async def retrying(
    attempt: Callable[[], Deferred[_T]], twice: bool, seconds: float, reactor: IReactorTime
) -> _T:
    """
    Make attempts, with growing random delays between, until one succeeds.

    @param twice: whether a message may be sent twice.
    @param seconds: after so long, the next failure is final.
    @raise Exception: what the last attempt has failed with; or, if that has certainly sent nothing
        and one before it may have, what that has failed with.
    """
    unsure: Exception | None = None
    end = reactor.seconds() + seconds
    backoff = ExponentialBackoff(_FIRST_DELAY, _MAX_DELAY)
    while True:
        try:
            return await attempt()
        except CancelledError:
            raise
        except Exception as error:
            error.__traceback__ = None  # it may be kept, as the cause of another one
            if may_have_been_sent(error):
                unsure = error
            if not may_be_repeated(error, twice) or reactor.seconds() >= end:
                if unsure is None or unsure is error:
                    raise
                raise unsure from error
        await deferLater(reactor, backoff.next())


def without_frames(failure: Failure) -> Failure:
    """
    Make anew, from its exception, a failure of a coroutine: its frames would keep the messages that
    were to be sent for as long as the caller keeps the failure.
    """
    assert failure.value is not None
    return Failure(failure.value.with_traceback(None))
