"""
The pool's log through the standard library's C{logging}.
"""

from __future__ import annotations

import logging

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater, react

from wsmultipool import ReconnectingPoolFactory


async def main(reactor: IReactorTime) -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    pool = ReconnectingPoolFactory(
        "ws://127.0.0.1:1/feed?token=secret",  # where nothing listens
        reactor=reactor,
        pool_size=1,
        name="feed",
        logger=logging.getLogger("app.feed"),
    )
    await deferLater(reactor, 0.5)
    await pool.close()


if __name__ == "__main__":
    react(main)
