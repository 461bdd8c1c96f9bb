"""
Tests for L{wsmultipool.service.bounded_read}.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from wsmultipool.service import bounded_read
from wsmultipool.service.bounded_read import is_regular, read_bytes


@pytest.fixture
def pipe(tmp_path: Path) -> str:
    """
    A named pipe that nobody has opened.
    """
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return str(path)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Have no patience with pipes.
    """
    monkeypatch.setattr(bounded_read, "SECONDS", 0.05)


def test_a_file_is_read(tmp_path: Path) -> None:
    """What can be read in one go is, however long it is."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100_000)
    assert is_regular(str(path))
    assert read_bytes(str(path)) == b"x" * 100_000


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    """It is said why, as the system puts it."""
    with pytest.raises(FileNotFoundError):
        read_bytes(str(tmp_path / "missing"))
    with pytest.raises(IsADirectoryError):
        read_bytes(str(tmp_path))


def test_what_a_command_writes_into_a_pipe_is_read_to_its_end(pipe: str) -> None:
    """Its writer may open it later than the reader, and write more than goes into it at once."""
    data = b"0123456789" * 100_000
    writer = threading.Thread(target=Path(pipe).write_bytes, args=(data,))
    writer.start()
    try:
        assert read_bytes(pipe) == data
    finally:
        writer.join()
    assert not is_regular(pipe)


@pytest.mark.usefixtures("hurried")
def test_nobody_writes_to_the_pipe(pipe: str) -> None:
    """A wait for a writer that does not come ends."""
    with pytest.raises(OSError, match=r"nothing to read for 0\.05 s"):
        read_bytes(pipe)


def test_a_pipe_that_was_read_already() -> None:
    """What a shell's <(command) has written is gone after the first time; that is told."""
    reading, writing = os.pipe()
    try:
        os.write(writing, b"X-A: 1")
        os.close(writing)
        path = f"/dev/fd/{reading}"
        assert read_bytes(path) == b"X-A: 1"
        with pytest.raises(OSError, match="it can be read only once"):
            read_bytes(path)
    finally:
        os.close(reading)


def test_a_device_with_nothing_in_it() -> None:
    """That it is empty may be what was meant."""
    assert read_bytes("/dev/null") == b""


def test_a_file_without_an_end() -> None:
    """A device that never stops is not read for ever."""
    with pytest.raises(OSError, match="it has no end"):
        read_bytes("/dev/zero")
