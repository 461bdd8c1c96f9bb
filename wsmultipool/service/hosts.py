"""
Under which names a server on this machine may be called by browsers.

A web page can have its own host name resolve to 127.0.0.1 (DNS rebinding), and then reads what is
served there as if it came from itself.  But its requests still carry that name in C{Host}.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address

from twisted.internet.address import IPv4Address, IPv6Address

__all__ = ["is_local", "may_be_called"]


def is_local(address: object) -> bool:
    """
    @param address: where a server listens, as of C{getHost()}.
    @return: whether only this machine can connect, by TCP.
    @since: 0.1.0
    """
    return isinstance(address, IPv4Address | IPv6Address) and _is_loopback(address.host)


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
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    name = name.removesuffix(".")
    return (
        name == "localhost"
        or name.endswith(".localhost")
        or _is_loopback(name)
        or name in {other.lower() for other in others}
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
