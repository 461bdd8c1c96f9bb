"""
Print a command of the README, word for word: the fenced block after the comment that names it.
"""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def command(name: str) -> str:
    """
    Return the block under C{<!-- command: NAME -->}.
    """
    marked = rf"^<!-- command: {re.escape(name)} -->\n```\w*\n(.*?)^```$"
    blocks = re.findall(marked, README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    if len(blocks) != 1:
        sys.exit(f"README.md has {len(blocks)} commands named {name!r}, not one")
    return str(blocks[0])


sys.stdout.write(command(sys.argv[1]))
