"""
Everything that can be configured, as frozen dataclasses that are checked when they are made.

L{PoolOptions} holds the options of a pool; each of them is a keyword argument of
L{wsmultipool.ReconnectingPoolFactory}.  L{WebSocketOptions} says how each WebSocket is made, with
L{Compression}, L{TLSOptions} and L{ProxyOptions} for what needs more than one word, and
L{ServerURL} is what it connects to.

A mistake raises C{TypeError} or C{ValueError} with the name of the option and its value, unless
that value may be a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from ._other_names import belong_to, suggested_option
from ._pool_logger import as_pool_logger
from ._tls_options import TLSOptions
from ._urls import ProxyOptions, ServerURL
from ._validation import (
    check_choice,
    check_integer,
    check_number,
    check_provides,
    check_text,
    repr_of_changed,
    warn_of_milliseconds,
)
from ._websocket_options import Compression, WebSocketOptions
from .interfaces import IBalancer, IPoolLogger, IWebSocketFactory

if TYPE_CHECKING:
    import logging

    import twisted.logger

__all__ = [
    "Compression",
    "PoolOptions",
    "PoolOptionsDict",
    "ProxyOptions",
    "ServerURL",
    "TLSOptions",
    "WebSocketOptions",
]

# From which number on it is taken for milliseconds.  For some, hours make sense.
_MILLISECONDS = {
    **dict.fromkeys(("reconnect_interval", "open_timeout", "close_timeout"), 1000),
    **dict.fromkeys(("heartbeat_interval", "heartbeat_timeout"), 1000),
    **dict.fromkeys(("max_reconnect_interval", "min_uptime"), 10_000),
}
_OVERFLOW_POLICIES = ("drop_oldest", "drop_newest", "wait")


@dataclass(frozen=True, kw_only=True, repr=False)
class PoolOptions:
    """
    The options of a pool.  Durations are in seconds, sizes in bytes.

    @ivar pool_size: connections kept open.
    @ivar reconnect_interval: ceiling of the first delay before connecting again; the delay is
        random, up to that.
    @ivar max_reconnect_interval: what this ceiling grows to at most.
    @ivar reconnect_backoff_multiplier: how much it grows by with each consecutive failure.
    @ivar max_reconnect_attempts: consecutive failures, at all servers together, after which one
        connection gives up; C{None} for never.
    @ivar min_uptime: how long a connection must stay open before its failures are forgotten.
    @ivar open_timeout: for TCP, TLS, the WebSocket handshake and C{on_connect} together.
    @ivar close_timeout: for the closing handshake; then the connection is aborted.
    @ivar heartbeat_interval: time without inbound traffic after which to ping; 0 for never.
    @ivar heartbeat_timeout: how long after that ping to abort when nothing at all arrives.
    @ivar message_queue_size: messages held while no connection is open; 0 for none.
    @ivar overflow: what happens when that queue is full: C{drop_oldest}, C{drop_newest}, or C{wait}
        to drop nothing, with only C{max_buffered_bytes} as a limit.
    @ivar max_buffered_bytes: payload accepted and not yet written, for the whole pool.
    @ivar max_message_size: the largest inbound message, after decompression.
    @ivar balancer: chooses the connection for each message; C{None} for L{wsmultipool.RoundRobin}.
    @ivar on_connect: called with each connection before it takes traffic; it may return a Deferred
        or an awaitable.  C{None} for nothing to do.
    @ivar max_deliveries: how often one confirmed message may be written; 1 for never twice.
    @ivar max_connecting: attempts under way at once; C{None} for no limit.
    @ivar name: names the pool in logs, metrics and pages; C{None} to use the host in the URL,
        or in the first of several.
    @ivar logger: where to log: an L{IPoolLogger}, a L{logging.Logger} or a
        L{twisted.logger.Logger}; C{False} for nowhere; C{None} for Twisted's log.
    @ivar ws_factory: makes endpoint and protocol of each attempt; C{None} for
        L{wsmultipool.WebSocketFactory}.
    @ivar ws_options: L{WebSocketOptions}, or a subprotocol, or a sequence of subprotocols.
    @since: 0.1.0
    """

    pool_size: int = 5
    reconnect_interval: float = 1.0
    max_reconnect_interval: float = 30.0
    reconnect_backoff_multiplier: float = 2.0
    max_reconnect_attempts: int | None = None
    min_uptime: float = 5.0
    open_timeout: float = 10.0
    close_timeout: float = 5.0
    heartbeat_interval: float = 0
    heartbeat_timeout: float = 5.0
    message_queue_size: int = 100
    overflow: Literal["drop_oldest", "drop_newest", "wait"] = "drop_oldest"
    max_buffered_bytes: int = 64 * 1024 * 1024
    max_message_size: int = 100 * 1024 * 1024
    balancer: IBalancer | None = None
    on_connect: Callable[[Any], object] | None = None
    max_deliveries: int = 3
    max_connecting: int | None = None
    name: str | None = None
    logger: IPoolLogger | logging.Logger | twisted.logger.Logger | Literal[False] | None = None
    ws_factory: IWebSocketFactory | None = None
    # Wider for callers (PoolOptionsDict); this is what it is once checked.
    ws_options: WebSocketOptions = field(default_factory=WebSocketOptions)

    def __post_init__(self) -> None:
        for option in (
            "reconnect_interval",
            "max_reconnect_interval",
            "open_timeout",
            "close_timeout",
            "heartbeat_timeout",
        ):
            check_number(option, getattr(self, option), above=0)
        for option in ("min_uptime", "heartbeat_interval"):
            check_number(option, getattr(self, option), at_least=0)
        for option, beyond in _MILLISECONDS.items():
            warn_of_milliseconds(option, getattr(self, option), beyond=beyond)
        check_number("reconnect_backoff_multiplier", self.reconnect_backoff_multiplier, above=1)
        if self.max_reconnect_interval < self.reconnect_interval:
            raise ValueError(
                f"max_reconnect_interval ({self.max_reconnect_interval!r}) must not be less than"
                f" reconnect_interval ({self.reconnect_interval!r})"
            )
        for option in ("pool_size", "max_buffered_bytes", "max_message_size", "max_deliveries"):
            check_integer(option, getattr(self, option), at_least=1)
        check_integer("message_queue_size", self.message_queue_size, at_least=0)
        for option in ("max_reconnect_attempts", "max_connecting"):
            if (limit := getattr(self, option)) is not None:
                check_integer(option, limit, at_least=1)
        check_choice("overflow", self.overflow, _OVERFLOW_POLICIES)
        if self.balancer is not None:
            check_provides("balancer", self.balancer, IBalancer)
        if self.on_connect is not None and not callable(self.on_connect):
            raise TypeError(f"on_connect must be callable, not {self.on_connect!r}")
        if self.name is not None:
            check_text("name", self.name)
        _check_logger(self.logger)
        if self.ws_factory is not None:
            check_provides("ws_factory", self.ws_factory, IWebSocketFactory)
        object.__setattr__(self, "ws_options", WebSocketOptions.of(self.ws_options))

    @classmethod
    def from_keywords(cls, options: Mapping[str, object]) -> PoolOptions:
        """
        Make options of the keyword arguments somebody gave.

        @param options: by name.
        @raise TypeError: a name is unknown, or a value has the wrong type.
        @raise ValueError: a value is out of range.
        """
        known = {option.name for option in fields(cls)}
        for name, value in options.items():
            if name not in known:
                raise TypeError(_unknown(name, value))
        return cls(**cast("dict[str, Any]", options))

    def __repr__(self) -> str:
        return repr_of_changed(self)


belong_to(PoolOptions.__name__, [option.name for option in fields(PoolOptions)])


class PoolOptionsDict(TypedDict, total=False):
    """
    The same options as keyword arguments: C{**options: Unpack[PoolOptionsDict]}.

    @since: 0.1.0
    """

    pool_size: int
    reconnect_interval: float
    max_reconnect_interval: float
    reconnect_backoff_multiplier: float
    max_reconnect_attempts: int | None
    min_uptime: float
    open_timeout: float
    close_timeout: float
    heartbeat_interval: float
    heartbeat_timeout: float
    message_queue_size: int
    overflow: Literal["drop_oldest", "drop_newest", "wait"]
    max_buffered_bytes: int
    max_message_size: int
    balancer: IBalancer | None
    on_connect: Callable[[Any], object] | None
    max_deliveries: int
    max_connecting: int | None
    name: str | None
    logger: IPoolLogger | logging.Logger | twisted.logger.Logger | Literal[False] | None
    ws_factory: IWebSocketFactory | None
    ws_options: WebSocketOptions | str | Sequence[str] | None


def _check_logger(logger: object) -> None:
    try:
        as_pool_logger(logger)
    except TypeError:
        raise TypeError(
            f"logger: {logger!r} does not provide IPoolLogger, nor is it a logging.Logger, a"
            " twisted.logger.Logger, False or None"
        ) from None


def _unknown(name: str, value: object) -> str:
    hint = suggested_option(PoolOptions.__name__, name)
    if hint.endswith(("_interval'?", "_timeout'?")):
        hint += " (in seconds)"
    # A password under a name nobody foresaw would be a str, or resemble no option.
    shown = isinstance(value, (int, float)) and hint.startswith(": did you mean")
    return f"unknown option {name!r}{f' (value {value!r})' if shown else ''}{hint}"
