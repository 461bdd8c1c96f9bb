"""
A pool for many machines: offered to a realm of a WAMP router, such as Crossbar.io.

Components on any number of machines offer their pools under one prefix, and the router spreads the
calls over them; what the pools receive is published::

    from wsmultipool.wamp import PoolClient, pool_component

    component = pool_component(pool, realm="realm1", prefix="com.example.feed")

    client = PoolClient(session, "com.example.feed")
    await client.send("hello", confirm=True)

The router is a program of its own.  This package neither contains nor imports it.

@since: 0.1.0
"""

from __future__ import annotations

from .client import Key, PoolClient
from .component import PoolComponent, pool_component
from .errors import (
    BatchTooLarge,
    CallLost,
    CallRefused,
    CallTimeout,
    InvalidArgument,
    JoinRefused,
    NotOffered,
    PayloadTooLarge,
    RemoteFailure,
    TooManyCalls,
    WampError,
)
from .options import WampOptions, WampOptionsDict
from .service import WampService
from .session import PoolSession
from .sharding import shard_of

__all__ = [
    # offering a pool
    "PoolComponent",
    "PoolSession",
    "WampOptions",
    "WampOptionsDict",
    "WampService",
    "pool_component",
    # calling it
    "Key",
    "PoolClient",
    "shard_of",
    # errors
    "BatchTooLarge",
    "CallLost",
    "CallRefused",
    "CallTimeout",
    "InvalidArgument",
    "JoinRefused",
    "NotOffered",
    "PayloadTooLarge",
    "RemoteFailure",
    "TooManyCalls",
    "WampError",
]
