"""
A pool offered to a realm of a WAMP router: C{twistd --nodaemon -y pool_service.py}.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import os

from twisted.application.service import Application

from wsmultipool import ReconnectingPoolFactory
from wsmultipool.wamp import WampService

pool = ReconnectingPoolFactory(
    os.environ.get("POOL_URL", "ws://127.0.0.1:9000/"),
    pool_size=4,
    overflow="wait",
    start=False,
)

application = Application("feed")
WampService(
    pool,
    url=os.environ.get("ROUTER_URL", "ws://127.0.0.1:8080/"),
    realm="realm1",
    prefix="com.example.feed",
    authentication={"ticket": {"authid": "feed", "ticket": os.environ["POOL_TICKET"]}},
    drain=5,
).setServiceParent(application)
