"""
C{python -m tests.fuzzing}: hostile input for longer than the tests have time for.

It prints the seed that it runs with.  Each case has a seed of its own, derived from that; one that
fails is printed with the command that runs it alone.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import sys
import time
import traceback
from random import Random, SystemRandom

import autobahn.websocket.protocol
from twisted.logger import (
    ILogObserver,
    LogEvent,
    eventAsText,
    globalLogBeginner,
    globalLogPublisher,
)
from zope.interface import implementer

from .surfaces import SURFACES, Surface
from .watching import Meddled

# Cases between two looks for failures in Deferreds that were forgotten in reference cycles.
_BATCH = 200
# A case takes milliseconds; one that takes so many seconds hangs.
_HANGING = 60
_MOST_FAILURES = 10


@implementer(ILogObserver)
class _Unhandled:
    """
    Remembers what is logged as a failure outside of a case: when garbage is collected.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, event: LogEvent) -> None:
        failure = event.get("log_failure", event.get("failure"))
        if failure is not None and not failure.check(Meddled):
            self.texts.append(eventAsText(event, includeTimestamp=False))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    parser.add_argument("--surface", choices=[*SURFACES, "all"], default="all")
    parser.add_argument("--seconds", type=float, default=60.0, help="when to stop (default: 60)")
    parser.add_argument("--cases", type=int, default=10_000_000, help="when to stop at the latest")
    parser.add_argument("--seed", type=int, help="of the run (default: a new one)")
    parser.add_argument("--case", type=int, help="run only the case with this number")
    return parser.parse_args()


def _run(functions: tuple[Surface, ...], seed: int, number: int) -> str | None:
    """
    @return: what went wrong, if anything.
    """
    function = functions[number % len(functions)]
    faulthandler.dump_traceback_later(_HANGING, exit=True)
    try:
        function(Random(f"{seed}/{number}"))
    except Exception:
        return f"{function.__name__}: {traceback.format_exc()}"
    finally:
        faulthandler.cancel_dump_traceback_later()
    return None


def main() -> int:
    """
    Run the cases that the command line asks for.

    @return: the exit code: 1 if one of them failed.
    """
    arguments = _arguments()
    seed = SystemRandom().randrange(1 << 32) if arguments.seed is None else arguments.seed
    names = list(SURFACES) if arguments.surface == "all" else [arguments.surface]
    functions = tuple(function for name in names for function in SURFACES[name])
    print(f"surface {arguments.surface}, seed {seed}", flush=True)
    unhandled = _Unhandled()
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    globalLogPublisher.addObserver(unhandled)
    # A third of all time goes into Autobahn's describing its options to a log that is off.
    vars(autobahn.websocket.protocol)["pformat"] = str
    gc.collect()
    gc.freeze()

    numbers = range(arguments.cases)
    if arguments.case is not None:
        numbers = range(arguments.case, arguments.case + 1)
    failures = 0
    done = 0
    began = time.monotonic()
    for number in numbers:
        problem = _run(functions, seed, number)
        unhandled.texts.clear()  # which that case has looked at
        done += 1
        if done % _BATCH == 0 or number == numbers[-1]:
            gc.collect()
            if unhandled.texts:
                first = number - (done - 1) % _BATCH
                problem = f"unhandled, in case {first} to {number}:\n" + "\n".join(unhandled.texts)
        if problem is not None:
            failures += 1
            print(f"case {number} failed: {problem}", flush=True)
            print(
                f"again: python -m tests.fuzzing --surface {arguments.surface}"
                f" --seed {seed} --case {number}\n",
                flush=True,
            )
        if failures == _MOST_FAILURES or time.monotonic() - began > arguments.seconds:
            break
    taken = time.monotonic() - began
    print(f"{done} cases in {taken:.0f} s ({done / taken:.0f} a second), {failures} failed")
    return 1 if failures else 0


sys.exit(main())
