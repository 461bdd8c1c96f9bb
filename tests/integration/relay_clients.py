"""
Programs that use a relay: each is run with one JSON object, and writes what it got as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.utils import getProcessOutputAndValue

from .running_reactor import reactor

HERE = Path(__file__).parent

NODE_CLIENT = str(HERE / "node" / "relay_client.js")
WEBSOCKETS_CLIENT = str(HERE / "websockets_client.py")


async def run(command: list[str], **options: Any) -> dict[str, Any]:
    """
    Run a client to its end.

    @param options: see C{websockets_client.py}.
    @return: what it wrote.
    """
    program, *arguments = [*command, json.dumps(options)]
    out, err, code = await getProcessOutputAndValue(
        program, arguments, env=dict(os.environ), reactor=reactor
    )
    assert code == 0, err.decode("utf-8", "replace")
    result: dict[str, Any] = json.loads(out)
    return result


async def run_websockets(**options: Any) -> dict[str, Any]:
    """Run the client on Python's C{websockets}."""
    return await run([sys.executable, WEBSOCKETS_CLIENT], **options)
