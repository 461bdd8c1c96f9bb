"""
What is looked for in every case: failures in the log, and secrets in any text.
"""

from __future__ import annotations

from types import TracebackType

from twisted.logger import ILogObserver, LogEvent, eventAsText, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from wsmultipool._urls import basic_authorization

PROXY_CREDENTIALS = ("proxy-user", "Secret-of-the-proxy")
SECRET_URL = "ws://somebody:Secret-of-the-user@fuzz.test/feed?token=Secret-of-the-query"
SECRET_HEADER = "Bearer Secret-of-the-header"

_SECRETS = (
    "Secret-of",
    basic_authorization(PROXY_CREDENTIALS),
    basic_authorization(("somebody", "Secret-of-the-user")),
)


class Meddled(Exception):
    """
    What user code raises here.
    """


def check_text(text: str, what: str) -> None:
    """
    @raise AssertionError: it tells a secret.
    """
    for secret in _SECRETS:
        assert secret not in text, f"{what} tells a secret: {text[:500]!r}"


@implementer(ILogObserver)
class Watch:
    """
    Listens to Twisted's log while it is open.
    """

    def __init__(self) -> None:
        self._events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        self._events.append(event)

    def __enter__(self) -> Watch:
        globalLogPublisher.addObserver(self)
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        globalLogPublisher.removeObserver(self)

    def check(self) -> None:
        """
        @raise AssertionError: a failure was logged that is not that of user code, or a secret.
        """
        for event in self._events:
            failure = event.get("log_failure", event.get("failure"))
            if isinstance(failure, Failure):
                if not failure.check(Meddled):
                    raise AssertionError(f"in the log: {eventAsText(event)}") from failure.value
            else:
                check_text(eventAsText(event, includeTimestamp=False), "the log")
