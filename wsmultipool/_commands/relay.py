"""
C{wsmultipool relay}: the service in the foreground, as a container or a supervisor wants it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from twisted.logger import globalLogBeginner, textFileLogObserver

from ..service.command_line import parse, service_parser
from ..service.option_values import ConfigurationError
from ..service.program import Program

__all__ = ["main"]

_EXAMPLES = """
examples:
  wsmultipool relay --url wss://example.com/feed --listen tcp:9000
  wsmultipool relay --config /etc/wsmultipool.toml
  wsmultipool relay --url ws://10.0.0.7/ --listen unix:/run/relay.sock:mode=660 \\
    --confirm --http tcp:9100

The log goes to standard error.  twistd wsmultipool is the same, as a daemon.
"""


def main(arguments: Sequence[str]) -> int:
    """
    Run it until a signal ends it.

    @param arguments: what follows C{relay}.
    @return: the exit status.
    @raise SystemExit: the command line has a mistake (2), or asks for help (0).
    """
    source = parse(service_parser("wsmultipool relay", _EXAMPLES), arguments)
    from twisted.internet import reactor as global_reactor

    reactor: Any = global_reactor
    try:
        program = Program(reactor, source)
    except ConfigurationError as error:
        sys.stderr.write(f"wsmultipool relay: error: {error}\n")
        return 1
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    program.privilegedStartService()
    program.startService()
    reactor.addSystemEventTrigger("before", "shutdown", program.stopService)
    reactor.run()
    return program.status
