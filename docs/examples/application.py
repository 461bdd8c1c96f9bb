"""
A pool in a Twisted application: C{twistd --nodaemon -y application.py}.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import os

from twisted.application.service import Application
from twisted.logger import Logger

from wsmultipool import PoolService, ReconnectingPoolFactory

log = Logger(namespace="application")

url = os.environ.get("POOL_URL", "ws://127.0.0.1:9000/")
pool = ReconnectingPoolFactory(url, pool_size=2, start=False)


@pool.on("message")
def received(data: bytes, is_binary: bool, connection_id: int) -> None:
    log.info("received {text}", text=data.decode())


pool.once("pool:ready", lambda: pool.send("hello from twistd"))

application = Application("feed")
PoolService(pool, drain=5).setServiceParent(application)
