"""
The service as a program: a pool, with a relay and a status page in front of it.

It starts, reads its configuration again, and ends, in good order and with a status that says how
that went.

@since: 0.1.0
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred

from .._deadline_clock import DeadlineClock
from ..errors import FlushTimeout, PoolClosed, PoolError, PoolExhausted
from ..pool import ReconnectingPoolFactory
from .access import Exposed
from .configuration import TLS_NAMES
from .latest_tls import LatestTLS
from .log_level import service_logger, set_log_level
from .loss_watch import LossWatch
from .option_values import ConfigurationError
from .process_signals import handle_signals
from .relay import RelayService
from .reloading import changes
from .server_endpoint import ServerEndpoint

if TYPE_CHECKING:
    from twisted.internet.interfaces import IListeningPort
    from twisted.python.failure import Failure

    from ..wamp import PoolComponent
    from .configuration import Configuration, Source
    from .web import StatusService

__all__ = ["CannotStart", "Program"]

# Not a class attribute: as one it would take its namespace from the class.
_log = service_logger()

# Proving that everything has arrived takes a round trip, however little time is left.
_LEAST_TO_PROVE = 1.0


class CannotStart(Exception):
    """
    Something that the service can't do without is not to be had.

    @since: 0.1.0
    """


class Program(Service):
    """
    Everything that a command line of the service asks for.

    @param reactor: a whole one, with signals.
    @param source: where the configuration comes from.
    @ivar pool: the pool.
    @ivar relay: takes connections of local programs; C{None} without C{--listen}.
    @ivar web: serves the status page; C{None} without C{--http}.
    @ivar wamp: offers the pool to a WAMP router; C{None} without C{--wamp-url}.
    @ivar status: for the process to end with: 0; or 1, if it could not start, or if something was
        left that was not delivered.
    @ivar daemon: whether the process that was started is another one, which waits to hear how that
        went, as twistd's does.
    @raise ConfigurationError: there is a mistake in the configuration.
    @since: 0.1.0
    """

    name = "wsmultipool"

    def __init__(self, reactor: Any, source: Source) -> None:
        self.status = 0
        self.daemon = False
        self._reason = ""
        self._reactor = reactor
        self._source = source
        self._configuration = configuration = source.read()
        self._headers = configuration.headers
        self._websocket = configuration.websocket_options(self._current_headers)
        self._tls = LatestTLS()
        # Autobahn looks at it whenever it joins.
        self._authentication = _authentication(configuration)
        self._endpoints: dict[str, ServerEndpoint] = {}
        self._ports: list[IListeningPort] = []
        self._is_listening = False
        self._is_ending = False
        self.pool = self._build(self._build_pool, configuration)
        self.relay = self._build(self._build_relay, configuration)
        self.web = self._build(self._build_web, configuration)
        self.wamp = self._build(self._build_wamp, configuration)
        self._losses = LossWatch(self.pool)

    # What it consists of

    @staticmethod
    def _build(build: Any, configuration: Configuration) -> Any:
        try:
            return build(configuration)
        except (ConfigurationError, ImportError, TypeError, ValueError) as error:
            raise ConfigurationError(configuration.hidden.hide(str(error))) from None

    def _build_pool(self, configuration: Configuration) -> ReconnectingPoolFactory:
        urls: Any = configuration.urls
        return ReconnectingPoolFactory(
            urls[0] if len(urls) == 1 else urls,
            reactor=self._reactor,
            start=False,
            logger=service_logger(),
            ws_options=self._websocket,
            ws_factory=self._tls,
            **configuration.pool,
        )

    def _current_headers(self) -> Mapping[str, str]:
        return self._headers

    def _build_relay(self, configuration: Configuration) -> RelayService | None:
        if configuration.relay is None or configuration.listen is None:
            return None
        self._endpoints["listen"] = endpoint = ServerEndpoint(
            self._reactor, "listen", configuration.listen, configuration.client_ca
        )
        return RelayService(self.pool, endpoint, configuration.relay, reactor=self._reactor)

    def _build_web(self, configuration: Configuration) -> StatusService | None:
        if configuration.http is None:
            return None
        # Only who wants it needs what it needs.
        from .web import StatusService

        self._endpoints["http"] = endpoint = ServerEndpoint(
            self._reactor, "http", configuration.http
        )
        return StatusService(
            self.pool,
            endpoint,
            reactor=self._reactor,
            min_ready=configuration.min_ready,
            relay=self.relay,
        )

    def _build_wamp(self, configuration: Configuration) -> PoolComponent | None:
        if configuration.wamp is None:
            return None
        from ..wamp import pool_component

        try:
            return pool_component(
                self.pool, **{**configuration.wamp, "authentication": self._authentication or None}
            )
        except (TypeError, ValueError) as error:
            # The component knows its options by shorter names.
            text = str(error)
            raise ConfigurationError(
                text if text.startswith("realm ") else f"wamp_{text}"
            ) from None

    # The beginning

    def privilegedStartService(self) -> None:
        """
        Listen, while the process may still listen on any port.  If that is not possible, the log
        says so, and the process ends as soon as it runs, which leaves nothing behind.

        @raise CannotStart: that is not possible, and another process waits to hear of it.
        @since: 0.1.0
        """
        if self._listen() or not self.daemon:
            return
        for port in self._ports:
            maybeDeferred(port.stopListening)
        # The reactor takes the sockets of unix away, and will not run.
        self._reactor.iterate()
        # It goes to the other process, which shows it.  The log has it already, and needs no more.
        sys.excepthook = lambda *_: None
        raise CannotStart(self._reason)

    def startService(self) -> None:
        """
        Start everything.

        @since: 0.1.0
        """
        super().startService()  # type: ignore[no-untyped-call]
        set_log_level(self._configuration.log_level)
        for warning in self._configuration.warnings:
            _log.warn("{warning}", warning=warning)
        if not self._listen():
            return
        for service in self._fronts():
            service.startService()
        self._losses.start()
        self.pool.on("pool:empty", self._watch_for_exhaustion)
        self._watch_for_exhaustion()
        handle_signals(self._reactor, self._told_to_end, self.reload)
        # Not before these are handled: an interrupt in the middle of an attempt, of which Python
        # makes an exception otherwise, would be taken for its failure.
        self._reactor.callLater(0, self._connect)

    def _connect(self) -> None:
        self.pool.start()
        if self.wamp is not None:
            self.wamp.start(self._reactor).addErrback(self._not_let_in)

    def _fronts(self) -> Iterator[Any]:
        yield from (service for service in (self.relay, self.web) if service is not None)

    def _listen(self) -> bool:
        """
        Listen, unless that was done.

        @return: false if it is known already that this fails.
        """
        if not self._is_listening:
            self._is_listening = True
            for service, name in ((self.relay, "listen"), (self.web, "http")):
                if service is not None:
                    service.listen().addCallbacks(
                        self._ports.append, self._can_not_listen, errbackArgs=(name,)
                    )
        return not self.status

    def _can_not_listen(self, failure: Failure, name: str) -> None:
        self._fail("{name}: {error}", name=name, error=failure.getErrorMessage())

    def _not_let_in(self, failure: Failure) -> None:
        self._fail("wamp: {error}", error=failure.getErrorMessage())

    def _fail(self, message: str, **details: object) -> None:
        """End as soon as there is something to end."""
        _log.critical(message, **details)
        if not self.status:
            self.status = 1
            self._reason = message.format(**details)
            self._reactor.callWhenRunning(self._told_to_end)

    def _told_to_end(self, interrupted: bool = False) -> None:
        if not self._is_ending:
            self._is_ending = True
            self._reactor.stop()
        elif interrupted:
            # Nobody will know what arrives of the rest.
            self._left("Told to end at once")
            self.pool.destroy()
            if self.relay is not None:
                self.relay.abort()

    def _watch_for_exhaustion(self) -> None:
        self.pool.when_open().addErrback(self._never_open)

    def _never_open(self, failure: Failure) -> None:
        failure.trap(PoolClosed, PoolExhausted)
        if failure.check(PoolExhausted):
            self._fail("{error}", error=failure.getErrorMessage())

    # In between

    def reload(self) -> None:
        """
        Read the configuration again, and change what can be changed without a restart.  The log
        tells what was, and what was not; after a mistake, nothing is.

        @since: 0.1.0
        """
        present = self._configuration
        try:
            following = self._source.read()
            live, restart = changes(present, following)
            reread = [self._endpoints[name].reread() for name in _listening(live)]
            if self.relay is not None and following.relay is not None:
                self.relay.change_access(following.relay)
        except (ConfigurationError, Exposed) as error:
            _log.error("Nothing is changed, as there is a mistake: {error}", error=str(error))
            return
        set_log_level(following.log_level)
        self._headers = following.headers
        if "pool_size" in live:
            self.pool.resize(following.pool["pool_size"]).addErrback(self._not_resized)
        if any(name in live for name in TLS_NAMES):
            self._tls.use(self._websocket, following.websocket["tls"])
            if following.values.get("insecure"):
                _log.warn("insecure: the server's certificate is not checked")
        for take_effect in reread:
            take_effect()
        if "min_ready" in live and self.web is not None:
            self.web.min_ready = following.min_ready
        if "wamp_ticket_file" in live:
            self._authentication.update(_authentication(following))
        self._configuration = following.keeping(restart, present)
        for warning in following.warnings:
            _log.warn("{warning}", warning=warning)
        _log.info("Changed: {names}", names=", ".join(live) or "nothing")
        if restart:
            _log.warn("Changes with a restart: {names}", names=", ".join(restart))

    def _not_resized(self, failure: Failure) -> None:
        failure.trap(PoolError)

    # The end

    def stopService(self) -> Deferred[None]:
        """
        Stop listening, deliver what was accepted, and close everything.

        @return: a Deferred that fires when that is done, or took longer than C{--drain} and the
            timeouts for closing; it does not fail.  L{status} then says how it went.
        @since: 0.1.0
        """
        super().stopService()  # type: ignore[no-untyped-call]
        self._is_ending = True
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        clock, drain = DeadlineClock(self._reactor), self._configuration.drain
        deadline = clock.seconds() + drain
        left = 0
        self._losses.stop()
        self.pool.off("pool:empty", self._watch_for_exhaustion)
        if self.wamp is not None:
            await self.wamp.close(drain=drain)
        if self.relay is not None:
            failed = self.relay.get_stats().failed_messages
            await self.relay.stopService()
            left += self.relay.get_stats().failed_messages - failed
        dropped = self.pool.get_stats().dropped_messages
        if drain:
            await self._prove(max(deadline - clock.seconds(), min(drain, _LEAST_TO_PROVE)))
        await self.pool.close(drain=max(deadline - clock.seconds(), 0) or None)
        if self.web is not None:
            # Last, so that everybody can see how it goes.
            await self.web.stopService()
        left += self.pool.get_stats().dropped_messages - dropped
        if left:
            messages = "1 message was" if left == 1 else f"{left} messages were"
            self._left("{messages} not delivered", messages=messages)

    async def _prove(self, seconds: float) -> None:
        """
        Wait until everything that was accepted is known to have arrived.
        """
        try:
            await self.pool.flush(seconds)
        except (PoolClosed, PoolExhausted):
            # Nothing waits any more.
            pass
        except FlushTimeout:
            self._left("Not everything was delivered within {seconds:.1f} s", seconds=seconds)
        except PoolError as error:
            self._left("{error}", error=error)

    def _left(self, message: str, **details: object) -> None:
        self.status = 1
        _log.error(message, **details)


def _authentication(configuration: Configuration) -> dict[str, Any]:
    return dict((configuration.wamp or {}).get("authentication") or {})


def _listening(live: Iterable[str]) -> set[str]:
    """Return the options with the endpoints that files were changed of."""
    endpoints = {"listen": "listen", "client_ca": "listen", "http": "http"}
    return {endpoints[name] for name in live if name in endpoints}
