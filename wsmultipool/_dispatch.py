"""
Which connection takes which message, and when.

What waits is in the backlog.  A connection that opens, or becomes writable again, pulls from there
until it is full: so there is nothing that a slow connection could hold up, and outage and
backpressure are one mechanism.

What keeps it consistent: whenever control is not inside this module, and it does not rest, nothing
waits that a writable connection could take.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, cast

from twisted.internet.defer import Deferred

from ._affinity import KeyAffinity
from ._backlog import Backlog
from ._fragments import FragmentedMessage
from ._waiters import Waiters
from .errors import FragmentLost, NotConnected, PoolError
from .messages import Message

if TYPE_CHECKING:
    from ._affinity import Move
    from ._connection import PooledConnection
    from .interfaces import IBalancer
    from .messages import Lane


class Dispatch:
    """
    The connections in service, what waits for them, and what they give back when they are lost.

    @param recovered: called with the number of messages that had waited, when a backlog that an
        outage left was worked off.
    @ivar choose: asks the balancer for a writable connection.
    @ivar backlog: what no connection has taken.
    @ivar affinity: which connection each key belongs to.
    @ivar fragmented: messages by key that are being sent in fragments and are not complete.
    @ivar resting: while true, connections take nothing from the backlog.
    @ivar held: bytes that paused transports hold; kept by the connections.
    @ivar requeued: how many messages came back from a connection that was lost before it had
        written them.
    @ivar dropped: how many accepted messages will not be sent, by reason.
    @ivar unheard: how many of these nobody waits to hear of, as they had been taken once.
    """

    def __init__(self, balancer: IBalancer, recovered: Callable[[int], None]) -> None:
        self.backlog = Backlog()
        self.affinity: KeyAffinity[PooledConnection] = KeyAffinity()
        self.fragmented: dict[Hashable, FragmentedMessage] = {}
        self.resting = False
        self.held = 0
        self.requeued = 0
        self.dropped: Counter[str] = Counter()
        self.unheard = 0
        self._balancer = balancer
        # The balancer knows only what add() gave it.
        self.choose = cast("Callable[[], PooledConnection | None]", balancer.choose)
        self._recovered = recovered
        self._in_service: set[PooledConnection] = set()
        self._writable: set[PooledConnection] = set()
        self._leaving: dict[PooledConnection, Move[PooledConnection]] = {}
        self._ending: Callable[[], PoolError] | None = None
        self._worked_off: int | None = None
        self._emptied = Waiters()

    def in_service(self) -> list[PooledConnection]:
        """The connections open now, by id."""
        return sorted(self._in_service, key=lambda connection: connection.id)

    @property
    def in_service_count(self) -> int:
        """How many connections are open now."""
        return len(self._in_service)

    def is_last(self, connection: PooledConnection) -> bool:
        """Whether none is open but this one."""
        return self._in_service == {connection}

    def place(self, key: Hashable) -> tuple[Lane, PooledConnection | None]:
        """
        @return: where a message of C{key} waits, and the connection that may take it at once.
        """
        backlog = self.backlog
        move = self.affinity.moving(key)
        if move is not None:
            return backlog.lane_of(move), None
        home = self.affinity.home(key)
        lane = backlog.lane_of(home)
        if home is None or not home.writable or backlog.next_for(home) is not None:
            return lane, None
        return lane, home

    # Connections come, take, and go

    def opened(self, connection: PooledConnection) -> None:
        """A connection may take traffic from now on."""
        backlog = self.backlog
        if not self._in_service and backlog.count:
            self._worked_off = self._worked_off or 0
        self._in_service.add(connection)
        self.refresh(connection)
        in_pieces = {c.occupied_by.key for c in self._in_service if c.occupied_by is not None}
        for move in self.affinity.opened(connection, in_pieces.union(self.fragmented)):
            lane = backlog.lane_of(move.old)
            following = [message for message in lane if message.key in move.keys]
            for message in following:
                backlog.remove(message)
            backlog.insert(following, backlog.lane_of(move))
            self._await_barrier(move)
        self._rehouse(backlog.clear_lane(None))
        self.pull(connection)

    def _await_barrier(self, move: Move[PooledConnection]) -> None:
        """
        Let keys move when the pong says that what was sent at their old home was received.
        """
        move.old.barrier().addCallbacks(
            lambda _: self.affinity.arrived(move),
            lambda _: self.affinity.stayed(move),
        ).addCallback(lambda _: self._rehouse(self.backlog.clear_lane(move)))

    def _rehouse(self, messages: Iterable[Message]) -> None:
        """
        Let messages wait, each in the lane that is now the right one, and have them pulled.
        """
        lanes: dict[int, tuple[Lane, list[Message]]] = {}
        homes: set[PooledConnection] = set()
        for message in messages:
            if message.key is None:
                lane = self.backlog.shared
            else:
                move = self.affinity.moving(message.key)
                home = None if move else self.affinity.home(message.key)
                lane = self.backlog.lane_of(move or home)
                if home is not None:
                    homes.add(home)
            lanes.setdefault(id(lane), (lane, []))[1].append(message)
        for lane, its_messages in lanes.values():
            self.backlog.insert(its_messages, lane)
        for connection in homes:
            self.pull(connection)
        while self.backlog.shared and not self.resting:
            free = self.choose()
            if free is None:
                break
            self.pull(free)

    def left(self, connection: PooledConnection, unwritten: list[Message]) -> None:
        """
        A connection can take nothing any more.

        @param unwritten: what it had taken and not written, oldest first.
        """
        backlog = self.backlog
        self._in_service.discard(connection)
        self.refresh(connection)
        leaving, ended = self.affinity.closing(connection)
        self._leaving[connection] = leaving
        stranded = backlog.clear_lane(connection)
        for move in ended:
            stranded += backlog.clear_lane(move)
        occupied_by, connection.occupied_by = connection.occupied_by, None
        broken: dict[FragmentedMessage, list[Message]] = {}
        if occupied_by is not None:
            broken[occupied_by] = []
        for message in unwritten:
            if message.fragmented is not None:
                broken.setdefault(message.fragmented, []).append(message)
            else:
                stranded.append(message)
                self.requeued += message.pinned is None and self._ending is None
        for fragmented, its_fragments in broken.items():
            stranded += self._restart(fragmented, its_fragments)
        if self._ending is None:
            self._rehouse(message for message in stranded if message.pinned is None)
        for message in stranded:
            if message.pinned is not None:
                self.drop(message, NotConnected(), "connection lost")
            elif self._ending is not None:
                self.drop(message, self._ending(), "closed")
        self.check_emptied()

    def gone(self, connection: PooledConnection) -> None:
        """
        A connection that has left has no transport any more, so that nothing it had written can
        arrive after what others write.
        """
        leaving = self._leaving.pop(connection, None)
        if leaving is not None:
            self.affinity.arrived(leaving)
            self._rehouse(self.backlog.clear_lane(leaving))

    def _restart(self, fragmented: FragmentedMessage, unwritten: list[Message]) -> list[Message]:
        """
        The connection in the middle of a fragmented message is lost.

        @return: the first fragment, if nothing of the message had been written, so that all of it
            can go elsewhere.
        """
        fragmented.connection = None
        if fragmented.written or fragmented.lost or self._ending is not None:
            self._void(fragmented, unwritten)
            return []
        self.requeued += len(unwritten)
        self.backlog.insert(unwritten[1:], self.backlog.lane_of(fragmented))
        return unwritten[:1]

    def refresh(self, connection: PooledConnection) -> None:
        """Tell the balancer, if a connection became writable or ceased to be."""
        writable = connection.writable and connection in self._in_service
        if writable and connection not in self._writable:
            self._writable.add(connection)
            self._balancer.add(connection)
        elif not writable and connection in self._writable:
            self._writable.discard(connection)
            self._balancer.remove(connection)

    def pull(self, connection: PooledConnection) -> None:
        """Let a connection take what waits for it, until it is full."""
        backlog = self.backlog
        while connection.may_take:
            occupied_by = connection.occupied_by
            if occupied_by is not None:
                message = backlog.first_of(occupied_by)
            elif connection in self._in_service:
                message = None if self.resting else backlog.next_for(connection)
            else:  # during on_connect, only what was sent on just this connection
                message = backlog.first_of(connection)
            if message is None:
                break
            backlog.remove(message)
            stop_timer(message)
            if self._worked_off is not None:
                self._worked_off += 1
            self._hand_over(message, connection)
        self.check_emptied()

    def pull_all(self) -> None:
        """Let every connection take what it can, after a rest."""
        for connection in list(self._writable):
            self.pull(connection)

    def _hand_over(self, message: Message, connection: PooledConnection) -> None:
        fragmented = message.fragmented
        if fragmented is not None:
            fragmented.connection = connection
            connection.occupied_by = None if message.fin else fragmented
            if message.fin:
                self.backlog.clear_lane(fragmented)  # which is empty: the last one has left it
            self.refresh(connection)
        if message.settles_when_written:
            connection.take(message)
            return
        deferred, message.deferred = message.deferred, None
        connection.take(message)
        # Taking it may have written others, and one of their callers may have cancelled this one.
        if deferred is not None and not deferred.called:
            deferred.callback(connection.id)

    # Messages that will not be sent

    def drop(self, message: Message, error: Exception, reason: str) -> None:
        """A message that waits no longer will not be sent; count that, and tell its caller."""
        self.dropped[reason] += 1
        stop_timer(message)
        deferred, message.deferred = message.deferred, None
        if deferred is not None:
            deferred.errback(error)
        elif message.fragmented is None and message.pinned is None:
            self.unheard += 1

    def abandon(self, fragmented: FragmentedMessage) -> None:
        """
        A fragment is missing, so the message can't be completed: the rest is void, and the
        connection that is in the middle of it is closed, as nothing else would free it.
        """
        if fragmented.lost:
            return
        self._void(fragmented)
        connection = fragmented.connection
        if connection is not None and connection.occupied_by is fragmented:
            connection.close(1000, "a fragmented message was abandoned")

    def _void(self, fragmented: FragmentedMessage, unwritten: Iterable[Message] = ()) -> None:
        fragmented.lost = True
        waiting = self.backlog.clear_lane(fragmented)
        if fragmented.opening.lane is not None:
            self.backlog.remove(fragmented.opening)
            waiting.insert(0, fragmented.opening)
        for message in [*unwritten, *waiting]:
            self.drop(message, FragmentLost(), "fragment")

    def end(self, refusal: Callable[[], PoolError]) -> None:
        """
        The pool comes to its end: nothing is taken from the backlog any more, and what connections
        give back fails with C{refusal}.
        """
        self.resting = True
        self._ending = refusal
        self._worked_off = None

    def when_emptied(self) -> Deferred[None]:
        """Fires when nothing waits any more; cancelling it is harmless."""
        return self._emptied.wait()

    def check_emptied(self) -> None:
        if self.backlog.count:
            return
        worked_off, self._worked_off = self._worked_off, None
        if worked_off:
            self._recovered(worked_off)
        self._emptied.fire()


def stop_timer(message: Message) -> None:
    """It does not wait any more."""
    timer, message.timer = message.timer, None
    if timer is not None:
        timer.cancel()
