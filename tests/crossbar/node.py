"""
A Crossbar.io node in a directory of its own, with the configuration that the documentation ships.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import wsmultipool

from ..integration.listening import unused_port

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples" / "crossbar"
PREFIX = "com.example.feed"
REALM = "realm1"
TICKETS = {"feed": "ticket of the pool", "app": "ticket of the caller"}

# Its workers are processes of their own: a new session lets all of them be ended together.
_IN_A_SESSION = "import os, sys; os.setsid(); os.execv(sys.argv[1], sys.argv[1:])"
_BOOTED = "NODE_BOOT_COMPLETE"


def executable() -> str | None:
    """
    Return the path of C{crossbar}, if there is one.
    """
    return os.environ.get("WSMULTIPOOL_CROSSBAR") or None


class Node:
    """
    One node.  It is started and ended by blocking calls, outside of the reactor.

    @param directory: where it may write.
    @param example: which configuration it has.
    @ivar port: where the router listens.
    """

    def __init__(self, directory: Path, example: str = "router.json") -> None:
        self.port = unused_port()
        self._directory = directory
        self._log = directory / "log"
        self._process: subprocess.Popen[bytes] | None = None
        config = json.loads(EXAMPLES.joinpath(example).read_text(encoding="utf-8"))
        self.adapt(config)
        directory.joinpath("node").mkdir(parents=True)
        self._write(config)
        # The container imports the package that is tested, and nothing else of this environment.
        directory.joinpath("path").mkdir()
        package = Path(wsmultipool.__file__).resolve().parent
        directory.joinpath("path", "wsmultipool").symlink_to(package)

    def adapt(self, config: Any) -> None:
        """Put in the port and the tickets."""
        transport = config["workers"][0]["transports"][0]
        transport["endpoint"]["port"] = self.port
        for name, principal in transport["auth"]["ticket"]["principals"].items():
            principal["ticket"] = TICKETS[name]

    def _write(self, config: Any) -> None:
        file = self._directory / "node" / "config.json"
        file.write_text(json.dumps(config), encoding="utf-8")

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    @property
    def log(self) -> str:
        """What it has printed since it was started."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Begin to start it."""
        path = executable()
        assert path is not None
        command = [path, "start", "--cbdir", str(self._directory / "node"), "--color", "false"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _IN_A_SESSION, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Unbuffered, as we wait for what it prints.
                env={
                    **os.environ,
                    "PYTHONPATH": str(self._directory / "path"),
                    "PYTHONUNBUFFERED": "1",
                },
                cwd=self._directory,
            )

    def wait(self, text: str = _BOOTED, seconds: float = 60) -> None:
        """Block until it has printed this; by default, that it has started all it has to."""
        assert self._process is not None
        end = time.monotonic() + seconds
        while text not in self.log:
            assert self._process.poll() is None, f"the node ended:\n{self.log}"
            assert time.monotonic() < end, f"{text!r} was not printed:\n{self.log}"
            time.sleep(0.05)

    def kill(self) -> None:
        """End it and all its workers at once."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
