"""
A message on the caller's side, as WAMP carries it through every serializer.

In WAMP's JSON, text that begins with NUL is binary in base64.  Whether JSON is spoken somewhere on
the way, a caller can't know.  So such text is sent as bytes, to be sent as text by the pool.
"""

from __future__ import annotations

from typing import NamedTuple

from ..messages import SendData

__all__ = ["Key", "Outbound", "outbound", "outbound_key"]

Key = str | bytes | int
"""What a key may be, when it has to cross a router."""


class Outbound(NamedTuple):
    """
    What goes through the router, and what the pool is to send it as; C{None} for as it is.
    """

    data: str | bytes
    binary: bool | None


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
