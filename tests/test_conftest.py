"""
The checks of C{conftest.py} fail a test that leaves something behind, and only that test.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

HERE = Path(__file__).parent

# Each bad test is followed by a good one, which must not suffer.
SUITE = '''
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import fail
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python import log


def test_unhandled():
    fail(ZeroDivisionError())


def test_unhandled_in_a_cycle():
    deferred = fail(ZeroDivisionError())
    deferred.myself = deferred


@pytest.fixture
def failed():
    return fail(ZeroDivisionError())


def test_unhandled_in_a_fixture(failed):
    pass


@pytest_twisted.ensureDeferred
async def test_reactor_callback():
    reactor.callLater(0, lambda: 1 / 0)
    await deferLater(reactor, 0.01)


def test_logged():
    with Logger().failuresHandled("handled"):
        1 / 0


def test_logged_the_old_way():
    log.err(ZeroDivisionError())


def test_flushed(logged_failures):
    with Logger().failuresHandled("handled"):
        1 / 0
    assert len(logged_failures.flush(ZeroDivisionError)) == 1


def test_others_flushed(logged_failures):
    with Logger().failuresHandled("handled"):
        1 / 0
    assert not logged_failures.flush(KeyError)


def test_delayed_call():
    reactor.callLater(60, print)


def test_due_at_once():
    reactor.callLater(0, int)


def test_listening():
    reactor.listenTCP(0, Factory(), interface="127.0.0.1")


def test_nothing_is_left_of_the_bad_tests():
    assert reactor.getDelayedCalls() == []
    assert [reader for reader in reactor.getReaders() if "Port" in repr(reader)] == []


@pytest.fixture(scope="module")
def server():
    port = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
    yield port.getHost().port
    port.stopListening()


def test_longer_lived(server):
    """What a fixture of a wider scope keeps open is not the test's."""


@pytest_twisted.ensureDeferred
async def test_closing():
    port = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
    port.stopListening()


@pytest.fixture(scope="module")
def failed_in_a_cycle():
    deferred = fail(ZeroDivisionError())
    deferred.myself = deferred
    return deferred


def test_of_a_file(failed_in_a_cycle):
    pass
'''

NEXT_FILE = """
def test_first_of_the_next_file():
    pass


def test_second_of_the_next_file():
    pass
"""


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """
    Run the suite above in a process of its own; return each test's error, or the empty string.
    """
    root = tmp_path_factory.mktemp("suite")
    tests = root / "tests"
    tests.mkdir()
    for name in ("__init__.py", "conftest.py", "leftovers.py", "thoroughness.py"):
        tests.joinpath(name).write_text(HERE.joinpath(name).read_text())
    tests.joinpath("test_suite.py").write_text(SUITE)
    tests.joinpath("test_then.py").write_text(NEXT_FILE)
    report = root / "report.xml"
    subprocess.run(
        [sys.executable, "-m", "pytest", "--junit-xml", report, tests], cwd=root, check=False
    )
    found: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        assert case.find("failure") is None
        error = case.find("error")
        # A test and its teardown are two entries when the latter fails.
        text = "" if error is None else (error.text or "")
        found[case.attrib["name"]] = found.get(case.attrib["name"], "") + text
    return found


@pytest.mark.parametrize(
    "test",
    [
        "test_unhandled",
        "test_unhandled_in_a_cycle",
        "test_unhandled_in_a_fixture",
    ],
)
def test_unhandled_error_in_a_deferred_fails_its_test(errors: dict[str, str], test: str) -> None:
    """A Deferred that failed, and that nobody looked at, is an error, however it is held."""
    assert "failure logged: [twisted.internet.defer#critical]" in errors[test]
    assert "ZeroDivisionError" in errors[test]


def test_unhandled_error_of_a_wider_fixture_is_found(errors: dict[str, str]) -> None:
    """What a file of tests leaves behind as a whole is an error of the next file's first test."""
    assert errors["test_of_a_file"] == ""
    assert "ZeroDivisionError" in errors["test_first_of_the_next_file"]
    assert errors["test_second_of_the_next_file"] == ""


def test_exception_in_a_reactor_callback_fails_its_test(errors: dict[str, str]) -> None:
    """What the reactor caught and logged is an error of the test during which it did."""
    assert "ZeroDivisionError" in errors["test_reactor_callback"]


@pytest.mark.parametrize("test", ["test_logged", "test_logged_the_old_way"])
def test_logged_failure_fails_its_test(errors: dict[str, str], test: str) -> None:
    """A failure that code under test logged is an error unless the test expects it."""
    assert "ZeroDivisionError" in errors[test]


def test_flushed_failure_is_expected(errors: dict[str, str]) -> None:
    """A test that flushes a logged failure passes."""
    assert errors["test_flushed"] == ""


def test_flushing_another_type_is_not_enough(errors: dict[str, str]) -> None:
    """Only failures of the types that were named are flushed."""
    assert "ZeroDivisionError" in errors["test_others_flushed"]


def test_delayed_call_fails_its_test(errors: dict[str, str]) -> None:
    """A delayed call left on the global reactor is an error."""
    assert "delayed call left on the reactor: <DelayedCall" in errors["test_delayed_call"]


def test_open_port_fails_its_test(errors: dict[str, str]) -> None:
    """A port left open on the global reactor is an error."""
    assert "left open on the reactor: <" in errors["test_listening"]


@pytest.mark.parametrize(
    "test",
    [
        "test_due_at_once",
        "test_nothing_is_left_of_the_bad_tests",
        "test_longer_lived",
        "test_closing",
    ],
)
def test_good_test_passes(errors: dict[str, str], test: str) -> None:
    """Neither earlier tests, nor wider fixtures, nor what is just closing, fail a test."""
    assert errors[test] == ""
