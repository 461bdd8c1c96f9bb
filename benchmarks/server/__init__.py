"""
The server that all clients talk to: written in C, or on picows where that cannot be compiled.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
_SOURCES = ("server.c", "connection.c")
_COMPILE_TIMEOUT = 60.0

IN_C = "C"
ON_PICOWS = "picows"


@dataclass(frozen=True)
class ServerProgram:
    """
    How to start one of the servers.

    @ivar kind: L{IN_C} or L{ON_PICOWS}.
    @ivar command: the program; a certificate and a key may follow, for TLS.
    """

    kind: str
    command: tuple[str, ...]


PICOWS_SERVER = ServerProgram(ON_PICOWS, (sys.executable, "-m", "benchmarks.server.picows_server"))


def build(directory: Path) -> ServerProgram:
    """
    Compile the server.

    @param directory: where the program is put.
    @return: the server in C, or the one on picows if there is no compiler, or no OpenSSL to
        compile with, which is said on standard error.
    """
    program = directory / "server"
    sources = [str(_HERE / name) for name in _SOURCES]
    command = ["cc", "-O2", "-o", str(program), *sources, "-lssl", "-lcrypto"]
    try:
        compiled = subprocess.run(
            command, capture_output=True, text=True, timeout=_COMPILE_TIMEOUT, check=False
        )
        trouble = compiled.stderr
    except OSError as error:
        trouble = str(error)
    if not program.exists():
        sys.stderr.write(f"The server on picows is used, for the one in C: {trouble.strip()}\n")
        return PICOWS_SERVER
    return ServerProgram(IN_C, (str(program),))
