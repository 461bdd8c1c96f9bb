"""
A server that wants to see a certificate, reached under an address that its own does not name::

    python client_certificate.py wss://127.0.0.1:9443/ feed.test authority.pem client.pem client.key
"""

from __future__ import annotations

import sys

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from wsmultipool import ReconnectingPoolFactory, TLSOptions, WebSocketOptions


async def main(
    reactor: IReactorTime, url: str, name: str, authority: str, certificate: str, key: str
) -> None:
    tls = TLSOptions(
        trust_root=authority,
        client_certificate=(certificate, key),
        server_name=name,
    )
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
