"""
How much the service logs, changeable while it runs.

@since: 0.1.0
"""

from __future__ import annotations

from twisted.logger import (
    FilteringLogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogPublisher,
)

__all__ = ["LEVELS", "service_logger", "set_log_level"]

LEVELS = ("debug", "info", "warn", "error", "critical")

# As there is one log in a process, there is one level.  What twistd itself and other parts of
# Twisted log does not pass here.
_levels = LogLevelFilterPredicate()
_observer = FilteringLogObserver(globalLogPublisher, [_levels])


def service_logger(namespace: str = "wsmultipool") -> Logger:
    """
    Make a logger for a part of the service.

    @return: one whose lines are logged if they are as important as L{set_log_level} said, or more.
    @since: 0.1.0
    """
    return Logger(namespace=namespace, observer=_observer)


def set_log_level(level: str) -> None:
    """
    Log only what is at least this important, from now on.

    @param level: one of L{LEVELS}.
    @raise ValueError: it is none of them.
    @since: 0.1.0
    """
    if level not in LEVELS:
        raise ValueError(f"log_level must be one of {', '.join(LEVELS)}, not {level!r}")
    _levels.clearLogLevels()
    _levels.setLogLevelForNamespace("", LogLevel.levelWithName(level))
