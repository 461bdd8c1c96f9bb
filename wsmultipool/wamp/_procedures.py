"""
What the procedures do: the verbs of a pool, with arguments and results that WAMP can carry.

They know nothing of sessions and URIs.  Errors are the pool's, and those of
L{wsmultipool.wamp.errors}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList, succeed
from twisted.python.failure import Failure

from ._arguments import arguments_of, batch_of, check_payload, check_ping

if TYPE_CHECKING:
    from ..pool import ReconnectingPoolFactory
    from .options import WampOptions

__all__ = ["VERBS", "Procedures"]

VERBS = ("send", "send_many", "broadcast", "ping", "flush", "stats")
"""The last components of the URIs of all procedures."""

_SEND_OPTIONS = ("binary", "confirm", "key", "timeout")
_BROADCAST_OPTIONS = ("binary", "confirm", "timeout")


class Procedures:
    """
    The verbs, on one pool.

    @param show_failure: makes of the failure of one message of several what is sent instead.
    @param more_stats: what C{stats} tells besides what the pool does.
    @ivar calls: calls so far.
    @ivar under_way: calls that were not answered yet.
    """

    def __init__(
        self,
        pool: ReconnectingPoolFactory,
        options: WampOptions,
        show_failure: Callable[[Failure], object],
        more_stats: Callable[[], dict[str, Any]],
    ) -> None:
        self._pool = pool
        self._options = options
        self._show_failure = show_failure
        self._more_stats = more_stats
        self._when_idle: list[Deferred[None]] = []
        self.calls = 0
        self.under_way = 0

    def call(self, verb: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Deferred[Any]:
        """
        Do what a caller asks for.

        @param verb: one of L{VERBS}.
        @return: a Deferred of the result; it fails with what the pool fails with.  Cancelling it
            withdraws what was not taken yet.
        @raise WampError: an argument is not right.  Nothing has happened then.
        """
        result: Deferred[Any] = getattr(self, f"_{verb}")(*self._checked(verb, arguments, options))
        self.calls += 1
        self.under_way += 1
        return result.addBoth(self._answered)

    def when_idle(self) -> Deferred[None]:
        """
        @return: a Deferred that fires when no call is under way; cancelling it is harmless.
        """
        if not self.under_way:
            return succeed(None)
        waiter: Deferred[None] = Deferred(self._when_idle.remove)
        self._when_idle.append(waiter)
        return waiter

    def _answered(self, result: Any) -> Any:
        self.under_way -= 1
        if not self.under_way:
            waiting, self._when_idle = self._when_idle, []
            for waiter in waiting:
                waiter.callback(None)
        return result

    def _checked(
        self, verb: str, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[Any, ...]:
        limit = self._options.max_payload_size
        match verb:
            case "send" | "broadcast":
                known = _SEND_OPTIONS if verb == "send" else _BROADCAST_OPTIONS
                checked = arguments_of(verb, arguments, options, known, ("data",))
                check_payload(arguments[0], checked.get("binary"), limit)
                return arguments[0], checked
            case "send_many":
                checked = arguments_of(
                    verb, arguments, options, _SEND_OPTIONS, ("messages",), batch=True
                )
                return batch_of(arguments[0], checked, self._options.max_batch_size, limit)
            case "ping":
                payload = arguments or (b"",)
                checked = arguments_of(verb, payload, options, ("timeout",), ("data",))
                check_ping(payload[0])
                return payload[0], checked
            case "flush":
                return (arguments_of(verb, arguments, options, ("timeout",)),)
            case _:
                arguments_of(verb, arguments, options, ())
                return ()

    def _send(self, data: str | bytes, options: dict[str, Any]) -> Deferred[int]:
        return self._pool.send(data, **options)

    def _send_many(
        self, messages: list[str | bytes], options: list[dict[str, Any]]
    ) -> Deferred[list[Any]]:
        send = self._pool.send
        if any(options):
            sent = [send(data, **each) for data, each in zip(messages, options, strict=True)]
        else:
            sent = list(map(send, messages))
        results: list[Any] = [each.result if each.called else each for each in sent]
        # Most often each was taken at once: nothing is left to wait for, nor to be told.
        if set(map(type, results)) == {int}:
            return succeed(results)
        gathered: Deferred[Any] = DeferredList(sent, consumeErrors=True)
        return gathered.addCallback(self._results)

    def _results(self, results: list[tuple[bool, Any]]) -> list[Any]:
        shown = []
        for succeeded, result in results:
            if not succeeded and result.check(CancelledError):
                raise CancelledError  # only the whole call can be cancelled
            shown.append(result if succeeded else self._show_failure(result))
        return shown

    def _broadcast(self, data: str | bytes, options: dict[str, Any]) -> Deferred[list[Any]]:
        return self._pool.broadcast(data, **options).addCallback(self._results)

    def _ping(self, data: str | bytes, options: dict[str, Any]) -> Deferred[float]:
        return self._pool.ping(data, **options)

    def _flush(self, options: dict[str, Any]) -> Deferred[bool]:
        # Not None: that is what a link between routers makes of an error.
        return self._pool.flush(**options).addCallback(lambda _: True)

    def _stats(self) -> Deferred[dict[str, Any]]:
        return succeed({**self._pool.get_stats().as_dict(), "wamp": self._more_stats()})
