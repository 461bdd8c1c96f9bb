"""
Tests for L{wsmultipool._masking}.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wsmultipool
from wsmultipool import _masking
from wsmultipool._masking import (
    MaskFrame,
    MaskRun,
    Speedups,
    choose,
    find_autobahn,
    find_websockets,
    mask_by_columns,
    mask_by_integers,
    mask_frame,
    mask_run,
    mask_short_frame,
    masking_by,
    masking_by_size,
    masking_in_place,
    masking_runs,
    masking_runs_by,
    masking_runs_one_by_one,
)

SIZES = [0, 1, 2, 3, 4, 16, 124, 125, 126, 127, 128, 1000, 65535, 65536, 300_000]

# In a process of its own: takes a key, forks, and prints the next key of both branches.
FORK = """
import os, sys
from wsmultipool._masking import {name} as mask
mask(b"\\x82\\x84", bytes(4))
child = os.fork()
if child:
    os.waitpid(child, 0)
print(mask(b"\\x82\\x84", bytes(4))[2:6].hex(), flush=True)
os._exit(0)
"""


def xor(payload: bytes, key: bytes) -> bytes:
    """
    Mask the way RFC 6455, section 5.3, puts it: octet i with octet i modulo 4 of the key.
    """
    return bytes(octet ^ key[i % 4] for i, octet in enumerate(payload))


def ways() -> dict[str, MaskFrame]:
    """
    All ways to mask that there are here.
    """
    found = {"chosen": mask_frame, "chosen for short ones": mask_short_frame}
    found |= {"integers": mask_by_integers, "plain": masking_by(xor)}
    compiled = find_autobahn()
    if compiled is not None:
        found["autobahn"] = masking_in_place(*compiled)
    apply_mask, _ = find_websockets()
    if apply_mask is not None:
        found["websockets"] = masking_by(apply_mask)
    return found


def ways_to_mask_runs() -> dict[str, MaskRun]:
    """
    All ways to mask many payloads of one size that there are here.
    """
    found = {"chosen": mask_run, "one by one": masking_runs_one_by_one(mask_by_integers)}
    found |= {"columns": mask_by_columns, "plain": masking_runs_by(xor)}
    apply_mask, _ = find_websockets()
    if apply_mask is not None:
        found["websockets"] = masking_runs_by(apply_mask)
    return found


def some_bytes(size: int) -> bytes:
    """
    Make a payload in which neither octets nor words repeat too regularly.
    """
    return bytes(i * 7 % 251 for i in range(size))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ways())
def test_masked_frame_can_be_read(name: str, size: int) -> None:
    """Behind the header stands a key, and behind that the payload, masked with it."""
    header = b"\x82\x80" if size < 126 else b"\x82\xfe12" if size < 65536 else b"\x82\xff12345678"
    frame = ways()[name](header, some_bytes(size))
    assert type(frame) is bytes
    assert frame.startswith(header)
    key, masked = frame[len(header) : len(header) + 4], frame[len(header) + 4 :]
    identical = xor(masked, key) == some_bytes(size)
    assert identical


@settings(derandomize=True)
@given(payload=st.binary(max_size=300))
def test_every_way_masks_every_payload(payload: bytes) -> None:
    """Masking twice with the same key gives the payload back, whatever it is."""
    for way in ways().values():
        frame = way(b"\x81\xff", payload)
        assert xor(frame[6:], frame[2:6]) == payload


@pytest.mark.parametrize("size", [0, 16, 200])
@pytest.mark.parametrize("name", ways())
def test_every_frame_has_a_key_of_its_own(name: str, size: int) -> None:
    """No key is used twice, and none can be told from the one before it."""
    way = ways()[name]
    keys = [way(b"\x82\x80", bytes(size))[2:6] for _ in range(3000)]
    assert {len(key) for key in keys} == {4}
    # By chance some may be equal, or overlap, or have the same octet somewhere; not many.
    assert len(set(keys)) > 2990
    following = list(pairwise(keys))
    for shift in (1, 2, 3):
        assert sum(a[shift:] == b[: 4 - shift] for a, b in following) < (100 if shift == 3 else 10)


def test_equal_payloads_look_different_on_the_wire() -> None:
    """The key is fresh also when the same payload is sent again and again."""
    assert len({mask_frame(b"\x81\x8c", b"same payload") for _ in range(100)}) > 90


@pytest.mark.parametrize("name", ["mask_frame", "mask_by_integers"])
def test_a_fork_makes_new_keys(name: str) -> None:
    """A process that forks, as servers do, never shares keys with its child."""
    ran = subprocess.run(
        [sys.executable, "-c", FORK.format(name=name)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    child, parent = ran.stdout.split()
    assert child != parent


def test_what_is_left_of_a_block_is_forgotten() -> None:
    """What Python calls in a forked child has the next key come from a new block."""
    before = [_masking.next_key() for _ in range(10)]
    _masking._renew_keys()
    after = [_masking.next_key() for _ in range(1030)]
    assert len(set(before + after)) > 1030


def test_payload_is_never_changed() -> None:
    """Where a frame is masked in place, that is a copy."""
    payload = some_bytes(300_000)
    for way in ways().values():
        way(b"\x82\xff12345678", payload)
    unchanged = payload == some_bytes(300_000)
    assert unchanged


def frames_of_run(octets: bytes, header: bytes, count: int) -> list[tuple[bytes, bytes]]:
    """
    Take a run apart: the key of each frame, and its payload without the mask.
    """
    size = len(octets) // count
    frames = [octets[at : at + size] for at in range(0, len(octets), size)]
    assert [frame[: len(header)] for frame in frames] == [header] * count
    start = len(header) + 4
    return [(f[len(header) : start], xor(f[start:], f[len(header) : start])) for f in frames]


@pytest.mark.parametrize("count", [1, 2, 63, 64, 200])
@pytest.mark.parametrize("size", [0, 1, 3, 16, 32, 33, 125])
@pytest.mark.parametrize("name", ways_to_mask_runs())
def test_masked_runs_can_be_read(name: str, size: int, count: int) -> None:
    """Frames of one size stand one behind the other, each with a key of its own."""
    header = bytes((0x82, 0x80 | size))
    payloads = tuple(some_bytes(size + number)[number:] for number in range(count))
    octets = ways_to_mask_runs()[name](header, payloads)
    assert type(octets) is bytes
    read = frames_of_run(octets, header, count)
    assert [payload for _, payload in read] == list(payloads)
    keys = {key for key, _ in read}
    assert len(keys) > count - 3  # by chance some may be equal


@pytest.mark.parametrize("size", [126, 1000, 65535])
def test_long_payloads_can_be_masked_in_runs(size: int) -> None:
    """Their headers are longer, and no columns are made of them."""
    header = b"\x82\xfe" + size.to_bytes(2, "big")
    payloads = [some_bytes(size), bytes(size), some_bytes(size)]
    for name, way in ways_to_mask_runs().items():
        if name != "columns":
            read = frames_of_run(way(header, payloads), header, 3)
            assert [payload for _, payload in read] == payloads


@settings(derandomize=True)
@given(
    st.integers(0, 125).flatmap(lambda n: st.lists(st.binary(min_size=n, max_size=n), min_size=1))
)
def test_every_way_masks_every_run(payloads: list[bytes]) -> None:
    """Masking twice with the same key gives each payload back, whatever it is."""
    header = bytes((0x81, 0x80 | len(payloads[0])))
    for way in ways_to_mask_runs().values():
        read = frames_of_run(way(header, payloads), header, len(payloads))
        assert [payload for _, payload in read] == payloads


def test_columns_are_for_many_short_payloads() -> None:
    """With few of them, or long ones, another way is faster."""
    way = masking_runs(lambda *_: b"another way", 3)
    for count, size, columns in [(64, 3, True), (64, 4, False), (63, 3, False)]:
        octets = way(bytes((0x82, 0x80 | size)), [bytes(size)] * count)
        assert (octets != b"another way") == columns


def test_sizes_decide_who_masks() -> None:
    """From the limit on it is the other one."""
    way = masking_by_size(lambda *_: b"short", 3, lambda *_: b"long")
    assert [way(b"", bytes(size)) for size in (0, 2, 3, 4)] == [
        b"short",
        b"short",
        b"long",
        b"long",
    ]


# Choosing


class Compiled:
    """
    Like Autobahn's C{ffi} and C{lib}, as far as they are used.

    @param right: whether it masks.
    """

    def __init__(self, right: bool = True) -> None:
        self.calls = 0
        self.ffi = SimpleNamespace(from_buffer=lambda frame: self)
        self.lib = SimpleNamespace(
            nvx_xormask_new=lambda key: key,
            nvx_xormask_process=self._process,
            nvx_xormask_free=lambda masker: None,
        )
        self._right = right

    def __add__(self, offset: int) -> int:
        return offset

    def _process(self, key: bytes, at: int, size: int) -> None:
        self.calls += 1
        if not self._right:
            raise ValueError("not what it was thought to be")

    def both(self) -> tuple[Any, Any]:
        return self.ffi, self.lib


def no_mask(payload: bytes, key: bytes) -> bytes:
    """
    A function of the right name and arguments that does something else.
    """
    return payload


def test_integers_are_always_there() -> None:
    """Without anything compiled, Python's integers mask."""
    short, way, runs, speedups = choose(None, None, None)
    assert short is way is mask_by_integers
    assert speedups == Speedups(((0, "integers"),), None)
    assert str(speedups) == "Python's integers"
    assert frames_of_run(runs(b"\x82\x81", [b"a", b"b"]), b"\x82\x81", 2)[1][1] == b"b"


