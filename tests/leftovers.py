"""
What a test may leave behind by mistake: logged failures, delayed calls, open selectables.
"""

from __future__ import annotations

from typing import cast

import pytest_twisted
from twisted.internet import reactor as _installed
from twisted.internet.base import DelayedCall
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, LogEvent, eventAsText
from twisted.python.failure import Failure
from zope.interface import implementer

reactor = cast(PosixReactorBase, _installed)


@implementer(ILogObserver)
class LoggedFailures:
    """
    A log observer that remembers the failures it is told of.
    """

    def __init__(self) -> None:
        self._logged: list[tuple[str, Failure]] = []

    def __call__(self, event: LogEvent) -> None:
        # The second is how twisted.python.log.err tells it.
        failure = event.get("log_failure", event.get("failure"))
        if isinstance(failure, Failure):
            self._logged.append((eventAsText(event, includeTimestamp=False), failure))

    def flush(self, *types: type[BaseException]) -> list[Failure]:
        """
        Return the failures of these types, of any type if none is named, and forget them.
        """
        flushed = [failure for _, failure in self._logged if not types or failure.check(*types)]
        self._logged = [entry for entry in self._logged if entry[1] not in flushed]
        return flushed

    def unflushed(self) -> list[str]:
        """
        Return the log's text for every failure that is left, with its traceback.
        """
        return [text for text, _ in self._logged]


def delayed_calls() -> set[DelayedCall]:
    """
    Return what is scheduled on the global reactor.
    """
    return set(cast(list[DelayedCall], reactor.getDelayedCalls()))


def selectables() -> set[IReadWriteDescriptor]:
    """
    Return what the global reactor watches, except what it needs to wake itself up.
    """
    watched = {*reactor.getReaders(), *reactor.getWriters()}
    return cast(set[IReadWriteDescriptor], watched - reactor._internalReaders)


def close(selectable: IReadWriteDescriptor) -> None:
    """
    Take a selectable off the reactor and close its descriptor, as if its connection broke.
    """
    reactor.removeReader(selectable)
    reactor.removeWriter(selectable)
    selectable.connectionLost(Failure(ConnectionAborted()))


def turn(seconds: float = 0.0) -> None:
    """
    Let the reactor run for so long.
    """
    pytest_twisted.blockon(deferLater(reactor, seconds))
