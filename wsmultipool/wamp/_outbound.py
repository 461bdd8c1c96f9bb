"""
Messages on the caller's side, as WAMP carries them through every serializer.

In WAMP's JSON, text that begins with NUL is binary in base64.  Whether JSON is spoken somewhere on
the way, a caller can't know.  So such text is sent as bytes, to be sent as text by the pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar, cast

from ..messages import SendData

__all__ = ["Batch", "Key", "Outbound", "outbound", "outbound_batch", "outbound_key"]

_T = TypeVar("_T")

Key = str | bytes | int
"""What a key may be, when it has to cross a router."""


class Outbound(NamedTuple):
    """
    What goes through the router, and what the pool is to send it as; C{None} for as it is.
    """

    data: str | bytes
    binary: bool | None


class Batch(NamedTuple):
    """
    Several messages.  C{binary} and C{key} are one for all of them, or a list with one for each.
    """

    messages: list[str | bytes]
    binary: bool | list[bool | None] | None
    key: Key | list[Key | None] | None

    def only(self, places: Sequence[int]) -> Batch:
        """Make a batch of some of the messages."""
        if len(places) == len(self.messages):
            return self

        def of_these(each: Any) -> Any:
            return [each[place] for place in places] if isinstance(each, list) else each

        messages = [self.messages[place] for place in places]
        return Batch(messages, of_these(self.binary), of_these(self.key))

    def options(self) -> dict[str, Any]:
        """Return what the procedure is told besides the messages."""
        given = {"binary": self.binary, "key": self.key}
        return {name: value for name, value in given.items() if value is not None}


def outbound(data: SendData, binary: bool | None) -> Outbound:
    """
    @param binary: send as binary or as text; C{None} for "by the type of C{data}".
    @raise TypeError: C{data} is none of L{SendData}, or C{binary} is no bool.
    @raise ValueError: C{data} can't be encoded as, or is not, UTF-8.
    """
    if binary is not None and not isinstance(binary, bool):
        raise TypeError(f"binary: True, False or None is wanted, not {binary!r}")
    if isinstance(data, str):
        try:
            octets = data.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"data: text that can't be UTF-8: {error.reason}") from None
        if data.startswith("\0"):
            return Outbound(octets, bool(binary))
        return Outbound(data, binary or None)
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(
            f"data: str, bytes, bytearray or memoryview is wanted, not {type(data).__name__}"
        )
    octets = bytes(data)
    if binary is False:
        try:
            octets.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"data: bytes sent as text must be UTF-8: {error.reason}") from None
    return Outbound(octets, binary)


def outbound_key(key: Key | None) -> Key | None:
    """
    @return: the key as it travels.  Bytes and the same text mean the same shard.
    @raise TypeError: C{key} is none that can travel.
    """
    if isinstance(key, bool) or not isinstance(key, str | bytes | int | None):
        raise TypeError(f"key: str, bytes or int is wanted, not {type(key).__name__}")
    if isinstance(key, str) and key.startswith("\0"):
        return key.encode()
    return key


def outbound_batch(
    messages: Sequence[SendData],
    binary: bool | None,
    key: Key | None,
    keys: Sequence[Key | None] | None,
) -> Batch:
    """
    @raise TypeError: as L{outbound} and L{outbound_key}.
    @raise ValueError: as L{outbound}; or C{keys} are not as many as the messages.
    """
    if isinstance(messages, (str, bytes, bytearray, memoryview)):
        raise TypeError("messages: a sequence of messages is wanted, not one message")
    if keys is not None and (key is not None or len(keys) != len(messages)):
        raise ValueError("keys: one for each message is wanted, and no key besides")
    of_each = (
        outbound_key(key) if keys is None else _one_or_each([outbound_key(each) for each in keys])
    )
    if binary is None and set(map(type, messages)) == {bytes}:
        # Nothing about them needs a look.
        return Batch(cast("list[str | bytes]", list(messages)), None, of_each)
    each = [outbound(data, binary) for data in messages]
    return Batch([one.data for one in each], _one_or_each([one.binary for one in each]), of_each)


def _one_or_each(values: Sequence[_T]) -> _T | list[_T] | None:
    if not values:
        return None
    return values[0] if values.count(values[0]) == len(values) else list(values)
