"""
Server endpoint strings, such as C{ssl:9443:privateKey=key.pem}, taken apart as Twisted does it.

@since: 0.1.0
"""

from __future__ import annotations

import re

__all__ = ["parts_of", "tls_files_of", "unix_socket_of"]

# Those of ssl: that name files, and which positional argument each may be.
_FILES = {"privateKey": "1", "certKey": "2", "extraCertChain": "6", "dhParameters": "7"}
_DEFAULT_KEY = "server.pem"


def parts_of(description: str) -> tuple[str, dict[str, str]]:
    """
    Take an endpoint string apart: C{:} separates arguments, and the first C{=} in one its name; a
    backslash makes either ordinary.

    @return: its kind, and its arguments by name; those without one have their position for it.
    @since: 0.1.0
    """
    kind, *parts = _split(description, ":", -1)
    arguments: dict[str, str] = {}
    position = 0
    for part in parts:
        name, *values = _split(part, "=", 1)
        if values:
            arguments[_unescape(name)] = _unescape(values[0])
        else:
            arguments[str(position)] = _unescape(part)
            position += 1
    return kind, arguments


def tls_files_of(description: str) -> tuple[str, ...]:
    """
    Find the files that a TLS endpoint is made of.

    @return: the paths of keys, certificates and the like; none if it is not C{ssl:}, or one of
        those inside C{haproxy:}.
    @since: 0.1.0
    """
    kind, arguments = parts_of(description)
    if kind == "haproxy":
        return tls_files_of(description.partition(":")[2])
    if kind != "ssl":
        return ()
    named = {name: arguments.get(name) or arguments.get(at) for name, at in _FILES.items()}
    return tuple(
        path for path in (named.pop("privateKey") or _DEFAULT_KEY, *named.values()) if path
    )


def unix_socket_of(description: str) -> str | None:
    """
    Find the path of the socket of an endpoint.

    @return: C{None} if it is not C{unix:}, or one of those inside C{haproxy:}.
    @since: 0.1.0
    """
    kind, arguments = parts_of(description)
    if kind == "haproxy":
        return unix_socket_of(description.partition(":")[2])
    return arguments.get("address") or arguments.get("0") if kind == "unix" else None


def _split(text: str, separator: str, most: int) -> list[str]:
    parts: list[str] = []
    begin = at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == separator and len(parts) != most:
            parts.append(text[begin:at])
            begin = at + 1
        at += 1
    return [*parts, text[begin:]]


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
