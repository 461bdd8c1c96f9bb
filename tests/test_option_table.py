"""
Tests for L{wsmultipool.service.option_table}, and for how its options follow from dataclasses.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from wsmultipool import PoolOptions, TLSOptions, WebSocketOptions
from wsmultipool.service.option_table import BY_NAME, GROUPS, OPTIONS
from wsmultipool.service.relay_options import RelayOptions

# What is for programs only, being an object or a callable; or is said in another way.
NOT_FOR_OPERATORS: dict[type, set[str]] = {
    PoolOptions: {"balancer", "logger", "on_connect", "ws_factory", "ws_options"},
    # --header and --header-file; a callable; the group on TLS; the pool's option of the same name.
    WebSocketOptions: {"headers", "url", "tls", "max_message_size"},
    # --ca, --cert and --key, --insecure.
    TLSOptions: {"trust_root", "client_certificate", "verify"},
    # --token-file, as a token must not be on a command line; --client-ca; --drain; and what 5 s are
    # fine for.
    RelayOptions: {"token", "client_certificates", "settle_timeout", "close_timeout"},
}


@pytest.mark.parametrize("cls", NOT_FOR_OPERATORS)
def test_no_option_of_the_library_is_forgotten(cls: Any) -> None:
    """Whatever can be configured in a program, and makes sense elsewhere, can be configured."""
    in_table = {option.field for option in OPTIONS if option.owner is cls}
    in_tls_group = {"server_name"} if cls is TLSOptions else set()
    known = {field.name for field in fields(cls) if field.init}
    assert known - in_table - in_tls_group == NOT_FOR_OPERATORS[cls]


def test_names_are_unique() -> None:
    """A name in a file means one option only."""
    assert len(BY_NAME) == len(OPTIONS) == sum(len(group.options) for group in GROUPS)


def test_names_on_a_command_line() -> None:
    """A command line has dashes where a file has underscores."""
    assert BY_NAME["pool_size"].flag == "--pool-size"


@pytest.mark.parametrize(
    ("name", "kind", "metavar", "default"),
    [
        ("pool_size", "integer", "N", 5),
        ("heartbeat_interval", "number", "SECONDS", 0),
        ("max_buffered_bytes", "integer", "BYTES", 64 * 1024 * 1024),
        ("reconnect_backoff_multiplier", "number", "X", 2.0),
        ("compression", "flag", "", False),
        ("tcp_nodelay", "flag", "", True),
        ("max_reconnect_attempts", "integer", "N", None),
        ("origin", "text", "TEXT", None),
        ("subprotocol", "text", "TEXT", None),
        ("fanout", "choice", "all|sticky", "all"),
        ("client_buffer_size", "integer", "BYTES", 1024 * 1024),
    ],
)
def test_kinds_and_defaults_are_those_of_the_library(
    name: str, kind: str, metavar: str, default: object
) -> None:
    """What the help says of a value is what the library does."""
    option = BY_NAME[name]
    assert (option.kind, option.metavar, option.default) == (kind, metavar, default)


def test_choices_are_those_of_the_library() -> None:
    """A choice may be every word that the library knows."""
    assert BY_NAME["overflow"].choices == ("drop_oldest", "drop_newest", "wait")


def test_a_service_has_other_defaults_for_its_queue() -> None:
    """Of many who send, none pays for what another one sends."""
    assert BY_NAME["overflow"].default == "drop_newest"
    assert BY_NAME["message_queue_size"].default == 10_000


def test_what_may_be_given_several_times() -> None:
    """URLs, subprotocols, headers, origins and hosts come in numbers."""
    assert {option.name for option in OPTIONS if option.repeatable} == {
        *("url", "subprotocol", "header", "header_file", "allow_origin", "allow_host"),
        *("client_subprotocol", "wamp_url", "wamp_shard", "wamp_publish"),
    }


def test_what_changes_without_a_restart() -> None:
    """An operator can rely on this list, which the documentation has as well."""
    assert {option.name for option in OPTIONS if option.live} == {
        *("pool_size", "header", "header_file", "allow_origin", "allow_host", "token_file"),
        *("ca", "cert", "key", "server_name", "insecure", "wamp_ticket_file", "min_ready"),
        *("drain", "log_level"),
    }
    for option in OPTIONS:
        # What it means nothing without comes first.
        names = [each.name for each in OPTIONS]
        assert not option.within or names.index(option.within) < names.index(option.name)
