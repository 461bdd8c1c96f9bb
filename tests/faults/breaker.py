"""
Breaking things as planned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from ..integration.running_reactor import reactor
from .plan import KINDS, Fault, drawn
from .scene import Scene


class Breaker:
    """
    Breaks one thing after the other until it is stopped.

    @param kinds: names of L{KINDS}.
    @ivar faults: how many faults there were, by kind; the proxy's when they were L{count}ed.
    @ivar commands: how many were wanted.
    """

    def __init__(self, scene: Scene, kinds: Sequence[str], seed: int, period: float) -> None:
        self.faults: Counter[str] = Counter()
        self.commands = 0
        self._plan = drawn(seed, [KINDS[name] for name in kinds], period)
        self._scene = scene
        self._pause: Deferred[None] | None = None
        self._stopped = False
        self._done = Deferred.fromCoroutine(self._run())

    async def stop(self) -> None:
        """Break nothing any more; what is broken only for some time, is whole after that."""
        self._stopped = True
        if self._pause is not None:
            self._pause.cancel()
        await self._done
        await self.count()

    async def _run(self) -> None:
        for fault in self._plan:
            self._pause = deferLater(reactor, fault.pause)
            try:
                await self._pause
            except CancelledError:
                return
            self._pause = None
            await self._break(fault)
            if self._stopped:
                return

    async def _break(self, fault: Fault) -> None:
        kind, scene = fault.kind, self._scene
        self.commands += 1
        if kind.party == "proxy":
            scene.proxy.tell(kind.do, kind=kind.name, which=fault.which, **fault.details)
            return
        self.faults[kind.name] += 1
        if kind.party == "server":
            scene.server.peer.tell(kind.do, which=fault.which, **fault.details)
        else:
            await scene.server.restart()

    async def count(self) -> None:
        """Ask the proxy how many faults there were: it does nothing when no link is whole."""
        proxy = self._scene.proxy
        counted = proxy.journal.count("counted")
        proxy.tell("count")
        self.faults.update((await proxy.event("counted", counted + 1))["struck"])


@asynccontextmanager
async def breaking(
    scene: Scene, kinds: Sequence[str], seed: int, period: float
) -> AsyncIterator[Breaker]:
    """
    Break things for the length of the context.

    @param period: seconds between two faults, on the average.
    """
    breaker = Breaker(scene, kinds, seed, period)
    try:
        yield breaker
    finally:
        await breaker.stop()
