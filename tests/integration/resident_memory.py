"""
How much memory this process has in use.
"""

from __future__ import annotations

import os
from pathlib import Path


def resident_bytes() -> int:
    """Return the resident set size, from Linux's /proc."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
