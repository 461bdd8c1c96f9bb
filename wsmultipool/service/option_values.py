"""
What somebody said, checked name by name: text from a command line, or values from a file.

Whether a number is in range is for the classes to say whose options these are.  No message shows a
header, nor a value from a file: it may be a secret, for which there is no wrong place.

@since: 0.1.0
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .._words import nearest
from ..options import WebSocketOptions
from .option_table import BY_NAME, Option

__all__ = [
    "ConfigurationError",
    "Values",
    "header_of",
    "headers_of",
    "merged",
    "parsed",
    "typed",
]

# Any other name may be a secret that stands where it should not.
_LIKE_AN_OPTION = re.compile(r"[A-Za-z][A-Za-z_-]{,39}")
_KINDS: Mapping[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a table",
}
_ANY_NAME = "X"

Values = dict[str, object]
"""What was said, by the names of the table; of options that may be repeated, a list."""


class ConfigurationError(Exception):
    """
    What was said can't be done, in one line fit for an operator.

    @since: 0.1.0
    """


def parsed(option: Option, text: str) -> object:
    """
    Make a value of text from a command line.

    @raise ValueError: it is not what the option takes.
    """
    if option.kind == "choice":
        # Words are written as names are, with dashes, where there are only such.
        word = text.replace("-", "_")
        if word not in option.choices:
            wanted = ", ".join(option.choices)
            raise ValueError(f"must be one of {wanted}, not {text!r}")
        return word
    if option.kind == "integer":
        try:
            return int(text)
        except ValueError:
            raise ValueError(f"must be an integer, not {text!r}") from None
    if option.kind == "number":
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"must be a number, not {text!r}") from None
    return text


def typed(name: str, value: object) -> tuple[Option, object]:
    """
    Check a name and a value from a file.

    @return: the option, and what its value is.
    @raise ConfigurationError: the name is not known, or its value is of the wrong type.
    """
    option = BY_NAME.get(name.replace("-", "_"))
    if option is None:
        shown = f" {name!r}" if _LIKE_AN_OPTION.fullmatch(name) else ", whose name is not like one"
        raise ConfigurationError(f"unknown option{shown}{nearest(name, BY_NAME)}")
    if option.name == "header" and isinstance(value, dict):
        value = [f"{header}: {text}" for header, text in value.items()]
    if option.repeatable:
        several = value if isinstance(value, list) else [value]
        return option, [_of_kind(option, name, one) for one in several]
    return option, _of_kind(option, name, value)


def _of_kind(option: Option, name: str, value: object) -> object:
    if option.kind == "flag":
        if isinstance(value, bool):
            return value
        raise ConfigurationError(f"{name} must be true or false, not {_kind_of(value)}")
    if option.kind in ("integer", "number"):
        # To Python true is a number, and to nobody else.
        types = (int,) if option.kind == "integer" else (int, float)
        if isinstance(value, types) and not isinstance(value, bool):
            return value
        wanted = "an integer" if option.kind == "integer" else "a number"
        raise ConfigurationError(f"{name} must be {wanted}, not {_kind_of(value)}")
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be text, not {_kind_of(value)}")
    try:
        return parsed(option, value)
    except ValueError:
        wanted = f"one of {', '.join(option.choices)}"
        hint = nearest(value, option.choices)
        raise ConfigurationError(f"{name} must be {wanted}{hint}") from None


def _kind_of(value: object) -> str:
    """Say what a value is, and not which."""
    return _KINDS.get(type(value), "a date or a time")


def merged(said: Values, in_file: Values, file: str) -> Values:
    """
    Put together what was said on the command line and in a file.

    @raise ConfigurationError: something was said in both.
    """
    both = sorted(set(said) & set(in_file))
    if both:
        flag = BY_NAME[both[0]].flag
        raise ConfigurationError(
            f"{flag} is given on the command line, and {both[0]} in {file}: give it once"
        )
    return {**in_file, **said}


def header_of(line: str, where: str) -> tuple[str, str]:
    """
    Split C{NAME: VALUE}.

    @param where: what to call the place in a message, which does not show the line.
    @raise ConfigurationError: there is no name, or no colon.
    """
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise ConfigurationError(f"{where} must be 'NAME: VALUE'")
    return name.strip(), value.strip()


def headers_of(lines: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """
    Put headers together.

    @param lines: each with the place where it stands.
    @raise ConfigurationError: one is malformed, no header can be like that, or it is given twice.
        The message says where it stands, and shows neither its value nor what may be one in the
        place of its name.
    """
    headers: dict[str, str] = {}
    for line, where in lines:
        name, value = header_of(line, where)
        try:
            # One by one: of what can't be a name only that is shown which means something in HTTP.
            WebSocketOptions(headers={name: ""})
            WebSocketOptions(headers={_ANY_NAME: value})
        except ValueError as error:
            what = str(error).removeprefix("headers: ")
            what = what.replace(f"the value of {_ANY_NAME!r}", "its value")
            raise ConfigurationError(f"{where}: {what}") from None
        if name.lower() in map(str.lower, headers):
            raise ConfigurationError(f"{where}: a header of this name is given before")
        headers[name] = value
    return headers
