"""
The events of a pool: who listens to what, and how listeners are called.

Which events there are, and what their handlers are called with, is in the types of L{EventEmitter};
a handler may return anything, and is waited for if that is a C{Deferred} or another awaitable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, overload

from twisted.logger import Logger
from twisted.python.failure import Failure

from ._awaitables import as_deferred, explain
from ._other_names import NamedElsewhere, suggested_event

if TYPE_CHECKING:
    from .handshake import UpgradeRequest, UpgradeResponse

__all__ = ["EventEmitter", "EventName"]

EventName = Literal[
    "message",
    "open",
    "close",
    "error",
    "drain",
    "pool:ready",
    "pool:empty",
    "unexpected-response",
    "upgrade",
    "ping",
    "pong",
]
"""
The name of an event.

@since: 0.1.0
"""

# The handlers, by what they are called with.
_Message = Callable[[bytes, bool, int], object]
_Number = Callable[[int], object]
_Close = Callable[[int, int, str], object]
_Error = Callable[[Exception, int], object]
_Nothing = Callable[[], object]
_Rejected = Callable[["UpgradeRequest", "UpgradeResponse", int], object]
_Upgrade = Callable[["UpgradeResponse", int], object]
_Frame = Callable[[bytes, int], object]

# Decorators give back exactly the type they were given, so that an async def stays one.  As plain
# arguments handlers have the types above, from which the arguments of a lambda are inferred.
_M = TypeVar("_M", bound=_Message)
_N = TypeVar("_N", bound=_Number)
_C = TypeVar("_C", bound=_Close)
_E = TypeVar("_E", bound=_Error)
_P = TypeVar("_P", bound=_Nothing)
_R = TypeVar("_R", bound=_Rejected)
_U = TypeVar("_U", bound=_Upgrade)
_F = TypeVar("_F", bound=_Frame)

_Handler = Callable[..., object]

# Not a class attribute: as one it would take its namespace from each subclass.
_log = Logger(namespace="wsmultipool.events")

# What on() and once() get when they are used as decorators.  None would hide a mistake:
# pool.on("message", self.callback) with a callback that was never set.
_DECORATE: Any = object()


class EventEmitter(NamedElsewhere):
    """
    Handlers by event, and the calling of them: what C{pool.on} and its siblings are.

    Handlers are called in the order they were added, with positional arguments.  They may be added
    and removed at any time; that changes who is called from the next emission on.  An L{Exception}
    that a handler raises, or that the awaitable it returns fails with, is logged; the other
    handlers are called, and L{emit} does not raise.

    @since: 0.1.0
    """

    def __init__(self) -> None:
        # Tuples, replaced rather than changed: an emission goes on with the one it began with.
        self._handlers: dict[str, tuple[_Handler, ...]] = dict.fromkeys(get_args(EventName), ())

    @overload
    def on(self, event: Literal["message"], handler: _Message) -> _Message: ...
    @overload
    def on(self, event: Literal["message"]) -> Callable[[_M], _M]: ...
    @overload
    def on(self, event: Literal["open", "drain"], handler: _Number) -> _Number: ...
    @overload
    def on(self, event: Literal["open", "drain"]) -> Callable[[_N], _N]: ...
    @overload
    def on(self, event: Literal["close"], handler: _Close) -> _Close: ...
    @overload
    def on(self, event: Literal["close"]) -> Callable[[_C], _C]: ...
    @overload
    def on(self, event: Literal["error"], handler: _Error) -> _Error: ...
    @overload
    def on(self, event: Literal["error"]) -> Callable[[_E], _E]: ...
    @overload
    def on(self, event: Literal["pool:ready", "pool:empty"], handler: _Nothing) -> _Nothing: ...
    @overload
    def on(self, event: Literal["pool:ready", "pool:empty"]) -> Callable[[_P], _P]: ...
    @overload
    def on(self, event: Literal["unexpected-response"], handler: _Rejected) -> _Rejected: ...
    @overload
    def on(self, event: Literal["unexpected-response"]) -> Callable[[_R], _R]: ...
    @overload
    def on(self, event: Literal["upgrade"], handler: _Upgrade) -> _Upgrade: ...
    @overload
    def on(self, event: Literal["upgrade"]) -> Callable[[_U], _U]: ...
    @overload
    def on(self, event: Literal["ping", "pong"], handler: _Frame) -> _Frame: ...
    @overload
    def on(self, event: Literal["ping", "pong"]) -> Callable[[_F], _F]: ...
    def on(self, event: EventName, handler: Any = _DECORATE) -> Any:
        """
        Call C{handler} at every C{event} from now on; C{@pool.on("message")} does that with the
        function beneath it.

        @param event: an L{EventName}.
        @param handler: is called as often per event as it was added.
        @return: C{handler}, to have it for L{off}; without one, a decorator.
        @raise ValueError: there is no such event.
        @raise TypeError: C{handler} is not callable.
        @since: 0.1.0
        """
        return self._subscribe(event, handler, once=False)

    @overload
    def once(self, event: Literal["message"], handler: _Message) -> _Message: ...
    @overload
    def once(self, event: Literal["message"]) -> Callable[[_M], _M]: ...
    @overload
    def once(self, event: Literal["open", "drain"], handler: _Number) -> _Number: ...
    @overload
    def once(self, event: Literal["open", "drain"]) -> Callable[[_N], _N]: ...
    @overload
    def once(self, event: Literal["close"], handler: _Close) -> _Close: ...
    @overload
    def once(self, event: Literal["close"]) -> Callable[[_C], _C]: ...
    @overload
    def once(self, event: Literal["error"], handler: _Error) -> _Error: ...
    @overload
    def once(self, event: Literal["error"]) -> Callable[[_E], _E]: ...
    @overload
    def once(self, event: Literal["pool:ready", "pool:empty"], handler: _Nothing) -> _Nothing: ...
    @overload
    def once(self, event: Literal["pool:ready", "pool:empty"]) -> Callable[[_P], _P]: ...
    @overload
    def once(self, event: Literal["unexpected-response"], handler: _Rejected) -> _Rejected: ...
    @overload
    def once(self, event: Literal["unexpected-response"]) -> Callable[[_R], _R]: ...
    @overload
    def once(self, event: Literal["upgrade"], handler: _Upgrade) -> _Upgrade: ...
    @overload
    def once(self, event: Literal["upgrade"]) -> Callable[[_U], _U]: ...
    @overload
    def once(self, event: Literal["ping", "pong"], handler: _Frame) -> _Frame: ...
    @overload
    def once(self, event: Literal["ping", "pong"]) -> Callable[[_F], _F]: ...
    def once(self, event: EventName, handler: Any = _DECORATE) -> Any:
        """
        Call C{handler} at the next C{event} only; otherwise like L{on}.

        @since: 0.1.0
        """
        return self._subscribe(event, handler, once=True)

    @overload
    def off(self, event: Literal["message"], handler: _Message) -> None: ...
    @overload
    def off(self, event: Literal["open", "drain"], handler: _Number) -> None: ...
    @overload
    def off(self, event: Literal["close"], handler: _Close) -> None: ...
    @overload
    def off(self, event: Literal["error"], handler: _Error) -> None: ...
    @overload
    def off(self, event: Literal["pool:ready", "pool:empty"], handler: _Nothing) -> None: ...
    @overload
    def off(self, event: Literal["unexpected-response"], handler: _Rejected) -> None: ...
    @overload
    def off(self, event: Literal["upgrade"], handler: _Upgrade) -> None: ...
    @overload
    def off(self, event: Literal["ping", "pong"], handler: _Frame) -> None: ...
    def off(self, event: EventName, handler: Any) -> None:
        """
        Undo one L{on} or L{once}, the last one made with C{handler}; no more than a no-op if there
        is none.

        @param event: an L{EventName}.
        @param handler: equal to what was added, as C{self.method} is to every other C{self.method}.
        @raise ValueError: there is no such event.
        @since: 0.1.0
        """
        self._unsubscribe(event, handler)

    def listeners(self, event: EventName) -> tuple[Callable[..., object], ...]:
        """
        Look up who would be called now.

        @return: what to give to L{call}, in order.  What was added by L{once} is wrapped in an
            object that removes itself when it is called.
        @raise ValueError: there is no such event.
        @since: 0.1.0
        """
        try:
            return self._handlers[event]
        except KeyError:
            raise _unknown(event) from None

    def emit(self, event: EventName, *args: Any) -> None:
        """
        Call every handler of C{event}.

        @param args: what the handlers are called with.
        @raise ValueError: there is no such event.
        @since: 0.1.0
        """
        try:
            handlers = self._handlers[event]
        except KeyError:
            raise _unknown(event) from None
        # Runs for every message received, so call() is written out here.
        for handler in handlers:
            try:
                result = handler(*args)
            except Exception:
                self._handler_failed(None, event, handler)
            else:
                if result is not None:
                    self._follow(result, event, handler)
        if not handlers and event == "error":
            self._unheard_error(*args)

    def emit_messages(self, payloads: Iterable[bytes], is_binary: bool, connection_id: int) -> None:
        """
        Emit C{message} for each of some payloads, as long as the iterable goes on.

        @since: 0.1.0
        """
        all_handlers = self._handlers
        for payload in payloads:
            # Looked up for each, as handlers of the one before may have changed who listens.
            for handler in all_handlers["message"]:
                try:
                    result = handler(payload, is_binary, connection_id)
                except Exception:
                    self._handler_failed(None, "message", handler)
                else:
                    if result is not None:
                        self._follow(result, "message", handler)

    def call(
        self, event: EventName, handler: Callable[..., object], args: tuple[object, ...]
    ) -> None:
        """
        Call one of L{listeners}, with the care that L{emit} takes.

        @param event: named in the log if C{handler} fails.
        @since: 0.1.0
        """
        try:
            result = handler(*args)
        except Exception:
            self._handler_failed(None, event, handler)
        else:
            if result is not None:
                self._follow(result, event, handler)

    def _unheard_error(self, error: Exception, connection_id: int) -> None:
        """
        Deal with an C{error} that nobody listens to.  To be overridden by who has a better log.
        """
        _log.error("Connection {connection_id}: {error}", connection_id=connection_id, error=error)

    def _subscribe(self, event: EventName, handler: Any, once: bool) -> Any:
        handlers = self.listeners(event)
        if handler is _DECORATE:
            return partial(self._subscribe, event, once=once)
        if not callable(handler):
            raise TypeError(f"handler must be callable, not {handler!r}")
        self._handlers[event] = (
            *handlers,
            _Once(self._unsubscribe, event, handler) if once else handler,
        )
        return handler

    def _unsubscribe(self, event: EventName, handler: _Handler) -> None:
        handlers = self.listeners(event)
        for index in reversed(range(len(handlers))):
            if handler in (handlers[index], _original(handlers[index])):
                self._handlers[event] = handlers[:index] + handlers[index + 1 :]
                return

    def _follow(self, result: object, event: EventName, handler: _Handler) -> None:
        as_deferred(result).addErrback(self._handler_failed, event, handler)

    def _handler_failed(self, failure: Failure | None, event: EventName, handler: _Handler) -> None:
        """
        @param failure: C{None} for the exception that is being handled.
        """
        failure = explain(failure or Failure())
        original = _original(handler)
        _log.failure(
            "A handler of {event_name!r} failed: {handler}",
            failure,
            event_name=event,
            # Not its repr: that of a functools.partial tells the arguments, which may be secret.
            handler=getattr(original, "__qualname__", type(original).__qualname__),
        )


class _Once:
    """
    A handler that removes itself when it is called.
    """

    __slots__ = ("_event", "_spent", "_unsubscribe", "handler")

    def __init__(
        self,
        unsubscribe: Callable[[EventName, _Handler], None],
        event: EventName,
        handler: _Handler,
    ) -> None:
        self._unsubscribe = unsubscribe
        self._event = event
        self._spent = False
        self.handler = handler

    def __call__(self, *args: object) -> object:
        # Called within an emission of the same event, it is still to come in the outer one's tuple.
        if self._spent:
            return None
        self._spent = True
        self._unsubscribe(self._event, self)
        return self.handler(*args)


def _original(handler: _Handler) -> _Handler:
    return handler.handler if isinstance(handler, _Once) else handler


def _unknown(event: object) -> ValueError:
    suggested = suggested_event(str(event), get_args(EventName))
    return ValueError(f"there is no event {event!r}; did you mean {suggested!r}?")
