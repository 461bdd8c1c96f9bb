"""
Tests for L{wsmultipool._arguments}.
"""

from __future__ import annotations

from array import array
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsmultipool._arguments import check_close, check_flags, check_ping, check_timeout, to_payload
from wsmultipool.messages import SendData

NOT_UTF_8 = [b"\xff", b"\xc3", b"abc\x80", b"\xed\xa0\x80"]


@pytest.mark.parametrize("timeout", [None, 1, 0.001, 1e9])
def test_timeouts(timeout: float | None) -> None:
    """A positive number of seconds is a timeout, and None is none."""
    check_timeout(timeout)
    assert check_ping(b"", timeout) == b""


@pytest.mark.parametrize("timeout", [0, -1, -0.5, float("nan"), float("inf"), 10**400])
def test_timeouts_out_of_range(timeout: float) -> None:
    """Zero, negative and endless timeouts are refused by name, for pings as well."""
    with pytest.raises(ValueError, match="timeout"):
        check_timeout(timeout)
    with pytest.raises(ValueError, match="timeout"):
        check_ping(b"", timeout)


@pytest.mark.parametrize("compress", [None, True, False])
@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("fin", [True, False])
def test_flags(compress: bool | None, mask: bool, fin: bool) -> None:
    """True and False are flags; whether to compress may also be left open."""
    check_flags(compress, mask, fin, not fin)


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("compress", (1, True, True, False)),
        ("compress", ("", True, True, False)),
        ("mask", (None, 0, True, False)),
        ("mask", (None, None, True, False)),
        ("fin", (None, True, b"", False)),
        ("fin", (None, True, None, False)),
        ("confirm", (None, True, True, 1)),
        ("confirm", (None, True, True, None)),
    ],
)
def test_flags_of_the_wrong_type(name: str, flags: tuple[Any, Any, Any, Any]) -> None:
    """What is merely true or false is refused by name: it was probably meant for another."""
    with pytest.raises(TypeError, match=f"{name} must be True or False"):
        check_flags(*flags)


@pytest.mark.parametrize("timeout", ["1", True, b"1", 1j])
def test_timeouts_of_the_wrong_type(timeout: Any) -> None:
    """What is not a number is refused by name."""
    with pytest.raises(TypeError, match="timeout"):
        check_timeout(timeout)


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        (b"", b""),
        ("", b""),
        ("\u00fc", b"\xc3\xbc"),
        (bytearray(b"abc"), b"abc"),
        (memoryview(b"abc"), b"abc"),
        (memoryview(array("H", [0x4141, 0x4242])), b"AABB"),
        (b"x" * 125, b"x" * 125),
    ],
)
def test_ping_payloads(data: object, payload: bytes) -> None:
    """A ping carries up to 125 bytes, or text as UTF-8."""
    checked = check_ping(data, None)
    assert (type(checked), checked) == (bytes, payload)


@pytest.mark.parametrize("data", [b"x" * 126, "\u00fc" * 63, memoryview(bytes(200))])
def test_ping_payloads_that_are_too_long(data: object) -> None:
    """More than a control frame can carry is refused, counted in bytes."""
    with pytest.raises(ValueError, match=r"data: a ping carries at most 125 bytes, not \d+"):
        check_ping(data, None)


@pytest.mark.parametrize("data", [None, 5, ["a"], object()])
def test_ping_payloads_of_the_wrong_type(data: object) -> None:
    """A number, for one, is not taken for so many zero bytes."""
    with pytest.raises(TypeError, match=f"data: .*{type(data).__name__}"):
        check_ping(data, None)


def test_ping_text_that_cannot_be_utf_8() -> None:
    """Half a surrogate pair is no text that can be sent."""
    with pytest.raises(ValueError, match="surrogates"):
        check_ping("\ud800", None)


@pytest.mark.parametrize("code", [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_close_codes(code: int) -> None:
    """The codes that RFC 6455, section 7.4, lets an endpoint send are taken."""
    check_close(code, "")


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65536])
def test_close_codes_that_may_not_be_sent(code: int) -> None:
    """Reserved codes, and those that only ever stand for their absence, are refused."""
    with pytest.raises(ValueError, match=f"code.*{code}"):
        check_close(code, "")


@pytest.mark.parametrize("code", ["1000", 1000.0, None, True])
def test_close_codes_of_the_wrong_type(code: Any) -> None:
    """A close code is an integer."""
    with pytest.raises(TypeError, match="code"):
        check_close(code, "")


@pytest.mark.parametrize("reason", ["", "bye", "x" * 123, "\u00fc" * 61])
def test_close_reasons(reason: str) -> None:
    """A reason is text that fits into a Close frame behind the code."""
    check_close(1000, reason)


@pytest.mark.parametrize(("reason", "size"), [("x" * 124, 124), ("\u00fc" * 62, 124)])
def test_close_reasons_that_are_too_long(reason: str, size: int) -> None:
    """The length is counted in bytes of UTF-8, and the error says how many there are."""
    with pytest.raises(ValueError, match=rf"reason: at most 123 bytes of UTF-8, not {size}"):
        check_close(1000, reason)


