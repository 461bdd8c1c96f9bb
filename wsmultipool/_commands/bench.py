"""
C{wsmultipool bench}: the benchmark suite of the checkout that the package was installed from.

It takes as long as the suite does, which depends on what is asked of it and has no limit here;
Ctrl-C ends it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["main"]

_CHECKOUT = Path(__file__).resolve().parent.parent.parent

_NOT_HERE = """\
wsmultipool bench: error: the benchmark suite is not here: it comes with the
source, as do the servers, the programs in C and for Node.js, and the other
libraries that it compares with.  In a checkout, or an unpacked sdist:

  pip install --editable '.[bench]' --config-settings editable_mode=compat
  wsmultipool bench --quick

What was measured is in the documentation, under "Performance".  For a first
impression of this machine, 'wsmultipool demo' tells messages per second and
round trips.
"""


def main(arguments: Sequence[str], checkout: Path = _CHECKOUT) -> int:
    """
    Run the suite.

    @param arguments: what follows C{bench}: those of the suite.
    @param checkout: where the suite should be.
    @return: the exit status of the suite; 1 if it is not here.
    """
    if not (checkout / "benchmarks" / "__main__.py").is_file():
        sys.stderr.write(_NOT_HERE)
        return 1
    # Not from the directory that somebody happens to be in, but files are given relative to that.
    path = os.pathsep.join(filter(None, [str(checkout), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-P", "-m", "benchmarks", *arguments]
    try:
        return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}).returncode
    except KeyboardInterrupt:
        return 130
