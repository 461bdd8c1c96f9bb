"""
From payloads to frames (RFC 6455, section 5.2): octets in, octets out, no I/O.
"""

from __future__ import annotations

import os
from collections.abc import Callable

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

Masker = Callable[[bytes, bytes], bytes]
"""Takes a masking key of 4 octets and a payload, returns the masked payload."""

# Up to here one XOR of two Python integers beats the set-up of a compiled masker.
_LONGEST_FOR_INTEGERS = 1024

_KEY_BLOCK = 4096


def mask_as_integer(key: bytes, payload: bytes) -> bytes:
    """
    Mask (RFC 6455, section 5.3) by one XOR of two long integers.

    Fast for short payloads: no loop in Python, no set-up.
    """
    size = len(payload)
    pad = (key * ((size + 3) >> 2))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(pad, "little")).to_bytes(
        size, "little"
    )


class MaskingKeys:
    """
    Fresh, unpredictable masking keys (RFC 6455, sections 5.3 and 10.3), bought in blocks, since a
    system call per frame would cost more than all the rest of the frame.
    """

    def __init__(self) -> None:
        self._block = b""
        self._used = 0
        # A child that went on with its parent's block would use the same keys.
        os.register_at_fork(after_in_child=self._forget)

    def next(self) -> bytes:
        """Return 4 octets that were not used before."""
        used = self._used
        if used >= len(self._block):
            self._block = os.urandom(_KEY_BLOCK)
            used = 0
        self._used = used + 4
        return self._block[used : used + 4]

    def _forget(self) -> None:
        self._block = b""


_keys = MaskingKeys()


def encode_frame(
    first_octet: int, payload: bytes, mask: bool = True, long_masker: Masker = mask_as_integer
) -> bytes:
    """
    Build one frame.

    @param first_octet: opcode, with L{FIN} and L{COMPRESSED} where they apply.
    @param mask: false leaves the payload as it is, which RFC 6455 forbids a client.
    @param long_masker: masks payloads that are too long for L{mask_as_integer}.
    @return: the whole frame.
    """
    size = len(payload)
    mask_bit = _MASKED if mask else 0
    if size < 126:
        header = bytes((first_octet, mask_bit | size))
    elif size < 65536:
        header = bytes((first_octet, mask_bit | 126)) + size.to_bytes(2, "big")
    else:
        header = bytes((first_octet, mask_bit | 127)) + size.to_bytes(8, "big")
    if not mask:
        return header + payload
    key = _keys.next()
    if size <= _LONGEST_FOR_INTEGERS:
        return header + key + mask_as_integer(key, payload)
    return b"".join((header, key, long_masker(key, payload)))
