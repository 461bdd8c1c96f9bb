"""
Numbers as people read them.
"""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["bytes_in_words", "clock_time", "count", "duration", "per_second"]

_THIN = "\u2009"
NONE = "\u2013"
"""Stands where there is no value."""


def count(number: float) -> str:
    """
    @return: C{12345} as C{12,345}; from a million on in short.
    @since: 0.1.0
    """
    if number < 1_000_000:
        return f"{number:,.0f}"
    return _scaled(number, ("", "", "M", "G", "T"))


def per_second(rate: float) -> str:
    """
    @return: a rate, with one digit after the point while it is small.
    @since: 0.1.0
    """
    shown = f"{rate:.1f}" if 0 < rate < 9.95 else count(rate)
    return f"{shown}{_THIN}/s"


def bytes_in_words(number: float) -> str:
    """
    @return: C{1234567} as C{1.2 MB}.
    @since: 0.1.0
    """
    return _scaled(number, ("B", "kB", "MB", "GB", "TB"))


def duration(seconds: float | None) -> str:
    """
    @return: seconds in the one or two units that matter; a dash for C{None}.
    @since: 0.1.0
    """
    if seconds is None:
        return NONE
    if seconds < 0.0995:
        milliseconds = seconds * 1000
        return f"{milliseconds:.{2 if milliseconds < 1 else 1}f}{_THIN}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}{_THIN}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{_THIN}s"
    if whole < 3600:
        return f"{whole // 60}{_THIN}min {whole % 60:02}{_THIN}s"
    if whole < 86400:
        return f"{whole // 3600}{_THIN}h {whole % 3600 // 60:02}{_THIN}min"
    return f"{whole // 86400}{_THIN}d {whole % 86400 // 3600}{_THIN}h"


def clock_time(seconds: float) -> str:
    """
    @param seconds: since the epoch.
    @return: the time of day, in UTC.
    @since: 0.1.0
    """
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S}"


def _scaled(number: float, units: tuple[str, ...]) -> str:
    power = 0
    while number >= 999.5 and power < len(units) - 1:
        number /= 1000
        power += 1
    unit = units[power]
    digits = 0 if unit in ("B", "") or number >= 99.5 else 1
    return f"{number:,.{digits}f}{_THIN}{unit}"
