"""
The clients of a relay that were let in: what they send, how long it waits, and what they get.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from .._deadline_clock import DeadlineClock
from .._words import counted
from ..errors import SendTimeout
from ..keys import PinnedKey
from ._fanout import Channel, FanOut, StickyFanOut
from ._relay_client import TOO_BIG, RelayClient
from .log_level import service_logger

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime

    from ..pool import ReconnectingPoolFactory
    from ._relay_protocol import RelayWire
    from .relay_options import RelayOptions


class RelayClients:
    """
    All clients, what they have under way, and what became of them.

    @param changed: called whenever a client has nothing under way any more.
    @ivar present: those that are connected.
    @ivar under_way: those that have something under way, connected or not.
    @ivar fanout: who of them gets what.
    @ivar count: sums by the names that L{RelayStats} has for them.
    @ivar closed: how many went, by reason.
    """

    _log = service_logger("wsmultipool.relay")

    def __init__(
        self,
        pool: ReconnectingPoolFactory,
        options: RelayOptions,
        reactor: IReactorTime,
        changed: Callable[[], None],
    ) -> None:
        self.present: dict[RelayClient, None] = {}
        self.under_way: set[RelayClient] = set()
        self.count = Counter[str]()
        self.closed = Counter[str]()
        self.fanout: FanOut
        if options.fanout == "sticky":
            self.fanout = StickyFanOut(pool, self._delivered, self._later)
        else:
            self.fanout = Channel(self._delivered, self._later)
        self._pool = pool
        self._options = options
        self._reactor = reactor
        self._clock = DeadlineClock(reactor)
        self._changed = changed
        self._free_keys: list[Hashable] = []
        self._resuming: dict[RelayClient, None] = {}
        self._resumptions = 0
        self._watch: IDelayedCall | None = None
        self._calls: set[IDelayedCall] = set()

    def let_in(self, wire: RelayWire) -> RelayClient:
        label = address_label(wire.client_address)
        client = RelayClient(self, wire, self._pool, self._options, self._take_key(), label)
        self.present[client] = None
        self.count["accepted"] += 1
        self._log.debug("{client} is connected", client=label)
        self.fanout.add(client)
        return client

    def _take_key(self) -> Hashable:
        # Used again and again: the pool remembers each key it has seen.
        if self._options.fanout == "sticky":
            return self._free_keys.pop() if self._free_keys else PinnedKey()
        if not self._options.ordered:
            return None
        return self._free_keys.pop() if self._free_keys else _Key()

    # What clients report

    def sent(self, messages: int, size: int) -> float:
        self.count["messages_from_clients"] += messages
        self.count["bytes_from_clients"] += size
        return self._clock.seconds()

    def failed(self, client: RelayClient, messages: int, error: BaseException | None) -> None:
        self.count["failed_messages"] += messages
        self._log.warn(
            "{messages} of {client} not sent: {error}",
            messages=counted(messages, "message"),
            client=client.label,
            error="the relay is being stopped" if error is None else error,
        )

    def busy(self, client: RelayClient) -> float:
        self.under_way.add(client)
        now = self._clock.seconds()
        if self._watch is None and self._options.send_timeout is not None:
            self._watch = self._clock.callLater(self._options.send_timeout, self._look)
        return now

    def _look(self) -> None:
        """Give up on what waits for too long."""
        timeout = self._options.send_timeout
        assert timeout is not None
        now, self._watch = self._clock.seconds(), None
        for client in tuple(self.under_way):
            if now - client.waits_since >= timeout:
                client.give_up(self._too_late(timeout))
        if self.under_way:
            first = min(client.waits_since for client in self.under_way)
            self._watch = self._clock.callLater(max(0.0, first + timeout - now), self._look)

    def _too_late(self, timeout: float) -> Exception:
        if self._options.confirm:  # whether a connection took it is not known
            return TimeoutError(f"nothing was confirmed for {timeout:g} s")
        return SendTimeout(timeout)

    def idle(self, client: RelayClient) -> None:
        self.under_way.discard(client)
        if not self.under_way and self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._release_key(client)
        self._changed()

    def may_resume(self, client: RelayClient) -> None:
        if client not in self.present:  # nobody will read from it again
            return
        if not self._resuming:
            self._later(self._resume)
        self._resuming[client] = None

    def _resume(self) -> None:
        clients, self._resuming = list(self._resuming), {}
        # Who is first may take all the room there is: everybody has a turn.
        self._resumptions += 1
        first = self._resumptions % len(clients)
        for client in clients[first:] + clients[:first]:
            client.resume()

    def closing(self, client: RelayClient, reason: str, code: int, text: str) -> None:
        self.closed[reason] += 1
        self.fanout.remove(client)
        log = self._log.info if reason == "stopping" else self._log.warn
        log("Closing {client} ({code}): {text}", client=client.label, code=code, text=text)

    def lost(self, client: RelayClient, code: int | None, failed_by_relay: bool) -> None:
        if client.is_open:
            self.fanout.remove(client)
            reason = "client"
            if failed_by_relay:
                reason = "too-big" if code == TOO_BIG else "violation"
                self._log.warn(
                    "Closed {client} ({code}): {reason}",
                    client=client.label,
                    code=code,
                    reason=reason,
                )
            self.closed[reason] += 1
        del self.present[client]
        self._log.debug("{client} is gone ({code})", client=client.label, code=code)
        self._release_key(client)

    def _release_key(self, client: RelayClient) -> None:
        if client.key is not None and client not in self.present and not client.under_way:
            self._free_keys.append(client.key)
            client.key = None

    # What arrives from upstream

    def _later(self, call: Callable[[], None]) -> None:
        def run() -> None:
            self._calls.discard(delayed)
            call()

        delayed = self._reactor.callLater(0, run)
        self._calls.add(delayed)

    def _delivered(self, messages: int, size: int, receivers: int) -> None:
        if receivers:
            self.count["messages_to_clients"] += messages * receivers
            self.count["bytes_to_clients"] += size * receivers
        else:
            self.count["unheard_messages"] += messages

    # The end

    def end(self) -> None:
        """Forget all timers."""
        for call in (*self._calls, *([self._watch] if self._watch else [])):
            call.cancel()
        self._calls.clear()
        self._watch = None


class _Key:
    """
    Keeps the messages of one client in order.
    """

    __slots__ = ()


def address_label(address: IAddress) -> str:
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    return "a client on a unix socket" if host is None else f"client {host}:{port}"
