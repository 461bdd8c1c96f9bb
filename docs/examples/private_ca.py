"""
A server whose certificate a private authority has signed::

    python private_ca.py wss://localhost:9443/ authority.pem
"""

from __future__ import annotations

import sys

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from wsmultipool import ReconnectingPoolFactory, TLSOptions, WebSocketOptions


async def main(reactor: IReactorTime, url: str, authority: str) -> None:
    tls = TLSOptions(trust_root=authority)
    async with ReconnectingPoolFactory(
        url,
        reactor=reactor,
        pool_size=2,
        ws_options=WebSocketOptions(tls=tls),
    ) as pool:
        await pool.when_ready()
        print(f"{await pool.ping() * 1000:.1f} ms")


if __name__ == "__main__":
    react(main, sys.argv[1:])
