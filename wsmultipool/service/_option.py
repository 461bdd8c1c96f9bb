"""
One option of the service: what is known of it, and how it follows from a field of a dataclass.

Its name, type and default are those of the field; only the words that describe it to an operator
have to be given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Group", "Kind", "Option", "derived"]

Kind = Literal["text", "integer", "number", "flag", "choice"]

# What the annotations of the dataclasses mean for text that somebody types.
_KINDS: Mapping[str, Kind] = {
    "int": "integer",
    "float": "number",
    "bool": "flag",
    "str": "text",
    "str | IStreamClientEndpoint": "text",
    "str | ProxyOptions": "text",
    "bool | Compression": "flag",
}
_SECONDS = ("_interval", "_timeout", "_uptime", "_lifetime", "drain")
_BYTES = ("_bytes", "message_size", "buffer_size", "_threshold")


@dataclass(frozen=True, kw_only=True)
class Option:
    """
    One thing that can be said.

    @ivar name: with underscores, as in a file.
    @ivar kind: what its value is.
    @ivar help: for an operator, without a full stop.
    @ivar metavar: stands for the value in the help.
    @ivar default: its value if nothing is said; C{None} for none, or for one that C{help} tells.
    @ivar repeatable: whether it may be given several times, in a file as a list.
    @ivar choices: the words it may be, if it is a choice.
    @ivar live: whether another value takes effect without a restart.  Of a file, what is in it
        always does.
    @ivar within: the option without which this one means nothing: when that one takes a restart,
        so does this; C{""} for none.
    @ivar owner: the dataclass that it is an option of; C{None} for one of the program.
    @ivar field: what that calls it.
    """

    name: str
    kind: Kind
    help: str
    metavar: str
    default: object = None
    repeatable: bool = False
    choices: tuple[str, ...] = ()
    live: bool = False
    within: str = ""
    owner: type | None = None
    field: str = ""

    @property
    def flag(self) -> str:
        """Its name on a command line."""
        return f"--{self.name.replace('_', '-')}"


@dataclass(frozen=True)
class Group:
    """
    Options that belong together.

    @ivar title: the heading in the help.
    """

    title: str
    options: tuple[Option, ...]


def derived(
    cls: type[DataclassInstance],
    descriptions: Mapping[str, str],
    *,
    names: Mapping[str, str] | None = None,
    defaults: Mapping[str, object] | None = None,
    live: frozenset[str] = frozenset(),
    within: str = "",
) -> tuple[Option, ...]:
    """
    Make options of the fields of a dataclass.

    @param descriptions: for each field that makes sense outside of Python, what it is.
    @param names: what to call a field, where that is not its own name.
    @param defaults: for each field that has another default here, that.
    @param live: the fields of which a change takes effect at once.
    @param within: the option that all of them need.
    """
    known = {field.name: field for field in fields(cls)}
    options = []
    for field_name, description in descriptions.items():
        field = known[field_name]
        annotation = str(field.type).removesuffix(" | None")
        repeatable = annotation in ("Sequence[str]", "tuple[str, ...]")
        choices = _literals(annotation)
        kind: Kind = "choice" if choices else "text" if repeatable else _KINDS[annotation]
        name = (names or {}).get(field_name, field_name)
        default = None if field.default is MISSING or repeatable else field.default
        default = (defaults or {}).get(field_name, default)
        options.append(
            Option(
                name=name,
                kind=kind,
                help=description,
                metavar=_metavar(name, kind, choices),
                default=default,
                repeatable=repeatable,
                choices=choices,
                live=field_name in live,
                within=within,
                owner=cls,
                field=field_name,
            )
        )
    return tuple(options)


def _literals(annotation: str) -> tuple[str, ...]:
    """Return the words of a C{Literal}."""
    return tuple(re.findall(r"\w+", annotation)[1:]) if annotation.startswith("Literal[") else ()


def _metavar(name: str, kind: Kind, choices: tuple[str, ...] = ()) -> str:
    if choices:
        return "|".join(choices)
    if name.endswith(_SECONDS):
        return "SECONDS"
    if name.endswith(_BYTES):
        return "BYTES"
    return {"integer": "N", "number": "X", "flag": "", "choice": ""}.get(kind, "TEXT")
