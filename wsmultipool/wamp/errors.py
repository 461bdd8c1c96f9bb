"""
What can go wrong between a caller and a pool that are joined by a WAMP router.

::

    PoolError
    ├── WampError             a call was refused or lost on the way to the pool, or back
    │   ├── NotOffered        nobody offers this procedure now
    │   ├── TooManyCalls      every component is busy with as many calls as it takes
    │   ├── CallLost          the component, or the router, was lost during the call
    │   ├── CallTimeout       no answer in time                              (a TimeoutError)
    │   ├── CallRefused       the router refused it, for instance because it is not allowed
    │   ├── InvalidArgument   the component can make nothing of an argument  (a ValueError)
    │   ├── PayloadTooLarge   the payloads of one call are larger than the component takes
    │   ├── BatchTooLarge     more messages in one call than the component takes
    │   └── RemoteFailure     the component failed in a way that was not foreseen
    └── JoinRefused           the router does not let the component in

What the pool itself answers is the same exception as without a router between: C{QueueOverflow},
C{DeliveryUnknown} and so on, of L{wsmultipool.errors}.

@since: 0.1.0
"""

from __future__ import annotations

from ..errors import PoolError

__all__ = [
    "BatchTooLarge",
    "CallLost",
    "CallRefused",
    "CallTimeout",
    "InvalidArgument",
    "JoinRefused",
    "NotOffered",
    "PayloadTooLarge",
    "RemoteFailure",
    "TooManyCalls",
    "WampError",
]


class WampError(PoolError):
    """
    A call did not get as far as to an answer of the pool.

    @ivar may_have_been_sent: false when it is certain that no message of the call was, or will be,
        sent; true when nobody knows.
    """

    may_have_been_sent = False


class NotOffered(WampError):
    """
    Nobody offers this procedure in the realm, now.

    @ivar procedure: its URI.
    """

    def __init__(self, procedure: str) -> None:
        super().__init__(procedure)
        self.procedure = procedure

    def __str__(self) -> str:
        return f"nobody offers {self.procedure}"


class TooManyCalls(WampError):
    """
    Every component that offers the procedure is busy with as many calls as it takes
    (C{concurrency}); the router does not queue.

    @ivar procedure: its URI.
    """

    def __init__(self, procedure: str) -> None:
        super().__init__(procedure)
        self.procedure = procedure

    def __str__(self) -> str:
        return f"everybody who offers {self.procedure} has as many calls as it takes"


class CallLost(WampError):
    """
    The component that had the call, or the router, was lost before there was an answer.

    @ivar reason: what was lost.
    @ivar may_have_been_sent: false when the call had not left this process.
    """

    def __init__(self, reason: str, may_have_been_sent: bool) -> None:
        super().__init__(reason, may_have_been_sent)
        self.reason = reason
        self.may_have_been_sent = may_have_been_sent

    def __str__(self) -> str:
        fate = "may have been sent, or not" if self.may_have_been_sent else "was not sent"
        return f"the call was lost, and what it was to send {fate}: {self.reason}"


class CallTimeout(WampError, TimeoutError):
    """
    No answer came within C{call_timeout}.

    @ivar timeout: seconds waited.
    """

    may_have_been_sent = True

    def __init__(self, timeout: float) -> None:
        super().__init__(timeout)
        self.timeout = timeout

    def __str__(self) -> str:
        return f"no answer within {self.timeout:g} s"


class CallRefused(WampError):
    """
    The router, or something on the way, refused the call.

    @ivar uri: the error's URI, for instance C{wamp.error.not_authorized}.
    @ivar may_have_been_sent: false when that URI says so.
    """

    def __init__(self, uri: str, may_have_been_sent: bool) -> None:
        super().__init__(uri, may_have_been_sent)
        self.uri = uri
        self.may_have_been_sent = may_have_been_sent

    def __str__(self) -> str:
        return f"the call was refused: {self.uri}"


class InvalidArgument(WampError, ValueError):
    """
    An argument of the call is missing, unknown, of the wrong type or out of range.

    @ivar reason: which one, and why.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class PayloadTooLarge(WampError):
    """
    The payloads of one call are larger, together, than the component takes.

    @ivar size: bytes.
    @ivar limit: C{max_payload_size}.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)
        self.size = size
        self.limit = limit

    def __str__(self) -> str:
        return f"{self.size} bytes in one call are too many (max_payload_size={self.limit})"


class BatchTooLarge(WampError):
    """
    There are more messages in one call than the component takes.

    @ivar size: messages.
    @ivar limit: C{max_batch_size}.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)
        self.size = size
        self.limit = limit

    def __str__(self) -> str:
        return f"{self.size} messages in one call are too many (max_batch_size={self.limit})"


class RemoteFailure(WampError):
    """
    The component failed in a way that was not foreseen; its log says how.
    """

    may_have_been_sent = True

    def __str__(self) -> str:
        return "the component that offers the pool failed; see its log"


class JoinRefused(PoolError):
    """
    The router did not let the component in when it first tried, and would not the next time.

    @ivar option: what to look at: C{realm} or C{authentication}.
    @ivar uri: the router's reason, for instance C{wamp.error.no_such_realm}.
    """

    def __init__(self, option: str, uri: str) -> None:
        super().__init__(option, uri)
        self.option = option
        self.uri = uri

    def __str__(self) -> str:
        return f"{self.option}: the router refused it ({self.uri})"
