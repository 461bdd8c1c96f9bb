"""
The project stands alone: no file of it mentions a place that only some machine has.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Written so that this file does not match.
FOREIGN = re.compile(
    rb"\.\./share[d]\b"
    rb"|(?<![\w.~-])/(?:wor[k]|roo[t]|hom[e])/"
    rb"|/tm[p]/"
    rb"|pypi\.or[g]|pythonhoste[d]|registry\.npmj[s]|npmj[s]\.(?:com|org)|debian\.or[g]"
)


@pytest.fixture(scope="module")
def files() -> list[Path]:
    """
    The files that are, or would be, checked in.
    """
    if not ROOT.joinpath(".git").exists():
        pytest.skip("not a checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    paths = (ROOT / name.decode() for name in listed.stdout.split(b"\0") if name)
    return [path for path in paths if path.is_file()]


def test_no_file_mentions_a_foreign_place(files: list[Path]) -> None:
    """Nothing depends on a directory outside the checkout, or on one package registry."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.decode(errors='replace').strip()}"
        for path in files
        for number, line in enumerate(path.read_bytes().splitlines(), 1)
        if FOREIGN.search(line)
    ]
    assert found == []


def test_the_files_are_found(files: list[Path]) -> None:
    """The test above looks at this file, so it looks at something."""
    assert Path(__file__).resolve() in files
