"""
Tests for L{wsmultipool.service.histogram}.
"""

from __future__ import annotations

from wsmultipool.service.histogram import Histogram


def test_durations_are_counted_up_to_each_bound() -> None:
    """A bound includes what is equal to it; the last bucket holds everything."""
    histogram = Histogram((0.1, 1.0, 10.0))
    for seconds in (0.05, 0.1, 0.5, 1.0, 1.1, 100.0):
        histogram.observe(seconds)
    assert histogram.cumulative() == [("0.1", 2), ("1.0", 4), ("10.0", 5), ("+Inf", 6)]
    assert histogram.total == 102.75


def test_an_empty_histogram_has_all_its_buckets() -> None:
    """Series are there before anything happens."""
    assert Histogram((1.0,)).cumulative() == [("1.0", 0), ("+Inf", 0)]
