"""
A pool in memory, offered to a router in memory, and a client of it.
"""

from __future__ import annotations

from typing import Any

from autobahn.wamp.types import ComponentConfig
from twisted.internet.defer import Deferred

from wsmultipool.testing import MemoryPool
from wsmultipool.wamp import PoolClient, WampOptions
from wsmultipool.wamp._offering import Offering
from wsmultipool.wamp._sessions import ComponentSession

from .wamp_router import MemoryRouter

PREFIX = "com.example.feed"


class Offered:
    """
    One component: a pool, and the session it is offered in.

    @ivar session: the present one.
    """

    def __init__(
        self, router: MemoryRouter, memory: MemoryPool, options: dict[str, Any] | None = None
    ) -> None:
        self.memory = memory
        self.router = router
        checked = WampOptions.from_keywords({"prefix": PREFIX, **(options or {})})
        self.offering = Offering(memory.pool, checked)
        self.session: Any = None

    def join(self) -> None:
        """Begin a session, and register in it."""
        session = ComponentSession(ComponentConfig("realm1", {}))
        self.session = session
        self.joining = Deferred[None]()

        def joined(session: Any, details: object) -> None:
            Deferred.fromCoroutine(self.offering.join(session, self.memory.clock)).chainDeferred(
                self.joining
            )

        def left(session: Any, details: object) -> None:
            self.offering.leave(session)

        session.on("join", joined)  # type: ignore[no-untyped-call]
        session.on("leave", left)  # type: ignore[no-untyped-call]
        self.router.join(session)

    def lose(self) -> None:
        """Lose the transport of the session."""
        self.session._transport.abort()


class Scene:
    """
    A router, one component with an open pool, and a client.
    """

    def __init__(
        self,
        *,
        serializer: str = "cbor",
        pool: dict[str, Any] | None = None,
        client: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.router = MemoryRouter(serializer)
        self.memory = MemoryPool(**{"pool_size": 2, "logger": False, **(pool or {})})
        self.offered = Offered(self.router, self.memory, options)
        self.memory.open()
        self.offered.join()
        self.session = self.router.join()
        self.client = PoolClient(self.session, PREFIX, reactor=self.memory.clock, **(client or {}))

    def received(self) -> list[tuple[bytes, bool]]:
        """Return what the servers have received, by connection."""
        self.memory.settle()
        return [message for peer in self.memory.server.peers for message in peer.received]

    def result(self, deferred: Deferred[Any]) -> Any:
        """Return what a Deferred has fired with by now, or raise what it has failed with."""
        return self.memory.result(deferred)

    def call(self, verb: str, *arguments: Any, **options: Any) -> Any:
        """Call a procedure without the client; return the answer, or raise the error."""
        return self.result(self.session.call(f"{PREFIX}.{verb}", *arguments, **options))

    def close(self) -> None:
        """End everything, and check that nothing is left."""
        self.memory.close()
