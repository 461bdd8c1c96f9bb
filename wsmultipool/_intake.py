"""
Accepting messages, or refusing them: the checks, the limits, and the waiting.

An accepted message goes straight to a writable connection if there is one, and otherwise to the
backlog (L{wsmultipool._dispatch}).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import count, repeat
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IReactorTime

from ._arguments import check_flags, check_timeout, to_payload
from ._confirmation import Confirmation
from ._fragments import FragmentedMessage
from ._lazy_deferred import Fired
from ._message_kinds import ConfirmedMessage, SharedMessage
from .errors import BufferFull, FragmentLost, NotConnected, PoolError, QueueOverflow, SendTimeout
from .messages import Message, PlainMessage, SendData

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from ._connection import PooledConnection
    from ._dispatch import Dispatch
    from ._reactor_thread import ReactorThread
    from ._turn import EndOfTurn
    from ._unheard import UnheardFailures
    from .messages import Lane
    from .options import PoolOptions


# After so many messages the reactor gets a turn, however many connections could still take some:
# a caller in a loop over awaited sends would otherwise stop everything else until all are full.
# Many connections need more of them, to have enough frames each for one write.
_WITHOUT_REST = 16384
_WITHOUT_REST_EACH = 64
# What has waited costs several times as much.
_WAITED_COSTS = 4


class Intake:
    """
    The way into the pool.

    @ivar refusal: makes the error that every send fails with, while nothing is accepted.
    """

    def __init__(
        self,
        clock: IReactorTime,
        options: PoolOptions,
        dispatch: Dispatch,
        end_of_turn: EndOfTurn,
        thread: ReactorThread,
        unheard: UnheardFailures,
    ) -> None:
        self._clock = clock
        self._options = options
        self._dispatch = dispatch
        self._backlog = dispatch.backlog
        self._unconfirmed = dispatch.unconfirmed
        self._end_of_turn = end_of_turn
        self._thread = thread
        self._unheard = unheard
        self._choose = dispatch.choose
        self._most_bytes = options.max_buffered_bytes
        self._sequence = count()
        self._rest_at = 0
        dispatch.backlog.withdraw = self._withdraw
        dispatch.rest = self._rest
        end_of_turn.began = self._begin_turn
        end_of_turn.turned = self._end_turn
        self._end_turn()
        self.refusal: Callable[[], PoolError] | None = None

    def send_plain(self, data: SendData) -> Deferred[int] | None:
        """
        Send a message of which nothing special is asked, if that can be done at once.

        @return: as L{send}; C{None}, and nothing was done, if this takes more than that: then it is
            a case for L{send}.
        """
        # Runs for nearly every message, and so does not share its lines with send().
        if type(data) is bytes:
            payload, is_binary = data, True
        elif type(data) is str:
            try:
                payload, is_binary = data.encode(), False
            except UnicodeEncodeError:
                return None
        else:
            return None
        if self.refusal is not None or self._backlog.shared or len(payload) > self._most_bytes:
            return None
        sequence = next(self._sequence)
        if sequence >= self._rest_at and not self._is_new_turn():
            return None
        choose = self._choose
        connection = choose()
        if connection is None:
            return None
        # Python finds an attribute that it is going to call more slowly, unless it is a method.
        take = connection.take_plain
        take((payload, is_binary, sequence, None, None))
        taken: Fired[int] = Fired()
        taken.result = connection.id
        return taken

    def send_confirmed(self, data: SendData) -> Deferred[int] | None:
        """
        Send a message of which nothing but a confirmation is asked, if a connection can take it at
        once.

        @return: as L{send}; C{None}, and nothing was done, if this takes more than that.
        """
        payload, is_binary = (data, True) if type(data) is bytes else to_payload(data, None)
        size = len(payload)
        unconfirmed = self._unconfirmed
        buffered = unconfirmed.size and unconfirmed.size + self._backlog.size + self._dispatch.held
        if self.refusal is not None or self._backlog.shared or buffered + size > self._most_bytes:
            return None
        sequence = next(self._sequence)
        if sequence >= self._rest_at and not self._is_new_turn():
            return None
        choose = self._choose
        connection = choose()
        if connection is None:
            return None
        unconfirmed.messages += 1
        unconfirmed.size += size
        confirmation = Confirmation()
        take = connection.take_confirmed
        take((payload, is_binary, sequence, confirmation, None))
        return confirmation

    def send_run(self, payloads: Sequence[bytes], is_binary: bool, key: Hashable) -> int:
        """
        Send the first of several messages of which nothing else is asked: those that can be sent at
        once; of a key, no more than until its connection writes, and so may have no more room.

        @param payloads: one or more; UTF-8 unless C{is_binary}.
        @param key: as of L{send}, but never that of a message in fragments.
        @return: how many.  If it is 0, nothing was done, and the first is a case for L{send}.
        """
        if self.refusal is not None or max(map(len, payloads)) > self._most_bytes:
            return 0
        if not self._rest_at:
            self._thread.check()
        if 0 < self._rest_at <= next(self._sequence) + len(payloads):
            return 0
        flags, confirmations, keys = repeat(is_binary), repeat(None), repeat(key)
        run = zip(payloads, flags, self._sequence, confirmations, keys, strict=False)
        if key is None:
            return self._spread(run)
        _, connection = self._dispatch.place(key)
        return 0 if connection is None else connection.take_run(run)

    def _spread(self, run: Iterable[PlainMessage]) -> int:
        """Send each on the connection whose turn it is, while one is writable; return how many."""
        sent = 0
        for message in run:
            if self.refusal is not None or self._backlog.shared:
                break
            connection = self._choose()
            if connection is None:
                break
            connection.take_plain(message)
            sent += 1
        return sent

    def send(
        self,
        data: SendData,
        binary: bool | None,
        compress: bool | None,
        mask: bool,
        fin: bool,
        key: Hashable,
        timeout: float | None,
        confirm: bool,
    ) -> Deferred[int]:
        if not self._rest_at:
            self._thread.check()
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
        if not (compress is None and mask is True and fin is True and confirm is False):
            check_flags(compress, mask, fin, confirm)
        if self.refusal is not None:
            return self._unheard.fail(self.refusal(), "send")
        kind = ConfirmedMessage if confirm else Message
        message = kind(payload, is_binary, compress, mask, key, None, next(self._sequence))
        if not whole:
            return self._send_fragment(message, fin, timeout)
        backlog = self._backlog
        if key is None:
            lane = backlog.shared
            connection = None if lane else self._dispatch.choose()
        else:
            lane, connection = self._dispatch.place(key)
        if connection is not None and len(payload) <= self._options.max_buffered_bytes:
            if 0 < self._rest_at <= message.sequence:
                self._rest()
            elif not confirm:
                connection.take(message)
                taken: Fired[int] = Fired()
                taken.result = connection.id
                return taken
            elif not self._unconfirmed.size or self._fits(len(payload)):
                result = self._promise(message)
                connection.take(message)
                return result
        victim = self._room_for(message)
        if isinstance(victim, PoolError):
            return self._unheard.fail(victim, "send")
        return self._wait(message, lane, timeout, victim)

    def send_on(
        self, connection: PooledConnection, message: Message, timeout: float | None
    ) -> Deferred[int]:
        """
        Send on one connection or not at all: not on what takes its place.
        """
        if not self._rest_at:
            self._thread.check()
        if not connection.up:
            return self._unheard.fail(NotConnected(), "send")
        if self.refusal is not None:
            return self._unheard.fail(self.refusal(), "send")
        message.sequence = next(self._sequence)
        victim = self._room_for(message)
        if isinstance(victim, PoolError):
            return self._unheard.fail(victim, "send")
        result = self._wait(message, self._backlog.lane_of(connection), timeout, victim)
        self._dispatch.pull(connection)
        return result

    def broadcast(
        self,
        data: SendData,
        binary: bool | None,
        compress: bool | None,
        mask: bool,
        timeout: float | None,
        confirm: bool,
    ) -> Deferred[list[tuple[bool, int | Failure]]]:
        """
        Send on every open connection, one message for all that can take it now.
        """
        if not self._rest_at:
            self._thread.check()
        payload, is_binary = to_payload(data, binary)
        check_timeout(timeout)
        check_flags(compress, mask, True, confirm)
        dispatch = self._dispatch
        connections = dispatch.in_service()
        plain = (payload, is_binary, None, None, None)
        shared = None
        if compress is not None or mask is not True or self._options.ws_options.compression:
            shared = SharedMessage(payload, is_binary, compress, mask)
        may_share = not (
            confirm
            or self.refusal is not None
            or dispatch.resting
            or len(payload) > self._options.max_buffered_bytes
        )
        results: list[Any] = []
        pending = False
        for connection in list(connections):
            if may_share and connection.writable and self._backlog.next_for(connection) is None:
                if shared is None:
                    connection.take_plain(plain)
                else:
                    connection.take(shared)
                results.append((True, connection.id))
            else:
                kind = ConfirmedMessage if confirm else Message
                message = kind(payload, is_binary, compress, mask, None, connection)
                results.append(self.send_on(connection, message, timeout))
                pending = True
        self._count_towards_rest(len(connections))
        if not pending:
            return succeed(results)
        return DeferredList(
            [r if isinstance(r, Deferred) else succeed(r[1]) for r in results], consumeErrors=True
        )

    def _send_fragment(self, message: Message, fin: bool, timeout: float | None) -> Deferred[int]:
        key = message.key
        fragmented = self._dispatch.fragmented.get(key)
        opening = fragmented is None
        if fragmented is None:
            fragmented = FragmentedMessage(message)
        elif fragmented.lost:
            if fin:
                del self._dispatch.fragmented[key]
            return self._unheard.fail(FragmentLost(), "send")
        message.first = opening
        message.fin = fin
        message.fragmented = fragmented
        message.is_binary = fragmented.is_binary
        message.compress = fragmented.compress
        message.mask = fragmented.mask
        before = fragmented.check_text(message.payload, fin)
        victim = self._room_for(message)
        if isinstance(victim, PoolError):
            fragmented.uncheck_text(before)
            return self._unheard.fail(victim, "send")
        if fin:
            fragmented.complete = True
            self._dispatch.fragmented.pop(key, None)
        else:
            self._dispatch.fragmented[key] = fragmented
        if opening:
            lane, connection = self._dispatch.place(key)
        else:
            lane, connection = self._backlog.lane_of(fragmented), fragmented.connection
        result = self._wait(message, lane, timeout, victim)
        if connection is not None:
            self._dispatch.pull(connection)
        return result

    def next_sequence(self) -> int:
        """Return a number between those of the messages accepted before, and after, this call."""
        return next(self._sequence)

    def _count_towards_rest(self, messages: int) -> None:
        """A message on many connections has one number, and costs as much as many messages."""
        if self._rest_at:
            self._rest_at = max(1, self._rest_at - messages)
            if next(self._sequence) >= self._rest_at:
                self._rest()

    def _rest(self) -> None:
        if not self._dispatch.resting:
            self._dispatch.resting = True
            self._end_of_turn.add(self._go_on)

    def _go_on(self) -> None:
        self._dispatch.resting = False
        try:
            self._dispatch.pull_all()
        except BaseException:
            self._rest()  # the others go on in the next turn
            raise

    def _is_new_turn(self) -> bool:
        """
        Asked for the first message of a turn, and for one that is beyond the last.  Its thread is
        checked here: with each message, that would cost too much.

        @raise WrongThread: it is not the reactor's.
        """
        if self._rest_at:
            return False
        self._thread.check()
        return True

    def _begin_turn(self) -> None:
        """Something was queued."""
        self._rest_at = next(self._sequence) + self._most_messages()

    def _end_turn(self) -> None:
        """Everything was written."""
        self._rest_at = 0
        self._dispatch.until_rest = self._most_messages() // _WAITED_COSTS

    def _most_messages(self) -> int:
        return max(_WITHOUT_REST, _WITHOUT_REST_EACH * self._dispatch.in_service_count)

    # Limits

    @property
    def buffered(self) -> int:
        """Payload bytes accepted that are, as far as is known, not written or not confirmed."""
        dispatch = self._dispatch
        return self._backlog.size + dispatch.held + self._unconfirmed.size

    def _fits(self, size: int) -> bool:
        return self.buffered + size <= self._options.max_buffered_bytes

    def _room_for(self, message: Message) -> Message | PoolError | None:
        """
        Apply the limits to a message that may have to wait.

        @return: the message to drop in its favour, if any; or the error that it is refused with.
            Raised, that would keep the message for as long as the caller keeps the failure.
        """
        options = self._options
        backlog = self._backlog
        size = len(message.payload)
        # While nothing waits, one message may exceed the bound: otherwise a caller who awaits each
        # send, and so never has more than one waiting, would get errors instead of backpressure.
        holds_any = backlog.count or self._unconfirmed.messages
        if size > options.max_buffered_bytes or (holds_any and not self._fits(size)):
            return BufferFull(size, self.buffered, options.max_buffered_bytes)
        if self._dispatch.in_service_count or message.pinned is not None:
            return None
        limit = options.message_queue_size
        if limit == 0:
            return NotConnected()
        if backlog.undecided < limit or options.overflow == "wait":
            return None
        victim = None
        if options.overflow == "drop_oldest":
            victim = backlog.oldest(lambda m: m.undecided)
        if victim is None:
            self._dispatch.losses.dropped["overflow"] += 1
            return QueueOverflow(limit)
        return victim

    def _promise(self, message: Message) -> Deferred[int]:
        """Return the Deferred of a message that is settled later."""
        deferred: Deferred[int] = Deferred(message.cancel)
        message.deferred = deferred
        return deferred

    def _wait(
        self, message: Message, lane: Lane, timeout: float | None, victim: Message | None
    ) -> Deferred[int]:
        result = self._promise(message)
        if timeout is not None:
            message.timer = self._clock.callLater(timeout, self._expire, message, timeout)
        self._backlog.append(message, lane)
        if victim is not None:
            # Last, as its caller hears of it at once, and may send, or end the pool.
            self._give_up_on(victim, QueueOverflow(self._options.message_queue_size), "overflow")
        return result

    # What waits is withdrawn

    def _withdraw(self, message: Message) -> None:
        """Its Deferred was cancelled."""
        self._give_up_on(message, None, "cancelled")

    def _expire(self, message: Message, timeout: float) -> None:
        message.timer = None
        self._give_up_on(message, SendTimeout(timeout), "timeout")

    def _give_up_on(self, message: Message, error: Exception | None, reason: str) -> None:
        """
        A waiting message will not be sent.  C{error} is C{None} when its Deferred says so itself.
        """
        self._backlog.remove(message)
        if error is None:
            message.stop_timer()
            message.deferred = None
        fragmented = message.fragmented
        if error is not None:
            self._dispatch.losses.drop(message, error, reason)
        if fragmented is not None:
            self._dispatch.losses.abandon(fragmented)
        if message.deliveries:
            self._dispatch.pull_all()  # others may have waited behind its last attempt
        self._dispatch.check_settled()

    # The end

    def refuse(self, refusal: Callable[[], PoolError]) -> None:
        """Accept nothing more: every send fails with what C{refusal} returns."""
        self.refusal = refusal

    def accept(self) -> None:
        """Undo L{refuse}."""
        self.refusal = None

    def fail_waiting(self, reason: str) -> None:
        """Fail everything that waits with the refusal."""
        refusal = self.refusal
        assert refusal is not None
        self._dispatch.nothing_more_leaves(refusal())
        for message in list(self._backlog):
            if message.lane is not None:  # not withdrawn by what another one of them called
                self._backlog.remove(message)
                self._dispatch.losses.drop(message, refusal(), reason)
        for fragmented in self._dispatch.fragmented.values():
            fragmented.lose()
        self._dispatch.check_settled()
