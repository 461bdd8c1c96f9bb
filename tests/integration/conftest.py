"""
What integration tests are given: servers and pools that end with the test, and certificates.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from wsmultipool import ReconnectingPoolFactory

from .certificates import Authority
from .deadline import limited
from .journal import Journal
from .peers import install_node_server, node_server, websockets_server
from .pools import watched_pool
from .starting import ProcessServer, Start, StartPool

HERE = Path(__file__).parent

# Twisted's TLS itself does what pyOpenSSL warns of; as an error, that would stop the servers.
TWISTED_PASSES_PYOPENSSL_OBJECTS = pytest.mark.filterwarnings(
    "ignore:Passing pyOpenSSL:DeprecationWarning"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Mark every test of this directory, so that C{-m} can choose them or leave them out.
    """
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)
            item.add_marker(TWISTED_PASSES_PYOPENSSL_OBJECTS)


@pytest_twisted.async_yield_fixture()  # type: ignore[untyped-decorator]
async def stack() -> AsyncIterator[AsyncExitStack]:
    """
    Holds the servers and pools of a test, and ends them in the reverse order.
    """
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def start(stack: AsyncExitStack) -> Start:
    """
    Start a server that is stopped after the test.
    """
    return stack.enter_async_context


@pytest.fixture
def start_pool(stack: AsyncExitStack) -> StartPool:
    """
    Start a pool that is closed after the test; see L{watched_pool}.
    """

    def start_pool(
        url: str | Sequence[str], **options: Any
    ) -> tuple[ReconnectingPoolFactory, Journal]:
        pool, journal = watched_pool(url, **options)
        stack.push_async_callback(lambda: limited(pool.close(), 10))
        return pool, journal

    return start_pool


@pytest.fixture(scope="session")
def node() -> None:
    """
    Node's C{ws} is installed, or the test is skipped.
    """
    install_node_server()


@pytest.fixture(params=["node", "websockets"])
def process_server(request: pytest.FixtureRequest) -> ProcessServer:
    """
    Builds a server that is a process of its own, on Node's C{ws} or on Python's C{websockets}.

    Its keyword arguments are the options that C{node/server.js} documents.
    """
    if request.param == "node":
        request.getfixturevalue("node")
        return node_server
    return websockets_server


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """
    A certificate authority that nobody trusts unless told to.
    """
    return Authority(tmp_path_factory.mktemp("certificates"))
