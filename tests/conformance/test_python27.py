"""
Without a Python 2.7 it is said what is missing, and what to do.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from . import python27


def test_an_interpreter_of_another_version_is_refused() -> None:
    """The option must name a Python 2.7, or the suite would fail in a way nobody understands."""
    with pytest.raises(python27.Missing) as refused:
        python27.find(sys.executable)
    assert str(refused.value) == (
        f"{sys.executable} is not a Python 2.7, which the Autobahn TestSuite needs.  Name one by"
        " --python27 or in the environment variable WSMULTIPOOL_PYTHON27."
    )


def test_the_environment_names_an_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable counts as the option does, even where another interpreter could be found."""
    monkeypatch.setenv(python27.VARIABLE, "/nowhere/python2.7")
    with pytest.raises(python27.Missing, match=r"^/nowhere/python2\.7 is not a Python 2\.7"):
        python27.find(None)


def test_a_machine_without_python_27_is_told_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither the PATH nor pyenv has one: that is what the message says."""
    monkeypatch.delenv(python27.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(python27.Missing, match=r"no python2\.7 on the PATH, nor one that pyenv"):
        python27.find(None)


def test_an_environment_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    """What virtualenv says is shown, with the command."""
    with pytest.raises(python27.Missing, match="virtualenv") as refused:
        python27.install(str(tmp_path / "python2.7"), tmp_path / "environment")
    assert str(tmp_path / "environment") in str(refused.value)
