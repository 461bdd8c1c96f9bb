"""
Sending numbered messages, and entering into the ledger what the pool says of them.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from wsmultipool import ReconnectingPoolFactory

from ..integration.deadline import limited
from ..integration.running_reactor import reactor
from .ledger import Ledger
from .numbered import payload_of
from .scene import PATIENCE

_TICK = 0.001


class Sender:
    """
    Sends messages through a pool.

    @param options: for each C{send}.
    """

    def __init__(
        self, pool: ReconnectingPoolFactory, ledger: Ledger, size: int = 32, **options: Any
    ) -> None:
        self._pool = pool
        self._ledger = ledger
        self._size = size
        self._options = options
        self._waiting: Deferred[None] | None = None

    async def send(self, count: int, rate: float) -> None:
        """
        Send so many messages, so many a second: a few at a time, and never wait for one.
        """
        begun = reactor.seconds()
        sent = 0
        while sent < count:
            due = int((reactor.seconds() - begun) * rate) + 1
            for _ in range(min(due, count) - sent):
                self.send_one()
                sent += 1
            await deferLater(reactor, _TICK)

    def send_one(self) -> int:
        """Send the next message, and return its number."""
        number = self._ledger.begin()
        sent = self._pool.send(
            payload_of(number, self._size), key=self._ledger.key_of(number), **self._options
        )
        sent.addCallbacks(
            self._succeeded, self._failed, callbackArgs=(number,), errbackArgs=(number,)
        )
        return number

    def _succeeded(self, _: int, number: int) -> None:
        self._ledger.succeeded(number)
        self._settled()

    def _failed(self, failure: Failure, number: int) -> None:
        assert failure.value is not None
        self._ledger.failed(number, failure.value)
        self._settled()

    def _settled(self) -> None:
        if self._waiting is not None and self._ledger.settled == self._ledger.sent:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)

    async def all_settled(self) -> None:
        """
        Wait until everything is settled, but not for ever: the ledger tells what was not.
        """
        if self._ledger.settled < self._ledger.sent:
            self._waiting = Deferred()
            try:
                await limited(self._waiting, PATIENCE)
            except AssertionError:
                self._waiting = None
