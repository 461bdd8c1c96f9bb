"""
C{wsmultipool bench}: the suite where it is, and a word where it is not.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from wsmultipool._commands import bench


def test_the_suite_is_run_with_its_arguments(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In a checkout, all arguments are for the suite, and its status is that of the command."""
    suite = tmp_path / "benchmarks"
    suite.mkdir()
    suite.joinpath("__init__.py").touch()
    suite.joinpath("__main__.py").write_text("import sys; print(sys.argv[1:]); sys.exit(3)")
    assert bench.main(["--quick", "--json=f"], tmp_path) == 3
    assert capfd.readouterr().out == "['--quick', '--json=f']\n"


def test_where_the_suite_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Installed from a wheel, the command says where the suite is, and fails."""
    assert bench.main(["--quick"], tmp_path) == 1
    said = capsys.readouterr().err
    assert "In a checkout" in said
    assert max(map(len, said.splitlines())) <= 80
