"""
What twistd and twist need to know: the options of C{wsmultipool}, and how to make its service.

@since: 0.1.0
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twisted.python.usage import Options as UsageOptions

from .command_line import parse, service_parser
from .exit_status import exit_with
from .option_values import ConfigurationError
from .program import Program

if TYPE_CHECKING:
    from .configuration import Source

__all__ = ["Options", "makeService"]

_EXAMPLES = """
examples:
  twistd -n wsmultipool --url wss://example.com/feed --listen tcp:9000
  twistd -n wsmultipool --config /etc/wsmultipool.toml
"""


class Options(UsageOptions):
    """
    The options, for twistd and twist.

    The command line is that of C{wsmultipool relay}, so it is parsed by the same parser, whose
    help has its options in groups.

    @ivar source: where the configuration comes from.
    @since: 0.1.0
    """

    source: Source

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Parse a command line.

        @param options: what follows C{wsmultipool}; C{None} for the arguments of the process.
        @raise SystemExit: it asks for help (0), or has a mistake (2).
        @since: 0.1.0
        """
        program = f"{os.path.basename(sys.argv[0])} wsmultipool"
        self.source = parse(service_parser(program, _EXAMPLES), options)


def makeService(options: Options) -> Program:
    """
    Make the service that the command line asks for.

    @return: a service that ends the process with status 1 if messages were not delivered.
    @raise SystemExit: there is a mistake in a file, or in how options go together (1).
    @since: 0.1.0
    """
    from twisted.internet import reactor

    try:
        program = Program(reactor, options.source)
    except ConfigurationError as error:
        sys.stderr.write(f"wsmultipool: error: {error}\n")
        raise SystemExit(1) from None
    # twist has no such option: it never is one.
    parent: Any = options.parent
    program.daemon = parent is not None and not parent.get("nodaemon", True)
    exit_with(lambda: program.status)
    return program
