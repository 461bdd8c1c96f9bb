"""
What holds for every test: it leaves nothing behind, and does the same in every run.

pytest-twisted runs all tests on one reactor, and passes silently over errors in Deferreds that
nobody looked at, exceptions in reactor callbacks, delayed calls and open sockets.  The autouse
fixture here turns each of them into an error of the test that left it, and cleans up, so that the
next test starts on a clean reactor.  A test that expects failures to be logged takes the fixture
C{logged_failures} and flushes them.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings
from twisted.logger import globalLogBeginner, globalLogPublisher

from . import leftovers
from .leftovers import LoggedFailures
from .thoroughness import cases

# The same examples in every run, and none of them fails because the machine is slow.
settings.register_profile(
    "the same everywhere",
    max_examples=cases(100),
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("the same everywhere")

# How long a socket that is being closed may take to be gone, in seconds, turn by turn.
CLOSING = (0.0, 0.01, 0.02, 0.05, 0.1, 0.3)


def pytest_report_header() -> str:
    """
    Say what is tested: the checkout or an installed wheel, and on which versions.
    """
    versions = " ".join(f"{name}-{metadata.version(name)}" for name in ("twisted", "autobahn"))
    spec = find_spec("wsmultipool")
    return f"testing: {spec and spec.origin}, {versions}"


def pytest_collection_finish() -> None:
    """
    Make the log forgetful, and the collection of garbage after each test cheap.
    """
    # Until logging begins, Twisted keeps every event for the observer that might still come, and
    # with the events their failures and all that those refer to.
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    # What exists now stays: modules, classes, the collected tests.  Frozen, it costs the fixture
    # below nothing.
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    """
    Say to coverage, if it measures, whose tests run what follows: C{.ci/own_coverage.py} asks.
    """
    measuring = Coverage.current()
    if measuring is not None:
        measuring.switch_context(item.nodeid.partition("::")[0])


@pytest.fixture(autouse=True, scope="module")
def _left_by_the_file_before() -> LoggedFailures:
    """
    Collect what fixtures of the file of tests before have left, and freeze what there is then:
    reports of tests, modules imported late.  To go through it after every test would take as long
    as the tests.
    """
    failures = LoggedFailures()
    globalLogPublisher.addObserver(failures)
    gc.collect()
    globalLogPublisher.removeObserver(failures)
    gc.freeze()
    return failures


@pytest.fixture(autouse=True)
def _nothing_left_behind(
    request: pytest.FixtureRequest, _left_by_the_file_before: LoggedFailures
) -> Iterator[LoggedFailures]:
    """
    End the test with an error if it left a failure unhandled, a delayed call or an open socket.
    """
    # What longer-lived fixtures have on the reactor, a server say, is there before the test.
    calls_before = leftovers.delayed_calls()
    selectables_before = leftovers.selectables()
    failures = LoggedFailures()
    globalLogPublisher.addObserver(failures)

    yield failures

    # One turn for what is due at once.  It also unwinds the reactor's stack, on top of which
    # pytest-twisted runs this and which still refers to the test.
    leftovers.turn()
    calls = leftovers.delayed_calls() - calls_before
    for call in calls:
        call.cancel()
    for seconds in CLOSING:
        if not leftovers.selectables() - selectables_before:
            break
        leftovers.turn(seconds)
    selectables = leftovers.selectables() - selectables_before
    for selectable in selectables:
        leftovers.close(selectable)

    # An unhandled error in a Deferred is logged when the Deferred is collected.  pytest holds the
    # values of the test's fixtures beyond this teardown, so let go of them first.
    request.node.funcargs.clear()
    gc.collect()
    globalLogPublisher.removeObserver(failures)

    problems = [
        *(f"left by the file before: {text}" for text in _left_by_the_file_before.unflushed()),
        *(f"failure logged: {text}" for text in failures.unflushed()),
        *(f"delayed call left on the reactor: {call}" for call in calls),
        *(f"left open on the reactor: {selectable!r}" for selectable in selectables),
    ]
    _left_by_the_file_before.flush()
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.fixture
def logged_failures(_nothing_left_behind: LoggedFailures) -> LoggedFailures:
    """
    The failures logged during this test; what the test flushes does not count against it.
    """
    return _nothing_left_behind
