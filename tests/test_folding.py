"""
Tests for L{wsmultipool._folding}.
"""

from __future__ import annotations

from twisted.internet.task import Clock

from wsmultipool._folding import INTERVAL, MOST_FOLDS, FoldedLog

from .integration.recording_logger import RecordingLogger


def folded() -> tuple[FoldedLog, RecordingLogger, Clock]:
    """
    Make a log that folds, on a clock.
    """
    clock, logger = Clock(), RecordingLogger()
    return FoldedLog(clock, logger, "feed"), logger, clock


def test_what_is_new_is_told_at_once() -> None:
    """With the connection, or without one, and at the level that it has."""
    log, logger, clock = folded()
    log.tell("warn", "refused", 3)
    log.tell("error", "refused", 4, where=" to ws://a.test/")
    log.tell("info", "no connection is open")
    assert logger.records == [
        ("warn", "feed: connection 3: refused"),
        ("error", "feed: connection 4 to ws://a.test/: refused"),
        ("info", "feed: no connection is open"),
    ]
    log.end()
    assert clock.getDelayedCalls() == []


def test_what_happens_again_is_told_in_one_line_a_minute() -> None:
    """How often, to which connections, in what time, and since when."""
    log, logger, clock = folded()
    for second in range(130):
        log.tell("warn", "refused", second % 3)
        clock.advance(1)
    assert logger.texts("warn") == [
        "feed: connection 0: refused",
        "feed: connections 0, 1, 2: refused (59 more times in the last 60 s, first 60 s ago)",
        "feed: connections 0, 1, 2: refused (60 more times in the last 60 s, first 120 s ago)",
    ]
    log.end()


def test_one_more_time_is_one_time() -> None:
    """The line about a single repetition is good English."""
    log, logger, clock = folded()
    log.tell("warn", "refused", 0)
    log.tell("warn", "refused", 0)
    clock.advance(INTERVAL)
    assert logger.texts("warn")[1:] == [
        "feed: connection 0: refused (1 more time in the last 60 s, first 60 s ago)"
    ]
    log.end()


def test_what_has_not_happened_for_a_minute_is_new_again() -> None:
    """And then there is no timer left."""
    log, logger, clock = folded()
    log.tell("warn", "refused", 0)
    clock.advance(INTERVAL)
    assert clock.getDelayedCalls() == []
    log.tell("warn", "refused", 0)
    assert logger.texts("warn") == ["feed: connection 0: refused"] * 2
    log.end()


def test_what_differs_each_time_is_folded_as_well() -> None:
    """A peer that numbers its refusals does not fill the log with them."""
    log, logger, clock = folded()
    for number in range(1000):
        log.tell("warn", f"refused: {number}", 0)
    assert len(logger.records) == MOST_FOLDS + 1
    clock.advance(INTERVAL)
    assert logger.texts("warn")[MOST_FOLDS + 1 :] == [
        f"feed: connection 0: refused: 999"
        f" ({1000 - MOST_FOLDS - 1} more times in the last 60 s, first 60 s ago)"
    ]
    log.end()


def test_texts_of_one_kind_are_one_thing() -> None:
    """The latest text stands for all."""
    log, logger, clock = folded()
    for number in range(5):
        log.tell("error", f"{number} bytes are too many", kind="too many")
    clock.advance(INTERVAL)
    assert logger.texts("error") == [
        "feed: 0 bytes are too many",
        "feed: 4 bytes are too many (4 more times in the last 60 s, first 60 s ago)",
    ]
    log.end()


def test_what_comes_together_is_told_together() -> None:
    """At the end of the turn, with how often it has happened; then as everything else."""
    log, logger, clock = folded()
    for _ in range(900):
        log.tell("error", "lost", together=True)
    log.tell("error", "alone", together=True)
    log.tell("warn", "refused")
    assert logger.texts("error") == []
    clock.advance(0)
    assert logger.texts("error") == ["feed: lost (900 times)", "feed: alone"]
    log.tell("error", "lost", together=True)
    clock.advance(INTERVAL)
    assert logger.texts("error")[2:] == [
        "feed: lost (1 more time in the last 60 s, first 60 s ago)"
    ]
    log.end()


def test_the_end_tells_what_was_only_counted() -> None:
    """Nothing is forgotten, and no timer is left."""
    log, logger, clock = folded()
    log.tell("warn", "refused", 0)
    log.tell("warn", "refused", 0)
    log.tell("error", "lost", together=True)
    clock.advance(0)
    log.tell("error", "other", together=True)
    log.end()
    assert logger.texts("warn")[1:] == [
        "feed: connection 0: refused (1 more time in the last 0 s, first 0 s ago)"
    ]
    assert logger.texts("error") == ["feed: lost", "feed: other"]
    assert clock.getDelayedCalls() == []


def test_after_the_end_it_still_folds_and_needs_no_timer() -> None:
    """The first is told at once; the others with the first that comes a minute later."""
    log, logger, clock = folded()
    log.end()
    for _ in range(1000):
        log.tell("error", "lost", together=True)
    assert logger.texts("error") == ["feed: lost"]
    clock.advance(INTERVAL)
    log.tell("error", "lost", together=True)
    assert logger.texts("error")[1:] == [
        "feed: lost (1000 more times in the last 60 s, first 60 s ago)"
    ]
    assert clock.getDelayedCalls() == []


def test_what_was_counted_is_told_when_it_is_over_once_a_minute() -> None:
    """The end of one outage tells at once; the ends of many that follow each other do not."""
    log, logger, clock = folded()
    for _ in range(10):
        log.tell("warn", "refused", 0)
        log.tell("warn", "refused", 0)
        log.catch_up()
        clock.advance(1)
    assert logger.texts("warn") == [
        "feed: connection 0: refused",
        "feed: connection 0: refused (1 more time in the last 0 s, first 0 s ago)",
    ]
    clock.advance(INTERVAL - 10)
    log.tell("warn", "refused", 0)
    log.catch_up()
    assert logger.texts("warn")[2:] == [
        "feed: connection 0: refused (19 more times in the last 60 s, first 60 s ago)"
    ]
    log.end()


def test_when_all_is_told_the_count_goes_on() -> None:
    """To settle what was counted does not make the next time a first one."""
    log, logger, clock = folded()
    log.tell("warn", "refused", 0)
    log.tell("warn", "refused", 1)
    log.settle()
    assert len(logger.records) == 2
    assert clock.getDelayedCalls() == []
    log.tell("warn", "refused", 2)
    assert len(logger.records) == 2
    clock.advance(INTERVAL)
    assert len(logger.records) == 3
    log.end()
