"""
The whole Autobahn TestSuite, by hand: C{python -m tests.conformance}, or C{tox run -e conformance}.

All cases are run with the pool and with plain Autobahn, side by side, and a table says how they
came out.  The exit status is 0 if the pool passes, 1 if not, and 2 if the suite could not be run.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react

from tests.integration.processes import running

from . import python27
from .cutting import Cut
from .peers import Peer, PoolPeer, plain_peer
from .runs import run_cases
from .verdicts import SECTIONS, Verdict, Verdicts, in_order, objections, summary

SERVER = Path(__file__).with_name("wstest_server.py")
POOL, PLAIN = "wsmultipool", "Autobahn"
# A guard: the cases of sections 12 and 13 have up to 480 seconds.
CASE_TIMEOUT = 600


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance", description=(__doc__ or "").strip()
    )
    parser.add_argument(
        "--python27",
        metavar="PYTHON",
        help=f"the Python 2.7 to run the suite with (or set {python27.VARIABLE})",
    )
    parser.add_argument(
        "--sections",
        metavar="NUMBER",
        type=int,
        nargs="+",
        choices=SECTIONS,
        default=list(SECTIONS),
        help="only these sections; 12 and 13, on compression, are what takes long",
    )
    return parser.parse_args()


def progress(agent: str, count: int) -> Callable[[int], None]:
    """
    Return what prints a line for every so many cases done.
    """
    started = time.monotonic()

    def note(number: int) -> None:
        if number % 20 == 0 or number == count:
            seconds = time.monotonic() - started
            print(f"{agent}: {number} of {count} cases, {seconds:.0f} s", flush=True)

    return note


async def verdicts_of_all(
    python: str, sections: list[int], reports: Path, peers: dict[str, Peer]
) -> dict[str, Verdicts]:
    """
    Run sections of the suite with each of the peers.

    @param python: the interpreter that has the suite.
    @param reports: the directory for the suite's own reports.
    @return: the verdicts on each peer.
    """
    count = sum(SECTIONS[number] for number in sections)
    options = {"cases": [f"{number}.*" for number in sections], "reports": str(reports)}
    async with running([python, str(SERVER)], options) as server:
        await gatherResults(
            [
                Deferred.fromCoroutine(
                    # One case after the other: there, its clocks run at their usual pace.
                    run_cases(peer, server.url, name, count, 1, CASE_TIMEOUT, progress(name, count))
                )
                for name, peer in peers.items()
            ]
        )
        await plain_peer(f"{server.url}updateReports?agent={PLAIN}")
    index = json.loads((reports / "index.json").read_text(encoding="utf-8"))
    return {
        name: {
            case: Verdict(result["behavior"], result["behaviorClose"])
            for case, result in index.get(name, {}).items()
        }
        for name in peers
    }


def versions() -> str:
    """
    Say what was tested, and with what.
    """
    tested = [f"{name} {metadata.version(name)}" for name in ("wsmultipool", "autobahn", "twisted")]
    return ", ".join([*tested, f"Python {platform.python_version()}", python27.TEST_SUITE])


async def main(sections: list[int], python: str, reports: Path) -> bool:
    """
    Run the suite, print what came of it, and say whether the pool has passed.
    """
    pool = PoolPeer(Cut(0))
    started = time.monotonic()
    peers: dict[str, Peer] = {POOL: pool, PLAIN: plain_peer}
    runs = await verdicts_of_all(python, sections, reports, peers)
    minutes = (time.monotonic() - started) / 60

    print(f"\n{datetime.now(UTC):%Y-%m-%d}: {versions()}; {minutes:.0f} minutes")
    print(f"frames received without Autobahn's parser: {pool.ordinary_frames}")
    print(f"the suite's reports: {reports / 'index.html'}\n")
    print("\n".join(summary(runs)), "\n")
    for name, verdicts in runs.items():
        rest = [
            f"{case} {verdicts[case]}"
            for case in in_order(verdicts)
            if set(verdicts[case]) != {"OK"}
        ]
        print(f"{name}, not OK: {', '.join(rest) or 'none'}")
    expected = {number: SECTIONS[number] for number in sections}
    found = objections(runs[POOL], runs[PLAIN], expected)
    print("\n".join(["\nNOT PASSED:", *found] if found else ["\nPASSED"]))
    return not found


if __name__ == "__main__":
    arguments = parse_arguments()
    directory = Path(tempfile.mkdtemp(prefix="conformance-"))
    try:
        interpreter = python27.find(arguments.python27)
        print(f"installing {python27.TEST_SUITE} for {interpreter} in {directory}", flush=True)
        python = python27.install(interpreter, directory / "python27")
    except python27.Missing as missing:
        print(missing, file=sys.stderr)
        sys.exit(2)
    passed: list[bool] = []
    outcome = Deferred.fromCoroutine(main(arguments.sections, python, directory / "reports"))
    outcome.addCallback(passed.append)
    try:
        react(lambda _: outcome)
    except SystemExit as ended:
        if ended.code:
            raise
    # One that was interrupted has ended without an error, and has not passed.
    sys.exit(passed != [True])
