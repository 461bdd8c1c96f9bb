"""
Calls through a router, each of which ends: with an answer, or with an exception that says why not.

A session of Autobahn's C{Component} leaves the calls that are under way without an answer when it
ends.  So the session is watched here, and they fail.  A link between two routers answers with
nothing at all where there was an error on its other side.  So no procedure of ours answers with
nothing, and an answer that is not of the right type is a call that was lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from autobahn.exception import Disconnected, PayloadExceededError
from autobahn.wamp.exception import ApplicationError, SerializationError, TransportLost
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from .._deadline_clock import DeadlineClock
from ..errors import PoolError
from ._error_uris import from_wire
from .errors import (
    CallLost,
    CallRefused,
    CallTimeout,
    InvalidArgument,
    NotOffered,
    RemoteFailure,
    TooManyCalls,
)

__all__ = ["Calls"]

_NOT_OFFERED = {ApplicationError.NO_SUCH_PROCEDURE, ApplicationError.NO_ELIGIBLE_CALLEE}
_TOO_MANY = "crossbar.error.max_concurrency_reached"
# With these the call has not reached anybody.
_NOT_SENT = {
    ApplicationError.NOT_AUTHORIZED,
    ApplicationError.AUTHORIZATION_FAILED,
    ApplicationError.INVALID_URI,
}
# What a callee answers whose code raised something else than an error of its own.
_RUNTIME_ERROR = "wamp.error.runtime_error"


class Calls:
    """
    Makes calls in the present session of something.

    @param source: a session of Autobahn, or a C{Component} that is not started yet and has one
        session after another.
    @param prefix: what the URIs of errors begin with.
    @param timeout: seconds for an answer; C{None} for no limit.
    """

    def __init__(
        self, source: Any, prefix: str, timeout: float | None, reactor: IReactorTime | None
    ) -> None:
        self._errors = f"{prefix}.error."
        self._timeout = timeout
        self._reactor = reactor
        self._under_way: dict[Deferred[Any], Deferred[Any]] = {}
        if callable(getattr(source, "call", None)):
            self._session: Any = source
        elif callable(getattr(source, "start", None)) and callable(getattr(source, "on", None)):
            self._session = None
            source.on("join", self._joined)
        else:
            raise TypeError(f"a session or a Component is wanted, not {source!r}")
        source.on("leave", self._left)
        source.on("disconnect", self._left)

    def call(
        self,
        procedure: str,
        arguments: Sequence[Any],
        options: Mapping[str, Any],
        wanted: type[Any] | tuple[type[Any], ...],
    ) -> Deferred[Any]:
        """
        @param wanted: the type that the answer must have.
        @return: a Deferred of the answer; it fails with a L{PoolError}.  Cancelling it has the
            router tell the component, which withdraws what was not taken yet.
        """
        session = self._session
        if session is None or not session.is_attached():
            return fail(CallLost("there is no session with a router", False))
        try:
            answer: Deferred[Any] = session.call(procedure, *arguments, **options)
        except (TransportLost, Disconnected):
            return fail(CallLost("there is no session with a router", False))
        except Exception:
            return fail(self._explained(Failure(), procedure))
        result: Deferred[Any] = Deferred(self._withdraw)
        self._under_way[result] = answer
        answer.addBoth(self._answered, result, procedure, wanted)
        if self._timeout is not None:
            assert self._reactor is not None
            result.addTimeout(self._timeout, DeadlineClock(self._reactor), _timed_out)
        return result

    def error_of(self, entry: Mapping[str, Any]) -> PoolError:
        """
        Make the exception of one message of several.

        @param entry: with the keys C{error}, C{args} and C{kwargs}.
        """
        return from_wire(str(entry["error"]).removeprefix(self._errors), dict(entry["kwargs"]))

    def _withdraw(self, result: Deferred[Any]) -> None:
        # Whatever the router says to that, the caller has not waited for it.  Nor for what Autobahn
        # says when the transport is gone: an AttributeError.
        answer = self._under_way.pop(result, None)
        if answer is not None:
            with suppress(Exception):
                answer.cancel()

    def _answered(
        self,
        answer: Any,
        result: Deferred[Any],
        procedure: str,
        wanted: type[Any] | tuple[type[Any], ...],
    ) -> None:
        if self._under_way.pop(result, None) is None:
            return
        if isinstance(answer, Failure):
            result.errback(self._explained(answer, procedure))
        elif not isinstance(answer, wanted):
            result.errback(CallLost("the answer was lost between two routers", True))
        else:
            result.callback(answer)

    def _joined(self, session: Any, details: object) -> None:
        self._session = session

    def _left(self, session: Any, *_: object, **__: object) -> None:
        if session is not self._session:
            return  # an earlier one, whose transport takes longer to close
        # What is told of one may cancel others, which are gone from here then.
        while self._under_way:
            self._under_way.popitem()[0].errback(CallLost("the router was lost", True))

    def _explained(self, failure: Failure, procedure: str) -> BaseException:
        error = failure.value
        match error:
            case ApplicationError():
                return self._of_uri(error.error, error.kwargs, procedure)
            case TransportLost() | Disconnected():
                # It was under way: what could not be sent at all does not come here.
                return CallLost("the router was lost", True)
            case SerializationError() | PayloadExceededError():
                # Its text would show what was to be sent.
                return InvalidArgument("the arguments can't be sent to the router")
            case CancelledError():
                return error
        return RemoteFailure()

    def _of_uri(self, uri: str, facts: Mapping[str, Any], procedure: str) -> PoolError:
        if uri.startswith(self._errors):
            return from_wire(uri.removeprefix(self._errors), dict(facts))
        if uri in _NOT_OFFERED:
            return NotOffered(procedure)
        if uri == _TOO_MANY:
            return TooManyCalls(procedure)
        if uri == ApplicationError.CANCELED:
            return CallLost("the component that offers the pool was lost", True)
        if uri.startswith("wamp.close."):
            return CallLost("the router was lost", True)
        if uri == _RUNTIME_ERROR:
            return RemoteFailure()
        return CallRefused(uri, uri not in _NOT_SENT)


def _timed_out(result: Any, timeout: float) -> Any:
    if isinstance(result, Failure) and result.check(CancelledError):
        return Failure(CallTimeout(timeout))
    return result
