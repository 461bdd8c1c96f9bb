"""
When a connection tries again, where, and when it has tried often enough.

A connection that did not last counts as a failed attempt.  One that did forgets all failures before
it: then the delays begin anew, and every server is as good as any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .backoff import ExponentialBackoff

if TYPE_CHECKING:
    from ._fleet import Place
    from .options import PoolOptions


class Tries:
    """
    The attempts of one connection, as far as they matter for the next one.

    @param place: where it connects to, which moves on from servers that fail.
    @param uniform: the chance in backoff; C{None} for the real one.
    @ivar failures: how many have failed in a row.
    """

    def __init__(
        self,
        place: Place,
        options: PoolOptions,
        uniform: Callable[[float, float], float] | None,
    ) -> None:
        self.failures = 0
        self._place = place
        self._most = options.max_reconnect_attempts
        self._backoff = ExponentialBackoff(
            options.reconnect_interval,
            options.max_reconnect_interval,
            options.reconnect_backoff_multiplier,
            random=uniform,
        )

    @property
    def used_up(self) -> bool:
        """Whether C{max_reconnect_attempts} have failed in a row."""
        return self._most is not None and self.failures >= self._most

    def ended(self, lasted: bool) -> None:
        """
        An attempt failed, or a connection ended.

        @param lasted: whether it was open for long enough not to count as a failure.
        """
        if lasted:
            self.failures = 0
            self._backoff.reset()
            self._place.well()
        else:
            self.failures += 1

    def next(self, now: float) -> float:
        """
        Decide on the next attempt.  After a failure this may move the place to another server.

        @return: the time at which it is due.
        """
        due = now + self._backoff.next()
        return self._place.failed(due) if self.failures else due
