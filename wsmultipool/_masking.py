"""
Masking (RFC 6455, section 5.3): from a header and a payload to a whole masked frame, or from many
payloads of one size to all their frames, in the fastest way that is there for the size.

Which ways there are is found out once, when this module is imported: arithmetic on Python's
integers always; Autobahn's compiled masker, where it was built; and the C function of the package
C{websockets}, if that is installed (the extra C{fast}), which beats both but for large payloads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from itertools import chain, islice
from struct import Struct
from typing import Any

MaskFrame = Callable[[bytes, bytes], bytes]
"""Takes the header of a frame, without a key, and its payload; returns the frame, masked."""

MaskRun = Callable[[bytes, Sequence[bytes]], bytes]
"""Takes the header that several frames have in common, without a key, and their payloads, which
are of one size; returns the frames, one behind the other, each masked with a key of its own."""

ApplyMask = Callable[[bytes, bytes], bytes]
"""Takes a payload and a key; returns the payload, masked."""

KEY_SIZE = 4

# A system call for each key would cost more than all the rest of a frame.
_KEYS_AT_ONCE = 1024
_KEYS = Struct("4s" * _KEYS_AT_ONCE)
_NUMBERS = Struct(f"<{_KEYS_AT_ONCE}I")

# With fewer frames it takes longer to fill columns than to mask the frames one by one; and columns
# of long payloads are many, so that another way is soon faster: the C function, or any.
_COLUMNS_FROM = 64
_COLUMNS_BEFORE_WEBSOCKETS_UP_TO = 32

# From here on Autobahn's masker beats integers, which have tables up to there: its call takes as
# long whatever the size, theirs grows with it.
_AUTOBAHN_FROM = 126

# From here on it beats the C function as well: that one returns the masked payload, which is copied
# again to stand behind the header, and another large block of memory costs more than the masking.
_AUTOBAHN_BEFORE_WEBSOCKETS_FROM = 262144


def _endless(block: Struct) -> Callable[[], Any]:
    """
    Return a function that returns one fresh random item after another.

    It is a chain of iterators that are written in C: no line of Python runs for a key.
    """
    blocks = iter(partial(os.urandom, block.size), b"")
    return chain.from_iterable(map(block.unpack, blocks)).__next__


def _renew_keys() -> None:
    global next_key, _next_number
    next_key = _endless(_KEYS)
    _next_number = _endless(_NUMBERS)


next_key: Callable[[], bytes]
"""Returns 4 octets that can't be told from those before (RFC 6455, sections 5.3 and 10.3)."""

_next_number: Callable[[], int]
_renew_keys()
# A child that went on with its parent's block would use the same keys.
os.register_at_fork(after_in_child=_renew_keys)


# Integers.  Little-endian, the lowest 16 bits of a frame are its first two octets, then come the
# key, and the payload under repetitions of the key: a multiplication by 1 + 2^32 + 2^64 ... writes
# key and repetitions in one go.

