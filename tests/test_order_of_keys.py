"""
Messages of one key, and what becomes of their order, whatever becomes of their connections.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from wsmultipool import noop_logger
from wsmultipool._memory_server import _ServerProtocol
from wsmultipool.testing import MemoryPool

from .thoroughness import cases


@pytest.fixture(name="arrivals")
def _arrivals(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """
    The numbers that have arrived, on whichever connection, in that order.
    """
    arrivals: list[int] = []
    receive = _ServerProtocol.onMessage

    def noted(server: _ServerProtocol, payload: bytes, is_binary: bool) -> None:
        arrivals.append(int(payload))
        receive(server, payload, is_binary)

    monkeypatch.setattr(_ServerProtocol, "onMessage", noted)
    return arrivals


class Run:
    """
    A pool that sends numbers while its connections end in every way, on either side and on both.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self.max_deliveries = self._random.randint(1, 3)
        self.sent: dict[int, tuple[str, bool]] = {}
        self.outcomes: dict[int, Any] = {}
        self.memory = MemoryPool(
            pool_size=self._random.randint(1, 3),
            heartbeat_interval=self._random.choice([0, 1.0]),
            max_deliveries=self.max_deliveries,
            message_queue_size=1000,
            logger=noop_logger,
        )
        self.memory.pool.on("error", lambda *_: None)

    def perform(self) -> None:
        self.memory.open()
        steps = [self._send, self._peer_acts, self._close_one, self._resize, self._wait]
        for number in range(60):
            self._random.choices(steps, [60, 25, 5, 2, 8])[0](number)
        for peer in self.memory.server.open_peers:
            peer.resume_reading()
        self.memory.advance(60)
        self.memory.pool.close(drain=30)
        self.memory.advance(60)

    def _send(self, number: int) -> None:
        key = self._random.choice("ab")
        confirm = self._random.random() < 0.6
        self.sent[number] = key, confirm
        sent = self.memory.pool.send(str(number), key=key, confirm=confirm)
        sent.addBoth(lambda outcome: self.outcomes.setdefault(number, outcome))

    def _peer_acts(self, _: int) -> None:
        peers = self.memory.server.open_peers
        if peers:
            peer = self._random.choice(peers)
            acts = [peer.close, peer.drop, peer.stop_reading, peer.resume_reading]
            self._random.choices(acts, [2, 1, 1, 1])[0]()

    def _close_one(self, _: int) -> None:
        connections = self.memory.pool._supervisor.connections
        self._random.choice(connections).close()

    def _resize(self, _: int) -> None:
        self.memory.pool.resize(self._random.randint(1, 4))

    def _wait(self, _: int) -> None:
        self.memory.advance(self._random.choice([0, 0.1, 1, 6]))


def test_the_order_within_a_key_is_kept_whatever_ends_a_connection(arrivals: list[int]) -> None:
    """
    Each number arrives after those before it, however often each of them is written; a plain one
    not twice, a confirmed one not more often than it may be; and every Deferred fires.
    """
    for seed in range(cases(1000)):
        arrivals.clear()
        run = Run(seed)
        run.perform()
        for key in "ab":
            first = [each for each in dict.fromkeys(arrivals) if run.sent[each][0] == key]
            assert first == sorted(first), seed
        for number, (_, confirm) in run.sent.items():
            assert number in run.outcomes, seed
            times = arrivals.count(number)
            assert times <= (run.max_deliveries if confirm else 1), seed
            assert times or not isinstance(run.outcomes[number], int) or not confirm, seed
