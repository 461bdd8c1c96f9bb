"""
The arguments of the command line: what to measure, and what to do with the results.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from .cells import MEASURES, PAYLOADS
from .peers import PEERS
from .plan import QUICK, SMOKE, Plan

_Number = TypeVar("_Number", int, float)

_DESCRIPTION = """\
Measure wsmultipool and its peers side by side: for each measurement a server
and a client, each a process of its own, over loopback; in every round each
peer has its turn, in random order; what counts is the median of the ratios to
the Node pool in the same round.
"""
_EPILOG = """\
examples:
  python -m benchmarks --quick
  python -m benchmarks --measure send --payload 16 --peer wsmultipool,node-pool
  python -m benchmarks --json results.json
  python -m benchmarks --read results.json --docs

exit status: 0, or 1 if a peer failed, or 2 for a mistake on the command line.
"""


def parse(argv: Sequence[str] | None) -> tuple[Plan, argparse.Namespace]:
    """
    Return what to measure, and what to do with the results.

    @raise SystemExit: the arguments have a mistake, or ask for help.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help="the most telling of it, in 3 minutes")
    extent.add_argument("--smoke", action="store_true", help="everything once, to see that it runs")
    extent.add_argument(
        "--read", type=Path, metavar="FILE", help="measure nothing; show FILE again"
    )
    _add_choice(parser, "--measure", MEASURES, str)
    _add_choice(parser, "--peer", PEERS, str)
    _add_choice(parser, "--payload", PAYLOADS, int)
    parser.add_argument("--rounds", type=_rounds, metavar="N", help="how often (default: 5)")
    parser.add_argument("--seconds", type=_seconds, metavar="S", help="for each (default: 0.5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results to FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them, as SVG, into FILE")
    parser.add_argument(
        "--docs", action="store_true", help="write what docs/performance.rst includes"
    )
    options = parser.parse_args(argv)
    plan = QUICK if options.quick else SMOKE if options.smoke else Plan()
    chosen: dict[str, Any] = {
        "measures": options.measure,
        "peers": options.peer,
        "payloads": options.payload,
        "rounds": options.rounds,
        "seconds": options.seconds,
    }
    return replace(plan, **{k: v for k, v in chosen.items() if v is not None}), options


def _add_choice(
    parser: argparse.ArgumentParser,
    option: str,
    possible: Iterable[Any],
    convert: Callable[[str], Any],
) -> None:
    def chosen(argument: str) -> tuple[Any, ...]:
        wanted = argument.split(",")
        known = {str(value): value for value in possible}
        unknown = [value for value in wanted if value not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"no such: {', '.join(unknown)}")
        return tuple(convert(value) for value in wanted)

    parser.add_argument(
        option, type=chosen, metavar="A,B", help=f"of {', '.join(map(str, possible))}"
    )


def _rounds(argument: str) -> int:
    return _within(int, argument, 1, 100)


def _seconds(argument: str) -> float:
    return _within(float, argument, 0.001, 60)


def _within(convert: Callable[[str], _Number], argument: str, least: float, most: float) -> _Number:
    value: _Number | None
    try:
        value = convert(argument)
    except ValueError:
        value = None
    if value is None or not least <= value <= most:
        raise argparse.ArgumentTypeError(f"must be from {least} to {most}, not {argument!r}")
    return value
