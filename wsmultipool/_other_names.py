"""
What things are called elsewhere, and what that is here.

Somebody who comes from the Node package, or from another library, and uses the name that is right
there, is told the one that is right here.  What is only written in another way, as C{poolSize} is,
needs no line in these tables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, NoReturn

from ._words import camel_case, nearest, snake_case

__all__ = [
    "NamedElsewhere",
    "belong_to",
    "misplaced",
    "suggested_event",
    "suggested_option",
]

# By the class that an option belongs to.  Names of Node's ws, tls and net, and of
# reconnecting-websocket; in Python, of websockets, aiohttp, websocket-client, Autobahn and ssl, and
# of Twisted's ReconnectingClientFactory.
_OPTIONS = {
    "PoolOptions": {
        "close_timeout": "closeHandshakeTimeout",
        "heartbeat_interval": "keepAlive pingInterval ping_interval autoPingInterval heartbeat",
        "heartbeat_timeout": "pingTimeout ping_timeout autoPingTimeout",
        "max_message_size": "maxPayload max_size max_msg_size maxMessagePayloadSize",
        "max_reconnect_attempts": "maxRetries",
        "max_reconnect_interval": "maxReconnectionDelay maxDelay",
        "message_queue_size": "maxEnqueuedMessages max_queue",
        "open_timeout": "handshakeTimeout openHandshakeTimeout connectionTimeout",
        "reconnect_backoff_multiplier": "reconnectionDelayGrowFactor factor",
        "reconnect_interval": "minReconnectionDelay initialDelay",
    },
    "WebSocketOptions": {
        "compression": "perMessageDeflate perMessageCompressionOffers compress",
        "compression_threshold": "threshold",
        "endpoint": "socketPath createConnection localAddress family lookup",
        "headers": "finishRequest additional_headers extra_headers header",
        "protocols": "protocol subprotocol subprotocols",
        "proxy": "agent http_proxy_host",
        "tcp_nodelay": "noDelay tcpNoDelay",
        "tls": "secureContext ssl ssl_context sslopt contextFactory",
        "url": "urlProvider",
        "user_agent": "user_agent_header",
    },
    "TLSOptions": {
        "client_certificate": "cert certfile key keyfile pfx",
        "server_name": "servername server_hostname checkServerIdentity",
        "trust_root": "ca cafile ca_certs",
        "verify": "rejectUnauthorized cert_reqs check_hostname verify_mode",
    },
}
_OWNERS = {
    name: (owner, ours)
    for owner, names in _OPTIONS.items()
    for ours, theirs in names.items()
    for name in theirs.split()
}
# How the options of one class are given to another.
_WITHIN = {
    "WebSocketOptions": ("PoolOptions", "ws_options=WebSocketOptions({})"),
    "TLSOptions": ("WebSocketOptions", "tls=TLSOptions({})"),
    "Compression": ("WebSocketOptions", "compression=Compression({})"),
    "ProxyOptions": ("WebSocketOptions", "proxy=ProxyOptions({})"),
}
# Of what is named, the first that there is.
_ATTRIBUTES = {
    "addEventListener": "on",
    "addListener": "on",
    "bufferedAmount": "buffered_bytes get_stats",
    "connectionCount": "total_connections",
    "connectionState": "state",
    "disconnect": "close",
    "listenerCount": "listeners",
    "readyState": "state open_connections",
    "receive": "messages",
    "recv": "messages",
    "removeAllListeners": "off",
    "removeEventListener": "off",
    "removeListener": "off",
    "send_bytes": "send",
    "send_text": "send",
    "sendMessage": "send",
    "sendPing": "ping",
    "subprotocol": "protocol",
    "terminate": "close",
}
_EVENTS = {
    theirs: ours
    for ours, names in {
        "close": "disconnect disconnected end reconnecting closing",
        "error": "connect_error timeout",
        "message": "data text binary",
        "open": "connect connected connection reconnect reconnected",
        "pool:empty": "empty",
        "pool:ready": "ready",
        "unexpected-response": "redirect rejected",
    }.items()
    for theirs in names.split()
}
_belongings: dict[str, Collection[str]] = {}


def belong_to(owner: str, options: Collection[str]) -> None:
    """
    Have these options suggested where somebody gives them to another class of options than theirs.
    """
    _belongings[owner] = options


def suggested_option(owner: str, name: str) -> str:
    """
    @param owner: the class of options that was given one that it does not know.
    @return: what was probably meant, to append to a message; empty if nobody can tell.
    """
    known, ours = _belongings[owner], snake_case(name)
    place, option = _OWNERS.get(name, (owner, ours))
    if option not in _belongings[place]:
        place = next((each for each, options in _belongings.items() if ours in options), owner)
    if place == owner:
        return nearest(option, known)
    text = f"{option}=..."
    while place != owner and place in _WITHIN:
        place, form = _WITHIN[place]
        text = form.format(text)
    return f": here that is {text if place == owner else f'{text} of the pool'}"


def suggested_event(name: str, known: Collection[str]) -> str:
    """
    @return: the event that was probably meant, however little it resembles C{name}.
    """
    return _EVENTS.get(name) or get_close_matches(name, known, n=1, cutoff=0.0)[0]


def misplaced(verb: str, arguments: Iterable[object]) -> TypeError:
    """
    @param verb: what was called with one argument and these behind it.
    @return: the error to raise, which says how they are given.  It shows no value.
    """
    for argument in arguments:
        if isinstance(argument, Mapping):
            names = [snake_case(name) for name in argument if isinstance(name, str)]
            options = ", ".join(f"{name}=..." for name in names if name.isidentifier())
            return TypeError(
                f"{verb}: options are keyword arguments: {verb}(data, {options or 'option=...'})"
            )
        if callable(argument):
            return TypeError(
                f"{verb} takes no callback: it returns a Deferred, to be awaited or given callbacks"
            )
    return TypeError(f"{verb} takes one positional argument; all others are keyword arguments")


class NamedElsewhere:
    """
    Says of attributes that have another name elsewhere what they are called here.

    It has an attribute for each of those names, rather than a C{__getattr__}, with which Python
    finds all the others more slowly.
    """

    __slots__ = ()

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for name in [*vars(cls), *vars(cls).get("__annotations__", ())]:
            theirs = camel_case(name)
            if theirs != name and not name.startswith("_"):
                _add(theirs, name)

    def __dir__(self) -> Iterable[str]:
        return [
            name
            for name in super().__dir__()
            if not isinstance(vars(NamedElsewhere).get(name), _Elsewhere)
        ]


class _Elsewhere:
    """
    An attribute that there is not.
    """

    def __init__(self, name: str, ours: str) -> None:
        self._name = name
        self._ours = ours

    def __get__(self, instance: object, owner: type) -> NoReturn:
        ours = next((name for name in self._ours.split() if hasattr(owner, name)), None)
        hint = "" if ours is None else f": did you mean {ours!r}?"
        raise AttributeError(f"{owner.__name__!r} object has no attribute {self._name!r}{hint}")


def _add(name: str, ours: str) -> None:
    setattr(NamedElsewhere, name, _Elsewhere(name, ours))


for _name, _ours in _ATTRIBUTES.items():
    _add(_name, _ours)
