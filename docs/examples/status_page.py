"""
A pool and its status page in a Twisted application: C{twistd --nodaemon -y status_page.py}.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import os

from twisted.application.service import Application
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString

from wsmultipool import PoolService, ReconnectingPoolFactory
from wsmultipool.service.web import StatusService

url = os.environ.get("POOL_URL", "ws://127.0.0.1:9000/")
where = os.environ.get("STATUS_ENDPOINT", "tcp:8080:interface=127.0.0.1")
pool = ReconnectingPoolFactory(url, pool_size=2, name="feed", start=False)

application = Application("feed")
PoolService(pool, drain=5).setServiceParent(application)
StatusService(pool, serverFromString(reactor, where), reactor=reactor).setServiceParent(application)
