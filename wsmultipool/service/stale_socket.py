"""
What a process that was killed leaves behind: a unix socket that nobody listens on.

Twisted marks a socket by a lock that names the process, and takes over from one that is gone.  But
a number may be another process's by now.  In a container it always is: there each is number 1.

@since: 0.1.0
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress

__all__ = ["remove_stale_socket"]


def remove_stale_socket(path: str) -> None:
    """
    Remove a unix socket, and Twisted's lock beside it, if nobody listens there.

    @param path: where it is, if there is one; what is no socket stays.
    @since: 0.1.0
    """
    try:
        # To connect to an ordinary file is refused as well.
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX) as client:
            client.setblocking(False)
            client.connect(path)
    except ConnectionRefusedError:
        for left in (f"{path}.lock", path):
            if left == path or os.path.islink(left):
                with suppress(OSError):
                    os.unlink(left)
    except (OSError, ValueError):
        # There is none; or somebody is there, or we can't know.
        pass