def test_close_reasons_that_cannot_be_utf_8() -> None:
    """Half a surrogate pair is refused, by name."""
    with pytest.raises(ValueError, match=r"reason: .*UTF-8"):
        check_close(1000, "\udc80")


@pytest.mark.parametrize("reason", [b"bye", None, 7])
def test_close_reasons_of_the_wrong_type(reason: Any) -> None:
    """Bytes are no reason: they might not be text."""
    with pytest.raises(TypeError, match="reason"):
        check_close(1000, reason)


@pytest.mark.parametrize("drain", [None, 0, 0.0, 30])
def test_time_to_drain(drain: float | None) -> None:
    """A pool may be given seconds to drain, or none."""
    check_close(1000, "", drain)


@pytest.mark.parametrize("drain", [-1, float("inf"), float("nan")])
def test_time_to_drain_out_of_range(drain: float) -> None:
    """Negative and endless times are refused, by name."""
    with pytest.raises(ValueError, match="drain"):
        check_close(1000, "", drain)


@pytest.mark.parametrize("drain", ["5", True])
def test_time_to_drain_of_the_wrong_type(drain: Any) -> None:
    """True is a mistake, not one second."""
    with pytest.raises(TypeError, match="drain"):
        check_close(1000, "", drain)


# Payloads


@pytest.mark.parametrize(
    ("data", "binary", "expected"),
    [
        ("text", None, (b"text", False)),
        ("\u00fc", None, (b"\xc3\xbc", False)),
        ("", None, (b"", False)),
        (b"bytes", None, (b"bytes", True)),
        (bytearray(b"bytes"), None, (b"bytes", True)),
        (memoryview(b"bytes"), None, (b"bytes", True)),
        (memoryview(array("H", [0x4141])), None, (b"AA", True)),
        (memoryview(b"abcdef")[::2], None, (b"ace", True)),
        (b"\xff", None, (b"\xff", True)),
        ("text", True, (b"text", True)),
        ("text", False, (b"text", False)),
        (b"bytes", True, (b"bytes", True)),
        (b"bytes", False, (b"bytes", False)),
        (bytearray(b"\xc3\xbc"), False, (b"\xc3\xbc", False)),
    ],
)
def test_payloads(data: SendData, binary: bool | None, expected: tuple[bytes, bool]) -> None:
    """Text goes as text and bytes as binary, unless the caller wants it otherwise."""
    payload, is_binary = to_payload(data, binary)
    assert (payload, is_binary) == expected
    assert type(payload) is bytes


def test_a_buffer_is_copied() -> None:
    """The caller may go on changing a buffer that was sent."""
    buffer = bytearray(b"before")
    payload, _ = to_payload(buffer, None)
    of_view, _ = to_payload(memoryview(buffer), None)
    buffer[:] = b"after!"
    assert (payload, of_view) == (b"before", b"before")


def test_bytes_are_not_copied() -> None:
    """Bytes never change, so large ones are not copied."""
    data = bytes(1000)
    assert to_payload(data, None)[0] is data


@pytest.mark.parametrize("data", [None, 5, ["text"], object(), {"a": 1}])
@pytest.mark.parametrize("binary", [None, True, False])
def test_what_is_neither_text_nor_bytes_is_refused(data: Any, binary: bool | None) -> None:
    """A wrong type is a TypeError at once; a number is not taken for so many bytes."""
    with pytest.raises(TypeError, match=f"data: .* not {type(data).__name__}"):
        to_payload(data, binary)


@pytest.mark.parametrize("binary", [0, 1, "yes", b""])
def test_binary_is_a_bool_or_none(binary: Any) -> None:
    """What is merely true or false is refused: it was probably meant for another argument."""
    with pytest.raises(TypeError, match=f"binary: .*{binary!r}"):
        to_payload("text", binary)


@pytest.mark.parametrize("data", NOT_UTF_8)
def test_bytes_sent_as_text_must_be_utf_8(data: bytes) -> None:
    """The mistake is a ValueError for the caller, and not a connection that the peer breaks."""
    for each in (data, bytearray(data), memoryview(data)):
        with pytest.raises(ValueError, match="data: bytes sent as text must be UTF-8: "):
            to_payload(each, False)


@pytest.mark.parametrize("binary", [None, True, False])
def test_text_that_cannot_be_utf_8_is_refused(binary: bool | None) -> None:
    """Half a surrogate pair can't be sent, in whatever kind of message."""
    with pytest.raises(ValueError, match="data: text that can't be UTF-8: "):
        to_payload("\ud800", binary)


def test_a_mistake_does_not_show_the_data() -> None:
    """What was to be sent may be secret, so errors do not quote it."""
    for data, binary in ((b"secret\xff", False), ("secret\ud800", None)):
        with pytest.raises(ValueError, match="data") as caught:
            to_payload(data, binary)
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_a_fragment_of_text_may_end_within_a_character() -> None:
    """The text of fragments is checked over their borders, not by itself."""
    assert to_payload(b"\xc3", False, whole=False) == (b"\xc3", False)


@settings(derandomize=True)
@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    """A receiver that decodes the payload has the text."""
    payload, is_binary = to_payload(text, None)
    assert (payload.decode(), is_binary) == (text, False)
    assert to_payload(payload, False) == (payload, False)
