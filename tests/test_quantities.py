"""
Tests for L{wsmultipool.service.quantities}.
"""

from __future__ import annotations

import pytest

from wsmultipool.service.quantities import (
    bytes_in_words,
    clock_time,
    count,
    duration,
    per_second,
)


def plain(text: str) -> str:
    """
    Replace the thin spaces before units.
    """
    return text.replace("\N{THIN SPACE}", " ")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0"),
        (999, "999"),
        (12345, "12,345"),
        (999_999, "999,999"),
        (1_000_000, "1.0 M"),
        (123_456_789, "123 M"),
        (4.2e9, "4.2 G"),
        (4.2e15, "4,200 T"),
    ],
)
def test_counts(number: float, words: str) -> None:
    """Exact as long as that can be read at a glance."""
    assert plain(count(number)) == words


@pytest.mark.parametrize(
    ("rate", "words"), [(0, "0 /s"), (0.25, "0.2 /s"), (9.94, "9.9 /s"), (9.96, "10 /s")]
)
def test_rates(rate: float, words: str) -> None:
    """Something that happens now and then is not shown as nothing."""
    assert plain(per_second(rate)) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1234, "1.2 kB"),
        (99_900, "100 kB"),
        (1e6, "1.0 MB"),
        (5e12, "5.0 TB"),
    ],
)
def test_bytes(number: float, words: str) -> None:
    """In powers of a thousand, as their names say."""
    assert plain(bytes_in_words(number)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),  # noqa: RUF001 - a dash
        (0.0, "0.00 ms"),
        (0.00042, "0.42 ms"),
        (0.0123, "12.3 ms"),
        (0.25, "0.2 s"),
        (9.94, "9.9 s"),
        (59, "59 s"),
        (61, "1 min 01 s"),
        (3599.6, "1 h 00 min"),
        (86399, "23 h 59 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_durations(seconds: float | None, words: str) -> None:
    """One or two units, whichever matter."""
    assert plain(duration(seconds)) == words


def test_the_time_of_day_is_that_of_utc() -> None:
    """The same for every reader and every server."""
    assert clock_time(86400 * 20000 + 3661.9) == "01:01:01"
