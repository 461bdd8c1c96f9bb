"""
Checks of what callers give to the verbs; those of options are in L{wsmultipool._validation}.
"""

from __future__ import annotations

from ._validation import check_bool, check_integer, check_number
from .messages import SendData

LONGEST_CONTROL_PAYLOAD = 125
"""Octets that a ping, a pong or a Close frame can carry (RFC 6455, section 5.5)."""

# 1004, 1005, 1006 and 1015 never appear on the wire (RFC 6455, section 7.4.1).
_STATUS_CODES = {*range(1000, 1004), *range(1007, 1015)}


def check_timeout(timeout: float | None) -> None:
    """
    @raise TypeError: not a number.
    @raise ValueError: not positive, or not finite.
    """
    if timeout is not None:
        check_number("timeout", timeout, above=0)


def check_flags(compress: bool | None, mask: bool, fin: bool, confirm: bool) -> None:
    """
    @raise TypeError: one of them is merely true or false.
    """
    if compress is not None:
        check_bool("compress", compress)
    check_bool("mask", mask)
    check_bool("fin", fin)
    check_bool("confirm", confirm)


def check_ping(data: object, timeout: float | None) -> bytes:
    """
    @return: the payload.
    @raise TypeError: C{data} is neither text nor bytes, or C{timeout} not a number.
    @raise ValueError: more than 125 octets, or a C{timeout} that is not positive and finite.
    """
    if isinstance(data, str):
        data = data.encode()
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"data: str or bytes are wanted for a ping, not {type(data).__name__}")
    payload = bytes(data)
    if len(payload) > LONGEST_CONTROL_PAYLOAD:
        raise ValueError(
            f"data: a ping carries at most {LONGEST_CONTROL_PAYLOAD} bytes, not {len(payload)}"
        )
    check_timeout(timeout)
    return payload


def check_close(code: int, reason: str, drain: float | None = None) -> None:
    """
    @raise TypeError: C{code} is not an int, C{reason} not a str, or C{drain} not a number.
    @raise ValueError: C{code} may not be sent (RFC 6455, section 7.4), C{reason} is too long for a
        Close frame, or C{drain} is negative.
    """
    check_integer("code", code, at_least=1000, at_most=4999)
    if code not in _STATUS_CODES and code < 3000:
        raise ValueError(f"code: {code} may not be sent (RFC 6455, section 7.4)")
    if not isinstance(reason, str):
        raise TypeError(f"reason: a str is wanted, not {reason!r}")
    try:
        size = len(reason.encode())
    except UnicodeEncodeError:
        raise ValueError("reason: this text can't be UTF-8") from None
    most = LONGEST_CONTROL_PAYLOAD - 2
    if size > most:
        raise ValueError(f"reason: at most {most} bytes of UTF-8, not {size}")
    if drain is not None:
        check_number("drain", drain, at_least=0)


def to_payload(data: SendData, binary: bool | None, whole: bool = True) -> tuple[bytes, bool]:
    """
    Check what a caller wants to send.

    @param binary: C{None} for "by the type of C{data}".
    @param whole: false for a fragment, whose text is checked by L{FragmentedMessage.check_text}.
    @return: the octets, and whether they are sent as binary.
    @raise TypeError: C{data} is none of L{SendData}, or C{binary} is no bool.
    @raise ValueError: C{data} can't be encoded as, or is not, UTF-8.
    """
    if binary is not None and type(binary) is not bool:
        raise TypeError(f"binary: True, False or None is wanted, not {binary!r}")
    if isinstance(data, str):
        try:
            return data.encode(), bool(binary)
        except UnicodeEncodeError as error:
            raise ValueError(f"data: text that can't be UTF-8: {error.reason}") from None
    if isinstance(data, bytes):
        payload = data
    elif isinstance(data, (bytearray, memoryview)):
        payload = bytes(data)  # a copy: the caller may go on changing the buffer
    else:
        raise TypeError(
            f"data: str, bytes, bytearray or memoryview is wanted, not {type(data).__name__}"
        )
    if binary is False and whole:
        try:
            payload.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"data: bytes sent as text must be UTF-8: {error.reason}") from None
    return payload, binary is not False
