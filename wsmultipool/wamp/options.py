"""
How a pool is offered to a realm, as a frozen dataclass that is checked when it is made.

@since: 0.1.0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from .._words import nearest
from ._checks import check_choice, check_integer, check_uri

if TYPE_CHECKING:
    from ..options import PoolOptions

__all__ = ["WampOptions", "WampOptionsDict"]

# "load" is in Autobahn's list, and not in the router's.
_POLICIES = ("single", "first", "last", "roundrobin", "random")
_OVERFLOW_POLICIES = ("drop_oldest", "drop_newest")
_EVENTS = ("message", "open", "close", "ready", "empty")


@dataclass(frozen=True, kw_only=True)
class WampOptions:
    """
    How a pool is offered.  Sizes are in bytes.

    @ivar prefix: what the URIs of all procedures, topics and errors begin with.
    @ivar invoke: which of several components with one prefix the router calls: C{roundrobin},
        C{random}, C{first}, C{last}; with C{single}, there can be only one.
    @ivar concurrency: calls of one procedure under way at once; above that the router refuses them.
        C{None} for what the pool's bounds allow, see L{concurrency_for}.
    @ivar shards: the numbers of the shards that this component offers as well, from 0.
    @ivar max_payload_size: payload of one call, all its messages together; also of an event, above
        which it is not published.
    @ivar max_batch_size: messages of one call.
    @ivar publish: the events that are published: of C{message open close ready empty}.
    @ivar event_buffer_size: events held while the router is away, or slow.
    @ivar event_buffer_bytes: payload bytes of those.
    @ivar event_overflow: which event is dropped when they are too many: C{drop_oldest} or
        C{drop_newest}.
    @ivar publish_window: events under way to the router, not acknowledged yet.
    @since: 0.1.0
    """

    prefix: str
    invoke: Literal["single", "first", "last", "roundrobin", "random"] = "roundrobin"
    concurrency: int | None = None
    shards: Sequence[int] = ()
    max_payload_size: int = 1024 * 1024
    max_batch_size: int = 1000
    publish: Sequence[str] = _EVENTS
    event_buffer_size: int = 10_000
    event_buffer_bytes: int = 16 * 1024 * 1024
    event_overflow: Literal["drop_oldest", "drop_newest"] = "drop_oldest"
    publish_window: int = 256

    def __post_init__(self) -> None:
        check_uri("prefix", self.prefix)
        check_choice("invoke", self.invoke, _POLICIES)
        if self.concurrency is not None:
            check_integer("concurrency", self.concurrency, at_least=1)
        for option in ("max_payload_size", "max_batch_size", "publish_window"):
            check_integer(option, getattr(self, option), at_least=1)
        for option in ("event_buffer_size", "event_buffer_bytes"):
            check_integer(option, getattr(self, option), at_least=0)
        check_choice("event_overflow", self.event_overflow, _OVERFLOW_POLICIES)
        for option in ("shards", "publish"):
            value = getattr(self, option)
            if isinstance(value, str) or not isinstance(value, Sequence):
                raise TypeError(f"{option} must be a sequence, not {value!r}")
            object.__setattr__(self, option, tuple(value))
        for number in self.shards:
            check_integer("shards", number, at_least=0)
        if len(set(self.shards)) < len(self.shards):
            raise ValueError(f"shards must not name a shard twice: {self.shards!r}")
        for event in self.publish:
            check_choice("publish", event, _EVENTS)

    @classmethod
    def from_keywords(cls, options: Mapping[str, object]) -> WampOptions:
        """
        Make options of the keyword arguments somebody gave.

        @raise TypeError: a name is unknown, C{prefix} is missing, or a value has the wrong type.
        @raise ValueError: a value is out of range.
        @since: 0.1.0
        """
        known = {option.name for option in fields(cls)}
        for name in options:
            if name not in known:
                raise TypeError(f"unknown option {name!r}{nearest(name, known)}")
        if "prefix" not in options:
            raise TypeError("prefix is missing: what the URIs of the pool begin with")
        return cls(**cast("dict[str, Any]", options))

    def concurrency_for(self, pool: PoolOptions, messages: int = 1) -> int:
        """
        Say how many calls of one procedure may be under way at once.

        As many as the pool can hold: C{max_buffered_bytes}, if each call brings
        C{max_payload_size}; and C{message_queue_size}, unless the queue drops nothing.  But never
        fewer than the pool has connections.

        @param messages: how many one call may bring.
        @since: 0.1.0
        """
        if self.concurrency is not None:
            return self.concurrency
        allowed = pool.max_buffered_bytes // self.max_payload_size
        if pool.overflow != "wait":
            allowed = min(allowed, pool.message_queue_size // messages)
        return max(allowed, pool.pool_size)


class WampOptionsDict(TypedDict, total=False):
    """
    The same options as keyword arguments, without the prefix.

    @since: 0.1.0
    """

    invoke: Literal["single", "first", "last", "roundrobin", "random"]
    concurrency: int | None
    shards: Sequence[int]
    max_payload_size: int
    max_batch_size: int
    publish: Sequence[str]
    event_buffer_size: int
    event_buffer_bytes: int
    event_overflow: Literal["drop_oldest", "drop_newest"]
    publish_window: int
