"""
Compare our wire to one that leaves all parsing to Autobahn, on random streams, for some time::

    python -m tests.fuzz_wire --seconds 600

It prints its seed, and stops at the first difference with the number of the run, both of which can
be given to see that run again.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from itertools import count, zip_longest
from random import Random, SystemRandom

from wsmultipool._autobahn import PoolProtocol

from .wire_runs import PlainWire, perform
from .wire_streams import random_run


def main() -> int:
    """
    @return: the exit status: 1 if there was a difference.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz_wire", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1 << 32))
    parser.add_argument("--run", type=int, help="only this one")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    end = time.monotonic() + arguments.seconds
    frames = 0
    for number in count() if arguments.run is None else [arguments.run]:
        if time.monotonic() > end:
            break
        run = random_run(Random(f"{arguments.seed} {number}"))
        ours, ordinary_frames = perform(run, PoolProtocol)
        plain, _ = perform(run, PlainWire)
        frames += ordinary_frames
        if ours != plain:
            print(f"run {number} differs: {replace(run, octets=b'', cuts=())}")
            pairs = enumerate(zip_longest(ours, plain))
            at = next(i for i, (mine, theirs) in pairs if mine != theirs)
            for name, told in [("ours", ours), ("Autobahn", plain)]:
                some = [str(what)[:150] for what in told[max(at - 6, 0) : at + 2]]
                print(f"{name}:", *some, sep="\n  ")
            return 1
    else:
        number += 1
    print(f"{number} runs, no difference; Autobahn did not see {frames} frames")
    return 0


if __name__ == "__main__":
    sys.exit(main())
