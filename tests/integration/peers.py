"""
How to start the server processes: Node's C{ws}, and Python's C{websockets}.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from .processes import PeerProcess, running

HERE = Path(__file__).parent
NODE_DIRECTORY = HERE / "node"


def install_node_server() -> None:
    """
    Install what the Node server needs, once; without Node, skip the test, but never in CI.
    """
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        message = f"{' and '.join(missing)} not found: no tests against Node's ws"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    if not (NODE_DIRECTORY / "node_modules").is_dir():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=NODE_DIRECTORY, check=True)


def node_server(**options: Any) -> AbstractAsyncContextManager[PeerProcess]:
    """Run C{node/server.js}; it documents the options."""
    node = shutil.which("node")
    assert node is not None
    return running([node, str(NODE_DIRECTORY / "server.js")], options)


def websockets_server(**options: Any) -> AbstractAsyncContextManager[PeerProcess]:
    """Run C{websockets_server.py}, with options as for Node's."""
    return running([sys.executable, str(HERE / "websockets_server.py")], options)
