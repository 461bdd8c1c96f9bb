"""
The Python 2.7 that the TestSuite needs: finding one, and installing the suite beside it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

TEST_SUITE = "autobahntestsuite==25.10.1"
# Names the interpreter, where it is not found by itself.
VARIABLE = "WSMULTIPOOL_PYTHON27"


class Missing(Exception):
    """
    Something that has to be on the machine is not; the text says what, and what to do.
    """


def find(wanted: str | None) -> str:
    """
    Return an interpreter that is a Python 2.7.

    @param wanted: the one to use; C{None} for that in the environment, or else any.
    @raise Missing: there is none, or the one that was named is not one.
    """
    named = wanted or os.environ.get(VARIABLE)
    for candidate in [named] if named else _candidates():
        if _is_python27(candidate):
            return candidate
    how = f"Name one by --python27 or in the environment variable {VARIABLE}."
    if named:
        raise Missing(f"{named} is not a Python 2.7, which the Autobahn TestSuite needs.  {how}")
    raise Missing(
        "The Autobahn TestSuite runs on Python 2.7 only, and there is no python2.7 on the PATH,"
        f" nor one that pyenv installed.  {how}"
    )


def _candidates() -> Iterator[str]:
    yield "python2.7"
    for directory in sorted(Path.home().glob(".pyenv/versions/2.7*")):
        yield str(directory / "bin" / "python2.7")


def _is_python27(interpreter: str) -> bool:
    program = "import sys; sys.exit(sys.version_info[:2] != (2, 7))"
    try:
        # A name on the PATH may be a shim with nothing behind it, which says so and fails.
        return not subprocess.run(
            [interpreter, "-c", program], capture_output=True, check=False
        ).returncode
    except OSError:
        return False


def install(interpreter: str, directory: Path) -> str:
    """
    Make a virtual environment with the TestSuite in it.

    @param interpreter: a Python 2.7.
    @param directory: where; it does not exist yet.
    @return: the environment's interpreter.
    @raise Missing: virtualenv cannot do that, or pip could not get what it needs.
    """
    _run(
        "virtualenv cannot make an environment for Python 2.7; it could before version 20.22",
        [sys.executable, "-m", "virtualenv", "--quiet", "--python", interpreter, str(directory)],
    )
    python = str(directory / "bin" / "python")
    _run(
        f"pip could not install {TEST_SUITE}",
        [python, "-m", "pip", "install", "--quiet", "--no-python-version-warning", TEST_SUITE],
    )
    return python


def _run(problem: str, command: list[str]) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise Missing(f"{problem}:\n{' '.join(command)}\n{done.stdout}")
