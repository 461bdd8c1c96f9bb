"""
Tests for L{wsmultipool.service.endpoint_string}.
"""

from __future__ import annotations

import pytest

from wsmultipool.service.endpoint_string import parts_of, tls_files_of, unix_socket_of


@pytest.mark.parametrize(
    ("description", "kind", "arguments"),
    [
        ("tcp:8080", "tcp", {"0": "8080"}),
        (
            "tcp:8080:interface=10.0.0.1:50",
            "tcp",
            {"0": "8080", "interface": "10.0.0.1", "1": "50"},
        ),
        (r"tcp6:80:interface=\:\:1", "tcp6", {"0": "80", "interface": "::1"}),
        (r"ssl:443:privateKey=a=b:certKey=c\=d\\", "ssl", {"0": "443", "privateKey": "a=b"}),
        ("unix", "unix", {}),
    ],
)
def test_parts(description: str, kind: str, arguments: dict[str, str]) -> None:
    """Arguments have names or positions; a backslash takes away what a character means."""
    found_kind, found = parts_of(description)
    assert found_kind == kind
    assert found == arguments | ({"certKey": "c=d\\"} if "certKey" in found else {})


@pytest.mark.parametrize(
    ("description", "files"),
    [
        ("tcp:443", ()),
        ("ssl:443", ("server.pem",)),
        ("ssl:443:privateKey=k.pem", ("k.pem",)),
        ("ssl:443:certKey=c.pem:privateKey=k.pem", ("k.pem", "c.pem")),
        ("ssl:443:k.pem:c.pem", ("k.pem", "c.pem")),
        ("ssl:443:dhParameters=d:extraCertChain=e", ("server.pem", "e", "d")),
        ("haproxy:ssl:443:privateKey=k.pem", ("k.pem",)),
        ("haproxy:tcp:443", ()),
    ],
)
def test_files_of_tls(description: str, files: tuple[str, ...]) -> None:
    """The key comes first, wherever it stands."""
    assert tls_files_of(description) == files


@pytest.mark.parametrize(
    ("description", "path"),
    [
        ("unix:/run/relay.sock:mode=660", "/run/relay.sock"),
        ("unix:address=/run/relay.sock", "/run/relay.sock"),
        ("haproxy:unix:/run/relay.sock", "/run/relay.sock"),
        ("tcp:9000", None),
        ("unix", None),
    ],
)
def test_socket_of_unix(description: str, path: str | None) -> None:
    """Other endpoints have none."""
    assert unix_socket_of(description) == path
