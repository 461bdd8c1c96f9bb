"""
Where a pool's log goes: the standard error stream, L{logging}, Twisted, nowhere, or the user's own.

All of them speak L{IPoolLogger}, in which a message is a C{%}-style format for its arguments, as in
L{logging}.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from twisted.logger import Logger
from zope.interface import implementer

from .interfaces import IPoolLogger

__all__ = [
    "StandardLibraryLogger",
    "TwistedLogger",
    "create_console_logger",
    "noop_logger",
]

# What peers say ends up in messages, the reason they close with for one.  Escaped, it can neither
# begin a line of its own nor send commands to the terminal.
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}


def create_console_logger(
    prefix: str = "wsmultipool", *, stream: TextIO | None = None
) -> IPoolLogger:
    """
    Create a logger that writes lines of the form C{[prefix] LEVEL message}.

    @param prefix: what every line begins with, in brackets.
    @param stream: where to write; C{None} for whatever C{sys.stderr} is at that moment.
    @since: 0.1.0
    """
    return _ConsoleLogger(prefix, stream)


@implementer(IPoolLogger)
class StandardLibraryLogger:
    """
    A L{logging.Logger} as a pool's logger.

    @since: 0.1.0
    """

    def __init__(self, logger: logging.Logger) -> None:
        """
        @param logger: decides by its level and its handlers what becomes of each message.
        """
        self._logger = logger

    def debug(self, message: str, *args: object) -> None:
        """
        Log at level C{DEBUG}.

        @since: 0.1.0
        """
        self._logger.debug(message, *args)

    def info(self, message: str, *args: object) -> None:
        """
        Log at level C{INFO}.

        @since: 0.1.0
        """
        self._logger.info(message, *args)

    def warn(self, message: str, *args: object) -> None:
        """
        Log at level C{WARNING}.

        @since: 0.1.0
        """
        self._logger.warning(message, *args)

    def error(self, message: str, *args: object) -> None:
        """
        Log at level C{ERROR}.

        @since: 0.1.0
        """
        self._logger.error(message, *args)


@implementer(IPoolLogger)
class TwistedLogger:
    """
    A L{twisted.logger.Logger} as a pool's logger.

    The text is the field C{message} of the event, under a constant format: in a format of its own,
    a brace in the text would be taken for a field.

    @since: 0.1.0
    """

    def __init__(self, logger: Logger) -> None:
        """
        @param logger: gives the events their namespace and source.
        """
        self._logger = logger

    def debug(self, message: str, *args: object) -> None:
        """
        Log at level C{debug}.

        @since: 0.1.0
        """
        self._logger.debug("{message}", message=_text(message, args))

    def info(self, message: str, *args: object) -> None:
        """
        Log at level C{info}.

        @since: 0.1.0
        """
        self._logger.info("{message}", message=_text(message, args))

    def warn(self, message: str, *args: object) -> None:
        """
        Log at level C{warn}.

        @since: 0.1.0
        """
        self._logger.warn("{message}", message=_text(message, args))

    def error(self, message: str, *args: object) -> None:
        """
        Log at level C{error}.

        @since: 0.1.0
        """
        self._logger.error("{message}", message=_text(message, args))


@implementer(IPoolLogger)
class _ConsoleLogger:
    """
    Writes one line per message to a text stream.
    """

    def __init__(self, prefix: str, stream: TextIO | None) -> None:
        self._prefix = prefix
        self._stream = stream

    def debug(self, message: str, *args: object) -> None:
        self._write("DEBUG", message, args)

    def info(self, message: str, *args: object) -> None:
        self._write("INFO", message, args)

    def warn(self, message: str, *args: object) -> None:
        self._write("WARN", message, args)

    def error(self, message: str, *args: object) -> None:
        self._write("ERROR", message, args)

    def _write(self, level: str, message: str, args: tuple[object, ...]) -> None:
        line = f"[{self._prefix}] {level} {_text(message, args)}".translate(_ESCAPES)
        # Looked up each time, as programs and test runners replace it.  One write per line, so that
        # the lines of several threads or processes do not mingle.
        stream = sys.stderr if self._stream is None else self._stream
        stream.write(line + "\n")


@implementer(IPoolLogger)
class _NoopLogger:
    """
    Drops everything.
    """

    def debug(self, message: str, *args: object) -> None:
        pass

    def info(self, message: str, *args: object) -> None:
        pass

    def warn(self, message: str, *args: object) -> None:
        pass

    def error(self, message: str, *args: object) -> None:
        pass


def _text(message: str, args: tuple[object, ...]) -> str:
    # As in logging: without arguments, a percent sign means itself.
    return message % args if args else message


noop_logger: IPoolLogger = _NoopLogger()
"""
A logger that drops everything.

@since: 0.1.0
"""
