"""
C{wsmultipool demo}: its arguments.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from .._demo import Demo, DemoOptions
from .._demo_server import NUMBER_BYTES
from .._words import nearest, without_secrets
from ..options import ServerURL
from .running import run

__all__ = ["main"]

_DEMO_DESCRIPTION = """\
Send many messages through a pool of connections while the server closes one
connection after another, and count what arrives.

Without --url the server is part of the demo, on a free port of the loopback
interface.  It closes connections with code 1012 (service restart); the pool
opens them again, and sends what they had not written over the others.  At the
end a table tells what was sent, delivered, re-routed, and how fast.

With --url the same messages go to a server of yours, as binary messages.  What
arrives there is not counted, and nobody closes connections unless you do:
restart the server meanwhile.

With --confirm every message waits for the proof that it has arrived, and the
server resets every other connection instead of closing it, with all that it
has not read.  What was not confirmed then is sent again: nothing is lost, and
some of it may arrive twice.
"""

_DEMO_EPILOG = """\
examples:
  wsmultipool demo
  wsmultipool demo --confirm
  wsmultipool demo --messages 1000000 --pool-size 8 --size 512
  wsmultipool demo --url ws://127.0.0.1:9000/ --messages 20000
  wsmultipool demo >table.txt 2>progress.txt

exit status:
  0    every message was delivered (with --url: was sent)
  1    messages are missing; no connection could be made; or the server turns us
       away (see 'wsmultipool cat --help')
  2    the command line has a mistake
  130  interrupted with Ctrl-C

The progress goes to standard error, the table to standard output.  Colors are
for terminals only; NO_COLOR=1 turns them off.
"""


_NUMBERS = (
    ("messages", 1, 100_000_000, "messages to send"),
    ("pool-size", 1, 10_000, "connections to keep open"),
    ("size", NUMBER_BYTES, 16 * 1024 * 1024, "bytes per message"),
)


def main(arguments: Sequence[str]) -> int:
    """
    Run the demo.

    @param arguments: what follows C{demo}.
    @return: the exit status.
    @raise SystemExit: the arguments have a mistake (2), or ask for help (0).
    """
    options = _parse(arguments)
    return run(lambda reactor: Demo(reactor, options, sys.stdout, sys.stderr).run())


def _parse(argv: Sequence[str]) -> DemoOptions:
    demo = argparse.ArgumentParser(
        prog="wsmultipool demo",
        description=_DEMO_DESCRIPTION,
        epilog=_DEMO_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    defaults = DemoOptions()
    demo.add_argument(
        "--url",
        type=_url,
        help="a ws:// or wss:// server to use instead of the demo's own",
    )
    demo.add_argument(
        "--confirm",
        action="store_true",
        help="wait for the proof that each message has arrived, while connections are reset",
    )
    demo.add_argument(
        "--insecure",
        action="store_true",
        help="accept any certificate from a wss:// server",
    )
    for option, least, most, text in _NUMBERS:
        demo.add_argument(
            f"--{option}",
            type=_integer(least, most),
            default=getattr(defaults, option.replace("-", "_")),
            metavar="N",
            help=f"{text}, {least:,} to {most:,} (default: %(default)s)",
        )
    arguments, unknown = demo.parse_known_args(argv)
    if unknown:
        # argparse would show them as they are, and people forget to write --url.
        demo.error(f"unknown argument: {without_secrets(unknown[0])}{_hint(unknown[0])}")
    if arguments.insecure and not (arguments.url and ServerURL.parse(arguments.url).secure):
        demo.error("argument --insecure: is for a --url that begins with wss://")
    return DemoOptions(
        messages=arguments.messages,
        pool_size=arguments.pool_size,
        size=arguments.size,
        confirm=arguments.confirm,
        url=arguments.url,
        insecure=arguments.insecure,
    )


def _integer(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(
                f"must be an integer from {least} to {most}, not {text!r}"
            )
        return number

    return parse


def _url(text: str) -> str:
    try:
        ServerURL.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _hint(argument: str) -> str:
    if "://" in argument:
        return ": did you mean '--url' before it?"
    names = ["--url", "--confirm", "--insecure", *(f"--{name}" for name, *_ in _NUMBERS)]
    return nearest(argument.partition("=")[0], names)
