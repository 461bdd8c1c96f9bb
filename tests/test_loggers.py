"""
Tests for L{wsmultipool.loggers}.
"""

from __future__ import annotations

import io
import logging

import pytest
from twisted.logger import Logger, LogLevel, capturedLogs, formatEvent
from zope.interface import implementer
from zope.interface.verify import verifyObject

from wsmultipool._pool_logger import as_pool_logger, guarded
from wsmultipool.interfaces import IPoolLogger
from wsmultipool.loggers import (
    StandardLibraryLogger,
    TwistedLogger,
    create_console_logger,
    noop_logger,
)

from .leftovers import LoggedFailures


@implementer(IPoolLogger)
class Recorder:
    """
    A user's logger that remembers its calls, and then raises if it was told to.
    """

    def __init__(self, trouble: BaseException | None = None) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.trouble = trouble

    def debug(self, message: str, *args: object) -> None:
        self.record("debug", message, *args)

    def info(self, message: str, *args: object) -> None:
        self.record("info", message, *args)

    def warn(self, message: str, *args: object) -> None:
        self.record("warn", message, *args)

    def error(self, message: str, *args: object) -> None:
        self.record("error", message, *args)

    def record(self, *call: object) -> None:
        self.calls.append(call)
        if self.trouble is not None:
            raise self.trouble


class LogRecords(logging.Handler):
    """
    The records that reach a L{logging.Logger}.
    """

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def standard_logger() -> tuple[logging.Logger, list[logging.LogRecord]]:
    """
    Make a logger of the standard library that is nobody else's, and the list of its records.
    """
    handler = LogRecords()
    logger = logging.Logger("private", logging.DEBUG)
    logger.addHandler(handler)
    return logger, handler.records


def log_at_every_level(logger: IPoolLogger) -> None:
    """
    Use all that an L{IPoolLogger} has.
    """
    logger.debug("one %s", 1)
    logger.info("two %s and %s", 2, 2)
    logger.warn("three")
    logger.error("100 % {four}")


@pytest.mark.parametrize(
    "logger",
    [
        create_console_logger(),
        noop_logger,
        StandardLibraryLogger(logging.getLogger("x")),
        TwistedLogger(Logger(namespace="x")),
        guarded(noop_logger),
    ],
)
def test_every_logger_is_a_pool_logger(logger: IPoolLogger) -> None:
    """
    All that is shipped has what L{IPoolLogger} asks for.
    """
    assert verifyObject(IPoolLogger, logger)


def test_the_console_logger_writes_lines() -> None:
    """
    Each message is a line with the prefix and the level.
    """
    stream = io.StringIO()
    log_at_every_level(create_console_logger("feed", stream=stream))
    assert stream.getvalue().splitlines() == [
        "[feed] DEBUG one 1",
        "[feed] INFO two 2 and 2",
        "[feed] WARN three",
        "[feed] ERROR 100 % {four}",
    ]


def test_the_console_logger_writes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """
    By default lines go to the standard error stream as it is then, under the library's name.
    """
    create_console_logger().info("ready")
    captured = capsys.readouterr()
    assert captured.err == "[wsmultipool] INFO ready\n"
    assert captured.out == ""


def test_the_console_logger_escapes_control_characters() -> None:
    """
    What a peer says can neither fake a line of the log nor control the terminal.
    """
    stream = io.StringIO()
    create_console_logger("p", stream=stream).info("closed: %s", "bye\n[p] INFO \x1b[2J\x7f\x9bé")
    assert stream.getvalue() == "[p] INFO closed: bye\\x0a[p] INFO \\x1b[2J\\x7f\\x9bé\n"


def test_the_noop_logger_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """
    The logger for silence writes nowhere.
    """
    with capturedLogs() as events:
        log_at_every_level(noop_logger)
    assert list(events) == []
    assert capsys.readouterr() == ("", "")


def test_the_standard_library_gets_levels_formats_and_arguments() -> None:
    """
    L{logging} gets the format and its arguments unformatted, at its own levels.
    """
    logger, records = standard_logger()
    log_at_every_level(StandardLibraryLogger(logger))
    assert [(record.levelname, record.getMessage()) for record in records] == [
        ("DEBUG", "one 1"),
        ("INFO", "two 2 and 2"),
        ("WARNING", "three"),
        ("ERROR", "100 % {four}"),
    ]
    assert (records[0].msg, records[0].args) == ("one %s", (1,))


