"""
Tests for L{wsmultipool.service.exit_status}, each in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import atexit, sys
from wsmultipool.service.exit_status import exit_with
exit_with(lambda: {status})
atexit.register(print, "registered after")
print("main")
"""


@pytest.mark.parametrize("status", [0, 1])
def test_the_process_ends_with_the_status(status: int) -> None:
    """The status is that which was asked for at the very end, and no output is lost."""
    program = PROGRAM.format(status=status)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert ended.returncode == status
    assert ended.stdout.decode().splitlines() == ["main", "registered after"]
    assert ended.stderr == b""


def test_closed_streams_do_not_change_the_status() -> None:
    """Who closes standard output and error (">&- 2>&-") learns the status all the same."""
    program = "import sys; sys.stdout = sys.stderr = None\n" + PROGRAM.format(status=1)
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 1
