"""
Who may connect to a relay, and from where: the one place where that is decided.

There are three rules.  A web page can have the browser open a WebSocket to any address, loopback
included, but not keep the browser from saying which page it is: so a client that names an
C{Origin} is let in only if that is allowed (RFC 6455, section 10.2).  A client that must present a
token does so in its C{Authorization} header.  And as soon as others than this machine can reach the
relay, there must be a token, or certificates, that they have to present.

Nothing in here does I/O, and no text that it makes contains a token or the value of a header that
may hold one.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from twisted.internet.address import IPv4Address as TCP4Address
from twisted.internet.address import IPv6Address as TCP6Address
from twisted.internet.address import UNIXAddress

from .endpoint_string import parts_of
from .hosts import address_of, is_local, is_loopback, may_be_called

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress

    from .relay_options import RelayOptions

__all__ = [
    "AccessRules",
    "Exposed",
    "Exposure",
    "Refusal",
    "check_exposure",
    "check_host_name",
    "check_origin",
    "exposure_of_address",
    "exposure_of_description",
    "on_loopback_unless_told",
]

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
# The latter up to version 8 of the protocol, which Autobahn still speaks.
_ORIGIN_HEADERS = ("origin", "sec-websocket-origin")
# A page's path is no part of its origin, and neither are credentials.
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?/?"
)
_HOST_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9_])?")
# Which positional argument names the interface.
_INTERFACE_AT = {"tcp": "1", "tcp6": "1", "ssl": "4"}
_BEARER = re.compile(r"bearer +(\S+)", re.IGNORECASE)


class Exposed(ValueError):
    """
    A relay would listen where others than this machine can reach it, and let anybody in.

    @ivar where: the address, or the description of the endpoint.
    @since: 0.1.0
    """

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.where = where

    def __str__(self) -> str:
        return (
            f"listening on {self.where} is beyond loopback: that needs a token, or TLS that demands"
            " certificates of clients"
        )


# Clients


@dataclass(frozen=True)
class Refusal:
    """
    Why a client is not let in.

    @ivar status: of the HTTP response.
    @ivar reason: one word for logs and metrics.
    @ivar text: for whoever reads the response, and the log.
    @ivar headers: to add to the response.
    @since: 0.1.0
    """

    status: int
    reason: str
    text: str
    headers: tuple[tuple[str, str], ...] = ()

    def response(self) -> bytes:
        """
        @return: the whole HTTP response.
        @since: 0.1.0
        """
        body = f"{self.text}\n".encode()
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            "Content-Type: text/plain; charset=utf-8",
            f"Content-Length: {len(body)}",
            "Connection: close",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body


class AccessRules:
    """
    Decides about each client by its opening handshake.

    @param options: the relay's.
    @param checks_host: whether clients must call the relay by a name of loopback's: a page whose
        own name was made to point there (DNS rebinding) does not.
    @since: 0.1.0
    """

    def __init__(self, options: RelayOptions, *, checks_host: bool) -> None:
        self._origins = frozenset(options.allow_origins)
        self._hosts = frozenset(options.allow_hosts)
        self._token = None if options.token is None else options.token.encode("ascii")
        self._checks_host = checks_host

    def refusal(self, headers: Mapping[str, str]) -> Refusal | None:
        """
        @param headers: of the request, by lower-case name.
        @return: C{None} for a client that may come in.
        @since: 0.1.0
        """
        if self._checks_host and not may_be_called(headers.get("host", ""), self._hosts):
            return Refusal(403, "host", "the Host header names another host than this one")
        origins = [headers[name] for name in _ORIGIN_HEADERS if name in headers]
        if not all(map(self._allows, origins)):
            return Refusal(403, "origin", "web pages of this Origin are not allowed")
        if self._token is not None and not self._has_token(headers.get("authorization", "")):
            challenge = (("WWW-Authenticate", 'Bearer realm="relay"'),)
            return Refusal(401, "token", "a valid bearer token is wanted", challenge)
        return None

    def _allows(self, origin: str) -> bool:
        if "*" in self._origins:
            return True
        try:
            return check_origin("Origin", origin.strip()) in self._origins
        except ValueError:
            return False

    def _has_token(self, authorization: str) -> bool:
        assert self._token is not None
        presented = _BEARER.fullmatch(authorization.strip())
        octets = b"" if presented is None else presented[1].encode("utf-8", "replace")
        return hmac.compare_digest(octets, self._token)


def check_origin(option: str, value: object) -> str:
    """
    Check an origin (RFC 6454), and write it as browsers do.

    @param option: named in errors.
    @return: C{scheme://host}, and the port if it is not the scheme's; C{"*"} and C{"null"} as is.
    @raise TypeError: it is not a C{str}.
    @raise ValueError: it is no origin.
    @since: 0.1.0
    """
    if not isinstance(value, str):
        raise TypeError(f"{option} must be a sequence of str, not of {type(value).__name__}")
    if value in ("*", "null"):
        return value
    found = _ORIGIN.fullmatch(value.lower())
    if found is None or _port(found["port"]) is None:
        raise ValueError(f"{option}: an origin is like https://example.com:8443, not {value!r}")
    scheme, host, port = found["scheme"], found["host"], _port(found["port"])
    without_port = not port or port == _DEFAULT_PORTS.get(scheme)
    return f"{scheme}://{host}" if without_port else f"{scheme}://{host}:{port}"


def _port(digits: str | None) -> int | None:
    """Return 0 for no port, and C{None} for what can't be one."""
    port = int(digits or 0)
    return port if port < 65536 else None


def check_host_name(option: str, value: object) -> str:
    """
    Check a host as it stands in a C{Host} header, without a port.

    @param option: named in errors.
    @return: it in lower case, an IPv6 address without brackets.
    @raise TypeError: it is not a C{str}.
    @raise ValueError: it is neither a name nor an address.
    @since: 0.1.0
    """
    if not isinstance(value, str):
        raise TypeError(f"{option} must be a sequence of str, not of {type(value).__name__}")
    host = value.lower().removeprefix("[").removesuffix("]")
    if address_of(host) is None and not _HOST_NAME.fullmatch(host):
        raise ValueError(f"{option}: {value!r} is not a host name or address (without a port)")
    return host


# Endpoints


@dataclass(frozen=True)
class Exposure:
    """
    Who can reach an endpoint.

    @ivar where: what it was found out from, to be shown.
    @ivar local: whether only this machine can; C{None} where that shows when it listens.
    @ivar checks_host: whether it is loopback over TCP, where a name can be made to point to.
    @since: 0.1.0
    """

    where: str
    local: bool | None
    checks_host: bool = False


def on_loopback_unless_told(description: str) -> str:
    """
    Have an endpoint that does not say on which interface it listens do so on loopback.

    @param description: a server endpoint string, as of
        L{serverFromString<twisted.internet.endpoints.serverFromString>}.
    @return: the same, with C{interface=127.0.0.1} where TCP is without an C{interface}.
    @since: 0.1.0
    """
    kind, arguments = parts_of(description)
    if kind == "haproxy":
        return f"haproxy:{on_loopback_unless_told(description.partition(':')[2])}"
    if kind not in _INTERFACE_AT or _interface(kind, arguments):
        return description
    loopback = r"\:\:1" if kind == "tcp6" else "127.0.0.1"
    return f"{description}:interface={loopback}"


def exposure_of_description(description: str) -> Exposure:
    """
    Find out who can reach an endpoint, before it listens.

    @param description: a server endpoint string: C{tcp:}, C{tcp6:}, C{ssl:}, C{unix:}, C{systemd:}
        and others; of C{haproxy:}, the one inside counts.
    @return: what the description says.  What can't be known of it has C{local=None}, and shows
        from the address once it listens.
    @since: 0.1.0
    """
    kind, arguments = parts_of(description)
    if kind == "unix":
        return Exposure(description, True)
    if kind in _INTERFACE_AT:
        interface = _interface(kind, arguments)
        local = is_loopback(interface)
        return Exposure(description, local, local)
    if kind == "systemd" and arguments.get("domain") == "UNIX":
        return Exposure(description, True)
    if kind == "haproxy":
        return exposure_of_description(description.partition(":")[2])
    # systemd: has bound the socket already, where it says nothing of; the others are of plugins.
    return Exposure(description, None)


def exposure_of_address(address: IAddress) -> Exposure:
    """
    Find out who can reach what listens on an address.

    @param address: from C{IListeningPort.getHost}.
    @return: C{local} is true or false; an address of a kind that nobody knows counts as exposed.
    @since: 0.1.0
    """
    if isinstance(address, UNIXAddress):
        return Exposure("a unix socket", True)
    if isinstance(address, (TCP4Address, TCP6Address)):
        local = is_local(address)
        host = f"[{address.host}]" if ":" in address.host else address.host
        return Exposure(f"{host}:{address.port}", local, local)
    return Exposure(str(address), False)


def check_exposure(exposure: Exposure, options: RelayOptions) -> None:
    """
    Check that nobody from beyond this machine is let in just so.  What can't be known yet passes.

    @raise Exposed: it listens beyond loopback, without a token and without client certificates.
    @since: 0.1.0
    """
    guarded = options.token is not None or options.client_certificates
    if exposure.local is False and not guarded:
        raise Exposed(exposure.where)


def _interface(kind: str, arguments: Mapping[str, str]) -> str:
    return arguments.get("interface") or arguments.get(_INTERFACE_AT[kind], "")