def test_websockets_masks_short_payloads() -> None:
    """Its function is used at all sizes, unless Autobahn's is there for the large ones."""
    short, way, runs, speedups = choose(xor, "13.0", None)
    assert short is way
    assert speedups == Speedups(((0, "websockets"),), "13.0")
    assert str(speedups) == "websockets 13.0"
    frame = way(b"\x82\x83", b"abc")
    assert xor(frame[6:], frame[2:6]) == b"abc"
    assert frames_of_run(runs(b"\x82\x81", [b"a", b"b"]), b"\x82\x81", 2)[1][1] == b"b"


@pytest.mark.skipif(find_autobahn() is None, reason="Autobahn was installed without NVX")
def test_autobahn_masks_large_payloads() -> None:
    """It takes over from integers early, from websockets where memory counts."""
    short, way, _, speedups = choose(None, None, find_autobahn())
    assert short is mask_by_integers is not way
    assert speedups.masking == ((0, "integers"), (126, "autobahn"))
    assert str(speedups) == "Python's integers, Autobahn's NVX from 126 bytes"
    short, way, _, speedups = choose(xor, "17.4", find_autobahn())
    assert short is not way
    assert speedups.masking == ((0, "websockets"), (262144, "autobahn"))
    assert str(speedups) == "websockets 17.4, Autobahn's NVX from 262144 bytes"


