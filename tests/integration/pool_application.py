"""
An application with a pool in it, as twistd runs it for the tests.
"""

from __future__ import annotations

import os

from twisted.application.service import Application

from wsmultipool import PoolService, ReconnectingPoolFactory

pool = ReconnectingPoolFactory(os.environ["POOL_URL"], pool_size=2, start=False)
pool.once("pool:ready", lambda: pool.send("hello from twistd"))

application = Application("pool")
PoolService(pool).setServiceParent(application)  # type: ignore[no-untyped-call]
