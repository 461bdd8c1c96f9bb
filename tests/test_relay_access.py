"""
Who may connect to a relay, and where it may listen.
"""

from __future__ import annotations

import pytest
from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock

from wsmultipool.service.access import (
    AccessRules,
    Exposed,
    Refusal,
    check_exposure,
    check_host_name,
    check_origin,
    exposure_of_address,
    exposure_of_description,
    on_loopback_unless_told,
)
from wsmultipool.service.relay_options import RelayOptions


def reason(options: RelayOptions, *, checks_host: bool = False, **headers: str) -> str | None:
    """
    Return why somebody with these headers is not let in.
    """
    refusal = AccessRules(options, checks_host=checks_host).refusal(headers)
    return None if refusal is None else refusal.reason


# Web pages


@pytest.mark.parametrize(
    ("origin", "written"),
    [
        ("https://example.com", "https://example.com"),
        ("HTTPS://Example.COM:443/", "https://example.com"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("moz-extension://abc-1", "moz-extension://abc-1"),
        ("null", "null"),
        ("*", "*"),
    ],
)
def test_origins_are_written_as_browsers_do(origin: str, written: str) -> None:
    """An operator may write one with a capital letter, a slash, or the port that goes without."""
    assert check_origin("allow_origins", origin) == written


@pytest.mark.parametrize(
    "origin",
    [
        "example.com",
        "https://",
        "https://example.com/page",
        "https://me:secret@example.com",
        "https://example.com:99999",
        "https://a b",
        "https://*.example.com",
        "",
    ],
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    """It would never match, and whoever wrote it would believe that it does."""
    with pytest.raises(ValueError, match="allow_origins"):
        check_origin("allow_origins", origin)


def test_pages_are_refused_unless_their_origin_is_allowed() -> None:
    """Who has no Origin is no page: browsers always send one with a WebSocket."""
    options = RelayOptions(allow_origins=("https://good.example",))
    assert reason(options) is None
    assert reason(options, origin="https://good.example") is None
    for origin in ("https://evil.example", "http://good.example", "null", "", "nonsense"):
        assert reason(options, origin=origin) == "origin"
    assert reason(RelayOptions(), origin="http://localhost") == "origin"


def test_the_origin_of_old_browsers_counts() -> None:
    """Before version 13 of the protocol, which may be asked for, the header had another name."""
    headers = {"sec-websocket-origin": "https://a.example"}
    refusal = AccessRules(RelayOptions(), checks_host=False).refusal(headers)
    assert refusal is not None
    assert refusal.reason == "origin"
    allowing = RelayOptions(allow_origins=("https://a.example",))
    assert AccessRules(allowing, checks_host=False).refusal(headers) is None


def test_all_origins_can_be_allowed() -> None:
    """By a star, which has to be asked for."""
    options = RelayOptions(allow_origins=("*",))
    assert reason(options, origin="https://evil.example") is None


# Tokens


@pytest.mark.parametrize(
    ("header", "is_right"),
    [
        ("Bearer s3same", True),
        ("bearer  s3same", True),
        ("Bearer s3samE", False),
        ("Bearer s3same x", False),
        ("Bearer", False),
        ("s3same", False),
        ("Basic s3same", False),
        ("Bearer s\xe9same\udcff", False),
        ("", False),
    ],
)
def test_a_token_must_be_right(header: str, is_right: bool) -> None:
    """In the form of RFC 6750; anything else is a refusal, not an error."""
    found = reason(RelayOptions(token="s3same"), authorization=header)
    assert found == (None if is_right else "token")


def test_a_refusal_says_what_is_wanted_and_nothing_else() -> None:
    """The response is a whole one, by which browsers and people can tell."""
    rules = AccessRules(RelayOptions(token="s3same"), checks_host=False)
    refusal = rules.refusal({"authorization": "Bearer wrong"})
    assert refusal is not None
    response = refusal.response()
    head, _, body = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert b"Content-Length: %d\r\n" % len(body) in head
    assert b"s3same" not in response
    assert b"wrong" not in response


def test_every_refusal_has_the_name_of_its_status() -> None:
    """As HTTP demands."""
    assert Refusal(503, "full", "x").response().startswith(b"HTTP/1.1 503 Service Unavailable\r\n")


# Names


@pytest.mark.parametrize(
    ("host", "is_known"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("app.localhost", True),
        ("127.0.0.1:80", True),
        ("127.8.9.10", True),
        ("[::1]", True),
        ("[::1]:8080", True),
        ("my-name:80", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_on_loopback_the_host_must_be_a_name_of_loopback(host: str, is_known: bool) -> None:
    """A page whose name was pointed at loopback calls it by that name (DNS rebinding)."""
    options = RelayOptions(allow_hosts=("My-Name",))
    assert reason(options, checks_host=True, host=host) == (None if is_known else "host")
    assert reason(options, checks_host=False, host=host) is None


def test_a_host_name_has_no_port() -> None:
    """It would never match."""
    assert check_host_name("allow_hosts", "[::1]") == "::1"
    for wrong in ("a:80", "http://a", "a/b", ""):
        with pytest.raises(ValueError, match="allow_hosts"):
            check_host_name("allow_hosts", wrong)


# Where to listen


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("tcp:8080", "tcp:8080:interface=127.0.0.1"),
        ("tcp:port=8080", "tcp:port=8080:interface=127.0.0.1"),
        ("tcp6:8080", r"tcp6:8080:interface=\:\:1"),
        ("ssl:443:privateKey=k.pem", "ssl:443:privateKey=k.pem:interface=127.0.0.1"),
        ("haproxy:tcp:80", "haproxy:tcp:80:interface=127.0.0.1"),
        ("tcp:8080:interface=0.0.0.0", "tcp:8080:interface=0.0.0.0"),
        ("tcp:8080:10.0.0.1", "tcp:8080:10.0.0.1"),
        ("unix:/run/relay.sock", "unix:/run/relay.sock"),
        ("systemd:domain=INET:index=0", "systemd:domain=INET:index=0"),
    ],
)
def test_a_relay_listens_on_loopback_unless_told_otherwise(given: str, wanted: str) -> None:
    """Who wants another interface names it."""
    assert on_loopback_unless_told(given) == wanted
    assert on_loopback_unless_told(wanted) == wanted


@pytest.mark.parametrize("given", ["tcp:8080", r"tcp:8080:interface=\:\:", "tcp6:8080"])
def test_twisted_reads_descriptions_the_same_way(given: str) -> None:
    """What the rules take for the interface is the one that is listened on."""
    reactor = MemoryReactorClock()
    serverFromString(reactor, on_loopback_unless_told(given)).listen(Factory())
    ((_, _, _, interface),) = reactor.tcpServers
    local = exposure_of_description(on_loopback_unless_told(given)).local
    assert (interface in ("127.0.0.1", "::1")) == local


@pytest.mark.parametrize(
    ("description", "local", "checks_host"),
    [
        ("tcp:8080:interface=127.0.0.1", True, True),
        ("tcp:8080:127.0.0.2", True, True),
        (r"tcp:8080:interface=\:\:1", True, True),
        ("tcp:8080:interface=localhost", True, True),
        ("ssl:443:interface=127.0.0.1:privateKey=a=b", True, True),
        ("haproxy:tcp:80:interface=127.0.0.1", True, True),
        ("unix:/run/relay.sock", True, False),
        ("systemd:domain=UNIX:index=0", True, False),
        ("systemd:domain=INET6:index=0", None, False),
        ("txtorcon:80", None, False),
        ("tcp:8080", False, False),
        ("tcp:8080:interface=0.0.0.0", False, False),
        (r"tcp:8080:interface=\:\:", False, False),
        (r"tcp:8080:interface=\:\:ffff\:10.0.0.1", False, False),
        (r"tcp:8080:interface=\:\:ffff\:127.0.0.1", True, True),
        ("ssl:443:interface=192.168.1.2", False, False),
    ],
)
def test_a_description_tells_who_can_reach_it(
    description: str, local: bool | None, checks_host: bool
) -> None:
    """Only this machine, others as well, or nobody knows before it listens."""
    exposure = exposure_of_description(description)
    assert (exposure.local, exposure.checks_host) == (local, checks_host)


@pytest.mark.parametrize(
    ("address", "local", "where"),
    [
        (IPv4Address("TCP", "127.0.0.1", 80), True, "127.0.0.1:80"),
        (IPv6Address("TCP", "::1", 80), True, "[::1]:80"),
        (IPv6Address("TCP", "::ffff:127.0.0.1", 80), True, "[::ffff:127.0.0.1]:80"),
        (IPv4Address("TCP", "0.0.0.0", 80), False, "0.0.0.0:80"),
        (IPv6Address("TCP", "::", 80), False, "[::]:80"),
        (UNIXAddress(b"/run/relay.sock"), True, "a unix socket"),
        (HostnameAddress(b"example.com", 80), False, None),
    ],
)
def test_an_address_tells_who_can_reach_it(
    address: IAddress, local: bool, where: str | None
) -> None:
    """What is of no known kind may be reached by anybody."""
    exposure = exposure_of_address(address)
    assert exposure.local == local
    assert where is None or exposure.where == where


def test_beyond_loopback_a_token_or_certificates_are_needed() -> None:
    """The one rule about where a relay may listen; what is unknown is asked again later."""
    exposed = exposure_of_description("tcp:80:interface=0.0.0.0")
    with pytest.raises(Exposed, match="beyond loopback"):
        check_exposure(exposed, RelayOptions())
    check_exposure(exposed, RelayOptions(token="s3same"))
    check_exposure(exposed, RelayOptions(client_certificates=True))
    check_exposure(exposure_of_description("tcp:80:interface=127.0.0.1"), RelayOptions())
    check_exposure(exposure_of_description("systemd:domain=INET:index=0"), RelayOptions())
