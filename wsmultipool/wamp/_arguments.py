"""
What callers send, checked before anything of it reaches the pool.

A procedure takes any arguments, and looks at them here: what Python would say of a wrong number of
them has no URI of its own.  No message shows a payload.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .._words import nearest
from ._checks import check_seconds
from .errors import BatchTooLarge, InvalidArgument, PayloadTooLarge

__all__ = ["Payload", "arguments_of", "batch_of", "check_payload", "check_ping"]

Payload = str | bytes
"""What WAMP carries as text or as binary."""

_BOOLS = {"confirm"}
_BOOLS_OR_NONE = {"binary"}
_BATCHED = ("binary", "key")
_LONGEST_PING = 125


class _Batch(NamedTuple):
    """
    The messages of one call, and the arguments of C{send} for each.
    """

    messages: Sequence[Payload]
    options: list[dict[str, Any]]


def arguments_of(
    verb: str,
    arguments: Sequence[object],
    options: Mapping[str, object],
    known: Sequence[str],
    wanted: Sequence[str] = (),
    batch: bool = False,
) -> dict[str, Any]:
    """
    Check the arguments of a call, except for the payload.

    @param known: the names of the options.
    @param wanted: the names of the positional arguments.
    @param batch: whether C{binary} and C{key} may be lists.
    @return: the options that are not C{None}.
    @raise InvalidArgument: it says of which.
    """
    if len(arguments) != len(wanted):
        expected = f"one argument ({wanted[0]})" if wanted else "no positional argument"
        raise InvalidArgument(f"{verb} takes {expected}, not {len(arguments)}")
    for name, value in options.items():
        if name not in known:
            raise InvalidArgument(f"{verb} has no option {name!r}{nearest(name, known)}")
        if batch and name in _BATCHED and isinstance(value, (list, tuple)):
            for each in value:
                _check_option(name, each)
        else:
            _check_option(name, value)
    return {name: value for name, value in options.items() if value is not None}


def _check_option(name: str, value: object) -> None:
    if name in _BOOLS and not isinstance(value, bool):
        raise InvalidArgument(f"{name} must be true or false, not {type(value).__name__}")
    if name in _BOOLS_OR_NONE and not isinstance(value, bool | None):
        raise InvalidArgument(f"{name} must be true, false or null, not {type(value).__name__}")
    if name == "key" and (
        isinstance(value, bool) or not isinstance(value, str | int | bytes | None)
    ):
        raise InvalidArgument(f"key must be text, binary or an integer, not {type(value).__name__}")
    if name == "timeout" and value is not None:
        try:
            check_seconds("timeout", value)
        except (TypeError, ValueError) as error:
            raise InvalidArgument(str(error)) from None


def check_payload(data: object, binary: bool | None, limit: int, name: str = "data") -> int:
    """
    Check one payload.

    @return: its size in bytes.
    @raise InvalidArgument: it is neither text nor binary, or can't be sent as what it is to be.
    @raise PayloadTooLarge: it is larger than C{limit}.
    """
    if isinstance(data, str):
        try:
            size = len(data.encode())
        except UnicodeEncodeError:
            raise InvalidArgument(f"{name}: this text can't be UTF-8") from None
    elif isinstance(data, bytes):
        size = len(data)
    else:
        raise InvalidArgument(f"{name} must be text or binary, not {type(data).__name__}")
    if size > limit:
        raise PayloadTooLarge(size, limit)
    if binary is False and isinstance(data, bytes):
        try:
            data.decode()
        except UnicodeDecodeError:
            raise InvalidArgument(f"{name}: binary that is sent as text must be UTF-8") from None
    return size


def check_ping(data: object) -> None:
    """
    Check the payload of a ping, of which RFC 6455 (section 5.5) says how long it may be.

    @raise InvalidArgument: it is neither text nor binary, or too long.
    """
    try:
        check_payload(data, None, _LONGEST_PING)
    except PayloadTooLarge as error:
        raise InvalidArgument(
            f"data: a ping carries no more than {error.limit} bytes, not {error.size}"
        ) from None


def batch_of(messages: object, options: dict[str, Any], most: int, limit: int) -> _Batch:
    """
    Check the messages of one call together.

    @param options: of the call; C{binary} and C{key} may be lists, with one entry for each message.
    @param most: how many messages there may be.
    @param limit: bytes that they may have together.
    @raise InvalidArgument: one of them is not right.
    @raise BatchTooLarge: there are too many.
    @raise PayloadTooLarge: they are too large together.
    """
    if not isinstance(messages, (list, tuple)):
        raise InvalidArgument(f"messages must be a list, not {type(messages).__name__}")
    if len(messages) > most:
        raise BatchTooLarge(len(messages), most)
    lists = {
        name: options[name] for name in _BATCHED if isinstance(options.get(name), (list, tuple))
    }
    for name, values in lists.items():
        if len(values) != len(messages):
            raise InvalidArgument(
                f"{name}: {len(values)} of them for {len(messages)} messages; one each is wanted"
            )
    each = [options] * len(messages)
    if lists:
        each = [
            {**options, **{name: values[number] for name, values in lists.items()}}
            for number in range(len(messages))
        ]
    if set(map(type, messages)) == {bytes} and options.get("binary") in (None, True):
        size = sum(map(len, messages))  # any bytes can be sent as that
    else:
        size = sum(
            check_payload(data, of_this.get("binary"), limit, f"message {number}")
            for number, (data, of_this) in enumerate(zip(messages, each, strict=True))
        )
    if size > limit:
        raise PayloadTooLarge(size, limit)
    return _Batch(messages, each)
