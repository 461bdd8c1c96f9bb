"""
The frames between a relay and its clients (RFC 6455, section 5): masked one way, not the other.

There is no I/O in here, and no state.  L{read_messages} takes whole messages out of what clients
have sent, as long as nothing but ordinary frames come: it stops at whatever else, and the caller
has Autobahn look at that.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import repeat
from struct import Struct
from typing import Any, NamedTuple

# RFC 6455, section 11.8
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

FIN = 0x80
MASKED = 0x80
_ORDINARY = (FIN | TEXT, FIN | BINARY)

_LONGEST_IN_SECOND_OCTET = 125
_IN_2_OCTETS = 126
_IN_8_OCTETS = 127
_LONGEST_IN_2_OCTETS = 0xFFFF
_KEY_SIZE = 4

_MEDIUM_HEADER = Struct(">BBH").pack
_LONG_HEADER = Struct(">BBQ").pack

Unmask = Callable[[bytes, bytes], bytes]
"""Takes a masked payload and its key; returns the payload."""


# Unmasking


def unmask_by_integers(masked: bytes, key: bytes) -> bytes:
    """
    Unmask by one XOR of two long integers: no loop in Python.
    """
    size = len(masked)
    pad = key * (size // _KEY_SIZE + 1)
    octets = int.from_bytes(masked, "little") ^ int.from_bytes(pad[:size], "little")
    return octets.to_bytes(size, "little")


def unmasking_in_place(ffi: Any, lib: Any) -> Unmask:
    """
    Unmask by Autobahn's compiled masker, from a certain size on.
    """
    new, process, free = lib.nvx_xormask_new, lib.nvx_xormask_process, lib.nvx_xormask_free
    from_buffer = ffi.from_buffer

    def unmask(masked: bytes, key: bytes) -> bytes:
        size = len(masked)
        if size <= _LONGEST_IN_SECOND_OCTET:
            return unmask_by_integers(masked, key)
        payload = b"".join((masked, b""))  # a copy that nobody else has seen yet
        masker = new(key)
        process(masker, from_buffer(payload), size)
        free(masker)
        return payload

    return unmask


def choose_unmask(apply_mask: Unmask | None, compiled: tuple[Any, Any] | None) -> Unmask:
    """
    Choose the fastest way there is.

    @param apply_mask: the C function of C{websockets}.
    @param compiled: the C{ffi} and C{lib} of Autobahn's masker.
    """
    candidates = [] if apply_mask is None else [apply_mask]
    if compiled is not None:
        candidates.append(unmasking_in_place(*compiled))
    masked = bytes(range(251)) * 3
    for unmask in candidates:
        # It costs nothing to ask: both are called in a way their authors may not have in mind.
        try:
            right = unmask(masked, b"\x01\xfe\x00\x80")
        except Exception:
            continue
        if right == unmask_by_integers(masked, b"\x01\xfe\x00\x80") and type(right) is bytes:
            return unmask
    return unmask_by_integers


def _find_websockets() -> Unmask | None:
    try:
        from websockets.speedups import apply_mask
    except ImportError:  # not installed, or without its C extension
        return None
    return apply_mask


def _find_autobahn() -> tuple[Any, Any] | None:
    # As Autobahn understands it.
    if os.environ.get("AUTOBAHN_USE_NVX", "").strip().lower() in ("0", "no", "false"):
        return None
    try:
        from _nvx_xormasker import ffi, lib  # type: ignore[import-not-found]
    except ImportError:
        return None
    return ffi, lib


unmask = choose_unmask(_find_websockets(), _find_autobahn())


# To clients


def encode_frame(first_octet: int, payload: bytes) -> bytes:
    """
    Build one frame as servers send it: the same for every client.

    @param first_octet: opcode, with L{FIN}.
    """
    size = len(payload)
    if size <= _LONGEST_IN_SECOND_OCTET:
        return bytes((first_octet, size)) + payload
    if size <= _LONGEST_IN_2_OCTETS:
        return _MEDIUM_HEADER(first_octet, _IN_2_OCTETS, size) + payload
    return _LONG_HEADER(first_octet, _IN_8_OCTETS, size) + payload


# From clients


class FrameHeader(NamedTuple):
    """
    The header of any frame, as far as it says where the frame ends.

    @ivar is_ordinary: whether it is that of a whole message, masked, its length in as few octets
        as possible.
    @ivar size: how many octets header and payload have together.
    """

    is_ordinary: bool
    size: int


def read_header(data: bytes, at: int) -> FrameHeader | None:
    """
    Read the header of a frame of any kind, whatever is wrong with it.

    @return: C{None} if it is not there as a whole.
    """
    if len(data) < at + 2:
        return None
    first, second = data[at : at + 2]
    size, start, shortest = second & 0x7F, 2, 0
    if size >= _IN_2_OCTETS:
        start, shortest = (4, 126) if size == _IN_2_OCTETS else (10, 65536)
        size = int.from_bytes(data[at + 2 : at + start], "big")
    is_masked = second >= MASKED
    if is_masked:
        start += _KEY_SIZE
    if len(data) < at + start:
        return None
    return FrameHeader(is_masked and size >= shortest and first in _ORDINARY, start + size)


def may_be_ordinary(data: bytes, at: int) -> bool:
    """Whether the part of a header that is there may be the beginning of an ordinary one."""
    return data[at] in _ORDINARY and not (len(data) > at + 1 and data[at + 1] < MASKED)


def read_messages(data: bytes, at: int, longest: int, most: int) -> tuple[list[bytes], int]:
    """
    Read whole ordinary frames of one kind, either text or binary.

    @param at: where the first one begins.
    @param longest: the longest payload that is allowed.
    @param most: how many to read at most.
    @return: the payloads of some frames that follow each other, unmasked, and where the next frame
        begins.  There are none if the first frame is not ordinary, not whole, too long, or text
        that is not UTF-8.
    """
    payloads: list[bytes] = []
    append = payloads.append
    end = len(data)
    begin = at
    # This loop runs once per message.  It does not ask whether there are octets left for a header:
    # an index beyond the end raises.
    try:
        kind = data[at]
        if kind not in _ORDINARY:
            return payloads, at
        is_text = kind == FIN | TEXT
        for _ in repeat(None, most):
            begin = at
            if data[at] != kind:
                break
            size = data[at + 1] - MASKED
            start = at + 6
            if size > _LONGEST_IN_SECOND_OCTET:
                if size == _IN_2_OCTETS:
                    size = data[at + 2] << 8 | data[at + 3]
                    start = at + 8
                    if size <= _LONGEST_IN_SECOND_OCTET:
                        break
                else:
                    start = at + 14
                    size = int.from_bytes(data[at + 2 : at + 10], "big")
                    if size <= _LONGEST_IN_2_OCTETS:
                        break
            at = start + size
            if at > end or size > longest or size < 0:  # not whole, too long, not masked
                break
            payload = unmask(data[start:at], data[start - _KEY_SIZE : start])
            if is_text and not payload.isascii() and not is_utf8(payload):
                break
            append(payload)
            begin = at
    except IndexError:
        pass
    return payloads, begin


def is_utf8(payload: bytes) -> bool:
    """Whether it may be the payload of a text message (RFC 6455, section 8.1)."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def frame_size(payload_size: int) -> int:
    """How many octets an ordinary frame with such a payload has."""
    if payload_size <= _LONGEST_IN_SECOND_OCTET:
        return 6 + payload_size
    return (8 if payload_size <= _LONGEST_IN_2_OCTETS else 14) + payload_size
