"""
Tests for L{wsmultipool.service.command_line}.
"""

from __future__ import annotations

import pytest

from wsmultipool.service.command_line import parse, service_parser
from wsmultipool.service.configuration import Source
from wsmultipool.service.option_table import OPTIONS


def parsed(*arguments: str) -> Source:
    """
    Parse a command line of the service.
    """
    return parse(service_parser("program", ""), arguments)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """
    Parse one that has a mistake.

    @return: what was said about it: one line.
    """
    with pytest.raises(SystemExit) as exited:
        parsed(*arguments)
    assert exited.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("program: error: ")
    assert line.endswith(" (see --help)")
    return line.removeprefix("program: error: ").removesuffix(" (see --help)")


def test_what_is_said() -> None:
    """What was not said is not there: a file may say it."""
    source = parsed(
        *("--url", "ws://a", "--url=ws://b", "--pool-size", "3", "--compression"),
        *("--no-tcp-nodelay", "--drain=1.5", "--overflow", "wait", "--config", "file"),
    )
    assert source.config == "file"
    assert source.said == {
        "url": ["ws://a", "ws://b"],
        "pool_size": 3,
        "compression": True,
        "tcp_nodelay": False,
        "drain": 1.5,
        "overflow": "wait",
    }
    assert parsed() == Source({}, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pool-siz=3"], "unknown argument: '--pool-siz': did you mean '--pool-size'?"),
        (["--confg", "f"], "unknown argument: '--confg': did you mean '--config'?"),
        (["ws://h:9000/"], "unknown argument: 'ws://h:9000/': did you mean '--url' before it?"),
        (["--xyzzy"], "unknown argument: '--xyzzy'"),
        (["--pool-size", "a"], "argument --pool-size: must be an integer, not 'a'"),
        (["--pool-size=1", "--pool-size=2"], "argument --pool-size: is given twice"),
        (["--drain"], "argument --drain: expected one argument"),
    ],
)
def test_mistakes(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    """A mistake is one line, with what was probably meant, and the status 2."""
    assert refusal(capsys, *arguments) == message


def test_mistakes_show_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    """A URL that was put in the wrong place is shown without credentials and query."""
    message = refusal(capsys, "ws://user:word@h/?token=secret")
    assert message == "unknown argument: 'ws://***@h/?***': did you mean '--url' before it?"
    message = refusal(capsys, "--heder=Authorization: secret")
    assert message == "unknown argument: '--heder': did you mean '--header'?"


def test_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The help has every option with its default, signals and exit status, in 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as exited:
        parsed("--help")
    assert exited.value.code == 0
    text = capsys.readouterr().out
    for option in OPTIONS:
        flag = option.flag if option.default is not True else f"--no-{option.flag[2:]}"
        assert f"  {flag}" in text
    for part in ("(default: 5)", "(default: 10)", "; repeatable", "HUP", "exit status:"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 80
