"""
Ending processes that may have ended by themselves.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from twisted.internet.error import ProcessExitedAlready


def signal_if_there(process: Any, name: str) -> None:
    """
    Send a signal to a process of Twisted's, unless it is gone already; which it may be before all
    that it wrote was read, and so before its protocol hears of its end.
    """
    with suppress(ProcessExitedAlready):
        process.signalProcess(name)
