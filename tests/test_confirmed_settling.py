"""
Whatever happens to a pool whose users want confirmations: every Deferred fires once, what is
reported as received was received, nothing is written more often than it may be, keys keep their
order, and nothing is left.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import count
from typing import Any

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
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from wsmultipool import PooledConnection
from wsmultipool.errors import (
    BufferFull,
    ConnectionFailed,
    DeliveryUnknown,
    FlushTimeout,
    FragmentLost,
    NotConnected,
    PingTimeout,
    PoolClosed,
    QueueOverflow,
    SendTimeout,
)
from wsmultipool.testing import MemoryPeer, MemoryPool

from .quiet_server import QuietServer
from .thoroughness import cases

# How a message, or a fragment of one, tells what it is: its number, and its key.
NAME = re.compile(r"(\d+)@(\w+);")
POISON = "poison"

# A message that fails with one of these never left.
NEVER_SENT = (BufferFull, NotConnected, PoolClosed, QueueOverflow, SendTimeout)


class Call:
    """
    A call of one of the pool's verbs.

    @ivar results: everything its Deferred fired with, failures as their exception.
    """

    def __init__(
        self,
        verb: str,
        key: str = "",
        confirm: bool = False,
        fin: bool = True,
        fired: Callable[[object], None] = lambda result: None,
    ) -> None:
        self.deferred: Deferred[Any]
        self.verb = verb
        self.key = key
        self.confirm = confirm
        self.fin = fin
        self.results: list[object] = []
        self._told = fired

    def __repr__(self) -> str:
        return f"<{self.verb} {self.key} confirm={self.confirm} {self.results}>"

    def follow(self, deferred: Deferred[Any]) -> Call:
        """Keep what the Deferred fires with."""
        self.deferred = deferred
        deferred.addBoth(self._fired)
        return self

    def _fired(self, result: object) -> None:
        self.results.append(result.value if isinstance(result, Failure) else result)
        self._told(self.results[-1])

    def failed_with(self, *types: type[BaseException]) -> bool:
        """Say whether it has failed with an exception of one of these types."""
        return bool(self.results) and isinstance(self.results[0], types)


class Pool(RuleBasedStateMachine):
    """
    A pool that is treated badly.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.numbers = count()
        self.sends: dict[int, Call] = {}
        self.others: list[Call] = []
        self.arrived: list[int] = []
        self.told = 0
        self.problems: list[str] = []
        self.stalled: set[MemoryPeer] = set()
        self.in_fragments: set[str] = set()
        self.ended = False

    @initialize(
        most=st.sampled_from([1, 1, 2, 3]),
        latency=st.sampled_from([0.0, 0.25]),
        end=st.sampled_from(["close", "drain", "destroy"]),
        small=st.booleans(),
        heartbeat=st.sampled_from([0, 0, 2]),
    )
    def start(self, most: int, latency: float, end: str, small: bool, heartbeat: float) -> None:
        self.end = end
        self.most = most
        self.server = QuietServer(self.clock, latency)
        self.server.arrived = self.arrive
        self.memory = MemoryPool(
            server=self.server,
            clock=self.clock,
            pool_size=3,
            max_deliveries=most,
            message_queue_size=8,
            max_buffered_bytes=300_000 if small else 10_000_000,
            heartbeat_interval=heartbeat,
            heartbeat_timeout=1.5,
            close_timeout=4,
            reconnect_interval=0.5,
            max_reconnect_interval=2,
            on_connect=self.greet,
            logger=False,
        )
        self.pool = self.memory.pool
        self.pool.on("message", lambda data, is_binary, connection_id: None)
        self.pool.start()
        self.memory.advance(latency * 8)

    def greet(self, connection: PooledConnection) -> None:
        """Send something on just this connection, and do not wait."""
        for confirm in (False, True):
            call = Call("connection.send", confirm=confirm)
            self.others.append(call.follow(connection.send("hello", confirm=confirm)))

    def arrive(self, peer: MemoryPeer, text: str) -> None:
        """A message was received."""
        numbers = [int(number) for number, _ in NAME.findall(text)]
        self.arrived += numbers
        if POISON in text:
            peer.drop()

    # What users do

    sizes = st.sampled_from([0, 0, 0, 1000, 40_000, 70_000])
    timeouts = st.sampled_from([None, None, 0.5, 2.0])
    any_key = st.sampled_from(["", "", "k", "l", "m", "n"])

    def name(self, key: str, size: int = 0) -> tuple[int, str]:
        number = next(self.numbers)
        return number, f"{number}@{key or 'any'};" + "-" * size

    def send_one(
        self,
        key: str,
        confirm: bool,
        size: int = 0,
        timeout: float | None = None,
        follow: bool = False,
        more: str = "",
    ) -> None:
        number, text = self.name(key, size)

        def fired(result: object) -> None:
            if confirm and type(result) is int and number not in self.arrived:
                self.problems.append(f"{number} was confirmed and not received")
            if follow:
                self.send_one(key, confirm)

        call = Call("send", key, confirm, fired=fired)
        self.sends[number] = call
        call.follow(self.pool.send(text + more, key=key or None, timeout=timeout, confirm=confirm))

    @rule(
        keys=st.lists(any_key, min_size=1, max_size=8),
        confirm=st.lists(st.booleans(), min_size=1, max_size=8),
        size=sizes,
        timeout=timeouts,
        follow=st.booleans(),
    )
    def send(
        self, keys: list[str], confirm: list[bool], size: int, timeout: float | None, follow: bool
    ) -> None:
        for number, key in enumerate(keys):
            self.send_one(key, confirm[number % len(confirm)], size, timeout, follow)

    @rule(key=any_key)
    def poison(self, key: str) -> None:
        self.send_one(key, True, more=POISON)

    @rule(
        key=st.sampled_from(["A", "B"]),
        fin=st.booleans(),
        confirm=st.sampled_from([True, True, False]),
        size=sizes,
        timeout=timeouts,
    )
    def fragment(
        self, key: str, fin: bool, confirm: bool, size: int, timeout: float | None
    ) -> None:
        number, text = self.name(key, size)

        def fired(result: object) -> None:
            if confirm and fin and type(result) is int and number not in self.arrived:
                self.problems.append(f"{number} was confirmed and not received")

        call = Call("fragment", key, confirm, fin, fired)
        self.sends[number] = call
        call.follow(self.pool.send(text, key=key, fin=fin, timeout=timeout, confirm=confirm))
        if not call.failed_with(BufferFull, NotConnected, QueueOverflow):
            (self.in_fragments.discard if fin else self.in_fragments.add)(key)

    @rule(size=sizes, timeout=timeouts, confirm=st.booleans())
    def broadcast(self, size: int, timeout: float | None, confirm: bool) -> None:
        text = "to all" + "-" * size
        call = Call("broadcast", confirm=confirm)
        self.others.append(call.follow(self.pool.broadcast(text, timeout=timeout, confirm=confirm)))

    @rule(timeout=timeouts)
    def ping(self, timeout: float | None) -> None:
        self.others.append(Call("ping").follow(self.pool.ping(timeout=timeout)))

    @rule(timeout=timeouts)
    def flush(self, timeout: float | None) -> None:
        before = list(self.sends.items())
        told = self.told

        def fired(result: object) -> None:
            if isinstance(result, DeliveryUnknown):
                self.told = next(self.numbers)
            if result is not None:
                return
            for number, call in before:
                if call.verb != "send" or number < told or number in self.arrived:
                    continue
                if not call.results or type(call.results[0]) is int:
                    self.problems.append(f"{number} was flushed and not received: {call}")

        self.others.append(Call("flush", fired=fired).follow(self.pool.flush(timeout)))

    @rule(which=st.integers(0, 7))
    def cancel(self, which: int) -> None:
        pending = [call for call in (*self.sends.values(), *self.others) if not call.results]
        if pending:
            pending[which % len(pending)].deferred.cancel()

    @precondition(lambda self: not self.ended)
    @rule(size=st.integers(1, 4))
    def resize(self, size: int) -> None:
        self.others.append(Call("resize").follow(self.pool.resize(size)))

    @rule(pause=st.booleans())
    def pause_receiving(self, pause: bool) -> None:
        (self.pool.pause_receiving if pause else self.pool.resume_receiving)()

    @rule(chance=st.integers(0, 24))
    def stop(self, chance: int) -> None:
        if chance == 0:
            self.finish()

    def finish(self) -> None:
        self.ended = True
        if self.end == "destroy":
            self.pool.destroy()
        else:
            drain = 5 if self.end == "drain" else None
            self.others.append(Call("close").follow(self.pool.close(drain=drain)))

    # What servers and networks do

    def peer(self, which: int) -> int | None:
        """Choose one of the open peers."""
        numbers = [number for number, peer in enumerate(self.server.peers) if peer.is_open]
        return numbers[which % len(numbers)] if numbers else None

    some_peer = st.integers(0, 3)

    @rule(which=some_peer, code=st.sampled_from([None, 1000, 1001, 1012]))
    def lose(self, which: int, code: int | None) -> None:
        number = self.peer(which)
        if number is not None:
            peer = self.server.peers[number]
            if code is None:
                peer.drop()
            else:
                peer.close(code)

    @rule(which=some_peer, answers=st.booleans())
    def let_close_time_out(self, which: int, answers: bool) -> None:
        number = self.peer(which)
        if number is not None:
            self.server.peers[number].answers_close = answers
            self.server.peers[number].drops_tcp = answers

    @rule(which=some_peer)
    def fall_silent(self, which: int) -> None:
        number = self.peer(which)
        if number is not None and self.pool.options.heartbeat_interval:
            self.server.peers[number].fall_silent()

    @rule(which=some_peer, read=st.booleans())
    def read(self, which: int, read: bool) -> None:
        number = self.peer(which)
        if number is not None:
            peer = self.server.peers[number]
            (self.stalled.discard if read else self.stalled.add)(peer)
            (peer.resume_reading if read else peer.stop_reading)()

    @rule(which=some_peer, hold=st.booleans())
    def hold_pongs(self, which: int, hold: bool) -> None:
        number = self.peer(which)
        if number is not None:
            pongs = self.server.pongs[number]
            (pongs.hold if hold else pongs.release)()

    @rule(which=some_peer, what=st.sampled_from(["latest", "twice", "reversed", "unasked"]))
    def answer(self, which: int, what: str) -> None:
        number = self.peer(which)
        if number is None:
            return
        pongs = self.server.pongs[number]
        if what == "unasked":
            pongs.answer(b"", b"\x00" * 8)
        elif pongs.asked:
            asked = list(pongs.asked)
            pongs.asked.clear()
            if what == "latest":
                asked = asked[-1:]
            elif what == "twice":
                asked = [payload for payload in asked for _ in range(2)]
            else:
                asked.reverse()
            pongs.answer(*asked)

    @rule(refuse=st.booleans())
    def refuse(self, refuse: bool) -> None:
        (self.server.refuse if refuse else self.server.accept)()

    @rule(seconds=st.sampled_from([0.0, 0.0, 0.1, 0.25, 0.4, 1.0, 3.0]))
    def advance(self, seconds: float) -> None:
        self.memory.advance(seconds)

    @precondition(lambda self: not self.ended)
    @rule()
    def calm(self) -> None:
        """
        Everything works again, and after a while nothing waits any more.
        """
        self.server.accept()
        self.server.release()
        for peer in self.server.open_peers:
            peer.resume_reading()
            peer.answers_close = peer.drops_tcp = True
        self.stalled.clear()
        self.pool.resume_receiving()
        self.memory.advance(100)
        stats = self.pool.get_stats()
        assert stats.open == stats.total
        assert (stats.unconfirmed_messages, stats.unconfirmed_bytes) == (0, 0)
        if not self.in_fragments:
            assert (stats.queued_messages, stats.queued_bytes) == (0, 0)
            pending = [call for call in self.sends.values() if not call.results]
            assert pending == []

    # What must hold

    @invariant()
    def numbers_agree(self) -> None:
        if not hasattr(self, "pool"):
            return
        assert self.problems == []
        stats = self.pool.get_stats()
        assert stats.unconfirmed_messages >= 0
        assert stats.unconfirmed_bytes >= 0
        assert stats.unconfirmed_messages or not stats.unconfirmed_bytes
        assert stats.queued_messages >= 0
        assert stats.queued_messages or not stats.queued_bytes

    def teardown(self) -> None:
        if not hasattr(self, "pool"):
            return
        if not self.ended:
            self.finish()
        self.memory.advance(30)
        self.memory.close()
        assert self.problems == []
        stats = self.pool.get_stats()
        assert (stats.queued_messages, stats.queued_bytes) == (0, 0)
        assert (stats.unconfirmed_messages, stats.unconfirmed_bytes) == (0, 0)
        self.check_calls()
        self.check_arrivals()

    def check_calls(self) -> None:
        """
        Every Deferred has fired once, and with something its docstring names.
        """
        for call in (*self.sends.values(), *self.others):
            assert len(call.results) == 1, call
            result = call.results[0]
            if not isinstance(result, BaseException):
                continue
            allowed: tuple[type[BaseException], ...] = (CancelledError, PoolClosed, NotConnected)
            if call.verb == "ping":
                allowed += (PingTimeout, ConnectionFailed)
            elif call.verb == "flush":
                allowed = (CancelledError, PoolClosed, DeliveryUnknown, FlushTimeout)
            elif call.verb in ("send", "fragment", "connection.send"):
                allowed += (SendTimeout, BufferFull, QueueOverflow)
                allowed += (DeliveryUnknown,) if call.confirm else ()
                allowed += (FragmentLost,) if call.verb == "fragment" else ()
            assert isinstance(result, allowed), call

    def check_arrivals(self) -> None:
        """
        What arrived is what was sent, as often as it may be, in order.
        """
        times = Counter(self.arrived)
        for number, call in self.sends.items():
            result = call.results[0]
            most = self.most if call.confirm else 1
            if call.verb == "fragment":
                most = self.most
            assert times[number] <= most, (number, call)
            if isinstance(result, NEVER_SENT):
                assert not times[number], (number, call)
            if isinstance(result, DeliveryUnknown):
                assert 1 <= result.deliveries <= self.most, (number, call)
                assert result.data is not None
                assert result.data.startswith(b"%d@" % number)
            if call.confirm and type(result) is int and call.fin:
                assert times[number], (number, call)
        first = defaultdict(list)
        for number in dict.fromkeys(self.arrived):
            first[self.sends[number].key].append(number)
        for key, numbers in first.items():
            assert not key or numbers == sorted(numbers), (key, numbers)


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
