"""
What the tests with a node are given.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..integration.conftest import node, stack, start
from .node import Node, executable

__all__ = ["crossbar", "node", "stack", "start"]

HERE = Path(__file__).parent

if executable() is None:
    collect_ignore_glob = ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Mark every test of this directory.
    """
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)
            item.add_marker(pytest.mark.crossbar)


@pytest.fixture(scope="session")
def crossbar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """
    A node that all tests share that leave it running.
    """
    node = Node(tmp_path_factory.mktemp("crossbar"))
    node.start()
    try:
        node.wait()
        yield node
    finally:
        node.kill()
