"""
Sessions with a router, as Autobahn has them, without some of their habits.

A session of Autobahn's C{Component} forgets the requests that are under way when it ends: their
Deferreds never fire.  Here they fail.  It logs every error that a procedure answers with; here only
those that were not meant to be answered.  And it does not tell when a caller has vanished.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autobahn.twisted.wamp import ApplicationSession, Session
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.message import Interrupt
from twisted.logger import Logger

__all__ = ["ComponentSession", "WatchedSession"]

_log = Logger(namespace="wsmultipool.wamp")


class WatchedSession(ApplicationSession):
    """
    A session that tells of vanished callers, and keeps quiet about errors that are answers.

    @ivar on_vanished: called for each call that the router withdraws because its caller has gone.
    """

    on_vanished: Callable[[], object] | None = None

    def onMessage(self, msg: Any) -> None:
        """Take a message from the router."""
        super().onMessage(msg)
        # A caller that withdraws a call of its own leaves the mode open, as Autobahn does.
        vanished = isinstance(msg, Interrupt) and msg.mode == Interrupt.KILLNOWAIT
        if vanished and self.on_vanished is not None:
            self.on_vanished()

    def onUserError(self, fail: Any, msg: str) -> None:
        """Log an error of our own code; those that go to a caller are the caller's."""
        if not isinstance(fail.value, ApplicationError):
            _log.failure("{what}", what=msg, failure=fail)


class ComponentSession(WatchedSession, Session):
    """
    The session of a component.
    """

    def onLeave(self, details: Any) -> Any:
        """The session has ended, for whatever reason; so has what is under way in it."""
        return ApplicationSession.onLeave(self, details)

    def onDisconnect(self) -> None:
        """The transport is gone."""
        ApplicationSession.onDisconnect(self)
