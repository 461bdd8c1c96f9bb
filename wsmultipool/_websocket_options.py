"""
What a user may say about each WebSocket: the handshake, compression, and the way to the server.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint

from ._tls_options import TLSOptions
from ._urls import ProxyOptions
from ._validation import (
    TOKEN,
    check_bool,
    check_integer,
    check_provides,
    check_text,
    check_token,
    is_token,
    repr_of_changed,
    suggesting,
)
from ._version import __version__

if TYPE_CHECKING:
    from OpenSSL.SSL import Context

    from ._connection import PooledConnection

    Headers = Mapping[str, str]
    FreshHeaders = Headers | Awaitable[Headers]
    HeadersSource = (
        Headers | Callable[[], FreshHeaders] | Callable[[PooledConnection], FreshHeaders]
    )
    FreshURL = str | Awaitable[str]
    URLSource = Callable[[], FreshURL] | Callable[[PooledConnection], FreshURL]

__all__ = ["Compression", "WebSocketOptions", "check_headers"]

# What RFC 9110, section 5.5, lets a field value contain, less the octets outside of ASCII, of which
# no two implementations think alike.
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
# The headers that make the handshake one, and those that would give it a body.
_RESERVED_HEADERS = {
    "connection": "",
    "content-length": "",
    "sec-websocket-accept": "",
    "sec-websocket-extensions": ": use the option compression",
    "sec-websocket-key": "",
    "sec-websocket-protocol": ": use the option protocols",
    "sec-websocket-version": "",
    "transfer-encoding": "",
    "upgrade": "",
}


@suggesting
@dataclass(frozen=True, kw_only=True)
class Compression:
    """
    What to offer, and to do, for permessage-deflate (RFC 7692).

    There is no compression level: the implementation beneath compresses at zlib's default one.

    @ivar client_no_context_takeover: compress every message by itself.  Saves memory between
        messages, and costs ratio.
    @ivar server_no_context_takeover: ask the server to do so; a server that accepts compression
        must agree to that.
    @ivar client_max_window_bits: the largest window to compress with, 9 to 15 as a power of two of
        bytes; C{None} for what the server allows.  To a server that allows no more than 8, which
        zlib cannot do, messages are sent as they are.
    @ivar server_max_window_bits: ask the server for a window no larger than this, 8 to 15; C{None}
        not to ask.
    @ivar mem_level: memory for compressing, 1 to 9 as in L{zlib.compressobj}; C{None} for 8.
    @since: 0.1.0
    """

    client_no_context_takeover: bool = False
    server_no_context_takeover: bool = False
    client_max_window_bits: int | None = None
    server_max_window_bits: int | None = None
    mem_level: int | None = None

    def __post_init__(self) -> None:
        for option in ("client_no_context_takeover", "server_no_context_takeover"):
            check_bool(f"compression {option}", getattr(self, option))
        for option, least in (("client_max_window_bits", 9), ("server_max_window_bits", 8)):
            if (bits := getattr(self, option)) is not None:
                check_integer(f"compression {option}", bits, at_least=least, at_most=15)
        if self.mem_level is not None:
            check_integer("compression mem_level", self.mem_level, at_least=1, at_most=9)


@suggesting
@dataclass(frozen=True, kw_only=True, repr=False)
class WebSocketOptions:
    """
    How each WebSocket of a pool is made.

    Its C{repr} shows the names of headers, not their values, and no password or key.

    @ivar protocols: the subprotocols to offer, in order of preference; a C{str} means just one.
    @ivar headers: headers to add to the handshake: a mapping; or a callable that is called for
        every attempt, and returns one, or a Deferred or awaitable of one, for tokens that expire;
        or C{None}.  The callable takes no argument or, to see by its C{url} which server it is for,
        the L{PooledConnection<wsmultipool.PooledConnection>}.  C{Host}, C{User-Agent}, C{Origin}
        and C{Authorization} given here replace the ones made from other options.
    @ivar url: a callable that is called for every attempt, and returns the URL to use for it, or a
        Deferred or awaitable of one, for tokens in the query; C{None} for the pool's URL.  It takes
        no argument, or the connection, as C{headers} does.  The URL may name another host; one that
        is C{ws://} where the pool's is C{wss://} is refused.
    @ivar origin: the C{Origin} header; C{None} for none.
    @ivar user_agent: the C{User-Agent} header; C{None} for none.
    @ivar compression: whether to offer permessage-deflate, or how.
    @ivar compression_threshold: bytes from which on a message is compressed, where that was agreed.
    @ivar tls: how to do TLS with a C{wss://} server: L{TLSOptions}; or a provider of
        L{IOpenSSLClientConnectionCreator}, which is then responsible for everything; or an
        C{OpenSSL.SSL.Context}, with which the host in the URL is asked for (SNI) and, if the
        context verifies peers at all, checked, in place of a callback it may have for that;
        C{None} for L{TLSOptions} as they come.
    @ivar proxy: an HTTP proxy to tunnel through, as a URL or L{ProxyOptions}; C{None} for none.
    @ivar endpoint: connects to something else than the host and port in the URL: a client endpoint
        string as for L{twisted.internet.endpoints.clientFromString}, or an
        L{IStreamClientEndpoint}; TLS for C{wss://} is done on top of it.  C{None} for the URL's.
    @ivar tcp_nodelay: whether to set C{TCP_NODELAY}.
    @ivar max_message_size: largest inbound message, in bytes after decompression; C{None} for the
        pool's C{max_message_size}.
    @since: 0.1.0
    """

    protocols: Sequence[str] = ()
    headers: HeadersSource | None = None
    url: URLSource | None = None
    origin: str | None = None
    user_agent: str | None = f"wsmultipool/{__version__}"
    compression: bool | Compression = False
    compression_threshold: int = 1024
    tls: TLSOptions | IOpenSSLClientConnectionCreator | Context | None = None
    proxy: str | ProxyOptions | None = None
    endpoint: str | IStreamClientEndpoint | None = None
    tcp_nodelay: bool = True
    max_message_size: int | None = None

    # What connections share: an OpenSSL context takes milliseconds to make, as it reads all that
    # the platform trusts.  By host; filled, and used, by the module that builds endpoints.
    _creators: dict[str, IOpenSSLClientConnectionCreator] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        # Sequences and mappings are copied: the caller may go on changing theirs.
        object.__setattr__(self, "protocols", _check_protocols(self.protocols))
        if isinstance(self.headers, Mapping):
            object.__setattr__(self, "headers", MappingProxyType(check_headers(self.headers)))
        elif self.headers is not None and not callable(self.headers):
            raise TypeError(
                f"headers must be a mapping or a callable, not {type(self.headers).__name__}"
            )
        if self.url is not None and not callable(self.url):
            # Not its value, in which there may be a token.
            raise TypeError(
                "url must be a callable that returns the URL for each attempt, not"
                f" {_type(self.url)}: the URLs that the pool keeps are its first argument"
            )
        for option in ("origin", "user_agent"):
            if (text := getattr(self, option)) is not None:
                check_text(option, text)
                _check_header_value(option, text)
        if not isinstance(self.compression, (bool, Compression)):
            raise TypeError(
                f"compression must be True, False or a Compression, not {self.compression!r}"
            )
        check_integer("compression_threshold", self.compression_threshold, at_least=0)
        _check_tls(self.tls)
        if self.proxy is not None:
            object.__setattr__(self, "proxy", ProxyOptions.of(self.proxy))
        if isinstance(self.endpoint, str):
            check_text("endpoint", self.endpoint)
        elif self.endpoint is not None:
            check_provides("endpoint", self.endpoint, IStreamClientEndpoint)
        check_bool("tcp_nodelay", self.tcp_nodelay)
        if self.max_message_size is not None:
            check_integer("max_message_size", self.max_message_size, at_least=1)

    @classmethod
    def of(cls, value: object) -> WebSocketOptions:
        """
        Make options of what the pool's C{ws_options} takes.

        @param value: L{WebSocketOptions}; a subprotocol; a sequence of subprotocols; or C{None}.
        @raise TypeError: it is none of these.
        @raise ValueError: a subprotocol is not a token, or is given twice.
        """
        if value is None:
            return cls()
        if isinstance(value, cls):
            return value
        if not isinstance(value, Sequence) or isinstance(value, (bytes, bytearray, memoryview)):
            # Only its type: a dict, say, may well hold headers.
            raise TypeError(
                "ws_options must be WebSocketOptions, a subprotocol or a sequence of subprotocols,"
                f" not {type(value).__name__}"
            )
        return cls(protocols=value)

    @property
    def compression_parameters(self) -> Compression | None:
        """What to offer for compression; C{None} for nothing."""
        if isinstance(self.compression, Compression):
            return self.compression
        return Compression() if self.compression else None

    def __repr__(self) -> str:
        return repr_of_changed(
            self,
            headers=f"<{', '.join(self.headers)}>"
            if isinstance(self.headers, Mapping)
            else "<callable>",
            url="<callable>",
            tls=repr(self.tls) if isinstance(self.tls, TLSOptions) else f"<{_type(self.tls)}>",
        )


def check_headers(headers: object) -> dict[str, str]:
    """
    Check additional headers of a handshake.

    No message shows a value, nor what can't be a name: it may be a password or a token.

    @param headers: what the user gave as C{headers}, or what the callable that was given returned.
    @return: a copy.
    @raise TypeError: it is not a mapping of C{str} to C{str}.
    @raise ValueError: a name is not a token, is reserved for the handshake itself, or is there
        twice; or a value contains line breaks or other characters that no header may contain.
    """
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers must be a mapping, not {type(headers).__name__}")
    checked: dict[str, str] = {}
    seen = set()
    for name, value in headers.items():
        if not isinstance(name, str):
            raise TypeError(f"headers: a name must be a str, not {_type(name)}")
        if not is_token(name):
            raise ValueError(f"headers: a name must be {TOKEN}")
        lower = name.lower()
        if lower in _RESERVED_HEADERS:
            raise ValueError(
                f"headers: {name!r} is part of the handshake itself{_RESERVED_HEADERS[lower]}"
            )
        if lower in seen:
            raise ValueError(f"headers: {name!r} is given more than once")
        seen.add(lower)
        _check_header_value(f"headers: the value of {name!r}", value)
        checked[name] = value
    return checked


def _check_header_value(option: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{option} must be a str, not {type(value).__name__}")
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError(f"{option} contains a line break, or something else than printable ASCII")


def _check_protocols(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = (value,)
    elif not isinstance(value, Sequence):
        raise TypeError(f"protocols must be a str or a sequence of str, not {_type(value)}")
    for protocol in value:
        check_token("protocols: a subprotocol", protocol)
    if len(set(value)) != len(value):
        raise ValueError(f"protocols must not contain one twice, not {value!r}")
    return tuple(value)


def _check_tls(tls: object) -> None:
    if (
        tls is None
        or isinstance(tls, TLSOptions)
        or IOpenSSLClientConnectionCreator.providedBy(tls)
    ):
        return
    from OpenSSL.SSL import Context

    if not isinstance(tls, Context):
        raise TypeError(
            "tls must be TLSOptions, an OpenSSL.SSL.Context or a provider of"
            f" IOpenSSLClientConnectionCreator, not {_type(tls)}"
        )


def _type(value: object) -> str:
    return type(value).__name__
