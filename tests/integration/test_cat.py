"""
C{wsmultipool cat} in a pipeline: with files, pipes and terminals as a shell gives them to it.
"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from .autobahn_server import echo_factory
from .deadline import within
from .listening import listening
from .misbehaving import Ignores, Says
from .rejecting import Rejects
from .service_programs import COMMAND, running
from .upgrade import CLOSE, frame

pytestmark = pytest.mark.integration

CAT = [sys.executable, *COMMAND, "cat"]
Stream = int | IO[Any]


def piped(url: str, stdin: Stream, stdout: Stream, *arguments: str) -> Deferred[tuple[int, str]]:
    """
    Run it with these standard streams.

    @return: a Deferred of its exit status, and of what it said.
    """

    def run() -> tuple[int, str]:
        # In a thread, as the server is on this reactor.
        done = subprocess.run(
            [*CAT, url, *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            check=False,
        )
        return done.returncode, done.stderr.decode()

    return deferToThread(run)


@within(60)
async def test_from_a_file_to_a_file(tmp_path: Path) -> None:
    """Files, which can't be watched, are read and written as pipes are."""
    text = "".join(f"{number}\n" for number in range(5000))
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text(text)
    async with listening(echo_factory()) as server:
        with source.open() as stdin, target.open("w") as stdout:
            result = await piped(server.url, stdin, stdout, "--expect=5000", "--progress")
    status, said = result
    assert status == 0, said
    assert target.read_text() == text
    assert said.splitlines()[-1].startswith("sent 5,000 (18.4 KiB)  received 5,000 (18.4 KiB)  ")


@within(60)
async def test_without_input_and_output() -> None:
    """/dev/null is an end of the input like any other, and a place for the output."""
    async with listening(echo_factory()) as server:
        assert await piped(server.url, subprocess.DEVNULL, subprocess.DEVNULL) == (0, "")


@within(60)
async def test_a_reader_that_has_read_enough() -> None:
    """Before "head", it ends when nobody reads any more, with the status of a broken pipe."""
    command = f"yes | '{sys.executable}' -m wsmultipool cat $URL | head -3; echo ${{PIPESTATUS[1]}}"
    async with listening(echo_factory()) as server:
        environment = {**os.environ, "URL": server.url}
        done = await deferToThread(
            subprocess.run, ["bash", "-c", command], env=environment, capture_output=True
        )
    assert done.stdout.decode().split() == ["y", "y", "y", "141"]
    assert done.stderr == b""


@within(60)
@pytest.mark.parametrize(("name", "status"), [("INT", 130), ("TERM", 143)])
async def test_a_signal(name: str, status: int) -> None:
    """A signal ends it at once, with the status that shells give to that."""
    async with (
        listening(echo_factory()) as server,
        running(*COMMAND, "cat", server.url) as program,
    ):
        program.write(b"hello\n")
        await program.wrote("hello")
        program.signal(name)
        assert await program.ended() == status
        assert program.errors == b""
        await server.all_gone()


@within(60)
async def test_a_terminal_is_left_as_it_was() -> None:
    """A terminal that it reads from, and writes to, is blocking before and after."""
    controller, terminal = pty.openpty()
    try:
        os.write(controller, b"hello\n\x04")
        async with listening(echo_factory()) as server:
            status, said = await piped(server.url, terminal, terminal)
        assert (status, said) == (0, "")
        assert os.get_blocking(terminal)
        # The terminal's own echo of what was typed, and the answer.
        assert os.read(controller, 1000).count(b"hello") == 2
    finally:
        os.close(controller)
        os.close(terminal)


@within(60)
async def test_a_server_that_confirms_nothing() -> None:
    """
    With --confirm, and more input to wait for, it ends after --timeout, and says what is unknown.
    """
    async with (
        listening(Ignores) as server,
        running(*COMMAND, "cat", server.url, "--confirm", "--timeout=1") as program,
    ):
        program.write(b"hello\n")
        assert await program.ended() == 1
    assert program.errors == (
        b"wsmultipool cat: no message was confirmed within 1 s (0 confirmed, 1 unknown)\n"
    )


@within(60)
@pytest.mark.parametrize("options", [["--linger=1"], ["--linger=inf", "--timeout=1"]])
async def test_a_server_that_turns_us_away(options: list[str]) -> None:
    """A server that accepts, and then wants no such client, is no success; its words are shown."""
    close = frame(CLOSE, (1008).to_bytes(2, "big") + b"invalid API key")
    # It leaves TCP open: the pool ends that after some seconds.
    async with listening(lambda: Says(close)) as server:
        status, said = await piped(server.url, subprocess.DEVNULL, subprocess.DEVNULL, *options)
    assert status == 1
    words = 'the peer closed the connection: 1008 "invalid API key"'
    assert said.splitlines()[-1] == f"wsmultipool cat: the server turns us away: {words}"


@within(60)
async def test_the_words_of_a_server_that_does_not_end_tcp() -> None:
    """They are known only at the end, and shown before the run's own."""
    close = frame(CLOSE, (1008).to_bytes(2, "big") + b"invalid API key")
    async with (
        listening(lambda: Says(close)) as server,
        running(*COMMAND, "cat", server.url, "--timeout=1") as program,
    ):
        program.write(b"hello\n")
        assert await program.ended() == 1
    assert program.errors.splitlines() == [
        b'wsmultipool cat: the peer closed the connection: 1008 "invalid API key"',
        b"wsmultipool cat: message 1 was not sent: no connection took the message within 1 s",
    ]


@within(60)
async def test_a_server_that_rejects_the_upgrade() -> None:
    """Its status and reason are shown, and what it explains."""

    def rejects() -> Rejects:
        return Rejects("401 Unauthorized", "Content-Type: text/plain", body=b"token expired")

    async with listening(rejects) as server:
        status, said = await piped(
            server.url, subprocess.DEVNULL, subprocess.DEVNULL, "--linger=1", "--timeout=1"
        )
    assert status == 1
    rejected = "the server rejected the upgrade: 401 Unauthorized: token expired"
    assert said.splitlines()[0] == f"wsmultipool cat: {rejected}"


@within(60)
async def test_a_server_that_answers_nothing() -> None:
    """Answers that are expected are waited for until none has come for --timeout."""
    async with listening(echo_factory()) as server:
        status, said = await piped(
            server.url, subprocess.DEVNULL, subprocess.DEVNULL, "--expect=1", "--timeout=0.5"
        )
    assert status == 1
    assert said == "wsmultipool cat: 0 of 1 expected messages arrived, and none for 0.5 s\n"
