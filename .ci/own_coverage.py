"""
Check that each pure module, and each that decides, is covered wholly by its own tests alone.

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
# One subject in several modules, or tested in several: not test_MODULE.py.
TESTS = {
    "_flush": ["test_flush.py", "test_flush_ends.py", "test_flush_losses.py"],
    "_fragments": ["test_fragments.py", "test_messages.py"],
    "_lifecycle": [
        "test_lifecycle.py",
        "test_on_connect.py",
        "test_reconnecting.py",
        "test_states.py",
        "test_handshakes.py",
        "test_close_and_destroy.py",
        "test_receiving.py",
        "test_several_urls.py",
    ],
    "_dispatch": [
        "test_backpressure.py",
        "test_broadcast.py",
        "test_confirmed.py",
        "test_confirmed_end.py",
        "test_confirmed_fragments.py",
        "test_confirmed_poison.py",
        "test_flush.py",
        "test_fragments.py",
        "test_keys.py",
        "test_sending.py",
        "test_settling.py",
    ],
    "_intake": [
        "test_backpressure.py",
        "test_broadcast.py",
        "test_confirmed_broadcast.py",
        "test_confirmed_calls.py",
        "test_confirmed_limits.py",
        "test_flush.py",
        "test_fragments.py",
        "test_overflow.py",
        "test_sending.py",
    ],
    "_losses": [
        "test_confirmed_broadcast.py",
        "test_confirmed_calls.py",
        "test_confirmed_end.py",
        "test_confirmed_fragments.py",
        "test_confirmed_loss.py",
        "test_fragments.py",
        "test_sending.py",
    ],
    "_tls_options": ["test_endpoints.py", "test_options.py"],
    "_validation": ["test_options.py", "test_urls.py"],
    "_websocket_options": ["test_options.py"],
}
DECISIONS = {"_dispatch", "_flush", "_intake", "_lifecycle", "_losses"}


def uncovered(module: str, data: Path) -> str:
    """
    Return what the module's own tests leave uncovered, in words; nothing if they cover all.
    """
    tests = [f"tests/{name}" for name in TESTS.get(module, [f"test_{module.lstrip('_')}.py"])]
    missing = [name for name in tests if not Path(name).exists()]
    if missing:
        return f"{', '.join(missing)}: no such file"
    coverage = [sys.executable, "-m", "coverage"]
    data_file = f"--data-file={data / module}"
    include = f"--include={PACKAGE / module}.py"
    run = [*coverage, "run", "--branch", data_file, include, "-m", "pytest", "-q", *tests]
    # Which key hashes to which connection must not decide what is covered.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    tested = subprocess.run(run, capture_output=True, text=True, check=False, env=environment)
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
        for module in sorted((PURE | DECISIONS) - NO_CODE):
            problem = uncovered(module, Path(directory))
            print(f"{module}: {'not ' if problem else ''}covered by its own tests")
            if problem:
                failures += 1
                print(problem)
    return 1 if failures else 0


sys.exit(main())
