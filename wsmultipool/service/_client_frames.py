"""
The frames between a relay and its clients (RFC 6455, section 5): masked one way, not the other.

What does not depend on that is the same as for the frames between a pool and its server.
There is no I/O in here, and no state.  L{read_messages} takes whole messages out of what clients
have sent, as long as nothing but ordinary frames come: it stops at whatever else, and the caller
has Autobahn look at that.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from struct import iter_unpack
from typing import Any, NamedTuple

from .. import _framing
from .._framing import BINARY, FEWEST_ALIKE, FIN, PONG, TEXT, count_alike, is_utf8
from .._framing import encode_unmasked_frame as encode_frame
from .._masking import KEY_SIZE, find_autobahn, find_websockets

__all__ = [
    "BINARY",
    "FIN",
    "PONG",
    "TEXT",
    "FrameHeader",
    "encode_frame",
    "frame_size",
    "may_be_ordinary",
    "read_header",
    "read_messages",
]

MASKED = 0x80
_ORDINARY = (FIN | TEXT, FIN | BINARY)

_LONGEST_IN_SECOND_OCTET = 125
_IN_2_OCTETS = 126
_LONGEST_IN_2_OCTETS = 0xFFFF

Unmask = Callable[[bytes, bytes], bytes]
"""Takes a masked payload and its key; returns the payload."""


# Unmasking


def unmask_by_integers(masked: bytes, key: bytes) -> bytes:
    """
    Unmask by one XOR of two long integers: no loop in Python.
    """
    size = len(masked)
    pad = key * (size // KEY_SIZE + 1)
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


unmask = choose_unmask(find_websockets()[0], find_autobahn())


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
    header = _framing.read_header(data, at)
    if header is None:
        return None
    return FrameHeader(_is_ordinary(header), header.payload_at + header.size)


def _is_ordinary(header: _framing.FrameHeader) -> bool:
    # With a key, and a length in as few octets as possible, it is as long as it should be.
    size = header.payload_at + header.size
    return header.first_octet in _ORDINARY and size == frame_size(header.size)


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
    header = _framing.read_header(data, at)
    if header is None or not _is_ordinary(header) or header.size > longest:
        return [], at
    step = header.payload_at + header.size
    if (len(data) - at) // step >= FEWEST_ALIKE:
        alike = count_alike(data, at, header.payload_at - KEY_SIZE, step, most)
        if alike >= FEWEST_ALIKE:
            return _read_alike(data, at, header, alike)
    return _read_one_by_one(data, at, longest, most)


def _read_alike(
    data: bytes, at: int, header: _framing.FrameHeader, count: int
) -> tuple[list[bytes], int]:
    step = header.payload_at + header.size
    end = at + count * step
    layout = f"{header.payload_at - KEY_SIZE}x{KEY_SIZE}s{header.size}s"
    frames = iter_unpack(layout, memoryview(data)[at:end])
    payloads = [unmask(masked, key) for key, masked in frames]
    if header.first_octet == FIN | TEXT and not all(map(bytes.isascii, payloads)):
        valid = next((i for i, payload in enumerate(payloads) if not is_utf8(payload)), count)
        del payloads[valid:]
        end = at + valid * step
    return payloads, end


def _read_one_by_one(data: bytes, at: int, longest: int, most: int) -> tuple[list[bytes], int]:
    payloads: list[bytes] = []
    append = payloads.append
    end = len(data)
    kind = data[at]
    is_text = kind == FIN | TEXT
    begin = at
    # This loop runs once per message.  It does not ask whether there are octets left for a header:
    # an index beyond the end raises.
    try:
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
            payload = unmask(data[start:at], data[start - KEY_SIZE : start])
            if is_text and not payload.isascii() and not is_utf8(payload):
                break
            append(payload)
            begin = at
    except IndexError:
        pass
    return payloads, begin


def frame_size(payload_size: int) -> int:
    """How many octets an ordinary frame with such a payload has."""
    return KEY_SIZE + _framing.frame_size(payload_size)
