"""
Which connection takes which message, and when.

What waits is in the backlog.  A connection that opens, or becomes writable again, pulls from there
until it is full: so there is nothing that a slow connection could hold up, and outage and
backpressure are one mechanism.

What keeps it consistent: whenever control is not inside this module, and it does not rest, nothing
waits that a writable connection could take.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, cast

from twisted.internet.defer import Deferred

from ._affinity import KeyAffinity
from ._backlog import Backlog
from ._fragments import FragmentedMessage
from ._losses import Losses
from ._proof import Unconfirmed
from ._waiters import Waiters
from .errors import PoolError
from .messages import AnyMessage, Message

if TYPE_CHECKING:
    from ._affinity import Move
    from ._confirmation import Confirmation
    from ._connection import PooledConnection
    from ._unheard import UnheardFailures
    from .interfaces import IBalancer
    from .messages import Lane


class Dispatch:
    """
    The connections in service, what waits for them, and what they give back when they are lost.

    @param max_deliveries: how often a confirmed message may be written.
    @param recovered: called with the number of messages that had waited, when a backlog that an
        outage left was worked off.
    @param unheard: counts the failures of messages that nobody looks at.
    @ivar choose: asks the balancer for a writable connection.
    @ivar backlog: what no connection has taken.
    @ivar losses: what becomes of messages that are not delivered as planned.
    @ivar affinity: which connection each key belongs to.
    @ivar fragmented: messages by key that are being sent in fragments and are not complete.
    @ivar resting: while true, connections take nothing from the backlog.
    @ivar rest: called to begin a rest, after which somebody calls L{pull_all}.
    @ivar until_rest: after how many messages from the backlog that is done.
    @ivar unconfirmed: what connections have taken and nobody has confirmed; kept by them.
    @ivar held: bytes that paused transports hold; kept by the connections.
    """

    def __init__(
        self,
        balancer: IBalancer,
        max_deliveries: int,
        recovered: Callable[[int], None],
        unheard: UnheardFailures,
    ) -> None:
        self.backlog = Backlog()
        self.losses = Losses(self.backlog, max_deliveries, unheard)
        self.affinity: KeyAffinity[PooledConnection] = KeyAffinity()
        self.fragmented: dict[Hashable, FragmentedMessage] = {}
        self.resting = False
        self.rest: Callable[[], None] = lambda: None
        self.until_rest = 0
        self._held_up: set[PooledConnection] = set()
        self.unconfirmed = Unconfirmed()
        self.held = 0
        self._balancer = balancer
        # The balancer knows only what add() gave it.
        self.choose = cast("Callable[[], PooledConnection | None]", balancer.choose)
        self._recovered = recovered
        self._by_id: list[PooledConnection] | None = None
        self._in_service: set[PooledConnection] = set()
        self._writable: set[PooledConnection] = set()
        self._leaving: dict[PooledConnection, Move[PooledConnection]] = {}
        self._worked_off: int | None = None
        self._all_settled = Waiters()
        self._less_waits = Waiters()

    def in_service(self) -> list[PooledConnection]:
        """The connections open now, by id; not to be changed."""
        if self._by_id is None:
            self._by_id = sorted(self._in_service, key=lambda connection: connection.id)
        return self._by_id

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
        self._by_id = None
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

    def _rehouse(self, messages: Iterable[Message], void: Sequence[Message] = ()) -> None:
        """
        Let messages wait, each in the lane that is now the right one, and have them pulled.

        @param void: fragments that are dropped in between: whoever hears of that may do anything,
            so that the others must be in the backlog, where they can still be cancelled.
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
        self.losses.drop_void(void)
        for connection in homes:
            self.pull(connection)
        self._offer_shared()
        if void:
            self.pull_all()  # what was sent in between has waited behind the others

    def _offer_shared(self) -> None:
        """Have what any connection may take pulled."""
        backlog = self.backlog
        while backlog.shared and not self.resting:
            free = self.choose()
            if free is None:
                break
            before = backlog.count
            self.pull(free)
            if backlog.count == before:
                # The oldest message does not suit that connection, but perhaps another one.
                self.pull_all()
                break

    def left(self, connection: PooledConnection, unwritten: list[Message]) -> None:
        """
        A connection can take nothing any more.

        @param unwritten: what it had taken and not written, oldest first.
        """
        backlog = self.backlog
        self._in_service.discard(connection)
        self._by_id = None
        self.refresh(connection)
        leaving, ended = self.affinity.closing(connection)
        self._leaving[connection] = leaving
        stranded = backlog.clear_lane(connection)
        for move in ended:
            stranded += backlog.clear_lane(move)
        interrupted, connection.occupied_by = connection.occupied_by, None
        returned, void = self.losses.sort_unwritten(unwritten, interrupted)
        stranded += returned
        if self.losses.ending is None:
            rejected = [message for message in stranded if not message.is_for_pool]
            self._rehouse([message for message in stranded if message.is_for_pool], void)
        else:
            rejected = stranded
            self.losses.drop_void(void)
        self.losses.reject(rejected)
        self.check_settled()

    def unproven(self, unconfirmed: Iterable[Message], unknown: int, error: Exception) -> None:
        """
        No pong can come any more for what a connection that has left had written.

        @param unconfirmed: the confirmed messages that it had written, oldest first.
        @param unknown: how many others it had written that are not proven to have arrived.
        @param error: what ended it.
        """
        self.losses.count_unknown(unknown, error)
        again, given_up, void = self.losses.sort_unconfirmed(unconfirmed)
        self._rehouse(again, void)
        self.losses.give_up(given_up, error)
        self.check_settled()

    def gone(self, connection: PooledConnection) -> None:
        """
        A connection that has left has no transport any more, or its peer has proven to have read
        everything: what it had written can't arrive after what others write.
        """
        leaving = self._leaving.pop(connection, None)
        if leaving is not None:
            self.affinity.arrived(leaving)
            self._rehouse(self.backlog.clear_lane(leaving))
            self.check_settled()

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
            if self.resting:
                self._held_up.add(connection)
                break
            occupied_by = connection.occupied_by
            if occupied_by is not None:
                message = backlog.first_of(occupied_by)
            elif connection in self._in_service:
                message = backlog.next_for(connection)
            else:  # during on_connect, only what was sent on just this connection
                message = backlog.first_of(connection)
            if message is None:
                break
            if not connection.suits(message):
                if message.key is not None:  # else any other connection may suit it first
                    connection.become_quiet()
                break
            backlog.take(message)
            message.stop_timer()
            if self._worked_off is not None:
                self._worked_off += 1
            # Callers who hear that theirs was taken may send the next at once: as long as the
            # socket takes more, that would never end.
            self.until_rest -= 1
            if self.until_rest <= 0:
                self.rest()
            self._hand_over(message, connection)
        self.check_settled()

    def confirmed(self, connection: PooledConnection, messages: Sequence[AnyMessage]) -> None:
        """The peer has received these messages; the connection may be free for more."""
        connection_id = connection.id
        # Who awaits the oldest finds that the others have fired, too, and goes on to the end.
        watched: list[Confirmation | Message] = []
        in_fragments: list[FragmentedMessage] = []
        for message in messages:
            if isinstance(message, tuple):
                confirmation = message[3]
                assert confirmation is not None
                if confirmation.watched:
                    watched.append(confirmation)
                else:
                    confirmation.called = True
                    confirmation.result = connection_id
            else:
                watched.append(message)
                if message.fragmented is not None:
                    message.fragmented.begun = True
                    in_fragments.append(message.fragmented)
        try:
            # First what has waited for that, then whatever the callers send when they hear of it.
            self.pull(connection)
        finally:
            for waiting in watched:
                if isinstance(waiting, Message):
                    waiting.settle(connection_id)
                elif not waiting.called:
                    waiting.callback(connection_id)
        for fragmented in in_fragments:
            if fragmented.connection is None:
                # The connection is closing, and was in the middle of it; it can't be begun again.
                self.losses.abandon(fragmented)
        self.check_settled()

    def pull_all(self) -> None:
        """Let every connection take what it can: after a rest, or when what held it up is gone."""
        for connection in self._writable | self._held_up:
            self._held_up.discard(connection)
            self.pull(connection)

    def _hand_over(self, message: Message, connection: PooledConnection) -> None:
        fragmented = message.fragmented
        if fragmented is not None:
            fragmented.connection = connection
            connection.occupied_by = None if message.fin else fragmented
            if message.fin:
                self.backlog.clear_lane(fragmented)  # which is empty: the last one has left it
            self.refresh(connection)
        if not message.settles_when_taken:
            connection.take(message)
            return
        deferred, message.deferred = message.deferred, None
        connection.take(message)
        # Taking it may have written others, and one of their callers may have cancelled this one.
        if deferred is not None and not deferred.called:
            deferred.callback(connection.id)

    def end(self, refusal: Callable[[], PoolError]) -> None:
        """
        The pool comes to its end: nothing is taken from the backlog any more, and what connections
        give back fails with C{refusal}.
        """
        self.resting = True
        self.losses.ending = refusal
        self._worked_off = None

    @property
    def all_settled(self) -> bool:
        """Whether nothing waits, neither for a connection nor for its confirmation."""
        return not self.backlog.count and not self.unconfirmed.messages

    def when_all_settled(self) -> Deferred[None]:
        """Fires when L{all_settled} becomes true; cancelling it is harmless."""
        return self._all_settled.wait()

    def when_less_waits(self) -> Deferred[None]:
        """
        Fires each time that something may have left the backlog; fails when the pool is at its end.
        """
        return self._less_waits.wait()

    def nothing_more_leaves(self, refusal: PoolError) -> None:
        """What waits now is going to fail."""
        self._less_waits.fail(refusal)

    def check_settled(self) -> None:
        """Tell who waits for it that less waits now."""
        self._less_waits.fire()
        if self.backlog.count:
            return
        worked_off, self._worked_off = self._worked_off, None
        if worked_off:
            self._recovered(worked_off)
        if self.all_settled:
            self._all_settled.fire()
