"""
Reading a file that may be a pipe, without waiting for ever.

To open a named pipe that nobody writes to waits for a writer that may never come, and with it
waits everything else that the process does.  Nor can a pipe be read again, as the service does on
SIGHUP: what a shell's C{--header-file <(command)} has is gone after the first time, and no header
is not what was meant.

@since: 0.2.0
"""

from __future__ import annotations

import errno
import os
import select
import stat
from pathlib import Path

__all__ = ["is_regular", "read_bytes"]

SECONDS = 30.0
"""How long to wait for the next part of what is not a regular file: somebody may have to type."""

# So that a file without an end has one: no configuration, and no secret, is as long.
_MOST_PARTS = 1_000
_PART_BYTES = 16 * 1024


def is_regular(path: str) -> bool:
    """
    Say whether a file can be read as often as one likes, and has an end.

    @raise OSError: it is not there.
    @raise ValueError: there is a null in the path.
    """
    return stat.S_ISREG(os.stat(path).st_mode)


def read_bytes(path: str) -> bytes:
    """
    Read a whole file.

    @raise OSError: it can't be read; or it is a pipe or the like, and nothing came for L{SECONDS},
        or nothing at all, or no end.
    @raise ValueError: there is a null in the path.
    """
    if is_regular(path):
        return Path(path).read_bytes()
    # A pipe without a writer would not even open.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        parts = _parts(descriptor)
        if not parts and stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENODATA, "a pipe with nothing in it; it can be read only once")
        return b"".join(parts)
    finally:
        os.close(descriptor)


def _parts(descriptor: int) -> list[bytes]:
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    parts: list[bytes] = []
    while len(parts) < _MOST_PARTS:
        if not ready.poll(SECONDS * 1000):
            raise OSError(errno.ETIMEDOUT, f"nothing to read for {SECONDS:g} s")
        part = os.read(descriptor, _PART_BYTES)
        if not part:
            return parts
        parts.append(part)
    raise OSError(errno.EFBIG, "it has no end")