_LONGEST_IN_TABLES = 125
_WRITE_KEY = [
    sum(1 << 32 * word for word in range((size + 3) // 4 + 1)) << 16
    for size in range(_LONGEST_IN_TABLES + 1)
]
_WHOLE_FRAME = [(1 << 8 * (2 + KEY_SIZE + size)) - 1 for size in range(_LONGEST_IN_TABLES + 1)]
_ROOM_FOR_KEY = bytes(KEY_SIZE)


def mask_by_integers(header: bytes, payload: bytes) -> bytes:
    """
    Mask by one XOR of two long integers: no loop in Python, and nothing to set up.
    """
    size = len(payload)
    if size <= _LONGEST_IN_TABLES:
        plain = int.from_bytes(header + _ROOM_FOR_KEY + payload, "little")
        pad = _next_number() * _WRITE_KEY[size] & _WHOLE_FRAME[size]
        return (plain ^ pad).to_bytes(size + 6, "little")
    key = next_key()
    pad_octets = (key * ((size + 3) // 4))[:size]
    masked = int.from_bytes(payload, "little") ^ int.from_bytes(pad_octets, "little")
    return b"".join((header, key, masked.to_bytes(size, "little")))


def mask_by_columns(header: bytes, payloads: Sequence[bytes]) -> bytes:
    """
    Mask many short payloads by a single XOR.

    Frames of one size are the rows of a table.  Its columns are filled in C, each by one slice: the
    octets 0, 1, 2 and 3 of all keys, once where the keys are, and again and again behind them.

    @param header: of two octets.
    """
    count = len(payloads)
    begin = header + bytes(KEY_SIZE)
    plain = begin + begin.join(payloads)
    keys = os.urandom(KEY_SIZE * count)
    columns = [keys[i::KEY_SIZE] for i in range(KEY_SIZE)]
    pad = bytearray(len(plain))
    step = len(plain) // count
    for offset in range(len(header), step):
        pad[offset::step] = columns[(offset - len(header)) % KEY_SIZE]
    masked = int.from_bytes(plain, "little") ^ int.from_bytes(pad, "little")
    return masked.to_bytes(len(plain), "little")


def masking_by(apply_mask: ApplyMask) -> MaskFrame:
    """
    Mask by a function like that of C{websockets}.
    """

    def mask_frame(header: bytes, payload: bytes) -> bytes:
        key = next_key()
        return header + key + apply_mask(payload, key)

    return mask_frame


def masking_runs_by(apply_mask: ApplyMask) -> MaskRun:
    """
    Mask many payloads, each by a function like that of C{websockets}; put all together only once.
    """

    def mask_run(header: bytes, payloads: Sequence[bytes]) -> bytes:
        # No line of Python runs once per message here: they are what sending costs.
        count = len(payloads)
        keys = list(islice(iter(next_key, None), count))
        parts = [header] * (3 * count)
        parts[1::3] = keys
        parts[2::3] = map(apply_mask, payloads, keys)
        return b"".join(parts)

    return mask_run


def masking_runs_one_by_one(mask_frame: MaskFrame) -> MaskRun:
    """
    Mask many payloads by what masks one.
    """

    def mask_run(header: bytes, payloads: Sequence[bytes]) -> bytes:
        return b"".join([mask_frame(header, payload) for payload in payloads])

    return mask_run


def masking_runs(short: MaskRun, columns_up_to: int) -> MaskRun:
    """
    Mask many short payloads by columns, and all others in another way.

    @param columns_up_to: how many octets are short.
    """

    def mask_run(header: bytes, payloads: Sequence[bytes]) -> bytes:
        if len(payloads) >= _COLUMNS_FROM and len(payloads[0]) <= columns_up_to:
            return mask_by_columns(header, payloads)
        return short(header, payloads)

    return mask_run


def masking_in_place(ffi: Any, lib: Any) -> MaskFrame:
    """
    Mask by Autobahn's compiled masker, on the frame itself: what Autobahn's Python does with it
    takes three copies of the payload and three times as long.
    """
    new, process, free = (
        lib.nvx_xormask_new,
        lib.nvx_xormask_process,
        lib.nvx_xormask_free,
    )
    from_buffer = ffi.from_buffer

    def mask_frame(header: bytes, payload: bytes) -> bytes:
        key = next_key()
        # Nobody else has seen this object yet, so it may still change.
        frame = b"".join((header, key, payload))
        masker = new(key)
        process(masker, from_buffer(frame) + (len(header) + KEY_SIZE), len(payload))
        free(masker)
        return frame

    return mask_frame


def masking_by_size(short: MaskFrame, limit: int, long: MaskFrame) -> MaskFrame:
    """
    Mask in one way or another, depending on the size.

    @param limit: from how many octets of payload on it is C{long}.
    """

    def mask_frame(header: bytes, payload: bytes) -> bytes:
        return short(header, payload) if len(payload) < limit else long(header, payload)

    return mask_frame


@dataclass(frozen=True)
class Speedups:
    """
    What this process masks its frames with, which decides how fast it sends.

    @ivar masking: what masks payloads, by the size from which on it does, smallest first:
        C{"integers"} (Python's), C{"autobahn"} (its compiled NVX masker), C{"websockets"} (its C
        function).
    @ivar websockets: the version of C{websockets} whose function is used; C{None} without it.
    @since: 0.1.0
    """

    masking: tuple[tuple[int, str], ...]
    websockets: str | None = None

    def __str__(self) -> str:
        names = {
            "integers": "Python's integers",
            "autobahn": "Autobahn's NVX",
            "websockets": f"websockets {self.websockets}",
        }
        return ", ".join(
            names[name] + (f" from {size} bytes" if size else "") for size, name in self.masking
        )


def choose(
    apply_mask: ApplyMask | None, version: str | None, compiled: tuple[Any, Any] | None
) -> tuple[MaskFrame, MaskFrame, MaskRun, Speedups]:
    """
    Choose from what there is.

    @param apply_mask: the function of C{websockets}, whose version is C{version}.
    @param compiled: the C{ffi} and C{lib} of Autobahn's masker.
    @return: what masks payloads of up to 125 bytes, which need not ask for the size; what masks
        those of any size; what masks runs of payloads of any one size; and what these are.
    """
    short: MaskFrame = mask_by_integers
    name, limit = "integers", _AUTOBAHN_FROM
    columns_up_to = _LONGEST_IN_TABLES
    runs: MaskRun | None = None
    if apply_mask is not None:
        by_websockets = masking_by(apply_mask)
        if _is_right(by_websockets):
            short, name, limit = by_websockets, "websockets", _AUTOBAHN_BEFORE_WEBSOCKETS_FROM
            columns_up_to = _COLUMNS_BEFORE_WEBSOCKETS_UP_TO
            runs = masking_runs_by(apply_mask)
    masking = [(0, name)]
    of_any_size = short
    if compiled is not None:
        in_place = masking_in_place(*compiled)
        if _is_right(in_place):
            of_any_size = masking_by_size(short, limit, in_place)
            masking.append((limit, "autobahn"))
    speedups = Speedups(tuple(masking), version if name == "websockets" else None)
    mask_run = masking_runs(runs or masking_runs_one_by_one(of_any_size), columns_up_to)
    return short, of_any_size, mask_run, speedups


def _is_right(mask_frame: MaskFrame) -> bool:
    """
    Whether the server would read what was meant.  It costs nothing to ask, and both are called in
    a way that their authors may not have had in mind.
    """
    header, payload = b"\x82\xfe\x02\x58", bytes(range(200)) * 3
    try:
        frame = mask_frame(header, payload)
    except Exception:
        return False
    key = frame[4:8]
    plain = bytes(octet ^ key[i % 4] for i, octet in enumerate(frame[8:]))
    return type(frame) is bytes and frame[:4] == header and plain == payload


def find_websockets() -> tuple[ApplyMask | None, str | None]:
    """
    @return: its C function, and its version; both C{None} if there is none.
    """
    try:
        from websockets.speedups import apply_mask

        return apply_mask, metadata.version("websockets")
    except ImportError:  # not installed, or without its C extension
        return None, None


def find_autobahn() -> tuple[Any, Any] | None:
    """
    @return: the C{ffi} and C{lib} of the masker that is compiled when Autobahn is installed.
    """
    # As Autobahn understands it.
    if os.environ.get("AUTOBAHN_USE_NVX", "").strip().lower() in ("0", "no", "false"):
        return None
    try:
        from _nvx_xormasker import ffi, lib  # type: ignore[import-not-found]

        return ffi, lib
    except ImportError:
        return None


mask_short_frame, mask_frame, mask_run, _chosen = choose(*find_websockets(), find_autobahn())


def speedups() -> Speedups:
    """
    Tell what this process masks its frames with.

    @return: what was found when the package was imported.
    @since: 0.1.0
    """
    return _chosen
