"""
The command line: what it takes, what it refuses, and how a program that is run from it ends.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from functools import partial

import pytest

from wsmultipool import __version__
from wsmultipool.cli import main


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "wsmultipool", *arguments]


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """
    Run with arguments that have a mistake.

    @return: what was said about it.
    """
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    assert exited.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err.splitlines()[-1].partition("error: ")[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--messages", "0"], "--messages: must be an integer from 1 to 100000000, not '0'"),
        (["--messages", "-1"], "--messages: must be an integer from 1 to 100000000, not '-1'"),
        (["--messages=many"], "--messages: must be an integer from 1 to 100000000, not 'many'"),
        (["--pool-size", "1.5"], "--pool-size: must be an integer from 1 to 10000, not '1.5'"),
        (["--size", "7"], "--size: must be an integer from 8 to 16777216, not '7'"),
        (["--size", "16777217"], "--size: must be an integer from 8 to 16777216, not '16777217'"),
        (["--url", "h:80"], "--url: url must begin with ws:// or wss://: 'h:80'"),
        (["--insecure"], "--insecure: is for a --url that begins with wss://"),
        (["--url=ws://h", "--insecure"], "--insecure: is for a --url that begins with wss://"),
    ],
)
def test_mistake_names_option_and_value(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """Whoever mistypes a value reads which one, and what would be right; the status is 2."""
    assert refusal(capsys, "demo", *arguments) == f"argument {message}"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--message=3", "'--message=3': did you mean '--messages'?"),
        ("--whatever", "'--whatever'"),
        ("ws://h:9000/", "'ws://h:9000/': did you mean '--url' before it?"),
    ],
)
def test_unknown_argument(capsys: pytest.CaptureFixture[str], argument: str, message: str) -> None:
    """Whoever mistypes an option, or forgets one, is told what was probably meant."""
    assert refusal(capsys, "demo", argument) == f"unknown argument: {message}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--url", "http://user:word@h/?token=secret"],
        ["ws://user:word@h/?token=secret"],
        ["ws://user:wo?rd@h/?token=secret"],
    ],
)
def test_mistakes_show_no_secret(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """A URL that was put in the wrong place is shown without credentials and query."""
    message = refusal(capsys, "demo", *arguments)
    assert "secret" not in message
    assert "user" not in message
    assert "rd" not in message


def test_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command there is nothing to do, and that is a mistake."""
    assert "required: COMMAND" in refusal(capsys)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("relai", "unknown command: 'relai': did you mean 'relay'?"),
        ("ws://user:word@h/?token=secret", "unknown command: 'ws://***@h/?***'"),
    ],
)
def test_unknown_command(capsys: pytest.CaptureFixture[str], argument: str, message: str) -> None:
    """Whoever mistypes a command, or forgets it, is told; a URL is shown without secrets."""
    assert refusal(capsys, argument) == message


def test_help_of_all(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """--help without a command tells what there is, in 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as exited:
        main(["--help"])
    assert exited.value.code == 0
    text = capsys.readouterr().out
    for command in ("demo", "cat", "relay", "bench"):
        assert f"\n  {command} " in text
    assert max(map(len, text.splitlines())) <= 80


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version is one line, and success."""
    with pytest.raises(SystemExit) as exited:
        main(["--version"])
    assert exited.value.code == 0
    assert capsys.readouterr().out == f"wsmultipool {__version__}\n"


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """--help of a command has every option, examples and the exit status, in 80 columns."""
    with pytest.raises(SystemExit) as exited:
        main(["demo", "--help"])
    assert exited.value.code == 0
    text = capsys.readouterr().out
    for part in ("--url", "--insecure", "--messages", "--pool-size", "--size", "130", "examples:"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 80


def test_real_run() -> None:
    """The demo, small: it sends, loses connections, delivers everything, and succeeds."""
    done = subprocess.run(
        command("demo", "--messages", "500", "--pool-size", "3", "--size", "16"),
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    rows = {line.rpartition(" ")[0].rstrip(): line for line in done.stdout.splitlines()}
    assert rows["sent"].split()[-1] == "500"
    assert rows["delivered"].split()[-1] == "500"
    assert rows["duplicates"].split()[-1] == "0"
    assert rows["closed by the server"].split()[-1] == rows["reconnects"].split()[-1] != "0"
    assert done.stdout.endswith("\nEvery message was delivered.\n")
    assert max(map(len, done.stdout.splitlines()[1:])) <= 80
    assert "\x1b" not in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 10


def test_interrupt() -> None:
    """Ctrl-C ends the demo at once, cleanly, with the status that shells expect."""
    process = subprocess.Popen(
        command("demo", "--messages", "100000000", "--size", "16"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        # A shell has its background jobs, and so perhaps these tests, ignore Ctrl-C.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("wsmultipool ")  # it runs
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "interrupted"
    assert "delivered" not in out


def test_reader_that_goes_away() -> None:
    """In a pipe to C{head}, the demo ends quietly when C{head} has enough."""
    process = subprocess.Popen(
        command("demo", "--messages", "100"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=30) == 1
    with process.stderr as errors:
        assert "Traceback" not in errors.read()
