"""
Whatever happens to a pool, and in whatever order: every Deferred fires, no message arrives twice,
none arrives that was reported as failed, and those of one key arrive in order.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from itertools import count
from typing import Any, Literal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from wsmultipool import PooledConnection
from wsmultipool.errors import (
    BufferFull,
    ConnectionFailed,
    FragmentLost,
    NotConnected,
    PingTimeout,
    PoolClosed,
    QueueOverflow,
    SendTimeout,
)
from wsmultipool.stats import PoolStats
from wsmultipool.testing import MemoryPeer, MemoryPool, MemoryServer

from .thoroughness import cases

QUEUE_SIZE = 6

ANY = "any"  # what messages without a key have in its place
GREETING = "hello"

# How a message, or a fragment of one, tells what it is: its number, and its key.
NAME = re.compile(r"(\d+)@(\w+);")

# A send that fails with one of these is no part of what is sent: a fragment may be sent again.
REFUSALS = (BufferFull, NotConnected, QueueOverflow)

Arrive = Callable[[str], None]


class Arrivals(list[tuple[bytes, bool]]):
    """
    What one peer receives; tells the test of each message at the moment it arrives.
    """

    def __init__(self, arrive: Arrive) -> None:
        super().__init__()
        self._arrive = arrive

    def append(self, message: tuple[bytes, bool]) -> None:
        super().append(message)
        self._arrive(message[0].decode())


class Server(MemoryServer):
    """
    A server that tells the test of each message.
    """

    def __init__(self, clock: Clock, arrive: Arrive) -> None:
        super().__init__(clock)
        self._arrive = arrive

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        known = len(self.peers)
        connected = super().connect(protocolFactory)
        for peer in self.peers[known:]:
            peer.received = Arrivals(self._arrive)
        return connected


class Call:
    """
    A call of one of the pool's verbs.

    @ivar results: everything its Deferred fired with, failures as their exception.
    """

    def __init__(
        self,
        deferred: Deferred[Any],
        verb: str,
        key: str = "",
        follow: Callable[[], None] | None = None,
    ) -> None:
        self.deferred = deferred
        self.verb = verb
        self.key = key
        self.results: list[object] = []
        self._follow = follow
        deferred.addBoth(self._fired)

    def __repr__(self) -> str:
        return f"<{self.verb} {self.key} {self.results}>"

    def _fired(self, result: object) -> None:
        if isinstance(result, Failure):
            self.results.append(result.value)
        else:
            self.results.append(result)
            if self._follow is not None:
                self._follow()

    def failed_with(self, *types: type[BaseException]) -> bool:
        """
        Say whether it has failed with an exception of one of these types.
        """
        return bool(self.results) and isinstance(self.results[0], types)


class Pool(RuleBasedStateMachine):
    """
    A pool that is treated badly.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.server = Server(self.clock, self.arrive)
        self.numbers = count()
        self.others: list[Call] = []
        self.sends: dict[int, Call] = {}
        self.whole: list[list[int]] = []
        self.arrived: list[int] = []
        self.size = 3
        self.stalled: set[MemoryPeer] = set()
        self.in_fragments: set[str] = set()
        self.before: PoolStats | None = None
        self.ended = False

    # The pool

    @initialize(
        overflow=st.sampled_from(["drop_oldest", "drop_newest", "wait"]),
        end=st.sampled_from(["close", "drain", "destroy"]),
        first=st.booleans(),
    )
    def start(
        self,
        overflow: Literal["drop_oldest", "drop_newest", "wait"],
        end: str,
        first: bool,
    ) -> None:
        self.end = end
        self.memory = MemoryPool(
            server=self.server,
            clock=self.clock,
            pool_size=self.size,
            overflow=overflow,
            message_queue_size=QUEUE_SIZE,
            max_buffered_bytes=300_000,
            heartbeat_timeout=3,
            close_timeout=4,
            on_connect=self.greet,
            logger=False,
        )
        self.pool = self.memory.pool
        if first:
            self.memory.open()

    def greet(self, connection: PooledConnection) -> None:
        """
        Send something on just this connection.
        """
        self.others.append(Call(connection.send(GREETING), "send"))

    def calls(self) -> list[Call]:
        """
        All of them.
        """
        return [*self.sends.values(), *self.others]

    def arrive(self, text: str) -> None:
        """
        A message was received.
        """
        if text == GREETING:
            return
        names = NAME.findall(text)
        numbers = [int(number) for number, _ in names]
        assert numbers, text[:20]
        assert len({key for _, key in names}) == 1
        self.whole.append(numbers)
        self.arrived += numbers

    # What users do

    sizes = st.sampled_from([0, 0, 0, 1000, 40_000, 70_000])
    timeouts = st.sampled_from([None, None, 0.5, 2.0])

    def name(self, key: str, size: int = 0) -> tuple[int, str]:
        """
        Make up a message that tells what it is.
        """
        number = next(self.numbers)
        return number, f"{number}@{key};" + "-" * size

    def send_one(
        self, key: str, size: int = 0, timeout: float | None = None, follow: bool = False
    ) -> None:
        number, text = self.name(key, size)
        sent = self.pool.send(text, key=None if key == ANY else key, timeout=timeout)
        self.sends[number] = Call(
            sent, "send", key, (lambda: self.send_one(key)) if follow else None
        )

    @rule(
        keys=st.lists(st.sampled_from([ANY, "k", "l", "m", "n"]), min_size=1, max_size=8),
        size=sizes,
        timeout=timeouts,
        follow=st.booleans(),
    )
    def send(self, keys: list[str], size: int, timeout: float | None, follow: bool) -> None:
        for key in keys:
            self.send_one(key, size, timeout, follow)

    @rule(key=st.sampled_from(["A", "B"]), fin=st.booleans(), size=sizes, timeout=timeouts)
    def fragment(self, key: str, fin: bool, size: int, timeout: float | None) -> None:
        number, text = self.name(key, size)
        call = Call(self.pool.send(text, key=key, fin=fin, timeout=timeout), "fragment", key)
        self.sends[number] = call
        if not call.failed_with(*REFUSALS):
            (self.in_fragments.discard if fin else self.in_fragments.add)(key)

    @rule(size=sizes, timeout=timeouts)
    def broadcast(self, size: int, timeout: float | None) -> None:
        _, text = self.name("all", size)
        self.others.append(Call(self.pool.broadcast(text, timeout=timeout), "broadcast"))

    @rule(timeout=timeouts, everyone=st.booleans())
    def ping(self, timeout: float | None, everyone: bool) -> None:
        deferred: Deferred[Any] = (
            self.pool.broadcast_ping(timeout=timeout)
            if everyone
            else self.pool.ping(timeout=timeout)
        )
        self.others.append(Call(deferred, "ping"))

    @rule(which=st.integers(0, 7))
    def cancel(self, which: int) -> None:
        pending = [call for call in self.calls() if not call.results]
        if pending:
            pending[which % len(pending)].deferred.cancel()

    @precondition(lambda self: not self.ended)
    @rule(size=st.integers(1, 5))
    def resize(self, size: int) -> None:
        self.size = size
        self.others.append(Call(self.pool.resize(size), "resize"))

    @rule(chance=st.integers(0, 19))
    def stop(self, chance: int) -> None:
        if chance == 0:
            self.finish()

    def finish(self) -> None:
        self.ended = True
        if self.end == "destroy":
            self.pool.destroy()
        else:
            drain = 5 if self.end == "drain" else None
            self.others.append(Call(self.pool.close(drain=drain), "close"))

    # What servers and networks do

    def peer(self, which: int) -> MemoryPeer | None:
        peers = self.server.open_peers
        return peers[which % len(peers)] if peers else None

    @rule(which=st.integers(0, 4), settle=st.booleans())
    def lose(self, which: int, settle: bool) -> None:
        if peer := self.peer(which):
            peer.drop()
            if settle:
                self.memory.settle()

    @rule(which=st.integers(0, 4), code=st.sampled_from([1000, 1001, 1012]), settle=st.booleans())
    def close_by_server(self, which: int, code: int, settle: bool) -> None:
        if peer := self.peer(which):
            peer.close(code)
            if settle:
                self.memory.settle()

    @rule(which=st.integers(0, 4))
    def stop_reading(self, which: int) -> None:
        if peer := self.peer(which):
            self.stalled.add(peer)
            peer.stop_reading()

    @rule(which=st.integers(0, 4))
    def resume_reading(self, which: int) -> None:
        if peer := self.peer(which):
            self.stalled.discard(peer)
            peer.resume_reading()

    @rule(refuse=st.booleans())
    def refuse(self, refuse: bool) -> None:
        (self.server.refuse if refuse else self.server.accept)()

    @rule(seconds=st.sampled_from([0.0, 0.0, 0.1, 1.0, 3.0, 10.0]))
    def advance(self, seconds: float) -> None:
        self.memory.advance(seconds)
        stats = self.check_stats()
        idle = not self.stalled.intersection(self.server.open_peers) and not self.in_fragments
        if stats.open and idle and not self.ended:
            assert stats.queued_messages == 0

    # What must hold

    def check_stats(self) -> PoolStats:
        """
        The numbers agree with each other, and counters only grow.
        """
        stats = self.pool.get_stats()
        assert stats.open + stats.connecting + stats.closed == stats.total == self.size
        assert stats.total == self.pool.total_connections == len(stats.connections)
        assert stats.open == self.pool.open_connections
        assert stats.queued_messages >= 0
        assert stats.queued_bytes >= 0
        assert stats.queued_messages or not stats.queued_bytes
        assert all(connection.buffered_bytes >= 0 for connection in stats.connections)
        if self.before is not None:
            for counter in (
                "sent_messages",
                "sent_bytes",
                "dropped_messages",
                "requeued_messages",
                "reconnects",
            ):
                assert getattr(stats, counter) >= getattr(self.before, counter), counter
        self.before = stats
        return stats

    @invariant()
    def numbers_agree(self) -> None:
        self.check_stats()

    def teardown(self) -> None:
        if not hasattr(self, "pool"):
            return
        if not self.ended:
            self.finish()
        self.memory.advance(60)
        self.memory.close()
        stats = self.check_stats()
        assert (stats.open, stats.queued_messages, stats.queued_bytes) == (0, 0, 0)
        self.check_calls()
        self.check_arrivals()

    def check_calls(self) -> None:
        """
        Every Deferred has fired, and with something its docstring names.
        """
        for call in self.calls():
            assert len(call.results) == 1, call
            if isinstance(call.results[0], BaseException):
                allowed: tuple[type[BaseException], ...] = (
                    CancelledError,
                    PoolClosed,
                    NotConnected,
                )
                if call.verb == "ping":
                    allowed += (PingTimeout, ConnectionFailed)
                elif call.verb == "fragment":
                    allowed += (FragmentLost, SendTimeout, BufferFull, QueueOverflow)
                else:
                    allowed += (SendTimeout, BufferFull, QueueOverflow)
                assert call.failed_with(*allowed), call

    def check_arrivals(self) -> None:
        """
        What arrived is what was sent, once, in order, and whole.
        """
        sent = [number for number in self.arrived if number in self.sends]
        assert len(sent) == len(set(sent)), "a message arrived twice"
        for number in sent:
            call = self.sends[number]
            # A fragment may be cancelled when it is taken, which does not withdraw it.
            if call.verb != "fragment" or not call.failed_with(CancelledError):
                assert type(call.results[0]) is int, (number, call)
        by_key = defaultdict(list)
        for number in sent:
            by_key[self.sends[number].key].append(number)
        for key, numbers in by_key.items():
            assert key == ANY or numbers == sorted(numbers), (key, numbers)
        for numbers in self.whole:
            key = self.sends[numbers[0]].key if numbers[0] in self.sends else ""
            missing = [
                number
                for number, call in self.sends.items()
                if call.key == key and numbers[0] < number < numbers[-1] and number not in numbers
            ]
            assert all(self.sends[number].failed_with(*REFUSALS) for number in missing)


