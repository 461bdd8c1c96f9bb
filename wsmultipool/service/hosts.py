"""
Loopback, by its addresses and names, and under which names a server there may be called.

A web page can have its own host name resolve to 127.0.0.1 (DNS rebinding), and then reads what is
served there as if it came from itself.  But its requests still carry that name in C{Host}.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address

from twisted.internet.address import IPv4Address as TCP4Address
from twisted.internet.address import IPv6Address as TCP6Address

__all__ = ["address_of", "is_local", "is_loopback", "may_be_called", "named_by"]

_NAME = re.compile(r"(?:.+\.)?localhost\.?")
# RFC 9110, section 7.2.  Of what RFC 3986 lets a name contain, names of hosts need no more.
_LARGEST_PORT = 65535
_HOST = re.compile(
    r"(?:\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::(?P<port>[0-9]{0,5}))?"
)


def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """
    @param host: an address, which may have a zone, or a name.
    @return: the address, of IPv4 if it is that in IPv6; C{None} for a name.
    @since: 0.1.0
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def is_loopback(host: str) -> bool:
    """
    @param host: an address or a name, in lower case.
    @return: whether it is one of loopback.
    @since: 0.1.0
    """
    address = address_of(host)
    return bool(_NAME.fullmatch(host)) if address is None else address.is_loopback


def is_local(address: object) -> bool:
    """
    @param address: where a server listens, as of C{getHost()}.
    @return: whether only this machine can connect, by TCP.
    @since: 0.1.0
    """
    return isinstance(address, TCP4Address | TCP6Address) and is_loopback(address.host)


def named_by(host: str) -> str | None:
    """
    Take a C{Host} header apart.

    @param host: its value.
    @return: the name or address in it, in lower case, without brackets and port; C{None} if it is
        not a host with, maybe, a port.
    @since: 0.2.0
    """
    found = _HOST.fullmatch(host.strip(" \t").lower())
    if found is None or int(found["port"] or 0) > _LARGEST_PORT:
        return None
    if found["name"]:
        return found["name"].removesuffix(".")
    # Only what is an address is in brackets.
    return None if address_of(found["ipv6"]) is None or ":" not in found["ipv6"] else found["ipv6"]


def may_be_called(host: str | None, others: Collection[str] = ()) -> bool:
    """
    @param host: a C{Host} header; C{None} without one, as no browser sends it.
    @param others: names that are allowed besides C{localhost} and loopback addresses.
    @return: whether a server on a loopback address should answer.
    @since: 0.1.0
    """
    if host is None:
        return True
    name = named_by(host)
    return name is not None and (is_loopback(name) or name in {other.lower() for other in others})
