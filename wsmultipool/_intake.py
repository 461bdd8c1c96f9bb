"""
Accepting messages, or refusing them: the checks, the limits, and the waiting.

An accepted message goes straight to a writable connection if there is one, and otherwise to the
backlog (L{wsmultipool._dispatch}).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import count
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime

from ._arguments import check_timeout
from ._dispatch import stop_timer
from .errors import BufferFull, FragmentLost, NotConnected, PoolError, QueueOverflow, SendTimeout
from .messages import FragmentedMessage, Message, SendData, to_payload

if TYPE_CHECKING:
    from ._connection import PooledConnection
    from ._dispatch import Dispatch
    from .messages import Lane
    from .options import PoolOptions


class Intake:
    """
    The way into the pool.
    """

    def __init__(
        self,
        clock: IReactorTime,
        options: PoolOptions,
        dispatch: Dispatch,
    ) -> None:
        self._clock = clock
        self._options = options
        self._dispatch = dispatch
        self._backlog = dispatch.backlog
        self._sequence = count()
        self._refusal: Callable[[], PoolError] | None = None

    def send(
        self,
        data: SendData,
        binary: bool | None,
        compress: bool | None,
        mask: bool,
        fin: bool,
        key: Hashable,
        timeout: float | None,
    ) -> Deferred[int]:
        if key is None:
            if not fin:
                raise ValueError("key: a fragment (fin=False) needs one, to name its message")
            whole = True
        elif isinstance(key, Hashable):
            whole = fin and key not in self._dispatch.fragmented
        else:
            raise TypeError(f"key: something hashable is wanted, not a {type(key).__name__}")
        payload, is_binary = to_payload(data, binary, whole)
        if timeout is not None:
            check_timeout(timeout)
        if self._refusal is not None:
            return fail(self._refusal())
        message = Message(payload, is_binary, compress, mask, key, None, next(self._sequence))
        if not whole:
            return self._send_fragment(message, fin, timeout)
        backlog = self._backlog
        if key is None:
            lane = backlog.shared
            connection = None if lane else self._dispatch.choose()
        else:
            lane, connection = self._dispatch.place(key)
        if connection is not None and (
            backlog.size + self._dispatch.held + len(payload) <= self._options.max_buffered_bytes
        ):
            connection.take(message)
            return succeed(connection.id)
        return self._admit(message) or self._wait(message, lane, timeout)

    def send_on(
        self,
        connection: PooledConnection,
        payload: bytes,
        is_binary: bool,
        compress: bool | None,
        mask: bool,
        timeout: float | None,
    ) -> Deferred[int]:
        """
        Send on one connection or not at all.
        """
        if self._refusal is not None:
            return fail(self._refusal())
        message = Message(
            payload, is_binary, compress, mask, None, connection, next(self._sequence)
        )
        refused = self._admit(message)
        if refused is not None:
            return refused
        lane = self._backlog.lane_of(connection)
        result = self._wait(message, lane, timeout)
        self._dispatch.pull(connection)
        return result

    def _send_fragment(self, message: Message, fin: bool, timeout: float | None) -> Deferred[int]:
        key = message.key
        fragmented = self._dispatch.fragmented.get(key)
        opening = fragmented is None
        if fragmented is None:
            fragmented = FragmentedMessage(message)
        elif fragmented.lost:
            if fin:
                del self._dispatch.fragmented[key]
            return fail(FragmentLost())
        message.first = opening
        message.fin = fin
        message.fragmented = fragmented
        message.is_binary = fragmented.is_binary
        message.compress = fragmented.compress
        message.mask = fragmented.mask
        before = fragmented.check_text(message.payload, fin)
        refused = self._admit(message)
        if refused is not None:
            fragmented.uncheck_text(before)
            return refused
        if fragmented.lost:  # its first fragment was just dropped to make room
            return self._send_fragment(message, fin, timeout)
        if fin:
            fragmented.complete = True
            self._dispatch.fragmented.pop(key, None)
        else:
            self._dispatch.fragmented[key] = fragmented
        if opening:
            lane, connection = self._dispatch.place(key)
        else:
            lane, connection = fragmented.waiting, fragmented.connection
        result = self._wait(message, lane, timeout)
        if connection is not None:
            self._dispatch.pull(connection)
        return result

    # Limits

    @property
    def buffered(self) -> int:
        """Payload bytes accepted and, as far as is known, not written."""
        return self._backlog.size + self._dispatch.held

    def _fits(self, size: int) -> bool:
        return self.buffered + size <= self._options.max_buffered_bytes

    def _admit(self, message: Message) -> Deferred[int] | None:
        """
        Apply the limits to a message that may have to wait.

        @return: a failed Deferred if the message is refused.
        """
        options = self._options
        backlog = self._backlog
        size = len(message.payload)
        # While nothing waits, one message may exceed the bound: otherwise a caller who awaits each
        # send, and so never has more than one waiting, would get errors instead of backpressure.
        if size > options.max_buffered_bytes or (backlog.count and not self._fits(size)):
            return fail(BufferFull(size, self.buffered, options.max_buffered_bytes))
        if self._dispatch.in_service_count or message.pinned is not None:
            return None
        limit = options.message_queue_size
        if limit == 0:
            return fail(NotConnected())
        if backlog.undecided >= limit and options.overflow != "wait":
            oldest = None
            if options.overflow == "drop_oldest":
                oldest = backlog.oldest(lambda m: m.deferred is not None)
            if oldest is None:
                self._dispatch.dropped["overflow"] += 1
                return fail(QueueOverflow(limit))
            self._give_up_on(oldest, QueueOverflow(limit), "overflow")
        return None

    def _wait(self, message: Message, lane: Lane, timeout: float | None) -> Deferred[int]:
        deferred: Deferred[int] = Deferred(lambda _: self._withdraw(message))
        message.deferred = deferred
        if timeout is not None:
            message.timer = self._clock.callLater(timeout, self._expire, message, timeout)
        self._backlog.append(message, lane)
        return deferred

    # What waits is withdrawn

    def _withdraw(self, message: Message) -> None:
        """Its Deferred was cancelled."""
        if message.lane is not None:
            self._give_up_on(message, None, "cancelled")
        else:
            stop_timer(message)
            message.deferred = None

    def _expire(self, message: Message, timeout: float) -> None:
        message.timer = None
        self._give_up_on(message, SendTimeout(timeout), "timeout")

    def _give_up_on(self, message: Message, error: Exception | None, reason: str) -> None:
        """
        A waiting message will not be sent.  C{error} is C{None} when its Deferred says so itself.
        """
        self._backlog.remove(message)
        if error is None:
            stop_timer(message)
            message.deferred = None
        fragmented = message.fragmented
        if error is not None:
            self._dispatch.drop(message, error, reason)
        if fragmented is not None:
            self._dispatch.abandon(fragmented)
        self._dispatch.check_emptied()

    # The end

    def refuse(self, refusal: Callable[[], PoolError]) -> None:
        """Accept nothing more: every send fails with what C{refusal} returns."""
        self._refusal = refusal

    def accept(self) -> None:
        """Undo L{refuse}."""
        self._refusal = None

    def fail_waiting(self, reason: str) -> int:
        """
        Fail everything that waits with the refusal.

        @return: how many of these messages had come back from a lost connection, so that nobody
            waits to hear of them: their callers were told that they had been taken.
        """
        assert self._refusal is not None
        unheard = 0
        waiting = list(self._backlog)
        for message in waiting:
            if message.lane is not None:
                self._backlog.remove(message)
                unheard += message.deferred is None
                self._dispatch.drop(message, self._refusal(), reason)
        self._dispatch.fragmented.clear()
        self._dispatch.forget_recovery()
        self._dispatch.check_emptied()
        return unheard
