"""
How long to wait before the next attempt: exponential backoff with full jitter.

The method, and the evidence that full jitter makes the fewest calls of all variants, is from
Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015,
U{https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/}.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from random import SystemRandom

__all__ = ["ExponentialBackoff"]

# Not the functions of the random module: Autobahn reseeds the generator behind them.  One without
# state of its own, so that processes forked from one parent do not wait for the same times either.
_generator = SystemRandom()


class ExponentialBackoff:
    """
    The delays between consecutive attempts of one connection.

    The ceiling of a delay is C{min(maximum, initial * multiplier ** attempts)}; the delay itself is
    drawn evenly from zero up to that ceiling, so that clients which were disconnected together do
    not come back together.

    @since: 0.1.0
    """

    __slots__ = ("_attempts", "_initial", "_jitter", "_maximum", "_multiplier", "_random")

    def __init__(
        self,
        initial: float,
        maximum: float,
        multiplier: float = 2.0,
        jitter: bool = True,
        *,
        random: Callable[[float, float], float] | None = None,
    ) -> None:
        """
        @param initial: the first ceiling, in seconds; above 0.
        @param maximum: the highest ceiling, in seconds; not below C{initial}.
        @param multiplier: growth of the ceiling per attempt; above 1.
        @param jitter: false to get each ceiling itself as the delay.
        @param random: called with 0.0 and the ceiling, in seconds, returns the delay; C{None} for
            an even distribution.  Not used without C{jitter}.
        @raise TypeError: an argument is of another type.
        @raise ValueError: a number is not finite or out of range.
        """
        self._initial = _finite("initial", initial)
        self._maximum = _finite("maximum", maximum)
        self._multiplier = _finite("multiplier", multiplier)
        if self._initial <= 0:
            raise ValueError(f"initial must be above 0, not {initial!r}")
        if self._maximum < self._initial:
            raise ValueError(f"maximum must not be below initial ({initial!r}), not {maximum!r}")
        if self._multiplier <= 1:
            raise ValueError(f"multiplier must be above 1, not {multiplier!r}")
        if not isinstance(jitter, bool):
            raise TypeError(f"jitter must be a bool, not {jitter!r}")
        if random is not None and not callable(random):
            raise TypeError(f"random must be callable or None, not {random!r}")
        self._jitter = jitter
        self._random = _generator.uniform if random is None else random
        self._attempts = 0

    @property
    def attempts(self) -> int:
        """
        How many delays were taken since the beginning or the last L{reset}.

        @since: 0.1.0
        """
        return self._attempts

    def next(self) -> float:
        """
        Take the next delay.

        @return: the delay, in seconds.
        @since: 0.1.0
        """
        try:
            ceiling = min(self._maximum, self._initial * self._multiplier**self._attempts)
        except OverflowError:
            # A float power raises where a float product would be infinite: 2.0**1024.
            ceiling = self._maximum
        self._attempts += 1
        return self._random(0.0, ceiling) if self._jitter else ceiling

    def reset(self) -> None:
        """
        Begin again at C{initial}: the connection has proved itself.

        @since: 0.1.0
        """
        self._attempts = 0


def _finite(name: str, value: object) -> float:
    # bool is an int to Python, but ExponentialBackoff(True, ...) is a mistake.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    try:
        number = float(value)
    except OverflowError:  # an int beyond the floats
        number = float("inf")
    if not isfinite(number):
        raise ValueError(f"{name} must be a finite number, not {value!r}")
    return number
