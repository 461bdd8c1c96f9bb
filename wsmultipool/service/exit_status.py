"""
Ending a process with a status where the program that runs it knows of none.

twistd and twist end with 0, or by the signal that they were sent, whatever becomes of their
services.  Python has no way to change the status once the main program has returned, except to end
the process in one of the functions that run at exit.

@since: 0.1.0
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress

__all__ = ["exit_with"]


def exit_with(status: Callable[[], int]) -> None:
    """
    Have the process end with a status.

    @param status: is asked at the very end; for 0, nothing is done.
    """
    atexit.register(_end, status)


def _end(status: Callable[[], int]) -> None:
    number = status()
    if number:
        # What was registered before does not run any more.  This is what matters of it.
        # Of a stream that was closed, or nobody reads any more, nothing can be saved.
        with suppress(Exception):
            logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(number)
