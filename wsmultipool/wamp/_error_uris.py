"""
The errors that procedures answer with, as WAMP errors with stable URIs, and back.

C{<prefix>.error.<name>}, the text as the one positional argument, and the facts, which are the
attributes of the exception, as keyword arguments.  Names and facts are part of the public
interface: they are never changed, only added to.  The table is in the documentation as well.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..errors import (
    BufferFull,
    CloseTimeout,
    ConnectionClosed,
    ConnectionDropped,
    ConnectionFailed,
    DeliveryUnknown,
    FlushTimeout,
    HeartbeatTimeout,
    NotConnected,
    PingTimeout,
    PongOverdue,
    PoolClosed,
    PoolError,
    PoolExhausted,
    ProtocolViolation,
    QueueOverflow,
    SendTimeout,
)
from .errors import BatchTooLarge, InvalidArgument, PayloadTooLarge, RemoteFailure

__all__ = ["ERRORS", "WireError", "from_wire", "to_wire"]


class _Kind(NamedTuple):
    """
    One kind of error.

    @ivar exception: its class, whose constructor takes the facts in this order.
    @ivar facts: the names of its attributes.
    @ivar added: those of them that earlier versions did not send: they have a default.
    """

    exception: type[PoolError]
    facts: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


class WireError(NamedTuple):
    """
    An error as it is sent: the last component of its URI, its text, and its facts.
    """

    name: str
    text: str
    facts: dict[str, Any]


ERRORS = {
    "batch_too_large": _Kind(BatchTooLarge, ("size", "limit")),
    "buffer_full": _Kind(BufferFull, ("size", "buffered", "limit")),
    "close_timeout": _Kind(CloseTimeout, ("timeout",)),
    "connection_closed": _Kind(ConnectionClosed, ("code", "reason", "by_peer")),
    "connection_dropped": _Kind(ConnectionDropped, ("reason",)),
    "delivery_unknown": _Kind(DeliveryUnknown, ("messages", "deliveries")),
    "flush_timeout": _Kind(FlushTimeout, ("timeout",)),
    "heartbeat_timeout": _Kind(HeartbeatTimeout, ("timeout",)),
    "internal": _Kind(RemoteFailure),
    "invalid_argument": _Kind(InvalidArgument, ("reason",)),
    "not_connected": _Kind(NotConnected),
    "payload_too_large": _Kind(PayloadTooLarge, ("size", "limit")),
    "ping_timeout": _Kind(PingTimeout, ("timeout",)),
    "pong_overdue": _Kind(PongOverdue, ("timeout",)),
    "pool_closed": _Kind(PoolClosed),
    "pool_exhausted": _Kind(PoolExhausted, ("reason",), added=("reason",)),
    "protocol_violation": _Kind(ProtocolViolation, ("code", "reason")),
    "queue_overflow": _Kind(QueueOverflow, ("limit",)),
    "send_timeout": _Kind(SendTimeout, ("timeout",)),
}
"""Every kind of error, by the last component of its URI."""

_NAMES = {kind.exception: name for name, kind in ERRORS.items()}
# Of which a caller's Deferred cannot fail, as far as we know; none of their facts is of use there.
_OTHER_CONNECTION_FAILURE = "connection_dropped"
_INTERNAL = "internal"


def to_wire(error: BaseException) -> WireError:
    """
    Say how an error is sent.

    @param error: of the pool, or of the checks of a call.  The text of any other is not shown to
        callers: nobody knows what is in it.
    """
    name = _NAMES.get(type(error))  # type: ignore[arg-type]
    if name is not None:
        facts = {fact: getattr(error, fact) for fact in ERRORS[name].facts}
        return WireError(name, str(error), facts)
    if isinstance(error, ConnectionFailed):
        return WireError(_OTHER_CONNECTION_FAILURE, str(error), {"reason": str(error)})
    return WireError(_INTERNAL, str(RemoteFailure()), {})


def from_wire(name: str, facts: dict[str, Any]) -> PoolError:
    """
    Make the exception of what was sent.

    @return: of the class that C{name} stands for; L{RemoteFailure} when that, or a fact that it
        needs, is not known here, as from a later version.
    """
    kind = ERRORS.get(name)
    if kind is None or any(fact not in facts for fact in kind.facts if fact not in kind.added):
        return RemoteFailure()
    return kind.exception(*(facts[fact] for fact in kind.facts if fact in facts))
