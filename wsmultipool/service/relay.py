"""
The relay: a WebSocket server for programs on this machine, which all share one pool.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from .._deadline_clock import DeadlineClock
from ._relay_clients import RelayClients, address_label
from ._relay_protocol import RelayFactory, RelayWire
from ._unfinished import UnfinishedMessages
from .access import AccessRules, Refusal, check_exposure, exposure_of_address
from .log_level import service_logger
from .relay_options import RelayOptions
from .relay_stats import RelayStats
from .turn_share import TurnShare

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, IDelayedCall, IListeningPort, IReactorTime

    from ..pool import ReconnectingPoolFactory
    from ._relay_client import RelayClient

__all__ = ["RelayService"]

# How many may be connected that were not let in yet, beside as many as clients may be.
_MOST_AT_THE_DOOR = 64


class RelayService(Service):
    """
    Listens for clients, sends what they send through the pool, and hands them what arrives there.

    It does not start or close the pool: L{PoolService} does, started before this and stopped after
    it.  It can't be started again after it was stopped.

    @param pool: the pool.
    @param endpoint: where to listen.
    @param options: see L{RelayOptions}.
    @param reactor: for all timers.
    @raise TypeError: an argument is not what it should be.
    @since: 0.1.0
    """

    name = "relay"
    _log = service_logger("wsmultipool.relay")

    def __init__(
        self,
        pool: ReconnectingPoolFactory,
        endpoint: IStreamServerEndpoint,
        options: RelayOptions,
        *,
        reactor: IReactorTime,
    ) -> None:
        if not IStreamServerEndpoint.providedBy(endpoint):
            raise TypeError(f"endpoint: {endpoint!r} does not provide IStreamServerEndpoint")
        if not isinstance(options, RelayOptions):
            raise TypeError(f"options must be RelayOptions, not {type(options).__name__}")
        self.options = options
        self.share = TurnShare(reactor)
        self.unfinished = UnfinishedMessages(options.max_unfinished_bytes)
        self._pool = pool
        self._endpoint = endpoint
        self._reactor = reactor
        self._clock = DeadlineClock(reactor)
        self._clients = RelayClients(pool, options, reactor, self._check_waiting)
        self._access = options
        self._rules: AccessRules | None = None
        self._port: IListeningPort | None = None
        self._listening: Deferred[IListeningPort] | None = None
        self._not_listening: Failure | None = None
        self._stopping = False
        self._stopped: Deferred[None] | None = None
        self._wires: dict[RelayWire, None] = {}  # the oldest first
        self._waiting: Callable[[], None] | None = None
        self._settle_timer: IDelayedCall | None = None
        self._refused = Counter[str]()

    # Listening

    def listen(self) -> Deferred[IListeningPort]:
        """
        Listen, unless that was done already.  Who wants to know of a failure calls this before the
        service is started, which then changes nothing.

        @return: a Deferred that fires with the port.  It fails with
            L{CannotListenError<twisted.internet.error.CannotListenError>} when the address can't be
            had, because another program has it for instance; and with
            L{Exposed<wsmultipool.service.access.Exposed>} when it turns out to be beyond loopback,
            and neither a token nor client certificates guard it.
        @since: 0.1.0
        """
        if self._listening is None:
            factory = RelayFactory(self, self.options, self._reactor, self._may_come)
            self._listening = maybeDeferred(self._endpoint.listen, factory)
            self._listening.addCallback(self._listens)
        elif self._not_listening is not None:
            return fail(self._not_listening)
        result: Deferred[IListeningPort] = Deferred()

        def tell(outcome: IListeningPort | Failure) -> Any:
            if isinstance(outcome, Failure):
                self._not_listening = outcome
            result.callback(outcome)
            return None if isinstance(outcome, Failure) else outcome

        self._listening.addBoth(tell)
        return result

    def _listens(self, port: IListeningPort) -> IListeningPort | Deferred[IListeningPort]:
        exposure = exposure_of_address(port.getHost())
        try:
            check_exposure(exposure, self._access)
        except ValueError as error:
            refused = error
            stopped: Deferred[Any] = maybeDeferred(port.stopListening)
            return stopped.addBoth(lambda _: _raise(refused))
        if self._stopping:
            maybeDeferred(port.stopListening)
            return port
        self._rules = AccessRules(self._access, checks_host=exposure.checks_host)
        self._port = port
        self._pool.on("message", self._clients.fanout.message)
        self._pool.on("open", self._clients.fanout.opened)
        self._pool.on("close", self._clients.fanout.closed)
        self._log.info(
            "Relay to {pool} listens on {where}", pool=self._pool.name, where=exposure.where
        )
        return port

    def startService(self) -> None:
        """
        Listen, if L{listen} has not been called; a failure is logged.

        @since: 0.1.0
        """
        super().startService()  # type: ignore[no-untyped-call]
        if self._listening is None:
            self.listen().addErrback(self._can_not_listen)

    def _can_not_listen(self, failure: Failure) -> None:
        self._log.critical("The relay does not listen: {error}", error=failure.getErrorMessage())

    @property
    def address(self) -> IAddress | None:
        """
        Where it listens; C{None} while it does not.

        @since: 0.1.0
        """
        return None if self._port is None else self._port.getHost()

    # The door: who comes, and who may come in

    def change_access(self, options: RelayOptions) -> None:
        """
        Have other rules for who may come in from now on.  Who is in, stays.

        @param options: of which C{token}, C{allow_origins} and C{allow_hosts} count, and
            C{settle_timeout} for the end.
        @raise Exposed: it listens beyond loopback, and nobody would need a token any more; nothing
            has changed then.
        @since: 0.1.0
        """
        access = replace(
            self._access,
            token=options.token,
            allow_origins=options.allow_origins,
            allow_hosts=options.allow_hosts,
            settle_timeout=options.settle_timeout,
        )
        if self._port is not None:
            exposure = exposure_of_address(self._port.getHost())
            check_exposure(exposure, access)
            self._rules = AccessRules(access, checks_host=exposure.checks_host)
        self._access = access

    def _may_come(self) -> bool:
        if self._stopping:
            self._refused["stopping"] += 1
            return False
        if len(self._wires) < 2 * self.options.max_clients + _MOST_AT_THE_DOOR:
            return True
        # Whoever has stood at the door for longest, and said nothing, makes room.
        self._refused["full"] += 1
        oldest = next((wire for wire in self._wires if not wire.was_let_in), None)
        if oldest is None:
            return False
        del self._wires[oldest]
        oldest.abort()
        return True

    def arrived(self, wire: RelayWire) -> None:
        self._wires[wire] = None

    def refusal(self, headers: Mapping[str, str]) -> Refusal | None:
        if self._stopping:
            return Refusal(503, "stopping", "the relay is being stopped")
        assert self._rules is not None
        refusal = self._rules.refusal(headers)
        if refusal is None and len(self._clients.present) >= self.options.max_clients:
            refusal = Refusal(503, "full", "as many clients are connected as may be")
        return refusal

    def refused(self, wire: RelayWire, refusal: Refusal) -> None:
        self._refused[refusal.reason] += 1
        self._log.warn(
            "Refused {client} ({status}): {text}",
            client=address_label(wire.client_address),
            status=refusal.status,
            text=refusal.text,
        )

    def not_secured(self, wire: RelayWire, text: str) -> None:
        self._refused["tls"] += 1
        self._log.warn(
            "Refused {client} (TLS): {text}", client=address_label(wire.client_address), text=text
        )

    def let_in(self, wire: RelayWire) -> RelayClient:
        return self._clients.let_in(wire)

    def left(self, wire: RelayWire) -> None:
        self._wires.pop(wire, None)
        self._check_waiting()

    # The end

    def stopService(self) -> Deferred[None]:
        """
        Stop listening, wait for what clients have sent to leave, and close them with 1001.

        @return: a Deferred that fires when all clients are gone, after C{settle_timeout} and
            C{close_timeout} at the latest; it does not fail.
        @since: 0.1.0
        """
        super().stopService()  # type: ignore[no-untyped-call]
        if self._stopped is None:
            self._stopping = True
            stopped: Deferred[Any] = succeed(None)
            if self._port is not None:
                stopped = maybeDeferred(self._port.stopListening)
                stopped.addErrback(lambda failure: self._log.failure("Stopping to listen", failure))
            # This may have been called while a client's message is being taken.
            stopped.addCallback(lambda _: deferLater(self._reactor, 0))
            self._stopped = stopped.addCallback(lambda _: self._settle())
        result: Deferred[None] = Deferred()
        self._stopped.addCallback(lambda _: result.callback(None))
        return result

    def abort(self) -> None:
        """
        Drop all clients, for who does not want to wait for the end of L{stopService} any more.

        @since: 0.1.0
        """
        for wire in tuple(self._wires):
            wire.abort()

    def _settle(self) -> Deferred[None]:
        for client in self._clients.present:
            client.stop()
        settled: Deferred[None] = Deferred()
        self._wait_until(lambda: not self._clients.under_way, self._access.settle_timeout, settled)
        return settled.addCallback(lambda _: self._close_clients())

    def _close_clients(self) -> Deferred[None]:
        self._clients.fanout.flush()
        for wire in tuple(self._wires):
            if not wire.was_let_in:
                wire.abort()
        for client in tuple(self._clients.present):
            client.dismiss()
        gone: Deferred[None] = Deferred()
        # A little more than each of them has.
        self._wait_until(lambda: not self._wires, self.options.close_timeout + 1, gone)
        return gone.addCallback(lambda _: self._forget())

    def _wait_until(
        self, condition: Callable[[], bool], seconds: float, done: Deferred[None]
    ) -> None:
        def check() -> None:
            if condition():
                finish()

        def finish() -> None:
            self._waiting = None
            timer, self._settle_timer = self._settle_timer, None
            if timer is not None and timer.active():
                timer.cancel()
            done.callback(None)

        self._settle_timer = self._clock.callLater(seconds, finish)
        self._waiting = check
        check()

    def _check_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting()

    def _forget(self) -> None:
        self.abort()
        self._clients.end()
        self.share.stop()
        if self._port is not None:
            self._port = None
            self._pool.off("message", self._clients.fanout.message)
            self._pool.off("open", self._clients.fanout.opened)
            self._pool.off("close", self._clients.fanout.closed)

    # State

    def get_stats(self) -> RelayStats:
        """
        @return: a snapshot.
        @since: 0.1.0
        """
        clients, count = self._clients.present, self._clients.count
        return RelayStats(
            clients=len(clients),
            paused_clients=sum(client.is_paused for client in clients),
            slow_clients=sum(client.is_slow for client in clients),
            pending_messages=sum(len(client.under_way) for client in self._clients.under_way),
            refused=MappingProxyType(dict(self._refused)),
            closed=MappingProxyType(dict(self._clients.closed)),
            **{
                name: count[name]
                for name in (
                    "accepted",
                    "messages_from_clients",
                    "bytes_from_clients",
                    "failed_messages",
                    "messages_to_clients",
                    "bytes_to_clients",
                    "unheard_messages",
                )
            },
        )


def _raise(error: Exception) -> Any:
    raise error
