"""
Tests for L{wsmultipool.service.stale_socket}.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from wsmultipool.service.stale_socket import remove_stale_socket


@pytest.fixture
def path() -> Iterator[Path]:
    """
    Where a socket may be, in few enough characters.
    """
    with TemporaryDirectory() as directory:
        yield Path(directory, "socket")


def listening(path: Path, backlog: int = 1) -> socket.socket:
    """
    Listen, with a lock that names this process, as Twisted makes it.
    """
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(backlog)
    Path(f"{path}.lock").symlink_to(str(os.getpid()))
    return server


def left(path: Path) -> list[str]:
    """
    Return what is in the directory.
    """
    return sorted(each.name for each in path.parent.iterdir())


def test_a_socket_that_nobody_listens_on_is_removed(path: Path) -> None:
    """So is its lock, though the process that it names is alive."""
    listening(path).close()
    assert left(path) == ["socket", "socket.lock"]
    remove_stale_socket(str(path))
    assert left(path) == []


def test_a_socket_that_somebody_listens_on_stays(path: Path) -> None:
    """Even if that one is too busy to take connections."""
    with listening(path, backlog=0):
        clients = []
        for _ in range(3):
            remove_stale_socket(str(path))
            assert left(path) == ["socket", "socket.lock"]
            client = socket.socket(socket.AF_UNIX)
            client.setblocking(False)
            client.connect_ex(str(path))
            clients.append(client)
        for client in clients:
            client.close()


def test_what_is_no_socket_stays(path: Path) -> None:
    """A file of this name is somebody's, and so is one that is no lock."""
    path.write_text("text")
    Path(f"{path}.lock").symlink_to("1")
    remove_stale_socket(str(path))
    assert left(path) == ["socket", "socket.lock"]
    for each in path.parent.iterdir():
        each.unlink()
    listening(path).close()
    lock = Path(f"{path}.lock")
    lock.unlink()
    lock.write_text("text")
    remove_stale_socket(str(path))
    assert left(path) == ["socket.lock"]


def test_where_nothing_is(path: Path) -> None:
    """There is nothing to do; what is no path is for others to refuse."""
    remove_stale_socket(str(path))
    remove_stale_socket("\0abstract")
    assert left(path) == []
