"""
C{wsmultipool cat}: its arguments.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from .._words import nearest, without_secrets
from ..options import ServerURL
from ..service.command_line import OneLineParser, add_option
from ..service.configuration import Configuration
from ..service.option_table import BY_NAME
from ..service.option_values import ConfigurationError
from .cat_session import Cat, CatOptions
from .running import run

__all__ = ["main"]

_DESCRIPTION = """\
Send each line of standard input as a message, and write each message that
arrives as a line to standard output.

Neither side is read faster than the other takes: input waits while the server
does not read, and the server waits while nobody reads the output.  At the end
of the input it waits for the proof that everything was received, and ends.
"""

_EPILOG = """\
examples:
  echo hello | wsmultipool cat ws://127.0.0.1:9000/
  wsmultipool cat wss://example.com/feed --linger inf </dev/null >>feed.txt
  wsmultipool cat ws://127.0.0.1:9000/ --confirm --pool-size 4 <orders.txt
  wsmultipool cat ws://127.0.0.1:9000/ --expect 3 <questions.txt >answers.txt

exit status:
  0    everything was sent and, as far as the server's side of the WebSocket
       says, received; what --expect waits for has arrived
  1    no connection could be made; a message was not sent, or nobody knows
       whether it was received; too few have arrived; the server turned us
       away for --timeout, or it did so at the end of --linger, or of a run
       that had nothing to send
  2    the command line has a mistake
  130  interrupted with Ctrl-C (143: by SIGTERM)
  141  nobody reads the output any more

With --length-prefixed a message is not a line, but the four bytes of its
length, the most significant first, and then its bytes, both ways.  Several
connections carry more, and do not keep the order of messages.

A server turns us away when it rejects the upgrade, or closes a connection with
a code that says that something is wrong, such as 1008, 1011 or 4001: any but
1000, 1001, 1005 (none at all) and 1012.  That is no success, unless it lets a
connection be for 5 seconds afterwards.  What it says is on standard error.

Whatever waits for the server ends: see --timeout and --linger.  The input is
waited for as long as it is open, as only its writer knows when there is more;
and so is the reader of the output.  With --confirm, it is told at the end how
many messages were confirmed, how many are unknown (they were written, and may
have arrived, or not), and how many were not sent.
"""

# What makes sense here too of the options of a service.
_CONNECTION = (
    *("subprotocol", "header", "header_file", "origin", "user_agent", "proxy", "endpoint"),
    *("compression", "ca", "cert", "key", "server_name", "insecure"),
    *("heartbeat_interval", "max_message_size"),
)
_POOL_SIZE = replace(BY_NAME["pool_size"], default=1)
_TIMEOUT = 30.0
_STANDARD_ERROR = 2


def main(arguments: Sequence[str]) -> int:
    """
    Run it.

    @param arguments: what follows C{cat}.
    @return: the exit status.
    @raise SystemExit: the arguments have a mistake (2), or ask for help (0).
    """
    options = _parse(arguments)
    # Where one is closed ("<&-"), the next file to be opened would take its place.
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        pass
    os.close(descriptor)
    return run(lambda reactor: Cat(reactor, options, sys.stderr).run())


def _parse(argv: Sequence[str]) -> CatOptions:
    parser = _parser()
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        hint = nearest(unknown[0].partition("=")[0], parser._option_string_actions)
        parser.error(f"unknown argument: {without_secrets(unknown[0])}{hint}")
    said = vars(arguments)
    own = {name: said.pop(name) for name in CatOptions.__dataclass_fields__ if name in said}
    try:
        configuration = Configuration.of({"pool_size": _POOL_SIZE.default, **said})
    except ConfigurationError as error:
        parser.error(str(error))
    return CatOptions(configuration=configuration, **own)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="wsmultipool cat",
        usage="wsmultipool cat URL [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("url", metavar="URL", type=_url, help="the ws:// or wss:// server")
    messages = parser.add_argument_group("messages")
    for name, text in (
        ("binary", "send binary messages; text ones must be UTF-8"),
        ("length-prefixed", "messages with their length before them, instead of lines"),
        ("confirm", "send again what is not known to have been received when a connection is lost"),
    ):
        messages.add_argument(f"--{name}", action="store_true", help=text)
    end = parser.add_argument_group("when to end, and when to give up")
    end.add_argument(
        "--expect",
        type=_count,
        metavar="N",
        help="at the end of the input, wait until N messages have arrived; without --linger, give"
        " up when none has for --timeout",
    )
    end.add_argument(
        "--linger",
        type=_seconds,
        metavar="SECONDS",
        help="at the end of the input, receive for so long, with --expect at most; inf: for ever",
    )
    end.add_argument(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        help="how long to wait for a connection, for one that takes the next message, and for the"
        " proof that everything was received; with --confirm, for one more confirmation; inf: for"
        f" ever (default: {_TIMEOUT:g})",
    )
    parser.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="say on standard error how far it is (default: if that is a terminal, and the output"
        " is not)",
    )
    connection = parser.add_argument_group("the connection")
    add_option(connection, _POOL_SIZE)
    for name in _CONNECTION:
        add_option(connection, BY_NAME[name])
    return parser


def _url(text: str) -> list[str]:
    try:
        ServerURL.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return [text]


def _count(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be an integer from 1 on, not {text!r}")
    return number


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"must be a number greater than 0, not {text!r}")
    return seconds
