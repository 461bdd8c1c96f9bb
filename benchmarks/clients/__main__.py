"""
One measurement in this process: C{python -m benchmarks.clients TASK} writes its result as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module

from .client import Client
from .measures import run
from .task import Task

CLIENTS = {
    "wsmultipool": "WsmultipoolClient",
    "autobahn": "AutobahnClient",
    "websockets": "WebsocketsClient",
    "aiohttp": "AiohttpClient",
    "picows": "PicowsClient",
    "raw": "RawClient",
    "relay": "RelayClient",
}


def _class(name: str) -> type[Client]:
    module = import_module(f".{name}_client", __package__)
    found: type[Client] = getattr(module, CLIENTS[name])
    return found


async def _measure(task: Task, client: type[Client]) -> None:
    payload = b"x" * task.payload
    result = await run(task, lambda: client(payload))
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()
    # The result is there: closing a thousand connections well is not what was asked for.
    os._exit(0)


def main() -> None:
    task = Task.from_json(sys.argv[1])
    if task.plain:
        # As if it were not installed: importing it, or a part of it, fails.
        sys.modules["websockets"] = None  # type: ignore[assignment]
    client = _class(task.client)
    client.loop.run(_measure(task, client))


if __name__ == "__main__":
    main()
