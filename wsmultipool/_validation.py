"""
Checks that the option classes share.

Each takes the name of an option and its value, and either returns or raises an error that names
both: C{TypeError} for the wrong kind of thing, C{ValueError} for one that is out of range.  A value
that may hold a secret is described by its type only.
"""

from __future__ import annotations

import math
import re
import sys
import warnings
from collections.abc import Sequence
from dataclasses import MISSING, fields
from functools import wraps
from typing import TYPE_CHECKING, TypeVar

from zope.interface.interface import InterfaceClass

from ._other_names import belong_to, suggested_option
from ._words import nearest

if TYPE_CHECKING:
    from types import FrameType

    from _typeshed import DataclassInstance

__all__ = [
    "check_bool",
    "check_choice",
    "check_integer",
    "check_number",
    "check_provides",
    "check_text",
    "check_token",
    "repr_of_changed",
    "suggesting",
    "warn_of_milliseconds",
]

_T = TypeVar("_T")

# RFC 9110, section 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
TOKEN = "a token (letters, digits and !#$%&'*+.^_`|~-)"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def check_number(
    option: str, value: object, *, above: float | None = None, at_least: float | None = None
) -> None:
    """
    Check that an option is a finite number, and in range.

    @param above: what it must exceed.
    @param at_least: the least it may be.
    """
    # bool is an int to Python, but open_timeout=True is a mistake, not one second.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{option} must be a number, not {value!r}")
    try:
        finite = math.isfinite(value)
    except OverflowError:  # an int beyond any float
        finite = False
    if not finite:
        # Not the digits of an endless int: Python refuses to print those.
        shown = repr(value) if isinstance(value, float) else "an integer beyond any float"
        raise ValueError(f"{option} must be a finite number, not {shown}")
    if above is not None and not value > above:
        raise ValueError(f"{option} must be greater than {above:g}, not {value!r}")
    if at_least is not None and not value >= at_least:
        raise ValueError(f"{option} must be at least {at_least:g}, not {value!r}")


def warn_of_milliseconds(option: str, seconds: float, *, beyond: float) -> None:
    """
    Warn the user's code of a number of seconds that is probably one of milliseconds, in which the
    Node package counts.

    @param beyond: from which on nobody means seconds.
    """
    if seconds >= beyond:
        level, frame = 1, sys._getframe()
        while frame.f_back is not None and _is_ours(frame):
            level, frame = level + 1, frame.f_back
        warnings.warn(
            f"{option}={seconds!r} is in seconds: if milliseconds are meant, give"
            f" {option}={seconds / 1000:g}",
            stacklevel=level,
        )


def _is_ours(frame: FrameType) -> bool:
    package, _, _ = __name__.partition(".")
    return bool(frame.f_globals["__name__"].partition(".")[0] == package)


def check_integer(option: str, value: object, *, at_least: int, at_most: int | None = None) -> None:
    """
    Check that an option is an integer in a range.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{option} must be an integer, not {value!r}")
    if value < at_least or (at_most is not None and value > at_most):
        wanted = f"at least {at_least}" if at_most is None else f"from {at_least} to {at_most}"
        raise ValueError(f"{option} must be {wanted}, not {value!r}")


def check_bool(option: str, value: object) -> None:
    """
    Check that an option is C{True} or C{False}, rather than merely true or false.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{option} must be True or False, not {value!r}")


def check_choice(option: str, value: object, choices: Sequence[str]) -> None:
    """
    Check that an option is one of a few words.
    """
    if not isinstance(value, str):
        raise TypeError(f"{option} must be a str, not {value!r}")
    if value not in choices:
        wanted = ", ".join(map(repr, choices))
        raise ValueError(
            f"{option} must be one of {wanted}, not {value!r}{nearest(value, choices)}"
        )


def check_text(option: str, value: object) -> None:
    """
    Check that an option is a C{str} with something in it, fit for one line.
    """
    if not isinstance(value, str):
        raise TypeError(f"{option} must be a str, not {value!r}")
    if not value.strip() or _CONTROL.search(value):
        raise ValueError(f"{option} must not be empty or contain control characters, not {value!r}")


def check_token(option: str, value: object) -> None:
    """
    Check that an option is a token in the sense of HTTP.
    """
    if not isinstance(value, str):
        raise TypeError(f"{option} must be a str, not {value!r}")
    if not is_token(value):
        raise ValueError(f"{option} must be {TOKEN}, not {value!r}")


def is_token(text: str) -> bool:
    """
    Say whether a text is a token in the sense of HTTP.
    """
    return _TOKEN.fullmatch(text) is not None


def check_provides(option: str, value: object, interface: InterfaceClass) -> None:
    """
    Check that an option is an object that provides an interface.
    """
    if not interface.providedBy(value):
        raise TypeError(f"{option}: {value!r} does not provide {interface.__name__}")


def suggesting(cls: type[_T]) -> type[_T]:
    """
    Have a dataclass, when it is called with a name it does not know, suggest one that it does.
    """
    original = cls.__init__
    known = [option.name for option in fields(cls) if option.init]  # type: ignore[arg-type]
    belong_to(cls.__name__, known)

    @wraps(original)
    def checking(self: _T, *args: object, **options: object) -> None:
        for name in options:
            if name not in known:
                hint = suggested_option(cls.__name__, name)
                raise TypeError(f"unknown option {name!r} of {cls.__name__}{hint}")
        original(self, *args, **options)

    cls.__init__ = checking  # type: ignore[assignment]
    return cls


def repr_of_changed(options: DataclassInstance, **shown: str) -> str:
    """
    Show those options of an object that differ from their defaults.

    @param shown: for an option whose value must not be shown, what to show instead.
    """
    parts = []
    for field in fields(options):
        value = getattr(options, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if field.repr and value != default:
            parts.append(f"{field.name}={shown.get(field.name, repr(value))}")
    return f"{type(options).__name__}({', '.join(parts)})"
