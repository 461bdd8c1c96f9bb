"""
The data framing of WebSockets (RFC 6455, section 5): messages to octets, and octets to messages.

There is no I/O in here, and no state.  L{encode_frame} builds one frame to send, L{encode_messages}
those of many messages, which is cheaper for each; L{read_messages} takes messages out of what was
received, as long as nothing but ordinary frames come.  What is not ordinary is none of its
business: it stops there, and the caller has Autobahn look at it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from struct import Struct, iter_unpack
from typing import NamedTuple

from ._masking import KEY_SIZE, mask_frame, mask_run, mask_short_frame
from .messages import PlainMessage

# RFC 6455, section 11.8
CONTINUATION = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

FIN = 0x80
COMPRESSED = 0x40  # RSV1, as permessage-deflate uses it (RFC 7692, section 6)
_MASKED = 0x80

# The second octet is the length, or says that the length is in the 2, or 8, octets behind it.
_LONGEST_IN_SECOND_OCTET = 125
_IN_2_OCTETS = 126
_IN_8_OCTETS = 127
_LONGEST_IN_2_OCTETS = 0xFFFF

# Sending

_SHORT_HEADERS = [
    [bytes((first, _MASKED | size)) for size in range(_LONGEST_IN_SECOND_OCTET + 1)]
    for first in range(256)
]
_MEDIUM_HEADER = Struct(">BBH").pack
_LONG_HEADER = Struct(">BBQ").pack


def encode_frame(first_octet: int, payload: bytes) -> bytes:
    """
    Build one frame, masked with a fresh key.

    @param first_octet: opcode, with L{FIN} and L{COMPRESSED} where they apply.
    @return: the whole frame.
    """
    size = len(payload)
    if size <= _LONGEST_IN_SECOND_OCTET:
        return mask_short_frame(_SHORT_HEADERS[first_octet][size], payload)
    return mask_frame(_masked_header(first_octet, size), payload)


def encode_messages(messages: Sequence[PlainMessage]) -> bytes:
    """
    Build the frames of whole messages, each masked with a fresh key.

    @return: their frames, one behind the other.
    """
    if not messages:
        return b""
    payloads, kinds, *_ = zip(*messages, strict=True)
    is_binary = kinds[0]
    if len(set(map(len, payloads))) == 1 and kinds.count(is_binary) == len(kinds) > 1:
        header = _masked_header(FIN | BINARY if is_binary else FIN | TEXT, len(payloads[0]))
        return mask_run(header, payloads)
    return b"".join(
        [
            encode_frame(FIN | BINARY if is_binary else FIN | TEXT, payload)
            for payload, is_binary in zip(payloads, kinds, strict=True)
        ]
    )


def _masked_header(first_octet: int, size: int) -> bytes:
    if size <= _LONGEST_IN_SECOND_OCTET:
        return _SHORT_HEADERS[first_octet][size]
    if size <= _LONGEST_IN_2_OCTETS:
        return _MEDIUM_HEADER(first_octet, _MASKED | _IN_2_OCTETS, size)
    return _LONG_HEADER(first_octet, _MASKED | _IN_8_OCTETS, size)


def encode_unmasked_frame(first_octet: int, payload: bytes) -> bytes:
    """
    Build a frame that RFC 6455 does not allow a client to send.
    """
    size = len(payload)
    if size <= _LONGEST_IN_SECOND_OCTET:
        return bytes((first_octet, size)) + payload
    if size <= _LONGEST_IN_2_OCTETS:
        return _MEDIUM_HEADER(first_octet, _IN_2_OCTETS, size) + payload
    return _LONG_HEADER(first_octet, _IN_8_OCTETS, size) + payload


# Receiving
#
# An ordinary frame is a whole message, text or binary, as servers must send it: not masked, its
# length in as few octets as possible, no extension at work.

_ORDINARY = (FIN | TEXT, FIN | BINARY)

# So that not too much has been read in vain if the receiver wants no more after the first.
_MOST_AT_ONCE = 512

# From here on it pays to read frames with equal headers by their columns.
FEWEST_ALIKE = 16


class FrameHeader(NamedTuple):
    """
    The header of any frame, as far as it says where the frame ends.

    @ivar first_octet: with the opcode.
    @ivar is_plain: neither masked, nor its length in more octets than necessary.
    @ivar payload_at: where the payload begins, counted from where the frame does.
    @ivar size: how many octets of payload there are.
    """

    first_octet: int
    is_plain: bool
    payload_at: int
    size: int

    @property
    def is_ordinary(self) -> bool:
        """Whether this is the header of an ordinary frame."""
        return self.is_plain and self.first_octet in _ORDINARY


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
    is_plain = second < _MASKED and size >= shortest
    if second >= _MASKED:
        start += KEY_SIZE
    return FrameHeader(first, is_plain, start, size) if len(data) >= at + start else None


def may_be_ordinary(data: bytes, at: int) -> bool:
    """Whether the part of a header that is there may be the beginning of an ordinary one."""
    return data[at] in _ORDINARY and not (len(data) > at + 1 and data[at + 1] >= _MASKED)


def read_messages(data: bytes, at: int, longest: int) -> tuple[list[bytes], int]:
    """
    Read whole ordinary frames of one kind, either text or binary.

    @param at: where the first one begins.
    @param longest: the longest payload that is allowed.
    @return: the payloads of one or more frames that follow each other, and where the next frame
        begins.  There are none if the first frame is not ordinary, not whole, too long, or text
        that is not UTF-8.
    """
    header = read_header(data, at)
    if header is None or not header.is_ordinary or header.size > longest:
        return [], at
    step = header.payload_at + header.size
    if (len(data) - at) // step >= FEWEST_ALIKE:
        alike = count_alike(data, at, header.payload_at, step, _MOST_AT_ONCE)
        if alike >= FEWEST_ALIKE:
            return _read_alike(data, at, header, alike)
    return _read_one_by_one(data, at, longest) if at + step <= len(data) else ([], at)


def count_alike(data: bytes, at: int, header_size: int, step: int, most: int) -> int:
    """
    Count the whole frames from C{at} on that have the same header, as messages of one size do.

    @param header_size: how many octets of each frame are to be the same.
    @param step: how many octets the first frame has.
    @param most: how many to count at most.

    If the first frame ends where its header says, the second begins there; if that has the same
    header, the third begins as far behind it, and so on: so the headers can be looked at all at
    once, one column of octets after the other, which is done in C.
    """
    count = min((len(data) - at) // step, most)
    end = at + count * step
    for offset in range(header_size):
        column = data[at + offset : end : step]
        count = min(count, len(column) - len(column.lstrip(column[:1])))
    return count


def _read_alike(data: bytes, at: int, header: FrameHeader, count: int) -> tuple[list[bytes], int]:
    step = header.payload_at + header.size
    end = at + count * step
    layout = f"{header.payload_at}x{header.size}s"
    payloads = [payload for (payload,) in iter_unpack(layout, memoryview(data)[at:end])]
    if header.first_octet == FIN | TEXT and not all(map(bytes.isascii, payloads)):
        valid = next((i for i, payload in enumerate(payloads) if not is_utf8(payload)), count)
        del payloads[valid:]
        end = at + valid * step
    return payloads, end


def _read_one_by_one(data: bytes, at: int, longest: int) -> tuple[list[bytes], int]:
    payloads: list[bytes] = []
    append = payloads.append
    kind = data[at]
    is_text = kind == FIN | TEXT
    longest_short = min(longest, _LONGEST_IN_SECOND_OCTET)
    begin = at
    # This loop runs once per message: it is what receiving costs.  So it does not ask whether there
    # are octets left: an index beyond the end raises, and a slice beyond it comes out short.
    try:
        for _ in repeat(None, _MOST_AT_ONCE):
            if data[at] != kind:
                break
            begin = at
            size = data[at + 1]
            start = at + 2
            if size > longest_short:
                if size == _IN_2_OCTETS:
                    size = data[at + 2] << 8 | data[at + 3]
                    start = at + 4
                    if not _LONGEST_IN_SECOND_OCTET < size <= longest:
                        break
                elif size == _IN_8_OCTETS:
                    start = at + 10
                    size = int.from_bytes(data[at + 2 : start], "big")
                    if not _LONGEST_IN_2_OCTETS < size <= longest:
                        break
                else:  # masked, or too long
                    break
            at = start + size
            payload = data[start:at]
            if is_text and not payload.isascii() and not is_utf8(payload):
                return payloads, begin
            append(payload)
    except IndexError:
        pass
    if at > len(data):
        payloads.pop()
        return payloads, begin
    return payloads, at


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
        return 2 + payload_size
    return (4 if payload_size <= _LONGEST_IN_2_OCTETS else 10) + payload_size
