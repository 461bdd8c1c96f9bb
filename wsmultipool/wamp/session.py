"""
The container form: a pool in a session that a Crossbar.io container runs.

Use L{wsmultipool.wamp.pool_component} where something depends on it: a container makes a lost
session again not at all, or once, or in a hot loop; so the pool lives and dies with its session.

@since: 0.1.0
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from ..backoff import ExponentialBackoff
from ._extra import offer_of
from ._offering import Offering
from ._sessions import WatchedSession

__all__ = ["PoolSession"]

# Not a class attribute: as one it would take its namespace from each class.
_log = Logger(namespace="wsmultipool.wamp")

_FIRST_DELAY = 1.0
_MAX_DELAY = 30.0


class PoolSession(WatchedSession):
    """
    A session that offers a pool, for the configuration of a container::

        {
            "type": "class",
            "classname": "wsmultipool.wamp.PoolSession",
            "realm": "realm1",
            "extra": {
                "url": "wss://example.com/feed",
                "pool_size": 4,
                "prefix": "com.example.feed"
            },
            "transport": {...}
        }

    Under C{extra}: C{url}, the options of a pool that JSON can express, with C{ws_options} as an
    object, and those of L{wsmultipool.wamp.WampOptions}.

    The node waits for C{onJoin} before it goes on to start, and ends a session in which that fails.
    So the procedures are registered first, and the pool fills later; and if they can't be
    registered, that is logged, and tried again by backoff.

    @ivar pool: what it offers, from C{extra}.
    @raise TypeError: C{url} or C{prefix} is missing, or an option is unknown or of the wrong type.
    @raise ValueError: an option is out of range.
    @since: 0.1.0
    """

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.pool, options = offer_of(None if config is None else config.extra)
        self._offering = Offering(self.pool, options)
        self._backoff = ExponentialBackoff(_FIRST_DELAY, _MAX_DELAY)
        self._waiting: Deferred[None] | None = None

    @staticmethod
    def check_config(personality: object, extra: dict[str, Any]) -> None:
        """
        Check C{extra} before anything is started; called by the container.

        @raise TypeError: as the constructor.
        @raise ValueError: as the constructor.
        @since: 0.1.0
        """
        offer_of(extra).pool.destroy()

    async def onJoin(self, details: object) -> None:
        """
        Register the procedures, and begin to fill the pool; called by Autobahn.

        @since: 0.1.0
        """
        self.pool.start()
        if not await self._registered():
            Deferred.fromCoroutine(self._register_later())

    async def _registered(self) -> bool:
        try:
            from twisted.internet import reactor

            await self._offering.join(self, IReactorTime(reactor))
        except Exception as error:
            _log.error(
                "{pool}: the procedures could not be registered: {error}",
                pool=self.pool.name,
                error=error,
            )
            return False
        return True

    async def _register_later(self) -> None:
        from twisted.internet import reactor

        while self.is_attached():
            self._waiting = deferLater(reactor, self._backoff.next())
            with suppress(CancelledError):
                await self._waiting
            self._waiting = None
            if self.is_attached() and await self._registered():
                return

    def onLeave(self, details: object) -> Any:
        """
        The session has ended; called by Autobahn.

        @since: 0.1.0
        """
        self._offering.leave(self)
        return super().onLeave(details)

    def onDisconnect(self) -> None:
        """
        The transport is gone, and with it this session for good: close the pool; called by
        Autobahn.

        @since: 0.1.0
        """
        super().onDisconnect()
        if self._waiting is not None:
            self._waiting.cancel()
        self._offering.publisher.stop()
        self.pool.close()
