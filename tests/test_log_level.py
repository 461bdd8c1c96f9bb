"""
Tests for L{wsmultipool.service.log_level}.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.logger import ILogObserver, LogEvent, eventAsText, globalLogPublisher
from zope.interface import implementer

from wsmultipool.service.log_level import service_logger, set_log_level


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """
    What is logged in the test, without times.
    """
    logged: list[str] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        logged.append(eventAsText(event, includeTimestamp=False))

    globalLogPublisher.addObserver(observe)
    yield logged
    globalLogPublisher.removeObserver(observe)
    set_log_level("info")


def test_info_and_above_are_logged(lines: list[str]) -> None:
    """Without being told, the service logs what it does, and no details."""
    log = service_logger()
    log.debug("detail")
    log.info("something")
    assert lines == ["[wsmultipool#info] something"]


def test_the_level_changes_for_loggers_that_exist(lines: list[str]) -> None:
    """The level may change at any time, up and down."""
    log = service_logger("wsmultipool.part")
    set_log_level("warn")
    log.info("something")
    log.warn("trouble")
    set_log_level("debug")
    log.debug("detail")
    assert lines == ["[wsmultipool.part#warn] trouble", "[wsmultipool.part#debug] detail"]


def test_a_level_that_does_not_exist(lines: list[str]) -> None:
    """A level is one of five words; another changes nothing."""
    with pytest.raises(ValueError, match="must be one of debug, info, warn, error, critical, not"):
        set_log_level("loud")
    service_logger().info("something")
    assert len(lines) == 1
