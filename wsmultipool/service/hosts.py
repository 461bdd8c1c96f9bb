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

__all__ = ["address_of", "is_local", "is_loopback", "may_be_called"]

_NAME = re.compile(r"(?:.+\.)?localhost\.?")


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


def may_be_called(host: str | None, others: Collection[str] = ()) -> bool:
    """
    @param host: a C{Host} header; C{None} without one, as no browser sends it.
    @param others: names that are allowed besides C{localhost} and loopback addresses.
    @return: whether a server on a loopback address should answer.
    @since: 0.1.0
    """
    if host is None:
        return True
    name = host.strip().lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    name = name.removesuffix(".")
    return is_loopback(name) or name in {other.lower() for other in others}
