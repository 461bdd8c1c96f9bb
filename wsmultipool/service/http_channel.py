"""
One HTTP connection, which gets one answer at a time, and each only when it has taken the last.

Twisted's own takes whatever one read of the socket brings, and writes the answers to all of it,
whether or not they are read.  Here the next request waits until the answer to the last has left,
and for its turn among those of all connections.  A connection that says nothing, or does not read,
is closed after a while.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import connectionDone
from twisted.web.http import HTTPChannel
from twisted.web.server import Request, Site

from .._deadline_clock import DeadlineClock
from .turn_share import TurnShare

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.python.failure import Failure
    from twisted.web.resource import IResource

__all__ = ["LONGEST_SILENCE", "LONGEST_UNREAD", "StatusChannel", "StatusSite"]

LONGEST_SILENCE = 10.0
"""Seconds that a whole request may take to come: from the beginning, or from the last answer on."""

LONGEST_UNREAD = 30.0
"""
Seconds that what was written may take to leave.  A network that comes back has done so by then.
"""


class _Request(Request):
    """
    A request that is answered in its turn, and of which the body is not kept, as nothing here takes
    one.
    """

    channel: Any

    def gotLength(self, length: int | None) -> None:
        super().gotLength(0)  # type: ignore[no-untyped-call]

    def handleContentChunk(self, data: bytes) -> None:
        pass

    def process(self) -> None:
        self.channel.answer_in_turn(self._answer)

    def _answer(self) -> None:
        if self.channel is not None:  # else the connection was lost meanwhile
            super().process()  # type: ignore[no-untyped-call]


class StatusChannel(HTTPChannel):
    """
    One connection.

    @since: 0.2.0
    """

    transport: Any
    site: StatusSite

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._is_asked = False
        self._is_full = False
        self._unanswered: Callable[[], None] | None = None
        self._deadline: IDelayedCall | None = None

    @property
    def importance(self) -> int:
        """
        How much is lost if it is given up for another one: 0 while no whole request has come, 1
        while it does not read its answer, 2 while it is being answered.

        @since: 0.2.0
        """
        if self._is_full:
            return 1
        return 2 if self._is_asked else 0

    def answer_in_turn(self, answer: Callable[[], None]) -> None:
        """
        Answer a request as soon as the answer to the last one has left.

        @since: 0.2.0
        """
        self._is_asked = True
        if self._is_full:
            self._unanswered = answer
        else:
            self.site.share.do(answer)

    def rawDataReceived(self, data: bytes) -> None:
        """
        Keep what follows a request that is being answered, and read nothing more behind it.

        @since: 0.2.0
        """
        super().rawDataReceived(data)
        if self._is_asked:
            self.transport.pauseProducing()

    def requestDone(self, request: Request) -> None:
        """
        A request was answered; Twisted goes on with what has come after it.

        @since: 0.2.0
        """
        self._is_asked = False
        super().requestDone(request)  # type: ignore[no-untyped-call]

    # How long it may take

    def resetTimeout(self) -> None:
        """
        Twisted calls this for whatever arrives, which may be one octet of a request now and then.

        @since: 0.2.0
        """

    def timeoutConnection(self) -> None:
        """
        No whole request has come.

        @since: 0.2.0
        """
        if not self._is_full:  # else it has the answer to the last one to read
            self.loseConnection()

    def loseConnection(self) -> None:
        """
        Close it, when what was written has left.

        @since: 0.2.0
        """
        self._set_deadline()
        super().loseConnection()  # type: ignore[no-untyped-call]

    def _set_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self.callLater(  # type: ignore[no-untyped-call]
                LONGEST_UNREAD, self._abort
            )

    def _cancel_deadline(self) -> None:
        deadline, self._deadline = self._deadline, None
        if deadline is not None:
            deadline.cancel()

    def _abort(self) -> None:
        self._deadline = None
        self.transport.abortConnection()

    # IPushProducer, for the transport

    def pauseProducing(self) -> None:
        """
        The transport holds more than it likes to; called on each write while it does.

        @since: 0.2.0
        """
        self._is_full = True
        self._set_deadline()
        super().pauseProducing()  # type: ignore[no-untyped-call]

    def resumeProducing(self) -> None:
        """
        The transport is empty.

        @since: 0.2.0
        """
        self._is_full = False
        self._cancel_deadline()
        super().resumeProducing()  # type: ignore[no-untyped-call]
        if not self._is_asked:
            self.setTimeout(LONGEST_SILENCE)  # type: ignore[no-untyped-call]
        unanswered, self._unanswered = self._unanswered, None
        if unanswered is not None:
            self.answer_in_turn(unanswered)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It is gone.

        @since: 0.2.0
        """
        self._cancel_deadline()
        self._unanswered = None
        super().connectionLost(reason)  # type: ignore[no-untyped-call]


class StatusSite(Site):
    """
    A site that logs nothing for each request, and keeps to its share of each turn of the reactor.

    @ivar share: that share.
    @since: 0.2.0
    """

    noisy = False
    protocol = StatusChannel  # type: ignore[assignment]
    requestFactory = _Request

    def __init__(self, root: IResource, reactor: IReactorTime) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            root, reactor=DeadlineClock(reactor), timeout=LONGEST_SILENCE
        )
        self.share = TurnShare(reactor)

    def stopFactory(self) -> None:
        """
        Nobody is answered any more.

        @since: 0.2.0
        """
        super().stopFactory()
        self.share.stop()

    def log(self, request: object) -> None:
        """
        Log nothing.

        @since: 0.2.0
        """
