"""
A pool in a session: its procedures registered, its events published.

One offering serves one session after another; what it counts goes on.

The router counts the calls that each session has under way, for C{concurrency}.  It does not count
down when a caller goes away in the middle of a call, so that in time it would give a session no
call at all.  It tells the session, though, that such a call is withdrawn; after enough of those the
procedures are registered anew, and the router begins to count anew.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from autobahn.exception import Disconnected
from autobahn.wamp.exception import ApplicationError, TransportLost
from autobahn.wamp.types import PublishOptions, RegisterOptions
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    DeferredList,
    TimeoutError,
    maybeDeferred,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from .._deadline_clock import DeadlineClock
from .._patience import Patience
from ._error_uris import to_wire
from ._procedures import VERBS, Procedures
from ._publisher import Publisher, SessionLost
from .errors import RemoteFailure

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from ..pool import ReconnectingPoolFactory
    from ._sessions import WatchedSession
    from .options import WampOptions

__all__ = ["Offering"]

# Not a class attribute: as one it would take its namespace from each class.
_log = Logger(namespace="wsmultipool.wamp")

_MANY = ("send_many",)
# For a router that is there, and does not do what it is asked.
_ANSWER_TIMEOUT = 30.0


class NoAnswer(Exception):
    """
    The router does not answer.
    """

    def __str__(self) -> str:
        return f"no answer within {_ANSWER_TIMEOUT:g} s"


class Offering:
    """
    Offers a pool in one session after another.

    @ivar procedures: what callers may call.
    @ivar publisher: what publishes the events.
    """

    def __init__(self, pool: ReconnectingPoolFactory, options: WampOptions) -> None:
        self._pool = pool
        self._options = options
        self.procedures = Procedures(pool, options, self._show_failure, self.stats)
        self.publisher = Publisher(pool, options)
        self._session: WatchedSession | None = None
        self._clock: IReactorTime | None = None
        self._registrations: list[Any] = []
        self._concurrency = {
            verb: options.concurrency_for(
                pool.options, options.max_batch_size if verb in _MANY else 1
            )
            for verb in VERBS
        }
        self._vanished = 0
        self._joined = 0
        self._withdrawn = False

    async def join(self, session: WatchedSession, clock: IReactorTime) -> None:
        """
        Register the procedures in a session, and publish there from now on.  A session in which
        nothing that is published is acknowledged for 30 seconds is ended.

        @raise Exception: the router refuses a registration, or does not answer within 30 seconds.
        """
        self._session = session
        self._clock = clock = DeadlineClock(clock)
        self._withdrawn = False
        self._joined += 1
        await self._register(session)
        if self._session is not session:
            return  # it ended meanwhile
        session.on_vanished = self._caller_vanished
        patience = Patience(clock, _ANSWER_TIMEOUT, lambda: False, partial(self._unheard, session))
        self.publisher.joined(partial(self._publish, session), patience)
        _log.info(
            "{pool}: offered as {prefix} in session {session}",
            pool=self._pool.name,
            prefix=self._options.prefix,
            session=session.session_id,
        )

    def leave(self, session: WatchedSession) -> None:
        """This session has ended."""
        if session is not self._session:
            return
        self._session = None
        self._registrations = []
        self.publisher.left()

    async def withdraw(self) -> None:
        """
        Take no more calls in this session; those under way go on.
        """
        self._withdrawn = True
        registrations, self._registrations = self._registrations, []
        await self._unregister(registrations)

    # Registering

    async def _register(self, session: WatchedSession) -> None:
        prefixes = {self._options.prefix: self._options.invoke}
        # The first component that offers a shard has it; the next takes over when that is gone.
        prefixes |= {
            f"{self._options.prefix}.shard.{each}": "first" for each in self._options.shards
        }
        self._vanished = 0
        registering = [
            maybeDeferred(
                session.register,
                partial(self._call, session, verb),
                f"{prefix}.{verb}",
                options=RegisterOptions(invoke=invoke, concurrency=self._concurrency[verb]),
            )
            for prefix, invoke in prefixes.items()
            for verb in VERBS
        ]
        results = await self._answered(registering)
        if results is None:
            for late in registering:
                late.addCallback(_unregister_late)
            raise NoAnswer
        registrations = [registration for succeeded, registration in results if succeeded]
        for succeeded, result in results:
            if not succeeded:
                # All or nothing: what stays registered could not be registered the next time.
                await self._unregister(registrations)
                assert isinstance(result, Failure)
                result.raiseException()
        if self._withdrawn:
            await self._unregister(registrations)
            return
        self._registrations = registrations

    def _caller_vanished(self) -> None:
        self._vanished += 1
        if self._vanished * 2 > min(self._concurrency.values()) and self._registrations:
            Deferred.fromCoroutine(self._register_anew()).addErrback(self._not_registered)

    async def _register_anew(self) -> None:
        session = self._session
        registrations, self._registrations = self._registrations, []
        await self._unregister(registrations)
        if session is not None and session is self._session and not self._withdrawn:
            await self._register(session)

    def _not_registered(self, failure: Failure) -> None:
        session = self._session
        _log.failure("{pool}: could not register anew", failure, pool=self._pool.name)
        if session is not None:
            # A session without procedures is of no use; the next may have them.
            session.disconnect()

    async def _unregister(self, registrations: list[Any]) -> None:
        """Take registrations back; those of a lost session are gone anyway."""
        await self._answered(
            [maybeDeferred(each.unregister) for each in registrations if each.active]
        )

    async def _answered(self, requests: list[Deferred[Any]]) -> list[tuple[bool, Any]] | None:
        """Wait for the answers to some requests; return C{None} if they don't come."""
        assert self._clock is not None
        answers: Deferred[list[tuple[bool, Any]]] = Deferred()
        DeferredList(requests, consumeErrors=True).addCallback(answers.callback)
        try:
            return await answers.addTimeout(_ANSWER_TIMEOUT, self._clock)
        except TimeoutError:
            return None

    # Calls

    def _call(
        self, session: WatchedSession, verb: str, /, *arguments: Any, **options: Any
    ) -> Deferred[Any]:
        called = maybeDeferred(self.procedures.call, verb, arguments, options)
        return called.addErrback(self._answer_failure, session)

    def _answer_failure(self, failure: Failure, session: WatchedSession) -> None:
        if not session.is_attached():
            return  # nobody to answer any more; Autobahn would stumble over an error
        if failure.check(CancelledError):
            raise ApplicationError(ApplicationError.CANCELED)
        name, text, facts = self._told(failure)
        raise ApplicationError(f"{self._options.prefix}.error.{name}", text, **facts)

    def _show_failure(self, failure: Failure) -> dict[str, Any]:
        """Of one message of several."""
        name, text, facts = self._told(failure)
        return {"error": f"{self._options.prefix}.error.{name}", "args": [text], "kwargs": facts}

    def _told(self, failure: Failure) -> tuple[str, str, dict[str, Any]]:
        assert failure.value is not None
        wire = to_wire(failure.value)
        if wire.name == to_wire(RemoteFailure()).name:
            _log.failure("{pool}: a call failed", failure, pool=self._pool.name)
        return wire

    # Events

    def _publish(
        self, session: WatchedSession, name: str, arguments: tuple[Any, ...]
    ) -> Deferred[Any]:
        topic = f"{self._options.prefix}.{name}"
        options = PublishOptions(acknowledge=True)
        published = maybeDeferred(session.publish, topic, *arguments, options=options)
        return published.addErrback(self._explain, session)

    def _unheard(self, session: WatchedSession) -> None:
        _log.error(
            "{pool}: no event was acknowledged within {seconds:g} s: the session is ended",
            pool=self._pool.name,
            seconds=_ANSWER_TIMEOUT,
        )
        session.disconnect()

    def _explain(self, failure: Failure, session: WatchedSession) -> None:
        if failure.check(TransportLost, Disconnected) or not session.is_attached():
            raise SessionLost from failure.value
        failure.raiseException()

    def stats(self) -> dict[str, Any]:
        """Say what was offered, called and published so far."""
        return {
            "name": self._pool.name,
            "session": None if self._session is None else self._session.session_id,
            "sessions": self._joined,
            "calls": self.procedures.calls,
            "calls_under_way": self.procedures.under_way,
            "events_published": self.publisher.published,
            "events_waiting": self.publisher.waiting,
            "events_dropped": self.publisher.dropped,
            "events_refused": self.publisher.refused,
        }


def _unregister_late(registration: Any) -> None:
    """Nobody waits for it any more."""
    if registration is not None and registration.active:
        maybeDeferred(registration.unregister).addErrback(lambda _: None)
