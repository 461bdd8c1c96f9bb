"""
The HTTP server of a pool: status page, metrics, health.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.web.resource import Resource

from .._words import counted
from .access import exposure_of_address
from .connections import ServerConnections
from .exposition import Exposition
from .hosts import is_local, may_be_called
from .http_channel import StatusSite
from .live import LiveResource
from .log_level import service_logger
from .monitor import Monitor
from .page import Page
from .resources import Answer, AnswerResource, Tree

if TYPE_CHECKING:
    from twisted.internet.interfaces import IListeningPort, IReactorTime, IStreamServerEndpoint
    from twisted.python.failure import Failure
    from twisted.web.server import Request

    from ..pool import ReconnectingPoolFactory
    from .metrics import CountsClients

__all__ = ["StatusService"]


class StatusService(Service):
    """
    Shows how a pool is doing, over HTTP, to people and to programs; nothing can be changed there.

      - C{/}: the status page;
      - C{/events}: what changes on it, as server-sent events;
      - C{/metrics}: for Prometheus; 501 where C{prometheus_client} is not installed;
      - C{/stats.json}: L{PoolStats<wsmultipool.PoolStats>}, and the pool's name;
      - C{/healthz}: 200 as long as the process answers;
      - C{/readyz}: 200 while enough connections are open, else 503.

    On a loopback address it answers only to C{localhost}, loopback addresses and C{hosts}, so that
    no web page can read it by having its own name resolve to 127.0.0.1.

    @param pool: the pool.
    @param endpoint: where to listen.
    @param reactor: keeps the time of samples and timeouts.
    @param min_ready: how many open connections C{/readyz} wants.
    @ivar min_ready: the same; it may be changed.
    @param relay: the relay that lets local clients use the pool, to show that, too; C{None} without
        one.
    @param hosts: other host names to answer to on a loopback address, as those of a reverse proxy.
    @since: 0.1.0
    """

    _log = service_logger("wsmultipool.web")

    def __init__(
        self,
        pool: ReconnectingPoolFactory,
        endpoint: IStreamServerEndpoint,
        *,
        reactor: IReactorTime,
        min_ready: int = 1,
        relay: CountsClients | None = None,
        hosts: Collection[str] = (),
    ) -> None:
        self._pool = pool
        self._endpoint = endpoint
        self.min_ready = min_ready
        self._relay = relay
        self._hosts = hosts
        self._only_local = False
        self._listening: Deferred[IListeningPort] | None = None
        self._port: IListeningPort | None = None
        self._monitor = Monitor(pool, reactor, relay)
        self._page = Page()
        self._live = LiveResource(self._monitor, self._page)
        self._exposition = Exposition(pool, relay)
        self._connections = ServerConnections(StatusSite(self._tree(), reactor), reactor)

    def _tree(self) -> Tree:
        answers = {
            "": self._answer_page,
            "metrics": self._exposition.answer,
            "stats.json": self._answer_stats,
            "healthz": lambda _: Answer("alive\n"),
            "readyz": self._answer_ready,
        }
        resources: dict[str, Resource] = {
            name: AnswerResource(answer) for name, answer in answers.items()
        }
        resources["events"] = self._live
        return Tree(resources, self._may_be_called)

    # Listening

    def listen(self) -> Deferred[IListeningPort]:
        """
        Begin to listen, before or instead of L{startService}, which does it otherwise.

        @return: a Deferred that fires with the port, and fails with what the endpoint says, as
            L{CannotListenError<twisted.internet.error.CannotListenError>} when the port is in use.
        @since: 0.1.0
        """
        self._listening = maybeDeferred(self._endpoint.listen, self._connections)
        return self._listening.addCallbacks(self._began_to_listen, self._did_not_listen)

    def _began_to_listen(self, port: IListeningPort) -> IListeningPort:
        self._port = port
        self._only_local = is_local(port.getHost())
        where = exposure_of_address(port.getHost()).where
        self._log.info(
            "The status page of {pool} listens on {where}", pool=self._pool.name, where=where
        )
        return port

    def _did_not_listen(self, failure: Failure) -> Failure:
        self._listening = None
        return failure

    def startService(self) -> None:
        """
        Begin to take samples, and to listen, unless that was done by L{listen}.  When it can't
        listen, that is logged.

        @since: 0.1.0
        """
        super().startService()  # type: ignore[no-untyped-call]
        self._monitor.start()
        if self._listening is None:
            self.listen().addErrback(self._log_failure)

    def _log_failure(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.error(
                "The status page can't be had: {error}", error=failure.getErrorMessage()
            )

    def stopService(self) -> Deferred[None]:
        """
        End everything: the samples, the port, the streams, and every connection.

        @return: a Deferred that fires when nothing is left; it does not fail.
        @since: 0.1.0
        """
        super().stopService()  # type: ignore[no-untyped-call]
        self._monitor.stop()
        self._exposition.stop()
        self._live.end()
        listening, self._listening = self._listening, None
        port, self._port = self._port, None
        if port is None:
            if listening is not None:
                listening.cancel()
            return self._connections.end()
        stopped = maybeDeferred(port.stopListening)
        return stopped.addBoth(lambda _: self._connections.end())

    # Answers

    def _may_be_called(self, host: str | None) -> bool:
        return not self._only_local or may_be_called(host, self._hosts)

    def _answer_page(self, request: Request) -> Answer:
        return Answer(
            self._page.whole(self._monitor.view()),
            content_type="text/html; charset=utf-8",
            headers={"content-security-policy": self._page.policy},
        )

    def _answer_ready(self, request: Request) -> Answer:
        open_now = self._pool.open_connections
        total = counted(self._pool.total_connections, "connection")
        return Answer(
            f"{open_now} of {total} open, at least {self.min_ready} wanted\n",
            200 if open_now >= self.min_ready else 503,
        )

    def _answer_stats(self, request: Request) -> Answer:
        stats = {"name": self._pool.name, **self._pool.get_stats().as_dict()}
        if self._relay is not None:
            stats["relay"] = _as_json(self._relay.get_stats())
        return Answer(json.dumps(stats, indent=2) + "\n", content_type="application/json")


def _as_json(stats: Any) -> dict[str, Any]:
    """Copy a dataclass of numbers, and of numbers by name."""
    values = {each.name: getattr(stats, each.name) for each in fields(stats)}
    return {
        name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()
    }
