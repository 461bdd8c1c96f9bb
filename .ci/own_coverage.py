"""
Check that each pure module, and each that decides, is covered wholly by its own tests alone.

Branches count.  It reads what C{coverage run} has measured of all tests in one run: for each line
and branch, by the tests of which file it was run (C{tests/conftest.py} says so to coverage).  Run
it after C{coverage combine}, in the directory with C{tests}; the package may be that directory's or
installed.
"""

from __future__ import annotations

import os
import re
import sys
from io import StringIO
from pathlib import Path

from coverage import Coverage

sys.path.insert(0, os.getcwd())

from tests.test_layering import PACKAGE, PURE

# Declarations only: there is nothing to run.
NO_CODE = {"interfaces"}
LIFECYCLE = [
    "test_lifecycle.py",
    "test_on_connect.py",
    "test_reconnecting.py",
    "test_states.py",
    "test_handshakes.py",
    "test_close_and_destroy.py",
    "test_receiving.py",
    "test_several_urls.py",
    "test_fresh_urls.py",
    "test_observers.py",
    "test_words_of_the_peer.py",
    "test_passed_on.py",
]
# One subject in several modules, or tested in several: not test_MODULE.py.
TESTS = {
    "_flush": ["test_flush.py", "test_flush_ends.py", "test_flush_losses.py"],
    "_fragments": ["test_fragments.py", "test_messages.py"],
    "_dialling": LIFECYCLE,
    "_lifecycle": LIFECYCLE,
    "_dispatch": [
        "test_backpressure.py",
        "test_broadcast.py",
        "test_confirmed.py",
        "test_confirmed_calls.py",
        "test_confirmed_end.py",
        "test_confirmed_fragments.py",
        "test_confirmed_poison.py",
        "test_flush.py",
        "test_fragments.py",
        "test_keys.py",
        "test_rest.py",
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
        "test_reactor_thread.py",
        "test_rest.py",
        "test_runs.py",
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
    "keys": ["test_pinned_keys.py"],
    "service._client_frames": ["test_relay_frames.py"],
    "service._option": ["test_option_table.py"],
    "service.access": ["test_relay_access.py", "test_relay_options.py"],
    "service.relay_options": ["test_relay_options.py"],
    "service.relay_stats": ["test_relay.py"],
    "_validation": ["test_options.py", "test_urls.py"],
    "_websocket_options": ["test_fresh_urls.py", "test_options.py"],
}
DECISIONS = {"_dialling", "_dispatch", "_flush", "_intake", "_lifecycle", "_losses"}
# What runs when a module is imported belongs to no test.
IMPORTED = "^$"


def uncovered(module: str, measured: Coverage) -> str:
    """
    Return what the module's own tests leave uncovered, in words; nothing if they cover all.
    """
    tests = TESTS.get(module, [f"test_{module.rpartition('.')[2].lstrip('_')}.py"])
    missing = [name for name in tests if not Path("tests", name).exists()]
    if missing:
        return f"{', '.join(missing)}: no such file"
    report = StringIO()
    percent = measured.report(
        include=[str(PACKAGE.joinpath(*module.split(".")).with_suffix(".py"))],
        contexts=[IMPORTED, *(f"^{re.escape(f'tests/{name}')}$" for name in tests)],
        file=report,
        skip_covered=False,
    )
    return "" if percent == 100 else report.getvalue()


def main() -> int:
    """
    Print one line for each module, and what is not covered.
    """
    measured = Coverage()
    measured.load()
    failures = 0
    for module in sorted((PURE | DECISIONS) - NO_CODE):
        problem = uncovered(module, measured)
        print(f"{module}: {'not ' if problem else ''}covered by its own tests")
        if problem:
            failures += 1
            print(problem)
    return 1 if failures else 0


sys.exit(main())