@pytest.mark.parametrize("right", [True, False])
def test_what_does_not_mask_is_not_used(right: bool) -> None:
    """A function that has changed, or raises, is no reason to send what nobody can read."""
    compiled = Compiled(right)  # which masks nothing in either case
    short, way, _, speedups = choose(no_mask, "99.0", compiled.both())
    assert compiled.calls == 1
    assert short is way is mask_by_integers
    assert speedups == Speedups(((0, "integers"),), None)


def _without(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.parametrize(
    ("find", "module", "nothing"),
    [
        (find_websockets, "websockets.speedups", (None, None)),
        (find_autobahn, "_nvx_xormasker", None),
    ],
)
def test_what_is_not_installed_is_not_missed(
    find: Callable[[], Any], module: str, nothing: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is required, and each may be there without its compiled part."""
    _without(monkeypatch, module)
    assert find() == nothing


def test_what_is_installed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are looked for by the names under which they are installed."""
    monkeypatch.setitem(sys.modules, "websockets", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "websockets.speedups", SimpleNamespace(apply_mask=xor))
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"version of {name}")
    assert find_websockets() == (xor, "version of websockets")
    compiled = Compiled()
    monkeypatch.setitem(
        sys.modules, "_nvx_xormasker", SimpleNamespace(ffi=compiled.ffi, lib=compiled.lib)
    )
    monkeypatch.delenv("AUTOBAHN_USE_NVX", raising=False)
    assert find_autobahn() == compiled.both()


@pytest.mark.parametrize("value", ["0", "no", " False "])
def test_autobahns_switch_is_obeyed(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has turned off its compiled code does not get it from us."""
    monkeypatch.setenv("AUTOBAHN_USE_NVX", value)
    assert find_autobahn() is None


def test_speedups_tell_what_was_chosen() -> None:
    """The public function tells what masks in this process, and never changes its mind."""
    told = wsmultipool.speedups()
    assert told is wsmultipool.speedups()
    assert isinstance(told, Speedups)
    assert told.masking[0][0] == 0
    assert {name for _, name in told.masking} <= {"integers", "autobahn", "websockets"}
    assert (told.websockets is not None) == (told.masking[0][1] == "websockets")
