"""
The command line.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from ._version import __version__
from ._words import nearest, without_secrets

__all__ = ["main"]

_DESCRIPTION = "A pool of WebSocket client connections that keeps itself open."

_COMMANDS = {
    "demo": "send while connections are being closed, and count what arrives",
    "cat": "send what standard input has, write what arrives to standard output",
    "relay": "keep a pool open for local programs in any language",
    "bench": "measure how fast it is",
}


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run one command.

    @param argv: its arguments; C{None} for those that the process was started with.
    @return: the exit status.
    @raise SystemExit: the arguments have a mistake (2), or ask for help or the version (0).
    @since: 0.1.0
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    parser = _parser()
    command = parser.parse_args(arguments[:1]).command
    if command not in _COMMANDS:
        # Not by argparse, which would show it as it is: people forget to write "cat".
        parser.error(f"unknown command: {without_secrets(command)}{nearest(command, _COMMANDS)}")
    # Each brings what it needs, which takes a moment to import.
    status: int = import_module(f"wsmultipool._commands.{command}").main(arguments[1:])
    return status


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, _COMMANDS))
    commands = "\n".join(f"  {name:{width}}  {text}" for name, text in _COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="wsmultipool",
        usage="wsmultipool COMMAND [options]",
        description=_DESCRIPTION,
        epilog=f"commands:\n{commands}\n\n"
        "'wsmultipool demo' is the place to begin.  'wsmultipool COMMAND --help' tells\n"
        "more of each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"wsmultipool {__version__}")
    parser.add_argument("command", metavar="COMMAND", help=argparse.SUPPRESS)
    return parser
