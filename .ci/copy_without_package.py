"""
Copy this checkout, without the package and its plugin, to the directory named on the command line.

Tests that run in the copy import the package that is installed, and find all else in its place.
"""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = {"wsmultipool", "twisted"}
LEAVINGS = {"build", "dist", "node_modules", "__pycache__"}


def left_out(directory: str, names: list[str]) -> set[str]:
    """
    Say which names in a directory are not copied: the package and its plugin, and what is not
    checked in.
    """
    if Path(directory) == ROOT:
        return {name for name in names if name in PACKAGE | LEAVINGS or name.startswith(".")}
    return LEAVINGS & set(names)


shutil.copytree(ROOT, sys.argv[1], ignore=left_out, dirs_exist_ok=True)
