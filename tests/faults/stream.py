"""
One direction of a proxied connection, and what can be done to the octets on their way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

# So much may wait in this process while a stream is slow; then its source feels it.
_HELD_AT_MOST = 65536
# A throttled stream passes on so many seconds' worth at once.
_GRAIN = 0.01


class HasTransport(Protocol):
    """Where a stream comes from, or leads to."""

    transport: Any


@implementer(IPushProducer)
class Stream:
    """
    Passes on what it receives, and the end of it, with backpressure.

    @param on_end: called when the end has been passed on.
    @ivar swallowed: how many octets it did not pass on.
    @ivar held: how many it will pass on later.
    @ivar passed_end: whether it has told its sink that nothing more will come.
    """

    def __init__(
        self,
        reactor: Any,
        source: HasTransport,
        sink: HasTransport,
        on_end: Callable[[], None],
    ) -> None:
        self.swallowed = 0
        self.passed_end = False
        self._reactor = reactor
        self._source = source
        self._sink = sink
        self._swallows = False
        self._cut: tuple[int, Callable[[], None]] | None = None
        self._flip: tuple[int, int] | None = None
        self._delay = 0.0
        self._rate: float | None = None
        self._held: deque[tuple[float, bytes | None]] = deque()
        self.held = 0
        self._last_due = 0.0
        self._timer: Any = None
        self._sink_is_full = False
        self._source_ended = False
        self._on_end = on_end
        sink.transport.registerProducer(self, True)

    # What arrives

    def received(self, data: bytes) -> None:
        """The source has sent something."""
        if self._swallows:
            self.swallowed += len(data)
            return
        if self._flip is not None:
            octet, bit = self._flip
            self._flip = None
            changed = bytearray(data)
            changed[octet % len(data)] ^= 1 << bit
            data = bytes(changed)
        if self._cut is not None:
            after, cut_now = self._cut
            passed = data[: min(after, len(data) - 1)]
            # What is held came before: without it there would be a hole, and no cut.
            self.slow(0.0, None)
            self.swallow()
            self.swallowed += len(data) - len(passed)
            self._pass(passed)
            cut_now()
            return
        if self._delay or self._rate is not None or self._held:
            self._hold(data)
        else:
            self._pass(data)

    def ended(self) -> None:
        """The source has ended in an orderly way: it will send no more."""
        self._source_ended = True
        if self._swallows:
            return
        if self._held:
            self._held.append((self._last_due, None))
        else:
            self._pass(None)

    def _pass(self, data: bytes | None) -> None:
        if data is not None:
            self._sink.transport.write(data)
        elif not self.passed_end:
            self.passed_end = True
            self._sink.transport.unregisterProducer()
            self._sink.transport.loseWriteConnection()
            self._on_end()

    # What is slow

    def slow(self, delay: float, rate: float | None) -> None:
        """
        From now on pass on later, and not more than so much.  Without either, what was held goes on
        at once.

        @param delay: seconds.
        @param rate: octets a second; C{None} for no limit.
        """
        self._delay = delay
        self._rate = rate
        if not delay and rate is None:
            self._last_due = 0.0
            self._held = deque((0.0, data) for _, data in self._held)
            self._release()

    def _hold(self, data: bytes) -> None:
        now = self._reactor.seconds()
        grain = len(data) if self._rate is None else max(1, int(self._rate * _GRAIN))
        for at in range(0, len(data), grain):
            part = data[at : at + grain]
            takes = 0.0 if self._rate is None else len(part) / self._rate
            self._last_due = max(now + self._delay, self._last_due + takes)
            self._held.append((self._last_due, part))
        self.held += len(data)
        self._regulate()
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is None and self._held:
            wait = max(0.0, self._held[0][0] - self._reactor.seconds())
            self._timer = self._reactor.callLater(wait, self._release)

    def _release(self) -> None:
        self._stop_timer()
        now = self._reactor.seconds()
        while self._held and self._held[0][0] <= now:
            _, data = self._held.popleft()
            self.held -= len(data or b"")
            self._pass(data)
        self._regulate()
        self._schedule()

    # What breaks

    def swallow(self) -> None:
        """From now on, what arrives and what is held goes nowhere."""
        self._swallows = True
        self.swallowed += self.held
        self._forget_held()
        self._regulate()

    def half_close(self) -> None:
        """Tell the sink that nothing more will come; what comes all the same goes nowhere."""
        self.swallow()
        self._pass(None)

    def cut(self, after: int, cut_now: Callable[[], None]) -> None:
        """
        Pass on the first octets of what arrives next, less than all of it, and then nothing more.

        @param cut_now: called when these have been written.
        """
        self._cut = (after, cut_now)

    def corrupt(self, octet: int, bit: int) -> None:
        """Flip one bit in what arrives next."""
        self._flip = (octet, bit)

    def stop(self) -> None:
        """The connection is over."""
        self._swallows = True
        self._forget_held()
        if not self.passed_end:
            self._sink.transport.unregisterProducer()

    def _forget_held(self) -> None:
        self._held.clear()
        self.held = 0
        self._stop_timer()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    # Backpressure: this is the producer of its sink

    def pauseProducing(self) -> None:
        self._sink_is_full = True
        self._regulate()

    def resumeProducing(self) -> None:
        self._sink_is_full = False
        self._regulate()

    def stopProducing(self) -> None:
        """The sink is going away, which its connection tells as well."""

    def _regulate(self) -> None:
        full = not self._swallows and (self._sink_is_full or self.held > _HELD_AT_MOST)
        # Reading on after the end would only find the end again.
        if not self._source_ended:
            transport = self._source.transport
            (transport.pauseProducing if full else transport.resumeProducing)()
