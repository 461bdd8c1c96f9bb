"""
The events of a pool, on their way to the topics of a realm.

An event is published with an acknowledgement, and only so many are under way at once: what the
router does not keep up with waits in the buffer, and not in a transport that has no limit.  What
was not acknowledged when the session ended is published again in the next, so that an event may
arrive twice then; in the life of one session each is published once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from .._words import counted
from ._event_buffer import Event, EventBuffer

if TYPE_CHECKING:
    from .._patience import Patience
    from ..pool import ReconnectingPoolFactory
    from .options import WampOptions

__all__ = ["Publish", "Publisher", "SessionLost", "as_text_or_binary"]

# Not a class attribute: as one it would take its namespace from each class.
_log = Logger(namespace="wsmultipool.wamp")

Publish = Callable[[str, tuple[Any, ...]], Deferred[Any]]
"""
Publishes to a topic, given by its last component.  The Deferred fires when that is acknowledged; it
fails with L{SessionLost} when the session is gone, and with anything else when it was refused.
"""


class SessionLost(Exception):
    """
    The session that something was to be published in is gone.
    """


def as_text_or_binary(data: bytes, is_binary: bool) -> str | bytes:
    """
    Make of a message what WAMP carries: text as text, binary as binary.

    Text that begins with NUL stays binary, as in WAMP's JSON such text I{is} binary, in base64;
    which serializers it passes through, nobody here knows.
    """
    if is_binary or data.startswith(b"\0"):
        return data
    return data.decode()


class Publisher:
    """
    Publishes the events of one pool, in one session after another.

    @ivar published: events that the router has acknowledged.
    @ivar refused: events that the router has refused, or would, as they are too large.
    """

    def __init__(self, pool: ReconnectingPoolFactory, options: WampOptions) -> None:
        self._name = pool.name
        self._buffer = EventBuffer(
            options.event_buffer_size,
            options.event_buffer_bytes,
            options.event_overflow == "drop_oldest",
        )
        self._window = options.publish_window
        self._max_payload_size = options.max_payload_size
        self._publish: Publish | None = None
        self._patience: Patience | None = None
        self._under_way: dict[int, Event] = {}
        self._number = 0
        self._going_on = False
        self._told_dropped = 0
        self._warned = False
        self._told_refused = False
        self.published = 0
        self.refused = 0
        self._pool = pool
        handlers: dict[str, tuple[Any, Callable[..., None]]] = {
            "message": ("message", self._message),
            "open": ("open", lambda number: self._add("on_open", number)),
            "close": ("close", self._closed),
            "ready": ("pool:ready", lambda: self._add("on_ready")),
            "empty": ("pool:empty", lambda: self._add("on_empty")),
        }
        self._handlers = [handlers[event] for event in options.publish]
        for event, handler in self._handlers:
            pool.on(event, handler)

    @property
    def dropped(self) -> int:
        """How many events were dropped because the buffer was full."""
        return self._buffer.dropped

    @property
    def waiting(self) -> int:
        """How many events wait, or are under way."""
        return len(self._buffer) + len(self._under_way)

    def joined(self, publish: Publish, patience: Patience) -> None:
        """
        There is a session: publish what waits, and what comes.

        @param patience: with the router, which has to acknowledge something now and then.
        """
        self._publish = publish
        self._patience = patience
        self._told_refused = False
        self._go_on()

    def left(self) -> None:
        """The session is gone: hold what is not known to have been published, and what comes."""
        self._publish = None
        if self._patience is not None:
            self._patience.stop()
        under_way, self._under_way = self._under_way, {}
        self._buffer.put_back(under_way.values())
        self._buffer.drop()
        self._warn_of_dropping()

    def stop(self) -> None:
        """Listen to the pool no more, and drop what still waits."""
        for event, handler in self._handlers:
            self._pool.off(event, handler)
        self._handlers = []
        self.left()
        self._buffer.clear()
        if self.dropped > self._told_dropped:
            _log.warn(
                "{pool}: {dropped} not published before the end",
                pool=self._name,
                dropped=counted(self.dropped - self._told_dropped, "event"),
            )
            self._told_dropped = self.dropped

    def _message(self, data: bytes, is_binary: bool, connection_id: int) -> None:
        if len(data) > self._max_payload_size:
            # The router would end the session for it, and the next one, and so on.
            self._refuse("on_message", "larger than max_payload_size")
            return
        arguments = (as_text_or_binary(data, is_binary), is_binary, connection_id)
        self._hold(Event("on_message", arguments, len(data)))

    def _closed(self, connection_id: int, code: int, reason: str) -> None:
        self._add("on_close", connection_id, code, as_text_or_binary(reason.encode(), False))

    def _add(self, name: str, *arguments: Any) -> None:
        self._hold(Event(name, arguments))

    def _hold(self, event: Event) -> None:
        self._buffer.add(event)
        self._go_on()
        self._buffer.drop()
        self._warn_of_dropping()

    def _go_on(self) -> None:
        if self._going_on:
            return  # the loop below is what has called us
        self._going_on = True
        while self._publish is not None and self._buffer and len(self._under_way) < self._window:
            event = self._buffer.take()
            self._number += 1
            self._under_way[self._number] = event
            told = (self._publish, self._number)
            self._publish(event.name, event.arguments).addCallbacks(
                self._acknowledged, self._not_published, callbackArgs=told, errbackArgs=told
            )
        self._going_on = False
        if self._under_way and self._patience is not None:
            self._patience.start()

    def _acknowledged(self, _: object, publish: Publish, number: int) -> None:
        if publish is not self._publish:
            return  # of an earlier session
        del self._under_way[number]
        self.published += 1
        self._settled()
        self._go_on()
        if not self._buffer:
            self._tell_dropped()

    def _not_published(self, failure: Failure, publish: Publish, number: int) -> None:
        if publish is not self._publish:
            return  # the end of a session, which put it back
        if failure.check(SessionLost):
            self.left()
            return
        event = self._under_way.pop(number)
        # Only what it is: the text may hold what was to be published.
        self._refuse(event.name, getattr(failure.value, "error", type(failure.value).__name__))
        self._settled()
        self._go_on()

    def _settled(self) -> None:
        """The router has answered."""
        assert self._patience is not None
        self._patience.progress()
        if not self._under_way:
            self._patience.stop()

    def _refuse(self, topic: str, reason: str) -> None:
        """Count an event that can't be published; say so once in each session."""
        self.refused += 1
        if self._told_refused:
            return
        self._told_refused = True
        _log.error(
            "{pool}: an event for {topic} was not published: {reason}",
            pool=self._name,
            topic=topic,
            reason=reason,
        )

    def _warn_of_dropping(self) -> None:
        """Say so once, when it begins."""
        if self.dropped > self._told_dropped and not self._warned:
            self._warned = True
            _log.warn("{pool}: the router is away, or slow: events are dropped", pool=self._name)

    def _tell_dropped(self) -> None:
        """Say how many, when none waits any more."""
        if self.dropped > self._told_dropped:
            _log.warn(
                "{pool}: {dropped} dropped while the router was away, or slow",
                pool=self._name,
                dropped=counted(self.dropped - self._told_dropped, "event"),
            )
            self._told_dropped = self.dropped
            self._warned = False
