"""
Where to connect to: the URL of a server and that of a proxy, parsed once and shown without secrets.

The parsing is our own.  L{urllib.parse.urlsplit} removes tabs and line breaks instead of refusing
them, and its errors quote what was given to it, passwords included.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple
from urllib.parse import quote, unquote

from ._validation import check_integer, suggesting

__all__ = [
    "ProxyOptions",
    "ServerURL",
    "basic_authorization",
    "check_host",
    "endpoint_label",
    "parse_urls",
]

_DEFAULT_PORTS = {True: 443, False: 80}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
# What no URL contains, and what breaks out of an HTTP request line or a log line.
_FORBIDDEN = re.compile(r"[\s\x00-\x20\x7f-\x9f\ud800-\udfff]")
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)"
    r"(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?"
)
_AUTHORITY = re.compile(r"(?:\[(?P<ipv6>[^\[\]]*)\]|(?P<name>[^\[\]:]*))(?::(?P<port>[0-9]*))?")
# A host name as in RFC 1123, and the underscore that names inside container networks have.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_LONGEST_HOST = 253
# Everything that RFC 3986 lets a path or query contain.  The rest is percent-encoded.
_RESOURCE_SAFE = "!#$%&'()*+,-./:;=?@[]_~"


@dataclass(frozen=True, slots=True)
class ServerURL:
    """
    The URL of a WebSocket server (RFC 6455, section 3).  Use L{ServerURL.parse}.

    Neither C{str} nor C{repr} shows the query string or the credentials.

    @ivar secure: true for C{wss}.
    @ivar host: a lower-case ASCII name or an IP address, without brackets.
    @ivar port: the TCP port.
    @ivar resource: path and query, as they go into the request line; never empty.
    @ivar credentials: user name and password for HTTP basic authentication, decoded, or C{None}.
    @since: 0.1.0
    """

    secure: bool
    host: str
    port: int
    resource: str = field(default="/", repr=False)
    credentials: tuple[str, str] | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> ServerURL:
        """
        Parse a C{ws://} or C{wss://} URL.

        @param url: the URL.  C{user:password@} before the host becomes an C{Authorization} header.
        @raise TypeError: C{url} is not a C{str}.
        @raise ValueError: C{url} is not a valid WebSocket URL.  The message shows it without
            query string and credentials.
        """
        return cls._parse("url", url)

    @classmethod
    def _parse(cls, option: str, url: object) -> ServerURL:
        parts = _split(option, url, {"ws": False, "wss": True}, "ws:// or wss://")
        if parts.fragment:
            raise ValueError(
                f"{option} must not have a fragment (RFC 6455, section 3): {redact(str(url))}"
            )
        port = parts.port or _DEFAULT_PORTS[parts.secure]
        resource = quote((parts.path or "/") + parts.query, safe=_RESOURCE_SAFE)
        return cls(parts.secure, parts.host, port, resource, parts.credentials)

    @property
    def label(self) -> str:
        """The URL as it may be shown to anyone: without query string and credentials."""
        scheme = "wss" if self.secure else "ws"
        return f"{scheme}://{self.host_header}{self.resource.partition('?')[0]}"

    @property
    def host_header(self) -> str:
        """What a C{Host} header says: the port only where it is not the scheme's default."""
        if self.port == _DEFAULT_PORTS[self.secure]:
            return _bracketed(self.host)
        return self.endpoint_label

    @property
    def endpoint_label(self) -> str:
        """C{host:port}, as in a C{CONNECT} request."""
        return endpoint_label(self.host, self.port)

    def __str__(self) -> str:
        return self.label

    def __repr__(self) -> str:
        return f"<ServerURL {self.label}>"


def parse_urls(url: object) -> tuple[ServerURL, ...]:
    """
    Parse what a pool takes for its servers: one URL, or a sequence of them.

    @return: one or more, all different.
    @raise TypeError: it is neither, or an element is not a C{str}.
    @raise ValueError: a URL is not valid, or given twice, or there is none.  The message shows
        which one, without query string and credentials.
    """
    if isinstance(url, str):
        return (ServerURL.parse(url),)
    if not isinstance(url, Sequence) or isinstance(url, (bytes, bytearray, memoryview)):
        # Not a set, either: the order decides which connection begins where.
        raise TypeError(f"url must be a URL or a sequence of URLs, not {type(url).__name__}")
    if not url:
        raise ValueError(f"url must be a URL or a sequence of URLs, not an empty {url!r}")
    places: dict[ServerURL, int] = {}
    for index, each in enumerate(url):
        parsed = ServerURL._parse(f"url[{index}]", each)
        first = places.setdefault(parsed, index)
        if first != index:
            raise ValueError(f"url[{index}] is the same as url[{first}]: {redact(each)}")
    return tuple(places)


@suggesting
@dataclass(frozen=True, slots=True)
class ProxyOptions:
    """
    An HTTP proxy that is asked for a tunnel with C{CONNECT}, over plain TCP.

    Its C{repr} does not show the password.

    @ivar host: name or IP address of the proxy, without brackets.
    @ivar port: its TCP port.
    @ivar username: for basic authentication at the proxy; C{None} for no authentication.
    @ivar password: goes with C{username}; C{None} for an empty one.
    @since: 0.1.0
    """

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", check_host("proxy host", self.host))
        check_integer("proxy port", self.port, at_least=1, at_most=65535)
        for option, value in (("username", self.username), ("password", self.password)):
            if value is not None and not isinstance(value, str):
                raise TypeError(f"proxy {option} must be a str, not {type(value).__name__}")
        if self.username is None and self.password is not None:
            raise ValueError("proxy password was given without a username")
        if self.username is not None and ":" in self.username:
            raise ValueError("proxy username must not contain a colon (RFC 7617, section 2)")

    @classmethod
    def parse(cls, url: str) -> ProxyOptions:
        """
        Parse the URL of a proxy, such as C{http://user:password@proxy.example:3128}.

        @param url: the URL; without a port, port 80.
        @raise TypeError: C{url} is not a C{str}.
        @raise ValueError: C{url} is not the URL of an HTTP proxy.  The message shows it without
            credentials.
        """
        parts = _split("proxy", url, {"http": False, "https": True}, "http://")
        if parts.secure:
            raise ValueError(
                "proxy must be an http:// URL; TLS to the proxy itself is not supported:"
                f" {redact(url)}"
            )
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError(f"proxy must have nothing after host and port: {redact(url)}")
        username, password = parts.credentials or (None, None)
        return cls(parts.host, parts.port or _DEFAULT_PORTS[False], username, password)

    @classmethod
    def of(cls, value: object) -> ProxyOptions:
        """
        Make proxy options of what the C{proxy} option takes: these, or a URL.

        @raise TypeError: it is neither.
        @raise ValueError: as from L{parse}.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise TypeError(f"proxy must be a URL or ProxyOptions, not {type(value).__name__}")
        return cls.parse(value)

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User name and password, or C{None}."""
        return None if self.username is None else (self.username, self.password or "")


def basic_authorization(credentials: tuple[str, str]) -> str:
    """
    Build the value of an C{Authorization} or C{Proxy-Authorization} header (RFC 7617).

    @param credentials: user name and password.
    """
    return "Basic " + b64encode(":".join(credentials).encode("utf-8")).decode("ascii")


def endpoint_label(host: str, port: int) -> str:
    """
    Write a host and a port as C{host:port}, with the brackets an IPv6 address needs.
    """
    return f"{_bracketed(host)}:{port}"


def check_host(option: str, value: object) -> str:
    """
    Check a host name or an IP address without brackets.

    @return: its canonical form, ASCII and lower-case.
    """
    if not isinstance(value, str):
        raise TypeError(f"{option} must be a str, not {type(value).__name__}")
    try:
        return _canonical_host(value)
    except _BadHost as error:
        raise ValueError(f"{option} {error}: {value!r}") from None


def redact(url: str) -> str:
    """
    Show a URL, valid or not, without anything that may be a credential or a query string.

    @return: its C{repr}, with C{***} for what was left out.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    elif not _SCHEME.fullmatch(scheme):
        scheme = "***"
    shown, *hidden = re.split(r"[?#]", rest, maxsplit=1)
    if "@" in "".join(hidden):
        # Either a query with an @ or a password with a ? in it: show neither.
        return repr(f"{scheme}{separator}***")
    _, at, after = shown.rpartition("@")
    if at:
        shown = f"***@{after}"
    return repr(f"{scheme}{separator}{shown}{'?***' if hidden else ''}")


class _Parts(NamedTuple):
    """What the two kinds of URL have in common."""

    secure: bool
    host: str
    port: int | None
    path: str
    query: str
    fragment: str
    credentials: tuple[str, str] | None


def _split(option: str, url: object, schemes: dict[str, bool], wanted: str) -> _Parts:
    if not isinstance(url, str):
        raise TypeError(f"{option} must be a str, not {type(url).__name__}")

    def mistake(what: str) -> ValueError:
        return ValueError(f"{option} {what}: {redact(url)}")

    if _FORBIDDEN.search(url):
        raise mistake("must not contain spaces, line breaks or control characters")
    found = _URL.fullmatch(url)
    if found is None:
        raise mistake(f"must begin with {wanted}")
    scheme = found["scheme"].lower()
    if scheme not in schemes:
        hint = {"http": " (ws:// is its counterpart)", "https": " (wss:// is its counterpart)"}
        raise mistake(f"must begin with {wanted}{hint.get(scheme, '') if 'ws' in schemes else ''}")
    userinfo, _, authority = found["authority"].rpartition("@")
    address = _AUTHORITY.fullmatch(authority)
    if address is None:
        raise mistake("has a malformed host or port")
    if not (address["ipv6"] or address["name"]):
        raise mistake("has no host")
    port = address["port"]
    if port and not (len(port) <= 5 and 1 <= int(port) <= 65535):
        raise mistake("has a port outside of 1 to 65535")
    try:
        host = _canonical_host(address["name"] or address["ipv6"], address["ipv6"] is not None)
        credentials = _credentials(userinfo)
    except _BadHost as error:
        raise mistake(f"has a host that {error}") from None
    except UnicodeDecodeError:
        raise mistake("has credentials that are not UTF-8") from None
    if credentials is not None and ":" in credentials[0]:
        raise mistake("has a user name with a colon in it (RFC 7617, section 2)")
    return _Parts(
        schemes[scheme],
        host,
        int(port) if port else None,
        found["path"],
        found["query"] or "",
        found["fragment"] or "",
        credentials,
    )


def _credentials(userinfo: str) -> tuple[str, str] | None:
    if not userinfo:
        return None
    username, _, password = userinfo.partition(":")
    return unquote(username, errors="strict"), unquote(password, errors="strict")


class _BadHost(Exception):
    """What is wrong with a host, without the host."""


def _canonical_host(host: str, ipv6: bool | None = None) -> str:
    """
    Bring a host into the form in which it is compared and connected to.

    @param ipv6: whether it must be an IPv6 address; C{None} to tell by its colons.
    """
    if ":" in host if ipv6 is None else ipv6:
        try:
            address = IPv6Address(host)
        except AddressValueError:
            raise _BadHost("is not an IPv6 address") from None
        if address.scope_id is not None:
            raise _BadHost("is an IPv6 address with a zone (give an endpoint instead)")
        return address.compressed
    host = host.lower()
    if not host.isascii():
        host = _ascii_host(host)
    labels = host.removesuffix(".").split(".")
    if len(host) > _LONGEST_HOST or not all(map(_LABEL.fullmatch, labels)):
        raise _BadHost("is not a host name")
    if labels[-1].isdigit():
        # Resolvers take 127.1 or 0177.0.0.1 for addresses that nobody reads out of them.
        try:
            return str(IPv4Address(host))
        except AddressValueError:
            raise _BadHost("is not an IPv4 address") from None
    return host


def _ascii_host(host: str) -> str:
    # The codec of the standard library follows IDNA 2003, for which "faß.de" is "fass.de": another
    # host.  So a translation counts only when it can be undone.
    if len(host) <= _LONGEST_HOST:
        try:
            translated = host.encode("idna")
            if translated.decode("idna") == host:
                return translated.decode("ascii")
        except UnicodeError:
            pass
    raise _BadHost("is not ASCII (write it as xn--...)")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
