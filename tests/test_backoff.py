"""
Tests for L{wsmultipool.backoff}.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsmultipool.backoff import ExponentialBackoff


def upper_bound(low: float, high: float) -> float:
    """
    Stand in for a random generator: always the longest delay.
    """
    return high


def test_ceilings_grow_up_to_the_maximum() -> None:
    """
    Without jitter, the delays are the initial one, multiplied each time, and at most the maximum.
    """
    backoff = ExponentialBackoff(1.0, 10.0, 2.0, jitter=False)
    assert [backoff.next() for _ in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_jitter_draws_between_zero_and_the_ceiling() -> None:
    """
    With jitter, the given source of randomness is asked for a delay from zero up to the ceiling.
    """
    asked: list[tuple[float, float]] = []

    def middle(low: float, high: float) -> float:
        asked.append((low, high))
        return (low + high) / 2

    backoff = ExponentialBackoff(1.0, 3.0, random=middle)
    assert [backoff.next() for _ in range(3)] == [0.5, 1.0, 1.5]
    assert asked == [(0.0, 1.0), (0.0, 2.0), (0.0, 3.0)]


def test_attempts_are_counted_and_reset() -> None:
    """
    Each delay counts as an attempt; after C{reset} it begins again at the initial ceiling.
    """
    backoff = ExponentialBackoff(1.0, 30.0, random=upper_bound)
    assert backoff.attempts == 0
    assert [backoff.next(), backoff.next()] == [1.0, 2.0]
    assert backoff.attempts == 2
    backoff.reset()
    assert backoff.attempts == 0
    assert backoff.next() == 1.0


def test_thousands_of_attempts_do_not_overflow() -> None:
    """
    A server that is gone for days still gets attempts, at the maximum delay.
    """
    backoff = ExponentialBackoff(1, 30, 2, random=upper_bound)
    delays = [backoff.next() for _ in range(5000)]
    assert delays[-1] == 30.0
    assert max(delays) == 30.0


def test_a_product_beyond_the_floats_is_the_maximum() -> None:
    """
    The maximum also holds where the product, not the power, leaves the range of floats.
    """
    backoff = ExponentialBackoff(1e200, 1.5e200, 1e150, jitter=False)
    assert [backoff.next(), backoff.next()] == [1e200, 1.5e200]


def test_the_default_delays_differ() -> None:
    """
    Two backoffs of their own randomness do not run in step.
    """
    one, other = ExponentialBackoff(1.0, 30.0), ExponentialBackoff(1.0, 30.0)
    assert [one.next() for _ in range(20)] != [other.next() for _ in range(20)]


def test_maximum_may_equal_initial() -> None:
    """
    An equal maximum makes all ceilings the same.
    """
    backoff = ExponentialBackoff(2.0, 2.0, jitter=False)
    assert [backoff.next() for _ in range(3)] == [2.0, 2.0, 2.0]


@settings(derandomize=True)
@given(
    initial=st.floats(min_value=1e-6, max_value=1e6),
    span=st.floats(min_value=1.0, max_value=1e6),
    multiplier=st.floats(min_value=1.001, max_value=1e300),
    attempts=st.integers(min_value=1, max_value=60),
)
def test_delays_stay_within_bounds(
    initial: float, span: float, multiplier: float, attempts: int
) -> None:
    """
    Whatever the arguments, ceilings begin at the initial one, never shrink, and end at the maximum;
    a delay lies between zero and its ceiling.
    """
    maximum = initial * span
    ceilings = ExponentialBackoff(initial, maximum, multiplier, jitter=False)
    delays = ExponentialBackoff(initial, maximum, multiplier)
    previous = initial
    for attempt in range(attempts):
        ceiling = ceilings.next()
        assert previous <= ceiling <= maximum
        assert attempt > 0 or ceiling == initial
        assert 0.0 <= delays.next() <= ceiling
        previous = ceiling
    assert ceilings.attempts == delays.attempts == attempts


@pytest.mark.parametrize("name", ["initial", "maximum", "multiplier"])
@pytest.mark.parametrize("value", [True, "1", None, 1j])
def test_what_is_no_number_is_refused(name: str, value: object) -> None:
    """
    A number of another type, a bool included, is refused, with its name and value.
    """
    arguments: dict[str, Any] = {"initial": 1.0, "maximum": 30.0, "multiplier": 2.0, name: value}
    with pytest.raises(TypeError) as caught:
        ExponentialBackoff(**arguments)
    assert str(caught.value) == f"{name} must be a number, not {value!r}"


@pytest.mark.parametrize("name", ["initial", "maximum", "multiplier"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400])
def test_what_is_not_finite_is_refused(name: str, value: float) -> None:
    """
    Not-a-number, the infinities and integers beyond the floats are refused by name.
    """
    arguments: dict[str, Any] = {"initial": 1.0, "maximum": 30.0, "multiplier": 2.0, name: value}
    complaint = f"{name} must be a finite number, not {value!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(complaint)}$"):
        ExponentialBackoff(**arguments)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"initial": 0}, "initial must be above 0, not 0"),
        ({"initial": -1.0}, "initial must be above 0, not -1.0"),
        ({"maximum": 0.5}, "maximum must not be below initial (1.0), not 0.5"),
        ({"multiplier": 1}, "multiplier must be above 1, not 1"),
        ({"multiplier": 0.5}, "multiplier must be above 1, not 0.5"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments: dict[str, float], complaint: str) -> None:
    """
    Numbers that make no growing delays are refused, with name and value.
    """
    complete: dict[str, Any] = {"initial": 1.0, "maximum": 30.0, **arguments}
    with pytest.raises(ValueError, match=f"^{re.escape(complaint)}$"):
        ExponentialBackoff(**complete)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"jitter": 1}, "jitter must be a bool, not 1"),
        ({"random": 4}, "random must be callable or None, not 4"),
    ],
)
def test_other_arguments_of_wrong_type_are_refused(
    arguments: dict[str, Any], complaint: str
) -> None:
    """
    C{jitter} and C{random} are checked as well.
    """
    with pytest.raises(TypeError) as caught:
        ExponentialBackoff(1.0, 30.0, **arguments)
    assert str(caught.value) == complaint