def test_everything_settles() -> None:
    """
    A pool that is used and treated in 200 different ways keeps what it promises.
    """
    run_state_machine_as_test(
        Pool,
        settings=settings(
            max_examples=cases(200),
            stateful_step_count=30,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_deferreds_of_close_and_resize_may_be_cancelled() -> None:
    """
    Who does not want to wait for the end any more may say so: it comes all the same, and cancelling
    leaves no error behind that nobody handles.
    """
    memory = MemoryPool(pool_size=3)
    memory.open()
    for verb in ("resize", "close", "close"):
        call = Call(memory.pool.resize(1) if verb == "resize" else memory.pool.close(), verb)
        call.deferred.cancel()
        assert len(call.results) == 1
    memory.close()
    assert memory.pool.total_connections == 1


def test_every_deferred_of_a_pool_that_never_opened_fires() -> None:
    """
    Closing a pool that was not even started settles all that was asked of it.
    """
    memory = MemoryPool(pool_size=2)
    pool = memory.pool
    calls = [
        Call(pool.send("text"), "send"),
        Call(pool.send("text", key="key", timeout=60), "send"),
        Call(pool.send("first", key="long", fin=False), "fragment"),
        Call(pool.send("last", key="long"), "fragment"),
        Call(pool.broadcast("text"), "broadcast"),
        Call(pool.ping(timeout=60), "ping"),
        Call(pool.broadcast_ping(timeout=60), "ping"),
        Call(pool.when_open(), ""),
        Call(pool.when_ready(), ""),
        Call(pool.resize(1), "resize"),
        Call(pool.close(drain=60), "close"),
        Call(pool.close(), "close"),
    ]
    memory.close()
    assert [len(call.results) for call in calls] == [1] * len(calls)
