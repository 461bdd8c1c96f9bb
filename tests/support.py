"""
What several test modules share: doubles for collaborators, and shorthands.

Each double provides its interface in full, which C{test_support.py} checks with C{verifyObject}.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IDelayedCall, IPushProducer
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from wsmultipool._message_batch import MessageBatch
from wsmultipool.handshake import UpgradeResponse
from wsmultipool.interfaces import IWebSocketPool, IWireListener
from wsmultipool.messages import AnyMessage, Message, SendData
from wsmultipool.stats import PoolStats

if TYPE_CHECKING:
    import pytest


def outcome(deferred: Deferred[Any]) -> list[Any]:
    """
    Collect what a Deferred fires or fails with: empty until it does.
    """
    results: list[Any] = []
    deferred.addBoth(results.append)
    return results


def error_of(deferred: Deferred[Any]) -> BaseException:
    """
    Return what a Deferred has failed with.
    """
    (failure,) = outcome(deferred)
    assert isinstance(failure, Failure)
    assert failure.value is not None
    return failure.value


def message(
    payload: bytes = b"", sequence: int = 0, *, key: str | None = None, undecided: bool = False
) -> Message:
    """
    Make a message; with a Deferred that waits for its fate if it is undecided.
    """
    made = Message(payload, True, key=key, sequence=sequence)
    if undecided:
        made.deferred = Deferred()
    return made


class BusyClock(Clock):
    """
    A clock that fails, instead of hanging, when one advance of it calls more than a test would.
    """

    def __init__(self, most: int = 10_000) -> None:
        super().__init__()
        self._most = most

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object, **kw: object
    ) -> IDelayedCall:
        self._most -= 1
        assert self._most, "the clock does not get any further"
        return super().callLater(delay, callable, *args, **kw)


class Numbered:
    """
    As much of a connection as is needed to tell it from others: a number.
    """

    def __init__(self, id: int) -> None:
        self.id = id

    def __repr__(self) -> str:
        return f"<{self.id}>"


def without_prometheus(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Have C{prometheus_client} be not installed for a test.
    """
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith("prometheus_client"):
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)


@implementer(IConsumer)
class Transport:
    """
    A transport that keeps what is written, and is full from the given number of bytes on.

    @ivar written: every write.
    """

    disconnecting = False

    def __init__(self, high_water: int | None = None) -> None:
        self.written: list[bytes] = []
        self._high_water = high_water
        self._buffered = 0
        self._producer: IPushProducer | None = None

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self._buffered += len(data)
        if self._high_water is not None and self._buffered >= self._high_water:
            # Again on every write while it is full, as Twisted's transports do.
            assert self._producer is not None
            self._producer.pauseProducing()

    def empty(self) -> None:
        """Everything was sent."""
        self._buffered = 0
        assert self._producer is not None
        self._producer.resumeProducing()


@implementer(IWireListener)
class Listener:
    """
    Keeps what a wire reports, as tuples of the method's name without C{wire_} and its arguments.
    """

    def __init__(self) -> None:
        self.reports: list[tuple[object, ...]] = []

    def reported(self) -> list[tuple[object, ...]]:
        """Return the reports since the last time."""
        reports, self.reports = self.reports, []
        return reports

    def wire_heard(self) -> None:
        self.reports.append(("heard",))

    def wire_read(self) -> None:
        self.reports.append(("read",))

    def wire_open(self, response: UpgradeResponse) -> None:
        self.reports.append(("open", response))

    def wire_rejecting(self, report: Callable[[], None]) -> None:
        self.reports.append(("rejecting", report))

    def wire_rejected(self, response: UpgradeResponse) -> None:
        self.reports.append(("rejected", response))

    def wire_message(self, payload: bytes, is_binary: bool) -> None:
        self.reports.append(("message", payload, is_binary))

    def wire_messages(self, batch: MessageBatch) -> None:
        for payload in batch:
            self.wire_message(payload, batch.is_binary)

    def wire_ping(self, payload: bytes) -> None:
        self.reports.append(("ping", payload))

    def wire_pong(self, payload: bytes) -> None:
        self.reports.append(("pong", payload))

    def wire_queued(self) -> None:
        self.reports.append(("queued",))

    def wire_writes(self, messages: list[AnyMessage], size: int, confirmed: int) -> None:
        self.reports.append(("writes", len(messages), size, confirmed))

    def wire_wrote(self, special: list[Message]) -> None:
        self.reports.append(("wrote", special))

    def wire_paused(self, held: int) -> None:
        self.reports.append(("paused", held))

    def wire_resumed(self) -> None:
        self.reports.append(("resumed",))

    def wire_closing(self) -> None:
        self.reports.append(("closing",))

    def wire_closed(self, error: Exception | None, code: int, reason: str) -> None:
        self.reports.append(("closed", error, code, reason))

    def wire_lost(self, error: Exception | None, code: int, reason: str) -> None:
        self.reports.append(("lost", error, code, reason))


@implementer(IWebSocketPool)
class Pool:
    """
    A pool without connections, which keeps the verbs it was called with, and their arguments.

    @ivar closing: fires what L{close} returned.
    """

    def __init__(self) -> None:
        self.open_connections = 0
        self.total_connections = 0
        self.calls: list[tuple[object, ...]] = []
        self.closing: Deferred[None] = Deferred()

    def start(self) -> None:
        self.calls.append(("start",))

    def send(
        self,
        data: SendData,
        *,
        binary: bool | None = None,
        compress: bool | None = None,
        mask: bool = True,
        fin: bool = True,
        key: Hashable = None,
        timeout: float | None = None,
        confirm: bool = False,
    ) -> Deferred[int]:
        self.calls.append(("send", data))
        return Deferred()

    def broadcast(
        self,
        data: SendData,
        *,
        binary: bool | None = None,
        compress: bool | None = None,
        mask: bool = True,
        timeout: float | None = None,
        confirm: bool = False,
    ) -> Deferred[list[tuple[bool, int | Failure]]]:
        self.calls.append(("broadcast", data))
        return Deferred()

    def flush(self, timeout: float | None = None) -> Deferred[None]:
        self.calls.append(("flush", timeout))
        return Deferred()

    def ping(self, data: bytes | str = b"", *, timeout: float | None = None) -> Deferred[float]:
        self.calls.append(("ping", data))
        return Deferred()

    def broadcast_ping(
        self, data: bytes | str = b"", *, timeout: float | None = None
    ) -> Deferred[list[tuple[bool, float | Failure]]]:
        self.calls.append(("broadcast_ping", data))
        return Deferred()

    def when_open(self) -> Deferred[None]:
        return Deferred()

    def when_ready(self) -> Deferred[None]:
        return Deferred()

    def get_stats(self) -> PoolStats:
        raise NotImplementedError

    def close(
        self, code: int = 1000, reason: str = "", *, drain: float | None = None
    ) -> Deferred[None]:
        self.calls.append(("close", code, reason, drain))
        return self.closing

    def destroy(self) -> None:
        self.calls.append(("destroy",))