def test_twisted_gets_levels_and_texts() -> None:
    """
    Twisted's log gets the finished text in a field, in which braces mean nothing.
    """
    with capturedLogs() as events:
        log_at_every_level(TwistedLogger(Logger(namespace="feed")))
    assert [(event["log_level"], formatEvent(event)) for event in events] == [
        (LogLevel.debug, "one 1"),
        (LogLevel.info, "two 2 and 2"),
        (LogLevel.warn, "three"),
        (LogLevel.error, "100 % {four}"),
    ]
    assert {event["log_format"] for event in events} == {"{message}"}
    assert {event["log_namespace"] for event in events} == {"feed"}


def test_twisted_is_the_default() -> None:
    """
    A pool without a C{logger} logs to Twisted, under the library's namespace.
    """
    with capturedLogs() as events:
        as_pool_logger(None).info("ready")
    (event,) = events
    assert event["log_namespace"] == "wsmultipool"


def test_false_is_silence() -> None:
    """
    C{logger=False} is the logger that drops everything.
    """
    assert as_pool_logger(False) is noop_logger


def test_a_pool_logger_is_used_as_it_is() -> None:
    """
    A user's own L{IPoolLogger} is not wrapped.
    """
    logger = Recorder()
    assert as_pool_logger(logger) is logger


def test_known_loggers_are_adapted() -> None:
    """
    The loggers of the standard library and of Twisted can be given directly.
    """
    logger, records = standard_logger()
    as_pool_logger(logger).warn("three")
    assert [record.getMessage() for record in records] == ["three"]
    with capturedLogs() as events:
        as_pool_logger(Logger(namespace="feed")).warn("four")
    assert [formatEvent(event) for event in events] == ["four"]


@pytest.mark.parametrize("value", [True, 0, "wsmultipool", print, Recorder])
def test_what_cannot_log_is_refused(value: object) -> None:
    """
    Anything else is refused by the name of the option, with its value.
    """
    with pytest.raises(TypeError) as caught:
        as_pool_logger(value)
    assert str(caught.value).startswith("logger must provide IPoolLogger")
    assert str(caught.value).endswith(f"not {value!r}")


def test_a_guarded_logger_gets_everything() -> None:
    """
    The guard passes messages and arguments on as they are.
    """
    logger = Recorder()
    log_at_every_level(guarded(logger))
    assert logger.calls == [
        ("debug", "one %s", 1),
        ("info", "two %s and %s", 2, 2),
        ("warn", "three"),
        ("error", "100 % {four}"),
    ]


def test_a_guarded_logger_may_raise(logged_failures: LoggedFailures) -> None:
    """
    Whatever a guarded logger raises, its caller goes on, and Twisted's log has one report per call.
    """
    error = ValueError("disk full")
    logger = Recorder(error)
    with capturedLogs() as events:
        log_at_every_level(guarded(logger))
    assert len(logger.calls) == 4
    assert [formatEvent(event) for event in events] == [
        "The pool's logger failed to log 'one %s'",
        "The pool's logger failed to log 'two %s and %s'",
        "The pool's logger failed to log 'three'",
        "The pool's logger failed to log '100 % {four}'",
    ]
    assert {event["log_namespace"] for event in events} == {"wsmultipool.loggers"}
    assert [failure.value for failure in logged_failures.flush(ValueError)] == [error] * 4


def test_a_message_that_does_not_fit_its_arguments_is_reported(
    logged_failures: LoggedFailures,
) -> None:
    """
    A mistake in a format string ends in the log instead of in the pool.
    """
    stream = io.StringIO()
    guarded(create_console_logger(stream=stream)).info("%d", "text")
    assert len(logged_failures.flush(TypeError)) == 1
    assert stream.getvalue() == ""


def test_the_guard_lets_interrupts_through() -> None:
    """
    C{KeyboardInterrupt} is not an error of the logger in which it happens to arrive.
    """
    with pytest.raises(KeyboardInterrupt):
        guarded(Recorder(KeyboardInterrupt())).info("ready")
