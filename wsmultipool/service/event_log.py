"""
What has happened to a pool lately, in words for an operator.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from zope.interface import implementer

from .._repeated import Repeated
from .._words import counted
from ..interfaces import IPooledConnection, IPoolObserver

if TYPE_CHECKING:
    from ..pool import ReconnectingPoolFactory

__all__ = ["Event", "EventLog"]

MOST_EVENTS = 50
"""So many are kept."""

Tone = Literal["good", "bad", "plain"]


@dataclass(slots=True)
class Event(Repeated):
    """
    One thing that happened, perhaps several times in a row.

    @ivar tone: whether that is good or bad news, or neither.
    @since: 0.1.0
    """

    tone: Tone = "plain"

    @property
    def subject(self) -> str:
        """
        What it happened to.

        @since: 0.1.0
        """
        return super(Event, self).subject.capitalize() or "Pool"


@implementer(IPoolObserver)
class EventLog:
    """
    Writes down what happens to a pool, as long as L{start} and not yet L{stop} was called.

    @param now: returns the time, in seconds since the epoch.
    @since: 0.1.0
    """

    def __init__(self, pool: ReconnectingPoolFactory, now: Callable[[], float]) -> None:
        self._pool = pool
        self._now = now
        self._events: deque[Event] = deque(maxlen=MOST_EVENTS)

    def start(self) -> None:
        """
        Begin.

        @since: 0.1.0
        """
        self._pool.add_observer(self)
        self._pool.on("pool:ready", self._ready)
        self._pool.on("pool:empty", self._empty)
        self._pool.on("drain", self._drained)

    def stop(self) -> None:
        """
        End, and keep what was written down.

        @since: 0.1.0
        """
        self._pool.remove_observer(self)
        self._pool.off("pool:ready", self._ready)
        self._pool.off("pool:empty", self._empty)
        self._pool.off("drain", self._drained)

    def newest_first(self) -> list[Event]:
        """
        @return: what was written down.
        @since: 0.1.0
        """
        return list(reversed(self._events))

    def attempt_ended(
        self, connection: IPooledConnection, error: Exception | None, seconds: float
    ) -> None:
        """
        Write down whether it opened.

        @since: 0.1.0
        """
        if error is None:
            self._add("good", "opened", connection.id)
        else:
            self._add("bad", str(error), connection.id)

    def connection_ended(
        self, connection: IPooledConnection, error: Exception | None, seconds: float
    ) -> None:
        """
        Write down what ended it.

        @since: 0.1.0
        """
        closed = connection.last_close
        if error is not None:
            self._add("bad", str(error), connection.id)
        elif closed is None:
            self._add("plain", "destroyed", connection.id)
        else:
            refused = closed.by_peer and not closed.orderly
            self._add("bad" if refused else "plain", str(closed), connection.id)

    def measured(self, what: str, seconds: float) -> None:
        """
        Nothing that an operator wants to read line by line.

        @since: 0.1.0
        """

    def _ready(self) -> None:
        total = self._pool.total_connections
        are = "the connection is" if total == 1 else f"all {total} connections are"
        self._add("good", f"{are} open")

    def _empty(self) -> None:
        self._add("bad", "no connection is open")

    def _drained(self, messages: int) -> None:
        self._add("good", f"sent {counted(messages, 'message')} that had been waiting")

    def _add(self, tone: Tone, text: str, connection_id: int | None = None) -> None:
        last = self._events[-1] if self._events else None
        of_pool = connection_id is None
        if last is None or last.text != text or of_pool == bool(last.connections):
            last = Event(self._now(), text, tone=tone)
            self._events.append(last)
        last.again(self._now(), connection_id)
