"""
Which logger a pool uses, and that it can do no harm.
"""

from __future__ import annotations

import logging

from twisted.logger import Logger
from zope.interface import implementer

from .interfaces import IPoolLogger
from .loggers import StandardLibraryLogger, TwistedLogger, noop_logger

_log = Logger(namespace="wsmultipool.loggers")


def as_pool_logger(value: object) -> IPoolLogger:
    """
    Make an L{IPoolLogger} of what users may give as the C{logger} option.

    @param value: C{None} for Twisted's log, under the namespace C{wsmultipool}; C{False} for
        silence; an L{IPoolLogger}; a L{logging.Logger}; or a L{twisted.logger.Logger}.
    @raise TypeError: it is none of these.
    """
    if value is None:
        return TwistedLogger(Logger(namespace="wsmultipool"))
    if value is False:
        return noop_logger
    if IPoolLogger.providedBy(value):
        return value
    if isinstance(value, logging.Logger):
        return StandardLibraryLogger(value)
    if isinstance(value, Logger):
        return TwistedLogger(value)
    raise TypeError(
        "logger must provide IPoolLogger, or be a logging.Logger, a twisted.logger.Logger, False or"
        f" None, not {value!r}"
    )


def guarded(logger: IPoolLogger) -> IPoolLogger:
    """
    Wrap a logger so that it cannot disturb its caller.

    @return: a logger that passes everything on to C{logger}, and reports each L{Exception} that it
        raises to Twisted's log.
    """
    return _GuardedLogger(logger)


@implementer(IPoolLogger)
class _GuardedLogger:
    """
    Passes everything on to a logger that may raise.
    """

    def __init__(self, logger: IPoolLogger) -> None:
        self._logger = logger

    def debug(self, message: str, *args: object) -> None:
        self._pass_on("debug", message, args)

    def info(self, message: str, *args: object) -> None:
        self._pass_on("info", message, args)

    def warn(self, message: str, *args: object) -> None:
        self._pass_on("warn", message, args)

    def error(self, message: str, *args: object) -> None:
        self._pass_on("error", message, args)

    def _pass_on(self, level: str, message: str, args: tuple[object, ...]) -> None:
        # Not Logger.failuresHandled: it would swallow KeyboardInterrupt as well.
        try:
            getattr(self._logger, level)(message, *args)
        except Exception:
            _log.failure("The pool's logger failed to log {message!r}", message=message)
