"""
The stages of an attempt to connect, by the names that errors call them.

::

    url ─▶ headers ─▶ name look-up ─▶ TCP ─▶ TLS ─▶ upgrade ─▶ on_connect

The first two are the callables among the options.  With a proxy, what leads to it is C{proxy name
look-up} and C{proxy TCP}, and C{proxy} follows.  An endpoint that does not tell what it is doing is
one stage, C{transport}.

An attempt has no record of them: it asks what it is waiting for, which is an endpoint and then the
protocol, where that has a C{stage}.
"""

from __future__ import annotations

URL = "url"
HEADERS = "headers"
NAME_LOOKUP = "name look-up"
TCP = "TCP"
PROXY = "proxy"
TRANSPORT = "transport"
TLS = "TLS"
UPGRADE = "upgrade"
ON_CONNECT = "on_connect"


def stage_of(something: object, otherwise: str = TRANSPORT) -> str:
    """
    @param something: an endpoint or a protocol.
    @return: what it is doing, if it tells.
    """
    stage: str = getattr(something, "stage", otherwise)
    return stage
