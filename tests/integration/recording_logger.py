"""
A pool's log, kept for a test to look at.
"""

from __future__ import annotations

from zope.interface import implementer

from wsmultipool.interfaces import IPoolLogger


@implementer(IPoolLogger)
class RecordingLogger:
    """
    Keeps every message as formatted text, with its level.
    """

    def __init__(self) -> None:
        self.records: list[tuple[str, str]] = []

    def texts(self, level: str) -> list[str]:
        return [text for recorded, text in self.records if recorded == level]

    def debug(self, message: str, *args: object) -> None:
        self.records.append(("debug", message % args))

    def info(self, message: str, *args: object) -> None:
        self.records.append(("info", message % args))

    def warn(self, message: str, *args: object) -> None:
        self.records.append(("warn", message % args))

    def error(self, message: str, *args: object) -> None:
        self.records.append(("error", message % args))
