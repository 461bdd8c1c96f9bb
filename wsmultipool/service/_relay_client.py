"""
One client of a relay: what it sends goes into the pool, as fast as the pool takes it.

A message counts as sent once a connection of the pool has taken it or, with C{confirm}, when
upstream has it.  Until then it is under way; when a client has one under way or, with C{confirm},
as many as its window has room for, nothing more is read from it.  If one of them can't be sent,
those behind it are withdrawn and the client is closed: so it knows that what it has sent is not all
there, and nothing is left out in the middle.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import CancelledError, Deferred

from ..errors import DeliveryUnknown, PoolClosed

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from ..pool import ReconnectingPoolFactory
    from ._relay_protocol import RelayWire
    from .relay_options import RelayOptions

# RFC 6455, section 7.4.1, and the registry of close codes
GOING_AWAY = 1001
POLICY_VIOLATION = 1008
TOO_BIG = 1009
TRY_AGAIN_LATER = 1013

# RFC 6455, section 5.5: 125 octets of payload, two of which are the code.
_LONGEST_REASON = 123


class House(Protocol):
    """
    What a client reports to.
    """

    def sent(self, messages: int, size: int) -> float:
        """So many of its messages count as sent, with so many bytes together; returns the time."""

    def failed(self, client: RelayClient, messages: int, error: BaseException | None) -> None:
        """So many could not be sent, for this reason; C{None} as the relay stops."""

    def may_resume(self, client: RelayClient) -> None:
        """
        There is room again for what it sends.  It is to be read from when what others have waiting
        is gone: only then are messages taken at once, which costs a fraction.
        """

    def closing(self, client: RelayClient, reason: str, code: int, text: str) -> None:
        """The client is being closed; C{reason} is a word for metrics."""

    def busy(self, client: RelayClient) -> float:
        """Something of it is under way; returns the time."""

    def idle(self, client: RelayClient) -> None:
        """Nothing of it is under way any more."""

    def lost(self, client: RelayClient, code: int | None, failed_by_relay: bool) -> None:
        """It is gone."""


class RelayClient:
    """
    One client.

    @ivar key: keeps its messages in order; C{None} for no order.
    @ivar label: its address, for the log.
    @ivar under_way: messages that do not count as sent yet, oldest first, with their sizes.
    @ivar waits_since: when it last got something off, or the first of these came under way.
    @ivar is_open: whether it is neither closed nor being closed.
    @ivar is_paused: whether nothing is read from it because of what is under way.
    """

    __slots__ = (
        "_confirm",
        "_house",
        "_pool",
        "_seconds_to_finish",
        "_sent",
        "_size_under_way",
        "_window",
        "_window_bytes",
        "_wire",
        "is_open",
        "is_paused",
        "is_stopped",
        "key",
        "label",
        "under_way",
        "waits_since",
    )

    def __init__(
        self,
        house: House,
        wire: RelayWire,
        pool: ReconnectingPoolFactory,
        options: RelayOptions,
        key: Hashable,
        label: str,
    ) -> None:
        self.key = key
        self.label = label
        self.is_open = True
        self.is_paused = False
        self.is_stopped = False
        self.under_way: dict[Deferred[int], int] = {}
        self.waits_since = 0.0
        self._house = house
        self._wire = wire
        self._pool = pool
        self._confirm = options.confirm
        self._window = options.confirm_window if options.confirm else 1
        self._window_bytes = options.confirm_window_bytes
        self._size_under_way = 0
        self._seconds_to_finish = options.unfinished_timeout
        self._sent = 0

    # From the client

    def receive(self, payloads: Sequence[bytes], is_binary: bool) -> int:
        """Send messages, as many as the window has room for."""
        taken = 0
        while taken < len(payloads) and self.is_open and not self.is_paused and not self.is_stopped:
            # Most are taken at once, many at a time, and need nothing more.
            taken += self._send_run(payloads, taken, is_binary) or self._send_one(
                payloads[taken], is_binary
            )
        return taken

    def _send_run(self, payloads: Sequence[bytes], at: int, is_binary: bool) -> int:
        """Send what the pool takes at once; return how many."""
        if self._confirm:
            return 0
        run = payloads[at:]
        taken = self._pool._send_run(run, is_binary, self.key)
        if taken:
            self._sent += taken
            self._house.sent(taken, sum(map(len, run[:taken])))
        return taken

    def _send_one(self, payload: bytes, is_binary: bool) -> int:
        result: Any = self._pool.send(
            payload, binary=is_binary, key=self.key, confirm=self._confirm
        )
        if result.called and result.result.__class__ is int:
            self._sent += 1
            self._house.sent(1, len(payload))
        else:
            self._follow(result, len(payload))
        return 1

    def _follow(self, result: Deferred[int], size: int) -> None:
        if not self.under_way:
            self.waits_since = self._house.busy(self)
        self.under_way[result] = size
        self._size_under_way += size
        if len(self.under_way) >= self._window or self._size_under_way >= self._window_bytes:
            self.is_paused = True
            self._wire.pause_reading()
        result.addCallbacks(
            self._settled, self._failed, callbackArgs=(result,), errbackArgs=(result,)
        )

    def _settled(self, _: int, result: Deferred[int]) -> None:
        size = self._forget(result)
        self._sent += 1
        self.waits_since = self._house.sent(1, size)
        self._go_on()

    def _forget(self, result: Deferred[int]) -> int:
        size = self.under_way.pop(result)
        self._size_under_way -= size
        return size

    def _go_on(self) -> None:
        if not self.under_way:
            self._house.idle(self)
        if (
            self.is_paused
            and len(self.under_way) <= self._window // 2
            and self._size_under_way <= self._window_bytes // 2
        ):
            self._house.may_resume(self)

    def resume(self) -> None:
        """Go on reading."""
        if self.is_paused:
            self.is_paused = False
            if self.is_open and not self.is_stopped:
                self._wire.resume_reading()

    def _failed(self, failure: Failure, result: Deferred[int]) -> None:
        if not failure.check(CancelledError):  # else it is one of those that are withdrawn below
            self.give_up(failure.value)
        self._forget(result)
        self._go_on()

    def give_up(self, error: BaseException | None) -> None:
        """A message can't be sent, so neither can those behind it."""
        self._house.failed(self, len(self.under_way), error)
        if self.is_open:
            code = GOING_AWAY if isinstance(error, PoolClosed) else TRY_AGAIN_LATER
            may_have_arrived = isinstance(error, DeliveryUnknown | TimeoutError) and self._confirm
            fate = "not confirmed" if may_have_arrived else "not sent"
            # How many were sent: the client then knows which ones to send again.
            trouble = None if isinstance(error, PoolClosed) else trouble_of(self._pool)
            self.close("upstream", code, why_closed(fate, error, self._sent, trouble))
        self._withdraw()

    def _withdraw(self) -> None:
        for result in tuple(self.under_way):
            result.cancel()

    # To the client

    def deliver(self, octets: bytes) -> bool:
        """
        Write whole frames.

        @return: whether it was open.
        """
        if self.is_open and not self._wire.outbox.is_ended:
            self._wire.outbox.write(octets)
            return True
        return False

    @property
    def is_slow(self) -> bool:
        """Whether something waits because it does not read."""
        return bool(self._wire.outbox.waiting)

    # The end

    def stop(self) -> None:
        """Take nothing more from it."""
        self.is_stopped = True
        self._wire.pause_reading()

    def dismiss(self) -> None:
        """Close it as the relay stops; what is still under way is withdrawn."""
        self.close("stopping", GOING_AWAY, f"the relay is being stopped; {self._sent} sent before")
        if self.under_way:
            self._house.failed(self, len(self.under_way), None)
            self._withdraw()

    def close(self, reason: str, code: int, text: str) -> None:
        """Start the closing handshake."""
        if self.is_open:
            self.is_open = False
            self._house.closing(self, reason, code, text)
            self._wire.close(code, text)

    def overflowed(self) -> None:
        """More has come for it than may wait."""
        self.close("too-slow", TRY_AGAIN_LATER, "too slow: more is waiting for you than may")

    def did_not_finish(self) -> None:
        """It has begun a message, and does not go on with it."""
        seconds = self._seconds_to_finish
        text = f"a message was begun and not finished: {seconds:g} s for each MiB of it"
        self.close("unfinished", POLICY_VIOLATION, text)

    def lost(self, code: int | None, failed_by_relay: bool) -> None:
        """It is gone.  What it has sent and is under way goes on."""
        self._house.lost(self, code, failed_by_relay)
        self.is_open = False


def trouble_of(pool: ReconnectingPoolFactory) -> str | None:
    """
    Say why upstream is away.

    @return: what every connection is in trouble with, without secrets; C{None} while one of them is
        not, and as long as that is not known.
    """
    connections = pool.get_stats().connections
    if not all(each.attempts for each in connections):
        return None
    return next((each.last_error for each in connections if each.last_error), None)


def why_closed(
    fate: str, error: BaseException | None, sent: int, trouble: str | None = None
) -> str:
    """
    Say what became of a message, and how many were sent: the latter is never cut off.

    @param trouble: why upstream is away; the error itself may say it.
    """
    count = f"; {sent} sent before"
    text = f"{fate}: {error}"
    if trouble is not None and trouble not in text:
        text += f": {trouble}"
    octets = text.encode()[: _LONGEST_REASON - len(count)]
    return octets.decode("utf-8", "ignore") + count
