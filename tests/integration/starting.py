"""
The types of the fixtures that start things for the length of a test.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from wsmultipool import ReconnectingPoolFactory

from .journal import Journal
from .processes import PeerProcess

T = TypeVar("T")


class Start(Protocol):
    """C{start}: enter a server's context; the end of the test leaves it."""

    def __call__(self, context: AbstractAsyncContextManager[T], /) -> Awaitable[T]: ...


class ProcessServer(Protocol):
    """C{process_server}: run a server process, with options, for the length of the context."""

    def __call__(self, **options: Any) -> AbstractAsyncContextManager[PeerProcess]: ...


class StartPool(Protocol):
    """C{start_pool}: build a pool and the journal of its events; the end of the test closes it."""

    def __call__(
        self, url: str | Sequence[str], **options: Any
    ) -> tuple[ReconnectingPoolFactory, Journal]: ...
