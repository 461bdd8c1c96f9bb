"""
The options of a relay: what they accept, and how they name a mistake.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from wsmultipool.service.relay_options import RelayOptions


def test_options_can_not_be_changed() -> None:
    """A relay can rely on what it was given."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        RelayOptions().confirm = True  # type: ignore[misc]


def test_sequences_are_copied_and_written_alike() -> None:
    """A list is as good as a tuple."""
    options = RelayOptions(
        allow_origins=["HTTP://A.example:80"],  # type: ignore[arg-type]
        allow_hosts=["B.example"],  # type: ignore[arg-type]
        protocols=["v1"],  # type: ignore[arg-type]
    )
    assert options.allow_origins == ("http://a.example",)
    assert options.allow_hosts == ("b.example",)
    assert options.protocols == ("v1",)


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("fanout", "some", ValueError),
        ("fanout", 1, ValueError),
        ("confirm", 1, TypeError),
        ("ordered", None, TypeError),
        ("client_certificates", "yes", TypeError),
        ("allow_origins", "https://a.example", TypeError),
        ("allow_origins", (1,), TypeError),
        ("allow_origins", ("a.example",), ValueError),
        ("allow_hosts", ("a:80",), ValueError),
        ("allow_hosts", (None,), TypeError),
        ("protocols", ("a b",), ValueError),
        ("protocols", (b"v1",), TypeError),
        ("max_clients", 0, ValueError),
        ("max_clients", True, TypeError),
        ("max_message_size", 1.5, TypeError),
        ("client_buffer_size", -1, ValueError),
        ("confirm_window", 0, ValueError),
        ("confirm_window_bytes", "1", TypeError),
        ("handshake_timeout", 0, ValueError),
        ("close_timeout", float("inf"), ValueError),
        ("settle_timeout", "1", TypeError),
        ("send_timeout", -1, ValueError),
    ],
)
def test_a_mistake_names_option_and_value(option: str, value: Any, error: type[Exception]) -> None:
    """Whoever made it finds it in the message."""
    with pytest.raises(error) as raised:
        RelayOptions(**{option: value})
    assert option in str(raised.value)
    if error is ValueError:
        shown = value[0] if isinstance(value, tuple) else value
        assert repr(shown) in str(raised.value)


@pytest.mark.parametrize("token", ["two words", "", "s\xe9same", "line\nbreak", b"bytes", 7])
def test_a_mistake_in_a_token_does_not_show_it(token: Any) -> None:
    """It is a secret, even if it can't be used."""
    with pytest.raises((TypeError, ValueError), match="token") as raised:
        RelayOptions(token=token)
    assert not token or str(token) not in str(raised.value)


def test_what_is_shown_of_options_is_not_the_token() -> None:
    """Only that there is one, and what else differs from the defaults."""
    assert repr(RelayOptions(token="s3same", confirm=True)) == (
        "RelayOptions(confirm=True, token=***)"
    )
    assert repr(RelayOptions()) == "RelayOptions()"


def test_waiting_can_have_no_end() -> None:
    """With None."""
    assert RelayOptions(send_timeout=None).send_timeout is None


@pytest.mark.parametrize("seconds", [0, 0.0, 0.5, 30])
def test_clients_need_not_be_waited_for(seconds: float) -> None:
    """At the end, a relay waits so long for its clients, or not at all."""
    assert RelayOptions(settle_timeout=seconds).settle_timeout == seconds
