"""
What the page "In production" shows works: the configuration, the unit, the container's commands.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from wsmultipool.service.configuration import Configuration, Source
from wsmultipool.service.option_table import BY_NAME, OPTIONS

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "docs" / "examples"
PAGE = ROOT / "docs" / "howto" / "production.rst"


def example(tmp_path: Path) -> Configuration:
    """
    Read the example of a configuration, with the file of headers that it mentions.
    """
    headers = tmp_path / "headers"
    headers.write_text("Authorization: Bearer token\n")
    headers.chmod(0o600)
    config = tmp_path / "wsmultipool.toml"
    text = EXAMPLES.joinpath("wsmultipool.toml").read_text(encoding="utf-8")
    config.write_text(text.replace("/etc/wsmultipool/headers", str(headers)))
    return Source({}, str(config)).read()


def instructions(name: str) -> list[str]:
    """
    Return what follows each instruction of this name in the Containerfile.
    """
    text = EXAMPLES.joinpath("Containerfile").read_text(encoding="utf-8").replace("\\\n", "")
    return re.findall(rf"^{name} (.*)$", text, re.MULTILINE)


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    """The example has no mistake, and means what it says."""
    configuration = example(tmp_path)
    assert configuration.warnings == ()
    assert configuration.headers == {"X-Client": "billing", "Authorization": "Bearer token"}
    assert configuration.relay is not None
    assert configuration.relay.confirm
    assert (configuration.http, configuration.min_ready) == ("tcp:9100:interface=127.0.0.1", 4)


def test_the_configuration_names_options_that_exist() -> None:
    """Its names are those of the options."""
    names = tomllib.loads(EXAMPLES.joinpath("wsmultipool.toml").read_text(encoding="utf-8"))
    assert set(names) - set(BY_NAME) == set()


def test_what_changes_without_a_restart_is_documented() -> None:
    """The page lists what SIGHUP changes."""
    paragraph = PAGE.read_text(encoding="utf-8").partition("``HUP``")[2].partition("at once")[0]
    listed = set(re.findall(r"``(\w+)``", paragraph))
    assert listed == {option.name for option in OPTIONS if option.live}


def test_every_example_is_on_a_page() -> None:
    """No file of the examples that is not a program is left alone."""
    pages = "".join(path.read_text(encoding="utf-8") for path in PAGE.parent.glob("*.rst"))
    others = [path.name for path in EXAMPLES.iterdir() if path.is_file() and path.suffix != ".py"]
    assert len(others) >= 3
    assert [name for name in others if f"../examples/{name}" not in pages] == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """systemd-analyze finds nothing to say about the unit."""
    unit = EXAMPLES.joinpath("wsmultipool.service").read_text(encoding="utf-8")
    # It wants the program to exist.
    assert "ExecStart=/opt/wsmultipool/bin/wsmultipool relay " in unit
    path = tmp_path / "wsmultipool.service"
    path.write_text(unit.replace("/opt/wsmultipool/bin/wsmultipool", sys.executable))
    verified = subprocess.run(
        ["systemd-analyze", "verify", path], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


def test_the_unit_leaves_time_to_drain(tmp_path: Path) -> None:
    """systemd waits longer than the configuration may take to end."""
    unit = EXAMPLES.joinpath("wsmultipool.service").read_text(encoding="utf-8")
    found = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert found is not None
    configuration = example(tmp_path)
    assert configuration.relay is not None
    longest = configuration.drain + configuration.pool["close_timeout"]
    assert int(found[1]) > longest + configuration.relay.close_timeout


def test_the_container_starts_what_there_is() -> None:
    """The entry point and its arguments are those of a program that the package brings."""
    (entry_point,) = map(ast.literal_eval, instructions("ENTRYPOINT"))
    (arguments,) = map(ast.literal_eval, instructions("CMD"))
    assert entry_point == ["/opt/wsmultipool/bin/wsmultipool", "relay"]
    asked = subprocess.run(
        [sys.executable, "-m", "wsmultipool", *entry_point[1:], *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    # It reads the file that is not here.
    assert asked.returncode == 1
    assert asked.stderr.endswith(f"config {arguments[1]!r}: No such file or directory\n")
