"""
Processes that cannot be waited for for ever: each has a deadline, and none outlives its block.
"""

from __future__ import annotations

import re
import select
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic

_LISTENING_TIMEOUT = 20.0
_ENDING_TIMEOUT = 5.0
_LONGEST_ERROR = 600


class ProcessFailed(Exception):
    """
    A process ended with an error, was too slow, or did not say what it should.
    """


@contextmanager
def server(command: Sequence[str]) -> Iterator[int]:
    """
    Run a server until the end of the block, which ends its standard input.

    @param command: writes the port it listens on as its first line.
    @return: the port.
    @raise ProcessFailed: it did not listen in time.
    """
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield _port(process, command)
    finally:
        process.kill()
        process.communicate(timeout=_ENDING_TIMEOUT)


def _port(process: subprocess.Popen[str], command: Sequence[str]) -> int:
    assert process.stdout is not None
    assert process.stderr is not None
    ready, _, _ = select.select([process.stdout], [], [], _LISTENING_TIMEOUT)
    line = process.stdout.readline() if ready else ""
    if not line.strip().isdigit():
        process.kill()
        raise ProcessFailed(f"{command[0]} does not listen: {_end(process.stderr.read())}")
    return int(line)


def last_line(command: Sequence[str], environment: Mapping[str, str], timeout: float) -> str:
    """
    Run a program to its end.

    @param timeout: seconds, after which it is killed.
    @return: the last line it wrote.
    @raise ProcessFailed: it failed, wrote nothing, or took longer.
    """
    started = monotonic()
    try:
        finished = subprocess.run(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ProcessFailed(f"killed after {monotonic() - started:.0f} s") from None
    except OSError as error:
        raise ProcessFailed(f"{command[0]}: {error.strerror}") from error
    lines = finished.stdout.splitlines()
    if finished.returncode != 0 or not lines:
        raise ProcessFailed(_end(finished.stderr) or f"exit status {finished.returncode}")
    return lines[-1]


def _end(text: str) -> str:
    """
    Return why a program failed, by what it said: the last line that is not part of a stack, nor
    the version with which Node ends.
    """
    lines = [line for line in text.splitlines() if re.match(r"(?!Node\.js v)\S", line)]
    return lines[-1][:_LONGEST_ERROR] if lines else ""
