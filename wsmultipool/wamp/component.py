"""
The sturdy form: a pool offered by a component in a process of one's own.

Autobahn's C{Component} connects, joins, and does so again when the session is lost.  What it leaves
open is closed here:

  - it never forgets how long it waited last, unless it is given a C{main}, and then it tries at
    once after each loss: a session that joins and fails would be made again in a hot loop;
  - it ends for good when the router says goodbye politely;
  - it waits for ever for a router that neither lets it into the realm nor refuses it;
  - stopped while it connects, it goes on connecting;
  - it takes a wrong realm for a reason to try for ever.

@since: 0.1.0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from autobahn.exception import Disconnected
from autobahn.twisted.component import Component
from autobahn.wamp.auth import create_authenticator
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.interfaces import IAuthenticator
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from .._deadline_clock import DeadlineClock
from ..backoff import ExponentialBackoff
from ..options import ServerURL
from ._checks import check_seconds
from ._offering import Offering
from ._router_endpoint import RouterEndpoint
from ._sessions import ComponentSession
from .errors import JoinRefused
from .options import WampOptions

if TYPE_CHECKING:
    from typing import Unpack

    from twisted.internet.interfaces import IDelayedCall

    from ..pool import ReconnectingPoolFactory
    from .options import WampOptionsDict

__all__ = ["PoolComponent", "pool_component"]

# Not a class attribute: as one it would take its namespace from each class.
_log = Logger(namespace="wsmultipool.wamp")

# Of these, the next attempt would not be better, unless the router is changed.
_REFUSALS = {
    ApplicationError.NO_SUCH_REALM: "realm",
    ApplicationError.NO_AUTH_METHOD: "authentication",
    ApplicationError.AUTHENTICATION_FAILED: "authentication",
    ApplicationError.NOT_AUTHORIZED: "authentication",
    ApplicationError.NO_SUCH_PRINCIPAL: "authentication",
    ApplicationError.NO_SUCH_ROLE: "authentication",
    "wamp.error.cannot_authenticate": "authentication",
}
_FIRST_DELAY = 0.3
# For a router that accepts connections, and lets nobody into the realm.
_JOIN_TIMEOUT = 30.0
# For a router that answers goodbye late, or never, and for an attempt that hangs.
_GOODBYE_TIMEOUT = 5.0
# Autobahn's own pings: a router that vanished without a word is found out.
_PINGS = {"autoPingInterval": 10, "autoPingTimeout": 5}


class _Unregistered(Exception):
    """
    The session is of no use: the procedures could not be registered.
    """


class PoolComponent(Component):
    """
    Offers a pool to a realm for as long as it runs; made by L{pool_component}.

    It neither starts nor closes the pool, which stays open while the router is away.

    @ivar pool: what it offers.
    @ivar options: the L{WampOptions} it does so with.
    @since: 0.1.0
    """

    session_factory = ComponentSession

    def __init__(
        self,
        pool: ReconnectingPoolFactory,
        options: WampOptions,
        transports: list[dict[str, Any]],
        realm: str,
        authentication: Mapping[str, Any] | None,
        max_rejoin_delay: float,
    ) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            main=self._main,
            transports=transports,
            realm=realm,
            authentication=authentication,
            is_fatal=self._is_final,
        )
        self.pool = pool
        self.options = options
        endpoints = [transport.get("endpoint") for transport in transports]
        self._endpoints = [each for each in endpoints if isinstance(each, RouterEndpoint)]
        self._offering = Offering(pool, options)
        self._backoff = ExponentialBackoff(min(_FIRST_DELAY, max_rejoin_delay), max_rejoin_delay)
        self._present: ComponentSession | None = None
        self._was_in = False
        self._ending = False
        self._refusal: JoinRefused | None = None
        self._reactor: IReactorTime | None = None
        self._is_running = False
        self._pause: Deferred[None] | None = None
        self._running: list[Deferred[None]] = []
        self._joining: dict[ComponentSession, IDelayedCall] = {}
        sessions: Any = self
        sessions.on("connect", self._connected)
        for decision in ("join", "leave", "disconnect"):
            sessions.on(decision, self._decided)

    @property
    def is_joined(self) -> bool:
        """
        Whether the pool is offered now: in a session with all procedures registered.

        @since: 0.1.0
        """
        return self._present is not None

    def get_stats(self) -> dict[str, Any]:
        """
        @return: what the procedure C{stats} tells of the offer: under C{wamp}, there.
        @since: 0.1.0
        """
        return self._offering.stats()

    def start(self, reactor: IReactorTime | None = None) -> Deferred[None]:
        """
        Connect, join, and go on doing so.

        @param reactor: C{None} for the global one.
        @return: a Deferred that fires when it was stopped, at once if that was before; it fails
            with L{JoinRefused} when the router refuses the very first session for a reason that
            would not change.
        @raise RuntimeError: it runs.
        @since: 0.1.0
        """
        if self._is_running:
            raise RuntimeError("this component was started already")
        if self._ending:
            return succeed(None)
        if reactor is None:
            from twisted.internet import reactor as global_reactor

            reactor = IReactorTime(global_reactor)
        self._reactor = reactor
        for endpoint in self._endpoints:
            endpoint.run_on(reactor)
        self._is_running = True
        return Deferred.fromCoroutine(self._run(reactor)).addBoth(self._ended)

    def stop(self) -> Any:
        """
        Leave at once.  See L{close} for a way that lets calls end.

        @since: 0.1.0
        """
        self._ending = True
        if self._pause is not None:
            self._pause.cancel()
        if self._delay_f or (self._session and self._session.is_attached()):
            # A transport that is closing takes no goodbye, and needs none.
            with suppress(Disconnected):
                return super().stop()  # type: ignore[no-untyped-call]
        # An attempt is under way.  If it fails, that is final now; if not, the session leaves.
        return None

    def close(self, *, drain: float = 5.0) -> Deferred[None]:
        """
        Take no more calls, let those under way end, and leave.

        @param drain: seconds that calls under way have; they fail when it is over.
        @return: a Deferred that fires when the component has ended, or after a few seconds more
            when the router does not answer; it does not fail.
        @since: 0.1.0
        """
        return Deferred.fromCoroutine(self._close(drain))

    async def _close(self, drain: float) -> None:
        # A session that is lost from here on is not made again.
        self._ending = True
        reactor = self._reactor
        if reactor is None or not self._is_running:
            self._offering.publisher.stop()
            return
        if self._present is not None:
            await _in_time(Deferred.fromCoroutine(self._offering.withdraw()), reactor, drain)
            if drain:
                await _in_time(self._offering.procedures.when_idle(), reactor, drain)
                # The last answer is sent in the turn in which there is nothing more to wait for.
                await deferLater(reactor, 0)
        if self._is_running:
            ended: Deferred[None] = Deferred(self._running.remove)
            self._running.append(ended)
            self.stop()
            await _in_time(ended, reactor, _GOODBYE_TIMEOUT)
        if self._session is not None:
            self._session.disconnect()  # the router did not answer
        self._offering.publisher.stop()

    # The life of a component

    async def _run(self, reactor: IReactorTime) -> None:
        while True:
            reason = "the router said goodbye"
            try:
                await super().start(reactor)  # type: ignore[no-untyped-call]
            except Exception as error:
                reason = str(error)
            if self._ending:
                return
            if self._refusal is not None:
                raise self._refusal
            _log.warn("{pool}: {reason}", pool=self.pool.name, reason=reason)
            if not await self._rest(reactor):
                return

    async def _rest(self, reactor: IReactorTime) -> bool:
        """
        Wait before the next attempt; return false when there will be none.
        """
        self._pause = deferLater(reactor, self._backoff.next())
        with suppress(CancelledError):
            await self._pause
        self._pause = None
        return not self._ending

    def _ended(self, result: object) -> object:
        self._is_running = False
        running, self._running = self._running, []
        for waiter in running:
            waiter.callback(None)
        return result

    def _is_final(self, error: Exception) -> bool:
        """Say whether another attempt is of no use; asked after each failure."""
        if self._ending:
            return True
        uri = getattr(error, "error", None)
        if self._was_in or uri not in _REFUSALS:
            return False
        self._refusal = JoinRefused(_REFUSALS[uri], uri)
        return True

    # The life of a session

    def _connected(self, session: ComponentSession, transport: object) -> None:
        assert self._reactor is not None
        self._joining[session] = DeadlineClock(self._reactor).callLater(
            _JOIN_TIMEOUT, self._not_heard, session
        )

    def _not_heard(self, session: ComponentSession) -> None:
        del self._joining[session]
        _log.warn(
            "{pool}: the router has not decided within {seconds:g} s whether it lets us in",
            pool=self.pool.name,
            seconds=_JOIN_TIMEOUT,
        )
        session.disconnect()

    def _decided(self, session: ComponentSession, *_: object, **__: object) -> None:
        call = self._joining.pop(session, None)
        if call is not None:
            call.cancel()

    def _main(self, reactor: IReactorTime, session: ComponentSession) -> Deferred[None]:
        return Deferred.fromCoroutine(self._serve(reactor, session))

    async def _serve(self, reactor: IReactorTime, session: ComponentSession) -> None:
        if self._ending:
            return
        self._was_in = True
        session.on("leave", self._left)  # type: ignore[no-untyped-call]
        try:
            await self._offering.join(session, reactor)
        except Exception as error:
            self._offering.leave(session)
            _log.error(
                "{pool}: the procedures could not be registered: {error}",
                pool=self.pool.name,
                error=error,
            )
            await self._rest(reactor)
            if session.is_attached():
                raise _Unregistered from error
        else:
            if session.is_attached():
                self._present = session
                self._backoff.reset()
        # Until the session ends, which nobody needs to tell us here.
        await Deferred()

    def _left(self, session: ComponentSession, details: object) -> None:
        self._present = None
        self._offering.leave(session)
        if self._pause is not None:
            self._pause.cancel()


def pool_component(
    pool: ReconnectingPoolFactory,
    url: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = "ws://127.0.0.1:8080/ws",
    *,
    realm: str,
    prefix: str,
    authentication: Mapping[str, Any] | None = None,
    max_rejoin_delay: float = 5.0,
    **options: Unpack[WampOptionsDict],
) -> PoolComponent:
    """
    Make a component that offers a pool to a realm of a WAMP router::

        pool = ReconnectingPoolFactory("wss://example.com/feed", pool_size=4)
        component = pool_component(pool, realm="realm1", prefix="com.example.feed")
        component.start(reactor)

    @param pool: it is started and closed by its owner.
    @param url: of the router, C{ws://} or C{wss://}; or a transport as Autobahn's C{Component}
        takes it, which has pings unless it has C{options}; or several of either, of which the next
        is tried when one fails.
    @param realm: which of the router's realms to join.
    @param prefix: what the URIs of all procedures, topics and errors begin with.
    @param authentication: as Autobahn's C{Component} takes it, for instance
        C{{"ticket": {"authid": "feed", "ticket": "..."}}}; C{None} for none.
    @param max_rejoin_delay: seconds; how long to wait at most between attempts to join.  A router
        that accepts the connection has 30 seconds to let it into the realm, as many to register the
        procedures, and as many to acknowledge anything that is published; then the session is
        ended, and that was an attempt.
    @param options: see L{WampOptions}.
    @raise TypeError: an option is unknown, or of the wrong type.
    @raise ValueError: an option is out of range; a URL has credentials or a query string, which
        would be logged; or Autobahn can make nothing of C{authentication}.
    @since: 0.1.0
    """
    checked = WampOptions.from_keywords({"prefix": prefix, **options})
    if not isinstance(realm, str):
        raise TypeError(f"realm must be a str, not {realm!r}")
    if not realm.strip():
        raise ValueError("realm must not be empty")
    check_seconds("max_rejoin_delay", max_rejoin_delay)
    given = [url] if isinstance(url, (str, Mapping)) else list(url)
    if not given:
        raise ValueError("url must not be empty")
    transports = [_transport(each, max_rejoin_delay) for each in given]
    _check_authentication(authentication)
    return PoolComponent(pool, checked, transports, realm, authentication, max_rejoin_delay)


def _transport(url: object, max_rejoin_delay: float) -> dict[str, Any]:
    if isinstance(url, str):
        url = {"url": url}
    if not isinstance(url, Mapping):
        raise TypeError(f"url must be a str or a mapping, not {type(url).__name__}")
    if not isinstance(url.get("url"), str):
        raise TypeError("url: a transport needs a url, which is a str")
    given: dict[str, Any] = {
        "initial_retry_delay": _FIRST_DELAY,
        "max_retry_delay": max_rejoin_delay,
    }
    if url.get("type", "websocket") == "websocket":
        parsed = ServerURL.parse(url["url"])
        if parsed.credentials is not None or "?" in parsed.resource:
            raise ValueError(
                "url must have neither credentials nor a query string, as Autobahn logs it; use"
                f" authentication=: {parsed}"
            )
        given["options"] = dict(_PINGS)
        if "proxy" not in url:  # Autobahn's way through a proxy is its own
            given["endpoint"] = RouterEndpoint(parsed)
    return {**given, **url}


def _check_authentication(authentication: object) -> None:
    """
    Find out now what Autobahn would only say when it connects, and try again for ever.
    """
    if authentication is None:
        return
    if not isinstance(authentication, Mapping):
        raise TypeError(f"authentication must be a mapping, not {type(authentication).__name__}")
    for method, details in authentication.items():
        if isinstance(details, IAuthenticator):
            continue
        if not isinstance(details, Mapping):
            raise TypeError(
                f"authentication: {method} must be a mapping, not {type(details).__name__}"
            )
        try:
            create_authenticator(method, **details)
        except ValueError as error:
            raise ValueError(f"authentication: {error}") from None


async def _in_time(waiting: Deferred[Any], reactor: IReactorTime, seconds: float) -> None:
    """Wait for so long at most; what it ends with does not matter."""
    waiting.addTimeout(seconds, reactor)
    waiting.addErrback(lambda _: None)
    await waiting
