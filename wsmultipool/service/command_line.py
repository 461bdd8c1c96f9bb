"""
The command line of the service: the same for twistd, for twist and for C{wsmultipool relay}.

@since: 0.1.0
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from .._words import nearest, without_secrets
from .configuration import Source
from .option_table import GROUPS, OPTIONS, Option
from .option_values import parsed

__all__ = ["OneLineParser", "add_option", "parse", "service_parser"]

_DESCRIPTION = """\
Keep a pool of WebSocket connections to one service open, for programs in any
language on this machine.

With --listen it takes WebSocket connections of local programs: what they send
goes to the server, what arrives from there goes to them.  With --http it shows
a status page, metrics for Prometheus, and whether it is healthy.
"""

_EPILOG = """\
signals:
  TERM, INT  stop listening, deliver what was accepted for --drain seconds, end;
             a second INT ends at once
  HUP        read the --config file again, and all files that options name, such
             as tokens and certificates; the log says what changes at once, and
             what takes a restart

exit status:
  0  told to end, and everything accepted was received by the server
  1  it could not start; or, at the end, messages were not delivered, or nobody
     knows whether they were
  2  the command line has a mistake

A --config file is TOML, with the same names: url = ["wss://example.com/"],
pool_size = 8, header = {X-Client = "printer"}, compression = true.  What is
given there is not given on the command line as well.
"""


class OneLineParser(argparse.ArgumentParser):
    """
    An argument parser that says what is wrong in one line: the usage would take the screen.

    @since: 0.1.0
    """

    def error(self, message: str) -> NoReturn:
        """
        Say so, and exit with 2.

        @since: 0.1.0
        """
        self.exit(2, f"{self.prog}: error: {message} (see --help)\n")


def service_parser(program: str, examples: str) -> argparse.ArgumentParser:
    """
    Build the parser.

    @param program: how the service is called.
    @param examples: the end of its help.
    """
    parser = OneLineParser(
        prog=program,
        usage=f"{program} --url URL [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG + examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument(
        "--config", metavar="FILE", help="a TOML file with options; read again on SIGHUP"
    )
    for group in GROUPS:
        arguments = parser.add_argument_group(group.title)
        for option in group.options:
            add_option(arguments, option)
    return parser


def add_option(arguments: Any, option: Option) -> None:
    """
    Add an option of the table to a parser, or to a group of one.

    @since: 0.1.0
    """
    text = _help(option)
    if option.kind == "flag":
        arguments.add_argument(
            option.flag if not option.default else f"--no-{option.flag[2:]}",
            dest=option.name,
            action="store_false" if option.default else "store_true",
            help=text if not option.default else f"do not {text}",
        )
        return
    arguments.add_argument(
        option.flag,
        dest=option.name,
        metavar=option.metavar,
        action=_Append if option.repeatable else _Once,
        option=option,
        help=text,
    )


def _help(option: Option) -> str:
    text = option.help
    if option.repeatable:
        text += "; repeatable"
    if option.default is not None and option.kind != "flag":
        default = option.default
        text += f" (default: {f'{default:g}' if isinstance(default, float) else default})"
    return text.replace("%", "%%")


class _Once(argparse.Action):
    """
    An option that is given at most once: the last of two is no better than the first.
    """

    def __init__(self, *, option: Option, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._option = option

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        try:
            value = parsed(self._option, values)
        except ValueError as error:
            raise argparse.ArgumentError(self, str(error)) from None
        self._keep(namespace, value)

    def _keep(self, namespace: argparse.Namespace, value: object) -> None:
        if hasattr(namespace, self.dest):
            raise argparse.ArgumentError(self, "is given twice")
        setattr(namespace, self.dest, value)


class _Append(_Once):
    """
    An option that may be given several times.
    """

    def _keep(self, namespace: argparse.Namespace, value: object) -> None:
        setattr(namespace, self.dest, [*getattr(namespace, self.dest, []), value])


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> Source:
    """
    Parse a command line.

    @param arguments: C{None} for those of the process.
    @raise SystemExit: it asks for help (0), or has a mistake (2).
    """
    namespace, unknown = parser.parse_known_args(arguments)
    if unknown:
        # argparse would show them as they are, and people forget to write --url.
        argument = unknown[0].partition("=")[0] if unknown[0].startswith("-") else unknown[0]
        hint = nearest(argument, ["--config", *(option.flag for option in OPTIONS)])
        if "://" in argument:
            hint = ": did you mean '--url' before it?"
        parser.error(f"unknown argument: {without_secrets(argument)}{hint}")
    said = vars(namespace)
    config = said.pop("config", None)
    return Source(said, config)
