"""
Running one side of a measurement in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def run(module: str, *arguments: object) -> str:
    """
    Run a module of this package to its end.

    @return: what it wrote.
    """
    finished = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
    )
    return finished.stdout


@contextmanager
def server(module: str) -> Iterator[int]:
    """
    Run a module of this package that writes the port it listens on, until the end of the block.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{module}"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
