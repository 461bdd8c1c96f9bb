"""
What the tests of this package are given: the proxy, and what integration tests have.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted

from ..integration.conftest import (
    TWISTED_PASSES_PYOPENSSL_OBJECTS,
    authority,
    node,
    stack,
)
from ..integration.processes import PeerProcess
from .servers import proxy_process

__all__ = ["authority", "fault_proxy", "node", "stack"]

HERE = Path(__file__).parent
# Who takes one of these talks to a server.
WITH_SERVERS = {"fault_proxy", "stack"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Mark the tests that talk to a server as those of C{tests/integration} are.
    """
    for item in items:
        if HERE in item.path.parents and WITH_SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.integration)
            item.add_marker(TWISTED_PASSES_PYOPENSSL_OBJECTS)


@pytest_twisted.async_yield_fixture(scope="module")  # type: ignore[untyped-decorator]
async def fault_proxy(node: None) -> AsyncIterator[PeerProcess]:
    """
    The proxy between pool and server, as a process of its own.
    """
    async with proxy_process() as proxy:
        yield proxy
