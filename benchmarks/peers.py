"""
Who is compared: how each client is started, and what it can do.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from .clients.task import Task

NODE_DIRECTORY = Path(__file__).parent / "node"

_INSTALL_TIMEOUT = 120.0

# Which of Node's pools is the baseline: the faster of these in what is measured.
BASELINES = ("node-pool-await", "node-pool")


@dataclass(frozen=True, kw_only=True)
class Peer:
    """
    One client.

    @ivar name: how it is called on the command line and in results.
    @ivar title: how readers call it.
    @ivar client: what it is called by the program that runs it.
    @ivar module: a module that must be installed; C{None} if it runs on Node.
    @ivar variant: for Node: wait for each callback, or only when a connection is full.
    @ivar plain: for wsmultipool: without what its extra C{fast} installs.
    @ivar single: it has one connection, whatever the number wanted.
    @ivar environment: variables for its process.
    """

    name: str
    title: str
    client: str
    module: str | None = None
    variant: str = ""
    plain: bool = False
    single: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    def command(self, task: Task) -> list[str]:
        """
        Return the command that carries out a task.
        """
        if self.module is not None:
            return [sys.executable, "-m", "benchmarks.clients", task.to_json()]
        described = {**json.loads(task.to_json()), "variant": self.variant}
        program = str(NODE_DIRECTORY / "client.js")
        return ["node", "--expose-gc", program, json.dumps(described)]

    def missing(self) -> str | None:
        """
        Return why it cannot run here; C{None} if it can.
        """
        if self.module is not None:
            return None if find_spec(self.module) else f"{self.module} is not installed"
        return _node_trouble()


# ws masks with its optional addon wherever that is installed, unless told not to.
_WITHOUT_ADDON = {"WS_NO_BUFFER_UTIL": "1"}

PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            name="wsmultipool",
            title="wsmultipool, extra fast",
            client="wsmultipool",
            module="wsmultipool",
        ),
        Peer(
            name="wsmultipool-plain",
            title="wsmultipool, plain install",
            client="wsmultipool",
            module="wsmultipool",
            plain=True,
        ),
        Peer(
            name="node-pool",
            title="Node pool, waiting when full",
            client="pool",
            variant="fire",
            environment=_WITHOUT_ADDON,
        ),
        Peer(
            name="node-pool-await",
            title="Node pool, awaiting callbacks",
            client="pool",
            variant="await",
            environment=_WITHOUT_ADDON,
        ),
        Peer(
            name="node-pool-bufferutil",
            title="Node pool with bufferutil",
            client="pool",
            variant="fire",
        ),
        Peer(
            name="ws",
            title="ws, one connection",
            client="single",
            variant="fire",
            single=True,
            environment=_WITHOUT_ADDON,
        ),
        Peer(name="picows", title="picows", client="picows", module="picows"),
        Peer(name="aiohttp", title="aiohttp", client="aiohttp", module="aiohttp"),
        Peer(name="websockets", title="websockets", client="websockets", module="websockets"),
        Peer(name="autobahn", title="Autobahn", client="autobahn", module="autobahn"),
        Peer(
            name="relay",
            title="8 clients of a relay",
            client="relay",
            module="wsmultipool",
        ),
        Peer(
            name="raw",
            title="prepared frames, one socket",
            client="raw",
            module="wsmultipool",
            single=True,
        ),
    )
}


def install_node_packages() -> None:
    """
    Install what the clients on Node need, once; what goes wrong is said by L{Peer.missing}.
    """
    if shutil.which("npm") is None or (NODE_DIRECTORY / "node_modules").is_dir():
        return
    command = ["npm", "ci", "--no-audit", "--no-fund"]
    try:
        installed = subprocess.run(
            command,
            cwd=NODE_DIRECTORY,
            capture_output=True,
            text=True,
            timeout=_INSTALL_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        sys.stderr.write("npm ci: killed, it took too long\n")
    else:
        if installed.returncode:
            sys.stderr.write(f"npm ci: {installed.stderr.strip()}\n")


def _node_trouble() -> str | None:
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        return f"{' and '.join(missing)} not found"
    if not (NODE_DIRECTORY / "node_modules" / "ws").is_dir():
        return "npm has not installed ws"
    return None
