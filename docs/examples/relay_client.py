"""
A program that talks to a relay: nothing in it knows of pools.
"""

from __future__ import annotations

import asyncio
import os

from websockets.asyncio.client import connect


async def main() -> None:
    headers = {"Authorization": f"Bearer {os.environ['RELAY_TOKEN']}"}
    async with connect(os.environ["RELAY_URL"], additional_headers=headers) as relay:
        await relay.send("hello")
        print(await relay.recv())


if __name__ == "__main__":
    asyncio.run(main())
