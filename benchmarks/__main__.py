"""
The command line of the benchmarks.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from . import cost_by_pool_size, idle_memory

BENCHMARKS: dict[str, Callable[[], dict[str, Any]]] = {
    "idle-memory": idle_memory.measure,
    "cost-by-pool-size": cost_by_pool_size.measure,
}


def main() -> int:
    """
    Run the benchmarks that are named, all of them by default, and write their results as JSON.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args().name or list(BENCHMARKS)
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    # A thousand connections want more than the usual 1,024 descriptors; children inherit this.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65536), most))
    results: dict[str, Any] = {
        "versions": {
            "python": platform.python_version(),
            "twisted": version("twisted"),
            "autobahn": version("autobahn"),
        }
    }
    for name in names:
        sys.stderr.write(f"{name} ...\n")
        results[name] = BENCHMARKS[name]()
    sys.stdout.write(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
