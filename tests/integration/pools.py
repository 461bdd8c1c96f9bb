"""
Pools as the tests want them: reconnecting fast, and with every event written down.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, get_args

from wsmultipool import EventName, ReconnectingPoolFactory

from .journal import Journal
from .running_reactor import reactor


def watched_pool(
    url: str | Sequence[str], **options: Any
) -> tuple[ReconnectingPoolFactory, Journal]:
    """
    Build a pool of one connection, unless told otherwise, and a journal of its events.
    """
    defaults = {
        "pool_size": 1,
        "reconnect_interval": 0.02,
        "max_reconnect_interval": 0.05,
        "close_timeout": 1.0,
    }
    pool = ReconnectingPoolFactory(url, reactor=reactor, **{**defaults, **options})
    journal = Journal()
    for event in get_args(EventName):
        pool.on(event, partial(journal.record, event))
    return pool, journal
