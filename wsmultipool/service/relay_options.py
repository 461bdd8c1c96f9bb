"""
What can be configured about a relay, as a frozen dataclass that is checked when it is made.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

from .access import check_host_name, check_origin

__all__ = ["RelayOptions"]

# What RFC 6750, section 2.1, lets a bearer token contain.
_BEARER_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
# RFC 9110, section 5.6.2.
_HTTP_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FANOUTS = ("all", "sticky")


@dataclass(frozen=True, kw_only=True, repr=False)
class RelayOptions:
    """
    The options of a relay.  Durations are in seconds, sizes in bytes.

    A mistake raises C{TypeError} or C{ValueError} with the name of the option and its value, unless
    that is a secret.  The C{repr} shows what differs from the defaults, and never the token.

    @ivar fanout: who gets what arrives from upstream: C{"all"} clients; or, with C{"sticky"}, those
        that are pinned to the upstream connection it arrived on.
    @ivar confirm: whether each message is confirmed upstream before it counts as sent.
    @ivar ordered: whether the messages of one client keep their order, for which they take one
        upstream connection at a time.  C{False} spreads them over all, for the throughput of all;
        with C{fanout="sticky"} they keep it anyway.
    @ivar allow_origins: web pages that may connect, as C{"https://example.com"} or, with a port
        that is not the default, C{"http://localhost:8080"}; C{"null"} for pages without an origin,
        as are files; C{"*"} for all.
    @ivar allow_hosts: names, beside loopback's own, that clients may call the relay by when it
        listens on loopback.
    @ivar token: what clients must present as C{Authorization: Bearer TOKEN}; C{None} for nothing.
    @ivar client_certificates: whether the endpoint lets no client in without a certificate that it
        trusts, so that a relay may listen beyond loopback without a token.
    @ivar protocols: the subprotocols that clients may ask for, which should be the one that the
        pool has agreed on with upstream; with others they are let in without a subprotocol.
    @ivar max_clients: how many may be connected.
    @ivar max_message_size: the largest message from a client.
    @ivar max_unfinished_bytes: how much all clients together may hold of messages that they have
        begun and not finished, before only the one that began first is read from until it has
        finished.  Of each client, 64 KiB do not count.
    @ivar unfinished_timeout: how long a client that holds more than those may take for each further
        MiB of its message, and for the rest, while it is read from; else it is closed with 1008.
    @ivar client_buffer_size: how much may wait for a client that does not read, beside what its
        socket has taken and 64 KiB.  One larger message may wait if nothing else does.
    @ivar confirm_window: with C{confirm}, how many messages of one client may wait for their
        confirmation before nothing more is read from it.  Without, it is one that waits for a
        connection.
    @ivar confirm_window_bytes: how many bytes; a single larger message is let through.
    @ivar send_timeout: how long a message may wait for a connection that takes it, before its
        client is closed with 1013; C{None} for as long as it takes.
    @ivar handshake_timeout: how long a client may take for the opening handshake.
    @ivar close_timeout: how long the closing handshake with a client may take.
    @ivar settle_timeout: how long, when the relay stops, what clients have sent may take to leave;
        0 gives it up at once.
    @since: 0.1.0
    """

    fanout: Literal["all", "sticky"] = "all"
    confirm: bool = False
    ordered: bool = True
    allow_origins: tuple[str, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    client_certificates: bool = False
    protocols: tuple[str, ...] = ()
    max_clients: int = 1000
    max_message_size: int = 16 * 1024 * 1024
    max_unfinished_bytes: int = 128 * 1024 * 1024
    unfinished_timeout: float = 10.0
    client_buffer_size: int = 1024 * 1024
    confirm_window: int = 256
    confirm_window_bytes: int = 1024 * 1024
    send_timeout: float | None = 30.0
    handshake_timeout: float = 10.0
    close_timeout: float = 5.0
    settle_timeout: float = 10.0

    def __post_init__(self) -> None:
        if self.fanout not in _FANOUTS:
            raise ValueError(f"fanout must be one of 'all', 'sticky', not {self.fanout!r}")
        for option in ("confirm", "ordered", "client_certificates"):
            if not isinstance(value := getattr(self, option), bool):
                raise TypeError(f"{option} must be True or False, not {value!r}")
        for option, check in (
            ("allow_origins", check_origin),
            ("allow_hosts", check_host_name),
            ("protocols", _check_protocol),
        ):
            value = getattr(self, option)
            if isinstance(value, str) or not isinstance(value, Sequence):
                raise TypeError(f"{option} must be a sequence of str, not {value!r}")
            object.__setattr__(self, option, tuple(check(option, item) for item in value))
        if self.token is not None:
            _check_token(self.token)
        for option in (
            "max_clients",
            "max_message_size",
            "max_unfinished_bytes",
            "client_buffer_size",
            "confirm_window",
            "confirm_window_bytes",
        ):
            _check_size(option, getattr(self, option))
        for option in ("unfinished_timeout", "handshake_timeout", "close_timeout"):
            _check_duration(option, getattr(self, option))
        if isinstance(self.settle_timeout, bool) or self.settle_timeout != 0:
            _check_duration("settle_timeout", self.settle_timeout)
        if self.send_timeout is not None:
            _check_duration("send_timeout", self.send_timeout)

    def __repr__(self) -> str:
        shown = {
            option.name: "***" if option.name == "token" else repr(getattr(self, option.name))
            for option in fields(self)
            if getattr(self, option.name) != option.default
        }
        return f"RelayOptions({', '.join(f'{name}={value}' for name, value in shown.items())})"


def _check_protocol(option: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{option} must be a sequence of str, not of {type(value).__name__}")
    if not _HTTP_TOKEN.fullmatch(value):
        raise ValueError(f"{option}: {value!r} is not a subprotocol (RFC 6455, section 4.1)")
    return value


def _check_token(token: object) -> None:
    # Neither message shows it.
    if not isinstance(token, str):
        raise TypeError(f"token must be a str, not {type(token).__name__}")
    if not _BEARER_TOKEN.fullmatch(token):
        raise ValueError(
            "token must not be empty, and only have letters, digits and ._~+/-, then ="
        )


def _check_size(option: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{option} must be an integer, not {value!r}")
    if value < 1:
        raise ValueError(f"{option} must be at least 1, not {value!r}")


def _check_duration(option: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{option} must be a number, not {value!r}")
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{option} must be a finite number greater than 0, not {value!r}")
