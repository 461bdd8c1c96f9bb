"""
What the events of one pool's connections add up to: how often, and how long.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import lru_cache

from zope.interface import implementer

from .. import errors
from ..interfaces import IPooledConnection, IPoolObserver
from ..options import ServerURL
from .histogram import Histogram

__all__ = ["Measurements", "endpoint_of"]

_FAST = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_SLOW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_WAIT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_LIFE = (1.0, 5.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 21600.0, 86400.0, 604800.0)

_REASONS = {
    kind: re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.ConnectionFailed)
}


@implementer(IPoolObserver)
class Measurements:
    """
    Counts attempts and ends of connections, and keeps histograms of what took time.

    @ivar attempts: how many, by endpoint and outcome.
    @ivar attempt_seconds: how long they took, by the same.
    @ivar disconnects: how many connections that were open ended, by endpoint and reason.
    @ivar lifetimes: how long these were open, by endpoint.
    @ivar shorter: what else was measured, by what it was.
    @since: 0.1.0
    """

    def __init__(self) -> None:
        self.attempts: Counter[tuple[str, str]] = Counter()
        self.attempt_seconds: defaultdict[tuple[str, str], Histogram] = defaultdict(
            _histogram(_SLOW)
        )
        self.disconnects: Counter[tuple[str, str]] = Counter()
        self.lifetimes: defaultdict[str, Histogram] = defaultdict(_histogram(_LIFE))
        self.shorter = {
            "queue wait": Histogram(_WAIT),
            "round trip": Histogram(_FAST),
            "retry delay": Histogram(_SLOW),
        }

    def attempt_ended(
        self, connection: IPooledConnection, error: Exception | None, seconds: float
    ) -> None:
        """
        Count an attempt.

        @since: 0.1.0
        """
        key = endpoint_of(connection.url), "opened" if error is None else _reason(error)
        self.attempts[key] += 1
        self.attempt_seconds[key].observe(seconds)

    def connection_ended(
        self, connection: IPooledConnection, error: Exception | None, seconds: float
    ) -> None:
        """
        Count the end of a connection.

        @since: 0.1.0
        """
        endpoint = endpoint_of(connection.url)
        self.disconnects[endpoint, "closed" if error is None else _reason(error)] += 1
        self.lifetimes[endpoint].observe(seconds)

    def measured(self, what: str, seconds: float) -> None:
        """
        Count what else took time.

        @since: 0.1.0
        """
        self.shorter[what].observe(seconds)


@lru_cache(maxsize=256)
def endpoint_of(url: str) -> str:
    """
    @param url: as connections show it, without credentials and query string.
    @return: its host and port.
    @since: 0.1.0
    """
    return ServerURL.parse(url).endpoint_label


def _histogram(bounds: tuple[float, ...]) -> Callable[[], Histogram]:
    return lambda: Histogram(bounds)


def _reason(error: Exception) -> str:
    """Name an error by its class; there are only so many, and no text of a peer's is among them."""
    return next((_REASONS[kind] for kind in type(error).__mro__ if kind in _REASONS), "other")
