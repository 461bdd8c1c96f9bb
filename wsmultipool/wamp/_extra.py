"""
What stands under C{extra} in the configuration of a Crossbar container, as a pool and its offer.

JSON has neither loggers nor hooks, so that options of those kinds are not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from .._words import nearest
from ..options import PoolOptions, WebSocketOptions
from ..pool import ReconnectingPoolFactory
from .options import WampOptions

__all__ = ["Offer", "offer_of"]

# Objects of Python.
_NOT_IN_JSON = {"balancer", "on_connect", "logger", "ws_factory"}
# The router adds it: the directory of the node.
_OF_CROSSBAR = {"cbdir"}


class Offer(NamedTuple):
    """
    A pool, not started, and how it is offered.
    """

    pool: ReconnectingPoolFactory
    options: WampOptions


def offer_of(extra: Mapping[str, Any] | None) -> Offer:
    """
    Make a pool of C{url} and the pool's options, and an offer of those of L{WampOptions}.

    @raise TypeError: C{url} or C{prefix} is missing, or an option is unknown or of the wrong type.
    @raise ValueError: an option is out of range.
    """
    given = {name: value for name, value in (extra or {}).items() if name not in _OF_CROSSBAR}
    of_wamp = {option.name for option in fields(WampOptions)}
    of_pool = {option.name for option in fields(PoolOptions)} - _NOT_IN_JSON
    for name in given:
        if name in _NOT_IN_JSON:
            raise TypeError(f"extra: {name} is an object of Python; use pool_component for it")
        if name not in of_wamp | of_pool | {"url"}:
            hint = nearest(name, of_wamp | of_pool | {"url"})
            raise TypeError(f"extra: unknown option {name!r}{hint}")
    if "url" not in given:
        raise TypeError("extra: url is missing: what the pool connects to")
    if isinstance(given.get("ws_options"), Mapping):
        given["ws_options"] = WebSocketOptions(**given["ws_options"])
    options = WampOptions.from_keywords(
        {name: value for name, value in given.items() if name in of_wamp}
    )
    for_pool: dict[str, Any] = {name: value for name, value in given.items() if name in of_pool}
    return Offer(ReconnectingPoolFactory(given["url"], start=False, **for_pool), options)
