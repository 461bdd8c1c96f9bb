"""
Where, when and with what it was measured.
"""

from __future__ import annotations

import json
import os
import platform
import ssl
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from wsmultipool import __version__

from .peers import NODE_DIRECTORY

_PACKAGES = ("twisted", "autobahn", "websockets", "aiohttp", "picows", "pyopenssl")
_NODE_PACKAGES = ("ws", "bufferutil")


def described() -> dict[str, Any]:
    """
    Return the machine, the time, and the versions of all that takes part; C{None} for what is not
    there.
    """
    return {
        "time": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "kernel": f"{platform.system()} {platform.release()}",
            "load": load(),
        },
        "versions": {
            "wsmultipool": __version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in _PACKAGES},
            "node": _output("node", "--version"),
            **{name: _node_version(name) for name in _NODE_PACKAGES},
            "openssl": ssl.OPENSSL_VERSION,
            "cc": (_output("cc", "--version") or "").partition("\n")[0] or None,
        },
    }


def load() -> float:
    """
    Return how many processes wanted to run, on average of the last minute.
    """
    return round(os.getloadavg()[0], 2)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        # A checkout that is not installed.
        return None


def _node_version(package: str) -> str | None:
    description = NODE_DIRECTORY / "node_modules" / package / "package.json"
    try:
        version: str = json.loads(description.read_text(encoding="utf-8"))["version"]
    except OSError:
        return None
    return version


def _output(*command: str) -> str | None:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=20, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
