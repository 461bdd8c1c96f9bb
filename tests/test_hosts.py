"""
Tests for L{wsmultipool.service.hosts}.
"""

from __future__ import annotations

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

from wsmultipool.service.hosts import is_local, may_be_called


@pytest.mark.parametrize(
    ("address", "local"),
    [
        (IPv4Address("TCP", "127.0.0.1", 80), True),
        (IPv4Address("TCP", "127.9.9.9", 80), True),
        (IPv4Address("TCP", "0.0.0.0", 80), False),
        (IPv4Address("TCP", "192.0.2.1", 80), False),
        (IPv6Address("TCP", "::1", 80), True),
        (IPv6Address("TCP", "::ffff:127.0.0.1", 80), True),
        (IPv6Address("TCP", "::", 80), False),
        (IPv6Address("TCP", "::ffff:192.0.2.1", 80), False),
        (UNIXAddress("/run/pool.sock"), False),
        (object(), False),
    ],
)
def test_loopback_addresses_are_local(address: object, local: bool) -> None:
    """A browser can reach what listens on them, by any name that resolves to them."""
    assert is_local(address) is local


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST:80", "localhost.", "a.localhost", "127.0.0.1", "127.1.2.3:8080"),
        *(
            "[::1]",
            "[::1]:8080",
            "[::ffff:127.0.0.1]:8080",
            "localhost:",
            "localhost:65535",
            "status.test",
            "status.test.",
            "Status.Test:443",
            " localhost ",
            None,
        ),
    ],
)
def test_names_of_this_machine_are_allowed(host: str | None) -> None:
    """Those of loopback, those that were allowed, and none."""
    assert may_be_called(host, ["STATUS.test"])


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.1",
            "0.0.0.0",
        ),
        *(
            "evil.example:80",
            "[2001:db8::1]",
            "",
            "notlocalhost",
            "2001:db8::1",
            "status.test.evil",
            "status.test/",
        ),
    ],
)
def test_names_of_strangers_are_not(host: str) -> None:
    """Whatever they look like."""
    assert not may_be_called(host, ["status.test"])


@pytest.mark.parametrize(
    "host",
    [
        *(
            "[::1]evil.com",
            "[127.0.0.1]evil.com",
            "[127.0.0.1]",
            "[localhost]",
            "[]",
            "[::1",
            "::1]",
        ),
        *("127.0.0.1%evil.com", "[::1%lo]", "[::1%25lo]", "::1", "::1:80", "localhost:80:80"),
        *("localhost:evil", "localhost:65536", "localhost:-1", "localhost:+80", "localhost:080808"),
        *("localhost,localhost", "localhost localhost", "a@localhost", "localhost\\.evil.com"),
        *(
            "localhost\n",
            "\u212aocalhost",
            "evil.com#.localhost",
            "evil.com/.localhost",
            ":80",
            ".",
        ),
        *("127.1", "2130706433", "0x7f000001", "127.0.0.1\x00"),
    ],
)
def test_what_is_no_host_is_not_taken_for_one(host: str) -> None:
    """Only a whole name or address, and maybe a port, is read: nothing is left out on the way."""
    assert not may_be_called(host, ["status.test"])
