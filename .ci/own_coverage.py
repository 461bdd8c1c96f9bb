"""
Check that each pure module, and the lifecycle, is covered wholly by its own test module alone.

Branches count.  Run it with an interpreter that has the test requirements, from any directory with
C{tests}; the package may be that directory's or installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, os.getcwd())

from tests.test_layering import PACKAGE, PURE

# Declarations only: there is nothing to run.
NO_CODE = {"interfaces"}
LIFECYCLE = {"_connection"}


def uncovered(module: str, data: Path) -> str:
    """
    Return what the module's own tests leave uncovered, in words; nothing if they cover all.
    """
    tests = Path("tests", f"test_{module.lstrip('_')}.py")
    if not tests.exists():
        return f"{tests} does not exist"
    coverage = [sys.executable, "-m", "coverage"]
    data_file = f"--data-file={data / module}"
    include = f"--include={PACKAGE / module}.py"
    run = [*coverage, "run", "--branch", data_file, include, "-m", "pytest", "-q", str(tests)]
    tested = subprocess.run(run, capture_output=True, text=True, check=False)
    if tested.returncode:
        return tested.stdout + tested.stderr
    # "coverage run" adds a suffix of its own to the file's name.
    for part in data.glob(f"{module}.*"):
        part.rename(data / module)
    report = [*coverage, "report", data_file, include, "--fail-under=100", "--no-skip-covered"]
    reported = subprocess.run(report, capture_output=True, text=True, check=False)
    return reported.stdout + reported.stderr if reported.returncode else ""


def main() -> int:
    """
    Print one line for each module, and what is not covered.
    """
    failures = 0
    with tempfile.TemporaryDirectory() as directory:
        for module in sorted((PURE | LIFECYCLE) - NO_CODE):
            problem = uncovered(module, Path(directory))
            print(f"{module}: {'not ' if problem else ''}covered by its own tests")
            if problem:
                failures += 1
                print(problem)
    return 1 if failures else 0


sys.exit(main())
