"""
Tests for L{wsmultipool.service.tap}, and for the plugin that leads there.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.application.service import IService, IServiceMaker
from twisted.plugin import getPlugins
from zope.interface.verify import verifyObject

import wsmultipool
from wsmultipool.service import tap
from wsmultipool.service.program import Program

URL = "ws://127.0.0.1:9000/"
# Where the package that is tested was imported from: the checkout, or where its wheel is installed.
INSTALLED = Path(wsmultipool.__file__).resolve().parent.parent


def options(*arguments: str) -> tap.Options:
    """
    Parse a command line as twistd does.
    """
    made = tap.Options()  # type: ignore[no-untyped-call]
    made.parseOptions(arguments)
    return made


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """
    Make a service that can't be made.

    @return: the one line that is said about that.
    """
    with pytest.raises(SystemExit) as exited:
        tap.makeService(options(*arguments))
    assert exited.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("wsmultipool: error: ")
    return line.removeprefix("wsmultipool: error: ")


def test_twisted_finds_the_plugin() -> None:
    """Where the package is installed, twistd and twist know of it."""
    (maker,) = (plugin for plugin in getPlugins(IServiceMaker) if plugin.tapname == "wsmultipool")
    assert maker.options is tap.Options
    assert maker.makeService is tap.makeService


def test_twisted_is_not_shadowed() -> None:
    """The plugin lies in directories of Twisted's names, which must not become packages."""
    plugin = INSTALLED / "twisted" / "plugins"
    assert (plugin / "wsmultipool_plugin.py").is_file()
    if not (INSTALLED / "twisted" / "internet").exists():
        assert list(INSTALLED.joinpath("twisted").glob("**/__init__.py")) == []


def test_service() -> None:
    """What a command line asks for is a service, which is made without connecting anywhere."""
    service = tap.makeService(options("--url", URL, "--listen", "tcp:1", "--http", "tcp:2"))
    assert isinstance(service, Program)
    assert verifyObject(IService, service)
    assert service.pool.get_stats().total == 5
    assert service.relay is not None
    assert service.web is not None
    assert service.status == 0


def test_service_with_several_servers() -> None:
    """The connections are spread over all the URLs."""
    service = tap.makeService(options("--url", "ws://127.0.0.1:1/", "--url", "ws://127.0.0.1:2/"))
    urls = {connection.url for connection in service.pool.get_stats().connections}
    assert urls == {"ws://127.0.0.1:1/", "ws://127.0.0.1:2/"}


def test_service_without_its_fronts() -> None:
    """A relay and a status page are there if they are asked for."""
    service = tap.makeService(options("--url", URL))
    assert (service.relay, service.web) == (None, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "url is missing: give --url, or a --config file that has it"),
        (["--url", "x"], "url must begin with ws:// or wss://: 'x'"),
        (["--config", "/no/file"], "config '/no/file': No such file or directory"),
        (
            ["--url", URL, "--listen", "zebra:1"],
            "listen: 'zebra:1': Unknown endpoint type: 'zebra'",
        ),
        (["--url", URL, "--http", "tcp:x"], "http: 'tcp:x:interface=127.0.0.1': "),
        (["--url", URL, "--endpoint", "tcp"], "endpoint"),
        (["--url", "wss://h", "--ca", "/no/ca"], "tls trust_root: "),
        (["--url", "wss://h", "--cert", "/no/c", "--key", "/no/k"], "tls client_certificate: "),
        (["--url", URL, "--listen", "tcp:1", "--token-file", "/no/t"], "token_file '/no/t': No"),
        (["--url", URL, "--listen", "tcp:1:interface=0.0.0.0"], "listening on tcp:1:interface="),
        (["--url", URL, "--header-file", "/no/h"], "header_file '/no/h': No such file"),
        (
            ["--url", URL, "--listen", "ssl:1:privateKey=/no/k:interface=127.0.0.1"],
            "listen: 'ssl:1:privateKey=/no/k:interface=127.0.0.1': ",
        ),
    ],
)
def test_mistakes(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    """What can't be done is told in one line, before anything begins, and the status is 1."""
    assert refusal(capsys, *arguments).startswith(message)
