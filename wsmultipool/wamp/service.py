"""
A pool offered to a realm, as part of a Twisted application.

@since: 0.1.0
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..service import PoolService
from .component import pool_component
from .errors import JoinRefused

if TYPE_CHECKING:
    from typing import Unpack

    from ..pool import ReconnectingPoolFactory
    from .options import WampOptionsDict

__all__ = ["WampService"]

# Not a class attribute: as one it would take its namespace from each class.
_log = Logger(namespace="wsmultipool.wamp")


class WampService(PoolService):
    """
    An L{IService<twisted.application.service.IService>} that starts a pool, offers it to a realm,
    and ends both in good order: no more calls, those under way end, and then the pool closes.

    It takes the place of C{wsmultipool.PoolService}.

    @param pool: built with C{start=False}.
    @param url: as of L{pool_component}.
    @param realm: as of L{pool_component}.
    @param prefix: as of L{pool_component}.
    @param authentication: as of L{pool_component}.
    @param max_rejoin_delay: as of L{pool_component}.
    @param drain: seconds for which, when it is stopped, calls under way may go on, and then the
        pool delivers what is queued; C{None} for not at all.
    @param on_refused: called when the router refuses the first session for a reason that would not
        change; C{None} to stop the reactor.
    @param reactor: C{None} for the global one.
    @param options: see L{WampOptions<wsmultipool.wamp.WampOptions>}.
    @ivar component: the L{PoolComponent<wsmultipool.wamp.PoolComponent>}.
    @raise TypeError: as L{pool_component}.
    @raise ValueError: as L{pool_component}.
    @since: 0.1.0
    """

    def __init__(
        self,
        pool: ReconnectingPoolFactory,
        *,
        url: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]],
        realm: str,
        prefix: str,
        authentication: Mapping[str, Any] | None = None,
        max_rejoin_delay: float = 5.0,
        drain: float | None = None,
        on_refused: Callable[[JoinRefused], object] | None = None,
        reactor: IReactorTime | None = None,
        **options: Unpack[WampOptionsDict],
    ) -> None:
        super().__init__(pool, drain=drain)
        self._drain_calls = drain or 0.0
        self._on_refused = on_refused
        self._reactor = reactor
        self.component = pool_component(
            pool,
            url,
            realm=realm,
            prefix=prefix,
            authentication=authentication,
            max_rejoin_delay=max_rejoin_delay,
            **options,
        )

    def startService(self) -> None:
        """
        Start the pool, and begin to offer it.

        @since: 0.1.0
        """
        super().startService()
        self.component.start(self._reactor).addErrback(self._refused)

    def stopService(self) -> Deferred[None]:
        """
        Take no more calls, and close the pool.

        @return: a Deferred that fires when every connection is closed; it does not fail.
        @since: 0.1.0
        """
        closed = self.component.close(drain=self._drain_calls)
        return closed.addCallback(lambda _: PoolService.stopService(self))

    def _refused(self, failure: Failure) -> None:
        if failure.check(JoinRefused) is None:
            _log.failure("the component failed", failure)
            return
        refusal = failure.value
        assert isinstance(refusal, JoinRefused)
        _log.critical("not offered: {refusal}", refusal=refusal)
        if self._on_refused is not None:
            self._on_refused(refusal)
            return
        from twisted.internet import reactor

        reactor.stop()
