"""
Tests for L{wsmultipool._commands.standard_streams}, with real descriptors.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReadDescriptor, IWriteDescriptor
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from wsmultipool._commands.standard_streams import InputStream, OutputStream

from .integration.deadline import within
from .integration.running_reactor import reactor as _running
from .support import error_of

reactor: Any = _running


@pytest.fixture
def pipe() -> Iterator[list[int]]:
    """
    A pipe: the end to read from, and the one to write to; a test that closes one sets it to -1.
    """
    ends = list(os.pipe())
    yield ends
    for end in ends:
        if end >= 0:
            os.close(end)


class Output:
    """
    An output stream, and what it has reported.
    """

    def __init__(self, descriptor: int) -> None:
        self.reports: list[str | int | None] = []
        self.stream = OutputStream(
            reactor,
            lambda: self.reports.append("pause"),
            lambda: self.reports.append("resume"),
            lambda error: self.reports.append(error.errno or type(error).__name__),
            descriptor,
        )


def is_blocking(descriptor: int) -> bool:
    return not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_NONBLOCK


def test_they_are_descriptors_of_a_reactor(pipe: list[int]) -> None:
    """The reactor can watch them."""
    assert verifyObject(IReadDescriptor, InputStream(reactor, pipe[0]))
    assert verifyObject(IWriteDescriptor, Output(pipe[1]).stream)


# Input


@within(10)
async def test_read_from_a_pipe(pipe: list[int]) -> None:
    """What is there is read when it is asked for, up to the end; the pipe stays as it was."""
    stream = InputStream(reactor, pipe[0])
    reading = Deferred.fromCoroutine(stream.read())
    await deferLater(reactor, 0.01)
    assert not reading.called
    os.write(pipe[1], b"one")
    assert await reading == b"one"
    os.write(pipe[1], b"two")
    os.close(pipe[1])
    pipe[1] = -1
    assert await stream.read() == b"two"
    assert await stream.read() == b""
    assert is_blocking(pipe[0])


@within(10)
async def test_what_is_not_asked_for_is_not_read(pipe: list[int]) -> None:
    """Whoever writes has to wait for as long as nobody wants more."""
    stream = InputStream(reactor, pipe[0])
    os.write(pipe[1], b"one")
    assert await stream.read() == b"one"
    os.write(pipe[1], b"two")
    await deferLater(reactor, 0.01)
    assert os.read(pipe[0], 100) == b"two"


@within(10)
async def test_input_that_somebody_else_has_taken_is_waited_for(pipe: list[int]) -> None:
    """A pipe may have several readers, one of which has made it non-blocking: that is no error."""
    os.set_blocking(pipe[0], False)
    stream = InputStream(reactor, pipe[0])
    reading = Deferred.fromCoroutine(stream.read())
    stream.doRead()
    assert not reading.called
    os.write(pipe[1], b"one")
    assert await reading == b"one"


@within(10)
async def test_waiting_for_input_can_be_given_up(pipe: list[int]) -> None:
    """Nothing stays on the reactor when the program ends before the input does."""
    stream = InputStream(reactor, pipe[0])
    reading = Deferred.fromCoroutine(stream.read())
    assert stream in reactor.getReaders()
    reading.cancel()
    assert isinstance(error_of(reading), CancelledError)
    assert stream not in reactor.getReaders()


@within(10)
@pytest.mark.parametrize("size", [0, 10, 200_000])
async def test_read_from_a_file(tmp_path: Path, size: int) -> None:
    """A regular file, which epoll can't watch, is read to its end."""
    path = tmp_path / "file"
    path.write_bytes(bytes(size))
    descriptor = os.open(path, os.O_RDONLY)
    stream = InputStream(reactor, descriptor)
    read = 0
    while data := await stream.read():
        read += len(data)
    os.close(descriptor)
    assert read == size


@within(10)
async def test_read_from_nothing() -> None:
    """/dev/null is at its end at once, and so is what was closed before the program began."""
    with open(os.devnull, "rb") as null:
        assert await InputStream(reactor, null.fileno()).read() == b""
    closed = os.open(os.devnull, os.O_RDONLY)
    os.close(closed)
    assert await InputStream(reactor, closed).read() == b""


@within(10)
async def test_read_from_what_can_not_be_read(tmp_path: Path) -> None:
    """A directory is an error, not the end."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(IsADirectoryError):
        await InputStream(reactor, descriptor).read()
    os.close(descriptor)


# Output


@within(10)
async def test_write_to_a_pipe(pipe: list[int]) -> None:
    """What is written arrives in order, and it is known when; the pipe stays as it was."""
    output = Output(pipe[1])
    output.stream.write(b"one ")
    output.stream.write(b"")
    output.stream.write(b"two")
    await output.stream.when_written()
    assert os.read(pipe[0], 100) == b"one two"
    await output.stream.when_written()
    assert is_blocking(pipe[1])
    assert output.reports == []


@within(10)
async def test_a_slow_reader(pipe: list[int]) -> None:
    """While nobody reads, the source is told to pause, once; when all is written, to go on."""
    output = Output(pipe[1])
    data = os.urandom(500_000)
    for begin in range(0, len(data), 50_000):
        output.stream.write(data[begin : begin + 50_000])
    await deferLater(reactor, 0.01)
    assert output.reports == ["pause"]
    written = output.stream.when_written()
    received = b""
    while not written.called or len(received) < len(data):
        received += os.read(pipe[0], 30_000)
        await deferLater(reactor, 0)
    assert received == data
    assert output.reports == ["pause", "resume"]


@within(10)
async def test_write_to_a_file(tmp_path: Path) -> None:
    """A regular file takes everything at once."""
    with (tmp_path / "file").open("wb") as file:
        output = Output(file.fileno())
        output.stream.write(bytes(500_000))
        await output.stream.when_written()
        assert os.fstat(file.fileno()).st_size == 500_000
    assert output.reports == []


@within(10)
async def test_nobody_reads_any_more(pipe: list[int]) -> None:
    """A reader that has gone away is reported once, and ends all waiting."""
    output = Output(pipe[1])
    os.close(pipe[0])
    pipe[0] = -1
    output.stream.write(b"one")
    await output.stream.when_written()
    output.stream.write(b"two")
    await output.stream.when_written()
    # It may be the reactor that sees it first, which does not say how.
    assert output.reports in ([errno.EPIPE], ["BrokenPipeError"])


@within(10)
async def test_no_space_is_left() -> None:
    """A file that takes no more is reported with its reason."""
    with open("/dev/full", "wb", buffering=0) as full:
        output = Output(full.fileno())
        output.stream.write(b"one")
    assert output.reports == [errno.ENOSPC]


@within(10)
async def test_a_pipe_that_others_have_made_non_blocking(pipe: list[int]) -> None:
    """A full pipe is no error, whoever has made it non-blocking."""
    os.set_blocking(pipe[1], False)
    output = Output(pipe[1])
    output.stream.write(bytes(200_000))
    await deferLater(reactor, 0.01)
    output.stream.doWrite()
    written = output.stream.when_written()
    received = 0
    while not written.called:
        received += len(os.read(pipe[0], 100_000))
        await deferLater(reactor, 0)
    assert received + len(os.read(pipe[0], 100_000) if received < 200_000 else b"") == 200_000


@within(10)
async def test_the_end_of_the_reactor_is_the_end_of_the_output(pipe: list[int]) -> None:
    """What the reactor reports as lost is lost."""
    output = Output(pipe[1])
    output.stream.connectionLost(Failure(Exception()))
    assert output.reports == ["BrokenPipeError"]
