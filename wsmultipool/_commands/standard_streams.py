"""
Standard input and output on the reactor, without threads, and without a change to either.

Twisted's own C{StandardIO} makes them non-blocking, which other processes that share them get to
feel: a shell whose terminal it is, or whatever else writes to the same pipe.  What is ready can be
read from without blocking anyway; and a pipe that is ready takes C{PIPE_BUF} bytes.  Regular files
and devices as C{/dev/null}, which can't be watched with C{epoll}, never block.
"""

from __future__ import annotations

import os
import select
import stat
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor, IWriteDescriptor
from twisted.internet.task import deferLater
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorFDSet, IReactorTime
    from twisted.python.failure import Failure

    class _Reactor(IReactorFDSet, IReactorTime):
        pass


__all__ = ["InputStream", "OutputStream"]

_READ_BYTES = 64 * 1024
_HIGH_WATER = 64 * 1024
_PREFIX = "wsmultipool"


def _is_watchable(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)


@implementer(IReadDescriptor)
class InputStream:
    """
    What is read when somebody asks for it, and never before.

    @param descriptor: stays open.
    """

    def __init__(self, reactor: _Reactor, descriptor: int = 0) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._ready: Deferred[None] | None = None

    async def read(self) -> bytes:
        """
        Read what there is, and wait until there is something.

        @return: empty at the end of the stream.
        @raise OSError: it can't be read from.
        """
        try:
            watchable = _is_watchable(self._descriptor)
        except OSError:
            return b""  # Closed from the beginning: "wsmultipool cat <&-".
        while True:
            if watchable:
                self._ready = Deferred(lambda _: self._reactor.removeReader(self))
                self._reactor.addReader(self)
                await self._ready
            else:
                # A file is always ready: let others have a turn.
                await deferLater(self._reactor, 0)
            # Another process may have made it non-blocking, and be the first to read.
            with suppress(BlockingIOError):
                return os.read(self._descriptor, _READ_BYTES)

    def fileno(self) -> int:
        """For the reactor."""
        return self._descriptor

    def logPrefix(self) -> str:
        """For the reactor."""
        return _PREFIX

    def doRead(self) -> None:
        """
        Something can be read, or there will never be anything.
        """
        self._reactor.removeReader(self)
        ready, self._ready = self._ready, None
        if ready is not None:
            ready.callback(None)

    def connectionLost(self, reason: Failure) -> None:
        """
        The other end is gone, or the reactor stops: what is left can still be read.
        """
        self.doRead()


@implementer(IWriteDescriptor)
class OutputStream:
    """
    What is written as fast as it is taken, and waits until then.

    @param descriptor: stays open.
    @param pause: is called when so much waits that no more should come.
    @param resume: is called when nothing waits any more.
    @param lost: is called, once, with what happened when nobody will take any more.
    """

    def __init__(
        self,
        reactor: _Reactor,
        pause: Callable[[], object],
        resume: Callable[[], object],
        lost: Callable[[OSError], object],
        descriptor: int = 1,
    ) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._pause = pause
        self._resume = resume
        self._lost = lost
        self._waiting: deque[memoryview] = deque()
        self._bytes = 0
        self._paused = False
        self._broken = False
        self._watchable = _is_watchable(descriptor)
        self._most = select.PIPE_BUF if self._watchable else -1
        self._drained: list[Deferred[None]] = []

    def write(self, data: bytes) -> None:
        """
        Write this after all else.
        """
        if self._broken or not data:
            return
        if not self._waiting and self._watchable:
            self._reactor.addWriter(self)
        # A slice of one is not a copy.
        self._waiting.append(memoryview(data))
        self._bytes += len(data)
        if not self._watchable:
            self.doWrite()
        elif self._bytes > _HIGH_WATER and not self._paused:
            self._paused = True
            self._pause()

    def is_full(self) -> bool:
        """
        Say whether so much waits that no more should come.
        """
        return self._paused

    def when_written(self) -> Deferred[None]:
        """
        Return a Deferred that fires when nothing waits, as it does when nothing will be taken.
        """
        written: Deferred[None] = Deferred()
        self._drained.append(written)
        if not self._waiting:
            self._settle()
        return written

    def stop(self) -> None:
        """
        Write nothing more.
        """
        self._broken = True
        self._waiting.clear()
        self._reactor.removeWriter(self)
        self._settle()

    def fileno(self) -> int:
        """For the reactor."""
        return self._descriptor

    def logPrefix(self) -> str:
        """For the reactor."""
        return _PREFIX

    def doWrite(self) -> None:
        """
        Write as much as is sure not to block.
        """
        try:
            while self._waiting and (not self._watchable or self._takes_more()):
                data = self._waiting.popleft()
                part = data if self._most < 0 else data[: self._most]
                written = os.write(self._descriptor, part)
                self._bytes -= written
                if written < len(data):
                    self._waiting.appendleft(data[written:])
        except BlockingIOError:
            # Somebody else has made it non-blocking, and filled it.
            self._waiting.appendleft(data)
        except OSError as error:
            self._break(error)
            return
        if not self._waiting:
            self._reactor.removeWriter(self)
            self._settle()

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor has seen that nobody reads any more.
        """
        self._break(BrokenPipeError())

    def _takes_more(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(0))

    def _break(self, error: OSError) -> None:
        if not self._broken:
            self._broken = True
            # Before those who wait hear that there is nothing left to wait for.
            self._lost(error)
            self.stop()

    def _settle(self) -> None:
        self._bytes = 0
        if self._paused:
            self._paused = False
            self._resume()
        drained, self._drained = self._drained, []
        for written in drained:
            written.callback(None)
