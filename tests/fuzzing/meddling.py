"""
User code that does not make it easier: handlers that raise, close, pause and send at any moment.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, fail

from wsmultipool import PooledConnection

from .case import FRAGMENTED, Case
from .watching import Meddled

_EVENTS = (
    *("message", "ping", "pong", "open", "close", "error", "upgrade", "unexpected-response"),
    *("drain", "pool:ready", "pool:empty"),
)
_ENDING = ("close", "drain and close", "destroy")
_ACTS = (
    *("raise", "fail", "pause", "resume", "send", "send with a key", "send with a timeout"),
    *("fragment", "send and cancel", "broadcast", "ping", "broadcast ping", "close the connection"),
    *("iterate", "grow", "shrink", "stats", "stop listening", "listen", "wait"),
)
# User code that reacted to all that it causes would never come to an end.
_MOST_ACTS = 12


class Meddler:
    """
    Random handlers of a pool's events, and a random C{on_connect}.

    @ivar acts: what was done, for who must find out what went wrong.
    """

    def __init__(self, random: Random) -> None:
        self.acts: list[tuple[str, str]] = []
        self._random = random
        self._events = [event for event in _EVENTS if random.randrange(3) == 0]
        # A pool that its user closes is not asked to come back, so most are not closed.
        self._may_end = random.randrange(4) == 0
        self._hooks = random.randrange(3) == 0
        self._case: Case
        self._connections: list[PooledConnection] = []

    def __call__(self, case: Case) -> None:
        self._case = case
        for event in self._events:
            case.pool.on(event, self._handler(event))  # type: ignore[call-overload]

    def on_connect(self, connection: PooledConnection) -> object:
        """
        Be the pool's hook.
        """
        self._connections.append(connection)
        if self._case.over or not self._hooks or len(self.acts) >= _MOST_ACTS:
            return None
        way = self._random.randrange(5)
        self.acts.append(("on_connect", str(way)))
        if way == 0:
            raise Meddled
        if way == 1:
            self._case.waiting.append(connection.send(b"from the hook"))
        elif way == 2:
            self._case.waiting.append(connection.close(1001, "not wanted"))
        elif way == 3:
            ready: Deferred[None] = Deferred()
            self._case.later(self._random.choice((0, 1, 9)), self._fire, ready)
            return ready
        else:
            return Deferred()  # never: open_timeout must deal with it
        return None

    @staticmethod
    def _fire(ready: Deferred[None]) -> None:
        if not ready.called:
            ready.callback(None)

    def _handler(self, event: str) -> Callable[..., object]:
        def handler(*_: object) -> object:
            if self._case.over or len(self.acts) >= _MOST_ACTS or self._random.randrange(2):
                return None
            acts = (*_ACTS, *_ENDING) if self._may_end else _ACTS
            act = self._random.choice(acts)
            self.acts.append((event, act))
            return self._act(act, handler, event)

        return handler

    def _act(self, act: str, handler: Callable[..., object], event: str) -> object:
        pool, waiting = self._case.pool, self._case.waiting
        match act:
            case "raise":
                raise Meddled
            case "fail":
                return fail(Meddled())
            case "wait":
                return self._later()
            case "pause":
                pool.pause_receiving()
                self._case.later(self._random.choice((0, 0.5, 20)), pool.resume_receiving)
            case "resume":
                pool.resume_receiving()
            case "send" | "send with a key" | "send with a timeout" | "fragment":
                waiting.append(self._send(act))
            case "send and cancel":
                sent = pool.send("never mind")
                waiting.append(sent)
                sent.cancel()
            case "broadcast":
                waiting.append(pool.broadcast("to all"))
            case "ping":
                waiting.append(pool.ping(self._random.choice((b"", b"p", b"p" * 125)), timeout=3))
            case "broadcast ping":
                waiting.append(pool.broadcast_ping(b"all", timeout=3))
            case "close the connection":
                for connection in self._connections[-1:]:
                    waiting.append(connection.close(4000, "meddled"))
            case "iterate":
                waiting.append(Deferred.fromCoroutine(self._iterate()))
            case "grow" | "shrink":
                waiting.append(pool.resize(2 if act == "grow" else 1))
            case "stats":
                repr(pool.get_stats())
            case "stop listening":
                pool.off(event, handler)  # type: ignore[call-overload]
            case "listen":
                pool.once(event, handler)  # type: ignore[call-overload]
            case "close":
                waiting.append(pool.close())
            case "drain and close":
                waiting.append(pool.close(1001, "enough", drain=2))
            case "destroy":
                pool.destroy()
        return None

    def _send(self, act: str) -> Deferred[int]:
        pool = self._case.pool
        if act == "send":
            return pool.send(self._random.choice(("", "text", "x" * 300, "y" * 70_000)))
        if act == "send with a key":
            return pool.send(b"for a key", key=self._random.randrange(3))
        if act == "send with a timeout":
            return pool.send(bytearray(b"soon"), timeout=self._random.choice((0.1, 5)))
        return pool.send("part", key=FRAGMENTED, fin=bool(self._random.randrange(2)))

    def _later(self) -> Deferred[None]:
        later: Deferred[None] = Deferred()
        self._case.later(1, later.callback, None)
        return later

    async def _iterate(self) -> None:
        stream: Any = self._case.pool.messages()
        left = self._random.randrange(4)
        async for _ in stream:
            left -= 1
            if left <= 0:
                break
        await stream.aclose()
