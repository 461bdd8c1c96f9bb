"""
The command line, on a system whose name server does not answer.

C{python -m tests.integration.hanging_names COMMAND ...}: as C{wsmultipool COMMAND ...}, but the
look-up of a name under C{hanging.example} never ends, which is told on standard error.
"""

from __future__ import annotations

import signal
import socket
import sys
from threading import Event
from typing import Any

_system = socket.getaddrinfo


def _getaddrinfo(host: Any, *arguments: Any, **more: Any) -> Any:
    if str(host).endswith("hanging.example"):
        print("looking up", host, file=sys.stderr, flush=True)
        Event().wait()
    return _system(host, *arguments, **more)


if __name__ == "__main__":
    # A shell that runs the tests in the background has told them to ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    socket.getaddrinfo = _getaddrinfo
    from wsmultipool.cli import main

    sys.exit(main())
