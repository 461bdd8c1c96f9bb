"""
Messages that are not delivered as planned: which of them are tried again, and what the callers of
the others hear.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .errors import DeliveryUnknown, FragmentLost, NotConnected, PoolError

if TYPE_CHECKING:
    from ._backlog import Backlog
    from ._fragments import FragmentedMessage
    from ._unheard import UnheardFailures
    from .messages import Message


class Returns:
    """
    Whether any message accepted before C{sequence} has come back from a connection that was lost.
    """

    def __init__(self, sequence: int) -> None:
        self.any = False
        self._sequence = sequence

    def note(self, messages: Iterable[Message]) -> None:
        """These have come back, or would have."""
        self.any = self.any or any(m.is_for_pool and m.sequence < self._sequence for m in messages)


class Losses:
    """
    Decides what becomes of a message whose connection is lost, and counts.

    @param max_deliveries: how often a confirmed message may be written.
    @param unheard: counts the failures that nobody looks at.
    @ivar ending: makes the error for what can't be tried again, once the pool comes to its end.
    @ivar requeued: how many messages came back from a connection that was lost before it had
        written them.
    @ivar resent: how many came back, unconfirmed, to be written once more.
    @ivar unknown: how many were taken by connections that were then lost, and have not arrived for
        all that is known.
    @ivar lost_by: what lost the latest of these; C{None} as long as there are none.
    @ivar dropped: how many accepted messages will not be sent (again), by reason.
    @ivar unheard: how many of these nobody waits to hear of, as they had been taken once.
    """

    def __init__(self, backlog: Backlog, max_deliveries: int, unheard: UnheardFailures) -> None:
        self.ending: Callable[[], PoolError] | None = None
        self.requeued = 0
        self.resent = 0
        self.unknown = 0
        self.lost_by: Exception | None = None
        self.dropped: Counter[str] = Counter()
        self.unheard = 0
        self._backlog = backlog
        self._max_deliveries = max_deliveries
        self._unheard = unheard
        self._watching: set[Returns] = set()

    @contextmanager
    def watching(self, sequence: int) -> Iterator[Returns]:
        """
        Watch, for the length of the context, whether messages older than C{sequence} come back.
        """
        returns = Returns(sequence)
        self._watching.add(returns)
        try:
            yield returns
        finally:
            self._watching.discard(returns)

    def sort_unwritten(
        self, unwritten: Iterable[Message], interrupted: FragmentedMessage | None
    ) -> tuple[list[Message], list[Message]]:
        """
        What a lost connection had taken, and not written, can go elsewhere without being sent
        twice.

        @param interrupted: the fragmented message that the connection was in the middle of.
        @return: the messages for which a place is to be found, or which are to be L{reject}ed; and
            the fragments that are void, for L{drop_void} once the others have their places.
        """
        unwritten = list(unwritten)
        for returns in self._watching:
            returns.note(unwritten)
        whole = []
        void: list[Message] = []
        in_pieces: dict[FragmentedMessage, list[Message]] = {}
        if interrupted is not None:
            in_pieces[interrupted] = []
        for message in unwritten:
            if message.fragmented is not None:
                in_pieces.setdefault(message.fragmented, []).append(message)
            else:
                whole.append(message)
                self.requeued += message.is_for_pool and self.ending is None
        for fragmented, fragments in in_pieces.items():
            whole += self._restart(fragmented, fragments, void)
            self.requeued += 0 if fragmented.lost else len(fragments)
        return whole, void

    def sort_unconfirmed(
        self, unconfirmed: Iterable[Message]
    ) -> tuple[list[Message], list[Message], list[Message]]:
        """
        What a lost connection had written, and nobody confirmed, may have arrived, or not.

        @return: the messages that are written once more, for which a place is to be found; those
            for which it was the last time, for L{give_up}; and the fragments that are void, for
            L{drop_void} once the first have their places.
        """
        unconfirmed = list(unconfirmed)
        for returns in self._watching:
            returns.note(unconfirmed)
        again: list[Message] = []
        given_up: list[Message] = []
        void: list[Message] = []
        in_pieces: dict[FragmentedMessage, list[Message]] = {}
        for message in unconfirmed:
            if message.fragmented is not None:
                in_pieces.setdefault(message.fragmented, []).append(message)
                continue
            may_repeat = self._may_repeat(message)
            self.resent += may_repeat
            (again if may_repeat else given_up).append(message)
        for fragmented, fragments in in_pieces.items():
            if all(map(self._may_repeat, fragments)):
                again += self._restart(fragmented, fragments, void)
                self.resent += 0 if fragmented.lost else len(fragments)
            else:
                given_up += fragments
        return again, given_up, void

    def _may_repeat(self, message: Message) -> bool:
        return (
            message.deliveries < self._max_deliveries
            and message.is_for_pool
            and message.deferred is not None  # else it was cancelled
            and self.ending is None
        )

    def _restart(
        self, fragmented: FragmentedMessage, returned: list[Message], void: list[Message]
    ) -> list[Message]:
        """
        The connection in the middle of a fragmented message is lost.

        @param returned: fragments of it that can be sent on another one.
        @param void: to which they are added if that would be of no use.
        @return: the first fragment, if it is among them: with it, all of the message can go
            elsewhere.
        """
        fragmented.connection = None
        if fragmented.begun or fragmented.lost or self.ending is not None:
            void += [*returned, *self._void(fragmented)]
            return []
        following = [message for message in returned if not message.first]
        self._backlog.insert(following, self._backlog.lane_of(fragmented))
        return [message for message in returned if message.first]

    # Messages that will not be sent

    def reject(self, messages: Iterable[Message]) -> None:
        """
        Drop messages for which there is no place: they were for one connection, or nothing more is
        sent.
        """
        for message in messages:
            if not message.is_for_pool:
                self.drop(message, NotConnected(), "connection lost")
            else:
                assert self.ending is not None
                self.drop(message, self.ending(), "closed")

    def drop(self, message: Message, error: Exception, reason: str) -> None:
        """A message that waits no longer will not be sent; count that, and tell its caller."""
        self.dropped[reason] += 1
        message.stop_timer()
        if message.deliveries:
            self.count_unknown(1, error)
            unknown = DeliveryUnknown(1, message.deliveries, message.payload, message.is_binary)
            unknown.__cause__ = error
            error = unknown
        deferred, message.deferred = message.deferred, None
        if deferred is not None:
            self._unheard.watch(deferred, "send").errback(error)
        elif message.settles_when_taken:
            self.unheard += 1
            self.count_unknown(1, error)

    def count_unknown(self, messages: int, error: Exception) -> None:
        """So many were taken by a connection that was then lost, as C{error} says."""
        if messages:
            self.unknown += messages
            self.lost_by = error

    def give_up(self, messages: Iterable[Message], error: Exception) -> None:
        """Drop messages that may not be written once more."""
        for message in messages:
            if message.fragmented is not None:
                self.drop_void(self._void(message.fragmented))
            self.drop(message, error, "unconfirmed")

    def abandon(self, fragmented: FragmentedMessage) -> None:
        """
        A fragment is missing, so the message can't be completed: the rest is void, and the
        connection that is in the middle of it is closed, as nothing else would free it.
        """
        if fragmented.lost:
            return
        self.drop_void(self._void(fragmented))
        connection = fragmented.connection
        if connection is not None and connection.occupied_by is fragmented:
            connection.close(1000, "a fragmented message was abandoned")

    def drop_void(self, fragments: Iterable[Message]) -> None:
        """Drop what can't be sent, as fragments before or behind it are lost."""
        for message in fragments:
            self.drop(message, FragmentLost(), "fragment")

    def _void(self, fragmented: FragmentedMessage) -> list[Message]:
        """Let no more of it be sent; return what has waited, to be dropped."""
        opening = fragmented.lose()
        waiting = self._backlog.clear_lane(fragmented)
        if opening is not None and opening.lane is not None:
            self._backlog.remove(opening)
            waiting.insert(0, opening)
        return waiting
