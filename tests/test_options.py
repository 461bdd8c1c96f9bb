"""
The options of a pool and of its WebSockets: defaults, checks, and what their C{repr} hides.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL.SSL import TLS_METHOD, Context
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.ssl import (
    Certificate,
    PrivateCertificate,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import Logger
from zope.interface import implementer

from wsmultipool._websocket_options import check_headers
from wsmultipool.balancers import RoundRobin
from wsmultipool.interfaces import IWebSocketFactory
from wsmultipool.loggers import noop_logger
from wsmultipool.options import (
    Compression,
    PoolOptions,
    PoolOptionsDict,
    ProxyOptions,
    TLSOptions,
    WebSocketOptions,
)

# From the table of options in the documentation.
DEFAULTS = {
    "pool_size": 5,
    "reconnect_interval": 1.0,
    "max_reconnect_interval": 30.0,
    "reconnect_backoff_multiplier": 2.0,
    "max_reconnect_attempts": None,
    "min_uptime": 5.0,
    "open_timeout": 10.0,
    "close_timeout": 5.0,
    "heartbeat_interval": 0,
    "heartbeat_timeout": 5.0,
    "message_queue_size": 100,
    "overflow": "drop_oldest",
    "max_buffered_bytes": 67108864,
    "max_message_size": 104857600,
    "balancer": None,
    "on_connect": None,
    "max_deliveries": 3,
    "max_connecting": None,
    "name": None,
    "logger": None,
    "ws_factory": None,
    "ws_options": WebSocketOptions(),
}


@implementer(IWebSocketFactory)
class StubFactory:
    """An object that says it provides L{IWebSocketFactory}; no more is looked at here."""

    def build_endpoint(self, reactor: Any, url: Any, options: Any) -> Any:
        raise NotImplementedError

    def build_protocol(self, request: Any, options: Any) -> Any:
        raise NotImplementedError


def test_defaults() -> None:
    """Without arguments every option has the documented default."""
    options = PoolOptions()

    actual = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    assert actual == DEFAULTS


def test_keyword_arguments_are_the_options() -> None:
    """The typed keyword arguments of a pool have the names and types of its options."""
    keywords = {
        name: getattr(hint, "__forward_arg__", hint)
        for name, hint in PoolOptionsDict.__annotations__.items()
    }
    options = {field.name: field.type for field in dataclasses.fields(PoolOptions)}

    # Here callers may give more than they then find.
    assert keywords.pop("ws_options") == "WebSocketOptions | str | Sequence[str] | None"
    assert options.pop("ws_options") == "WebSocketOptions"
    assert keywords == options


def test_options_cannot_be_changed() -> None:
    """What was checked stays as it was."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        PoolOptions().pool_size = 6  # type: ignore[misc]


@pytest.mark.parametrize(
    "accepted",
    [
        {"pool_size": 1},
        {"reconnect_interval": 1, "max_reconnect_interval": 1},
        {"reconnect_backoff_multiplier": 1.01},
        {"max_reconnect_attempts": 1, "max_connecting": 1},
        {"min_uptime": 0, "heartbeat_interval": 0, "message_queue_size": 0},
        {"open_timeout": 0.001, "close_timeout": 0.001, "heartbeat_timeout": 0.001},
        {"overflow": "drop_newest"},
        {"overflow": "wait"},
        {"max_buffered_bytes": 1, "max_message_size": 1},
        {"balancer": RoundRobin()},
        {"on_connect": print},
        {"name": "prices"},
        {"logger": noop_logger},
        {"logger": logging.getLogger("wsmultipool.test")},
        {"logger": Logger()},
        {"logger": False},
        {"ws_factory": StubFactory()},
    ],
)
def test_accepted_values(accepted: Mapping[str, object]) -> None:
    """The ends of every range, and each kind of plug-in, are accepted as they are."""
    options = PoolOptions.from_keywords(accepted)

    for name, value in accepted.items():
        assert getattr(options, name) == value


NUMBERS = [
    "reconnect_interval",
    "max_reconnect_interval",
    "reconnect_backoff_multiplier",
    "min_uptime",
    "open_timeout",
    "close_timeout",
    "heartbeat_interval",
    "heartbeat_timeout",
]
INTEGERS = ["pool_size", "message_queue_size", "max_buffered_bytes", "max_message_size"]
OPTIONAL_INTEGERS = ["max_reconnect_attempts", "max_connecting"]


@pytest.mark.parametrize("name", [*NUMBERS, *INTEGERS, *OPTIONAL_INTEGERS])
@pytest.mark.parametrize("value", ["5", True, [], 1j])
def test_numbers_must_be_numbers(name: str, value: object) -> None:
    """Text, C{True} and the like are no numbers."""
    kind = "a number" if name in NUMBERS else "an integer"

    with pytest.raises(TypeError) as raised:
        PoolOptions.from_keywords({name: value})

    assert str(raised.value) == f"{name} must be {kind}, not {value!r}"


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400])
def test_numbers_must_be_finite(name: str, value: float) -> None:
    """Neither infinity nor a NaN nor an absurd integer gets as far as a timer."""
    with pytest.raises(ValueError, match=f"{name} must be a finite number, not "):
        PoolOptions.from_keywords({name: value})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("pool_size", 0, "pool_size must be at least 1, not 0"),
        ("pool_size", -1, "pool_size must be at least 1, not -1"),
        ("reconnect_interval", 0, "reconnect_interval must be greater than 0, not 0"),
        ("max_reconnect_interval", -1.5, "max_reconnect_interval must be greater than 0, not -1.5"),
        (
            "max_reconnect_interval",
            0.5,
            "max_reconnect_interval (0.5) must not be less than reconnect_interval (1.0)",
        ),
        (
            "reconnect_backoff_multiplier",
            1,
            "reconnect_backoff_multiplier must be greater than 1, not 1",
        ),
        ("max_reconnect_attempts", 0, "max_reconnect_attempts must be at least 1, not 0"),
        ("min_uptime", -1, "min_uptime must be at least 0, not -1"),
        ("open_timeout", 0, "open_timeout must be greater than 0, not 0"),
        ("close_timeout", 0.0, "close_timeout must be greater than 0, not 0.0"),
        ("heartbeat_interval", -0.1, "heartbeat_interval must be at least 0, not -0.1"),
        ("heartbeat_timeout", 0, "heartbeat_timeout must be greater than 0, not 0"),
        ("message_queue_size", -1, "message_queue_size must be at least 0, not -1"),
        ("max_buffered_bytes", 0, "max_buffered_bytes must be at least 1, not 0"),
        ("max_message_size", 0, "max_message_size must be at least 1, not 0"),
        ("max_deliveries", 0, "max_deliveries must be at least 1, not 0"),
        ("max_connecting", 0, "max_connecting must be at least 1, not 0"),
        (
            "overflow",
            "drop-oldest",
            "overflow must be one of 'drop_oldest', 'drop_newest', 'wait', not 'drop-oldest'"
            ": did you mean 'drop_oldest'?",
        ),
        (
            "overflow",
            "explode",
            "overflow must be one of 'drop_oldest', 'drop_newest', 'wait', not 'explode'",
        ),
        ("name", " ", "name must not be empty or contain control characters, not ' '"),
        ("name", "a\nb", "name must not be empty or contain control characters, not 'a\\nb'"),
    ],
)
def test_values_out_of_range(name: str, value: object, message: str) -> None:
    """A value out of range is refused with the name of the option and the value."""
    with pytest.raises(ValueError, match=f"^{name} ") as raised:
        PoolOptions.from_keywords({name: value})

    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("overflow", None, "overflow must be a str, not None"),
        ("name", 7, "name must be a str, not 7"),
        ("balancer", 7, "balancer: 7 does not provide IBalancer"),
        ("ws_factory", 7, "ws_factory: 7 does not provide IWebSocketFactory"),
        ("on_connect", 7, "on_connect must be callable, not 7"),
        ("logger", 7, "logger: 7 does not provide IPoolLogger"),
        ("logger", True, "logger: True does not provide IPoolLogger"),
    ],
)
def test_values_of_the_wrong_kind(name: str, value: object, message: str) -> None:
    """An object that is no such plug-in is refused by the name of the interface."""
    with pytest.raises(TypeError) as raised:
        PoolOptions.from_keywords({name: value})

    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("pool_sise", 4, "unknown option 'pool_sise' (value 4): did you mean 'pool_size'?"),
        ("poolSize", 4, "unknown option 'poolSize' (value 4): did you mean 'pool_size'?"),
        (
            "reconnectInterval",
            1000,
            "unknown option 'reconnectInterval' (value 1000): did you mean 'reconnect_interval'?"
            " (in seconds)",
        ),
        (
            "messageQueueSize",
            "secret",
            "unknown option 'messageQueueSize': did you mean 'message_queue_size'?",
        ),
        ("xyzzy", 1234, "unknown option 'xyzzy'"),
        (
            "handshakeTimeout",
            5000,
            "unknown option 'handshakeTimeout' (value 5000): did you mean 'open_timeout'?"
            " (in seconds)",
        ),
        (
            "key",
            1234,
            "unknown option 'key': here that is"
            " ws_options=WebSocketOptions(tls=TLSOptions(client_certificate=...))",
        ),
        (
            "headers",
            {"Authorization": "secret"},
            "unknown option 'headers': here that is ws_options=WebSocketOptions(headers=...)",
        ),
        (
            "userAgent",
            "x",
            "unknown option 'userAgent': here that is ws_options=WebSocketOptions(user_agent=...)",
        ),
    ],
)
def test_unknown_options(name: str, value: object, message: str) -> None:
    """A misspelt option is refused, with the right one if it can be guessed, and no secret."""
    with pytest.raises(TypeError) as raised:
        PoolOptions.from_keywords({name: value})

    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("heartbeat_interval", 15000, "15"),
        ("heartbeat_timeout", 5000, "5"),
        ("reconnect_interval", 1000, "1"),
        ("max_reconnect_interval", 30000.0, "30"),
        ("open_timeout", 12345, "12.345"),
        ("close_timeout", 1000, "1"),
        ("min_uptime", 10_000, "10"),
    ],
)
def test_milliseconds_given_for_seconds_are_warned_of(name: str, value: float, meant: str) -> None:
    """The warning names the option, the value and what was probably meant, and who gave it."""
    options = {"max_reconnect_interval": 5000, name: value}
    with pytest.warns(UserWarning, match="milliseconds") as warned:
        made = PoolOptions.from_keywords(options)
    (warning,) = warned
    assert str(warning.message) == (
        f"{name}={value!r} is in seconds: if milliseconds are meant, give {name}={meant}"
    )
    assert warning.filename == __file__
    assert getattr(made, name) == value


def test_long_times_are_not_warned_of() -> None:
    """Hours make sense for some options, and a quarter of one for all."""
    minutes = dict.fromkeys(("reconnect_interval", "open_timeout", "heartbeat_interval"), 900)
    PoolOptions.from_keywords({**minutes, "max_reconnect_interval": 3600, "min_uptime": 7200})


def test_repr_shows_what_was_changed() -> None:
    """The C{repr} of options is as short as the configuration."""
    assert repr(PoolOptions()) == "PoolOptions()"
    assert (
        repr(PoolOptions(pool_size=2, ws_options=WebSocketOptions(origin="http://o")))
        == "PoolOptions(pool_size=2, ws_options=WebSocketOptions(origin='http://o'))"
    )


def test_websocket_options_of_what_callers_give() -> None:
    """Nothing, a subprotocol or several of them are as good as WebSocket options."""
    options = WebSocketOptions(origin="http://o")

    assert WebSocketOptions.of(options) is options
    assert WebSocketOptions.of(None) == WebSocketOptions()
    assert WebSocketOptions.of("chat").protocols == ("chat",)
    assert WebSocketOptions.of(["v2", "v1"]).protocols == ("v2", "v1")
    assert PoolOptions.from_keywords({"ws_options": "chat"}).ws_options.protocols == ("chat",)


@pytest.mark.parametrize("value", [7, b"chat", {"headers": {"Authorization": "secret"}}, {"a"}])
def test_websocket_options_of_nothing_else(value: object) -> None:
    """Other things are refused by their type, for their contents may be secret."""
    with pytest.raises(TypeError, match=f"ws_options must be .*, not {type(value).__name__}$"):
        WebSocketOptions.of(value)


def test_websocket_defaults() -> None:
    """By default nothing is offered, and the user agent names the library."""
    options = WebSocketOptions()

    assert options.protocols == ()
    assert options.user_agent == "wsmultipool/0.1.0"
    assert options.compression is False
    assert options.compression_parameters is None
    assert options.compression_threshold == 1024
    assert options.tcp_nodelay is True
    for option in ("headers", "origin", "max_message_size", "tls", "proxy", "endpoint"):
        assert getattr(options, option) is None


def test_websocket_values_accepted() -> None:
    """Options in their several forms, each brought into one."""
    endpoint: Any = TCP4ClientEndpoint(MemoryReactorClock(), "h", 80)

    assert WebSocketOptions(protocols="chat").protocols == ("chat",)
    assert WebSocketOptions(compression=True).compression_parameters == Compression()
    compression = Compression(mem_level=1)
    assert WebSocketOptions(compression=compression).compression_parameters is compression
    assert WebSocketOptions(proxy="http://h:1").proxy == ProxyOptions("h", 1)
    assert WebSocketOptions(endpoint="tcp:h:80").endpoint == "tcp:h:80"
    assert WebSocketOptions(endpoint=endpoint).endpoint is endpoint
    ready_made: list[Any] = [optionsForClientTLS("example.com"), Context(TLS_METHOD)]
    for tls in ready_made:
        assert WebSocketOptions(tls=tls).tls is tls
    assert WebSocketOptions(user_agent=None).user_agent is None
    assert WebSocketOptions(max_message_size=1, compression_threshold=0).max_message_size == 1


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"protocols": "a b"}, "protocols: a subprotocol must be a token"),
        ({"protocols": [""]}, "protocols: a subprotocol must be a token"),
        ({"protocols": ["a", "a"]}, "protocols must not contain one twice, not ['a', 'a']"),
        ({"origin": ""}, "origin must not be empty"),
        ({"origin": "a\r\nX: y"}, "origin must not be empty or contain control characters"),
        ({"user_agent": "ü"}, "user_agent contains a line break, or something else than printable"),
        ({"compression_threshold": -1}, "compression_threshold must be at least 0, not -1"),
        ({"max_message_size": 0}, "max_message_size must be at least 1, not 0"),
        ({"endpoint": ""}, "endpoint must not be empty"),
        ({"proxy": "https://h"}, "proxy must be an http:// URL"),
    ],
)
def test_websocket_values_out_of_range(keywords: dict[str, Any], message: str) -> None:
    """What no handshake can contain, and what makes no sense, is refused."""
    with pytest.raises(ValueError, match=next(iter(keywords))) as raised:
        WebSocketOptions(**keywords)

    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"protocols": 7}, "protocols must be a str or a sequence of str, not int"),
        ({"protocols": [7]}, "protocols: a subprotocol must be a str, not 7"),
        ({"protocols": {"a"}}, "protocols must be a str or a sequence of str, not set"),
        ({"headers": ["secret"]}, "headers must be a mapping or a callable, not list"),
        ({"origin": 7}, "origin must be a str, not 7"),
        ({"compression": 9}, "compression must be True, False or a Compression, not 9"),
        ({"compression_threshold": 1.5}, "compression_threshold must be an integer, not 1.5"),
        ({"tls": True}, "tls must be TLSOptions, an OpenSSL.SSL.Context or a provider of"),
        ({"tls": ssl.create_default_context()}, "IOpenSSLClientConnectionCreator, not SSLContext"),
        ({"proxy": 3128}, "proxy must be a URL or ProxyOptions, not int"),
        ({"endpoint": 7}, "endpoint: 7 does not provide IStreamClientEndpoint"),
        ({"tcp_nodelay": 1}, "tcp_nodelay must be True or False, not 1"),
    ],
)
def test_websocket_values_of_the_wrong_kind(keywords: dict[str, Any], message: str) -> None:
    """The wrong type is refused by the name of the option."""
    with pytest.raises(TypeError) as raised:
        WebSocketOptions(**keywords)

    assert message in str(raised.value)


def test_repr_hides_secrets() -> None:
    """Values of headers, passwords and keys are in no C{repr}."""
    options = WebSocketOptions(
        headers={"Authorization": "secret", "X-Key": "secret"},
        proxy="http://user:secret@h:3128",
        tls=optionsForClientTLS("example.com"),
    )

    assert repr(options) == (
        "WebSocketOptions(headers=<Authorization, X-Key>, tls=<ClientTLSOptions>,"
        " proxy=ProxyOptions(host='h', port=3128, username='user'))"
    )
    callable_headers = WebSocketOptions(headers=lambda: {}, tls=TLSOptions(verify=False))
    assert repr(callable_headers) == (
        "WebSocketOptions(headers=<callable>, tls=TLSOptions(verify=False))"
    )


def test_headers_are_copied() -> None:
    """A mapping that changes later does not change the options."""
    headers = {"X-A": "1"}
    options = WebSocketOptions(headers=headers)

    headers["X-B"] = "line\nbreak"

    assert options.headers == {"X-A": "1"}


def test_good_headers() -> None:
    """Ordinary headers pass, also those that replace the library's own."""
    headers = {"Authorization": "Bearer x.y", "Host": "h", "User-Agent": "me", "X-Empty": ""}

    assert check_headers(headers) == headers


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"": "secret"}, "headers: a name must be a token"),
        ({"X Y": "secret"}, "headers: a name must be a token"),
        ({"X:": "secret"}, "headers: a name must be a token"),
        ({"Ü": "secret"}, "headers: a name must be a token"),
        ({"X": "secret\r\nY: z"}, "headers: the value of 'X' contains a line break"),
        ({"X": "secret\n"}, "headers: the value of 'X' contains a line break"),
        ({"X": "secret\x00"}, "headers: the value of 'X' contains a line break"),
        ({"X": "secrét"}, "headers: the value of 'X' contains a line break"),
        ({"x": "secret", "X": "secret"}, "headers: 'X' is given more than once"),
        ({"Upgrade": "secret"}, "headers: 'Upgrade' is part of the handshake itself"),
        ({"connection": "secret"}, "headers: 'connection' is part of the handshake itself"),
        ({"Content-Length": "secret"}, "is part of the handshake itself"),
        ({"Sec-WebSocket-Key": "secret"}, "is part of the handshake itself"),
        ({"Sec-WebSocket-Version": "secret"}, "is part of the handshake itself"),
        ({"Sec-WebSocket-Accept": "secret"}, "is part of the handshake itself"),
        ({"Sec-WebSocket-Protocol": "secret"}, "handshake itself: use the option protocols"),
        ({"Sec-WebSocket-Extensions": "secret"}, "handshake itself: use the option compression"),
    ],
)
def test_bad_headers(headers: dict[str, str], message: str) -> None:
    """A header that would break the handshake is refused by its name; its value is not shown."""
    with pytest.raises(ValueError, match=r"^headers: ") as raised:
        WebSocketOptions(headers=headers)

    assert message in str(raised.value)
    assert "secr" not in str(raised.value)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (None, "headers must be a mapping, not NoneType"),
        ([("X", "secret")], "headers must be a mapping, not list"),
        ({"X": b"secret"}, "headers: the value of 'X' must be a str, not bytes"),
        ({b"X": "secret"}, "headers: a name must be a str, not bytes"),
    ],
)
def test_headers_of_the_wrong_kind(headers: object, message: str) -> None:
    """What a callable returned instead of headers is refused by its type."""
    with pytest.raises(TypeError) as raised:
        check_headers(headers)

    assert str(raised.value) == message


@settings(derandomize=True)
@given(st.dictionaries(st.text(max_size=8), st.text(max_size=12), max_size=3))
def test_accepted_headers_cannot_break_the_request(headers: dict[str, str]) -> None:
    """Whatever is accepted makes one line each, and no text raises anything else."""
    try:
        checked = check_headers(headers)
    except ValueError:
        return
    lines = "".join(f"{name}: {value}\r\n" for name, value in checked.items())
    assert len(lines.splitlines()) == len(headers)
    assert lines.isascii()


def test_compression_parameters() -> None:
    """The parameters of RFC 7692 are accepted within their ranges."""
    Compression(
        client_no_context_takeover=True,
        server_no_context_takeover=True,
        client_max_window_bits=9,
        server_max_window_bits=15,
        mem_level=9,
    )


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"client_max_window_bits": 8}, "compression client_max_window_bits must be from 9 to 15"),
        ({"server_max_window_bits": 7}, "compression server_max_window_bits must be from 8 to 15"),
        ({"server_max_window_bits": 16}, "compression server_max_window_bits must be from 8 to 15"),
        ({"mem_level": 0}, "compression mem_level must be from 1 to 9, not 0"),
        ({"server_no_context_takeover": 1}, "compression server_no_context_takeover must be True"),
        ({"client_no_context_takeover": None}, "compression client_no_context_takeover must be"),
    ],
)
def test_compression_parameters_out_of_range(keywords: dict[str, Any], message: str) -> None:
    """Parameters that zlib or the RFC do not have are refused."""
    with pytest.raises((TypeError, ValueError)) as raised:
        Compression(**keywords)

    assert message in str(raised.value)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """
    A certificate authority.
    """
    return trustme.CA()


@pytest.fixture(scope="module")
def identity(authority: trustme.CA) -> trustme.LeafCert:
    """
    A certificate for a client, with its key.
    """
    return authority.create_child_ca().issue_cert("client.example")


def test_trust_roots(authority: trustme.CA, tmp_path: Path) -> None:
    """Trust is given as a file, as PEM data, or as an object of Twisted's."""
    pem = authority.cert_pem.bytes()
    path = tmp_path / "ca.pem"
    path.write_bytes(pem + pem)
    certificate = Certificate.loadPEM(pem)

    assert TLSOptions().loaded_trust_root is None
    for trust_root in (str(path), path, pem):
        assert TLSOptions(trust_root=trust_root).loaded_trust_root is not None
    for ready in (certificate, trustRootFromCertificates([certificate]), platformTrust()):
        assert TLSOptions(trust_root=ready).loaded_trust_root is ready


def test_client_certificates(identity: trustme.LeafCert, tmp_path: Path) -> None:
    """A client certificate is given as one file, as two, or as an object of Twisted's."""
    both, certificates, key = (tmp_path / name for name in ("both.pem", "cert.pem", "key.pem"))
    identity.private_key_and_cert_chain_pem.write_to_path(str(both))
    certificates.write_bytes(b"".join(blob.bytes() for blob in identity.cert_chain_pems))
    identity.private_key_pem.write_to_path(str(key))

    for client_certificate in (str(both), both, (str(certificates), key)):
        options = TLSOptions(client_certificate=client_certificate)
        assert isinstance(options.loaded_client_certificate, PrivateCertificate)
        assert len(options.loaded_chain) == len(identity.cert_chain_pems) - 1 == 1
    ready = options.loaded_client_certificate
    assert TLSOptions(client_certificate=ready).loaded_client_certificate is ready


def encrypted(pem: bytes) -> bytes:
    """
    Encrypt a private key.
    """
    from cryptography.hazmat.primitives import serialization

    return serialization.load_pem_private_key(pem, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )


BROKEN_KEY = b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
BROKEN_CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda cert, key: b"", "no PEM certificate to be read in"),
        (lambda cert, key: b"garbage", "no PEM certificate to be read in"),
        (lambda cert, key: BROKEN_CERTIFICATE + key, "no PEM certificate to be read in"),
        (lambda cert, key: key, "no PEM certificate to be read in"),
        (lambda cert, key: cert, "no PEM private key in"),
        (lambda cert, key: cert + BROKEN_KEY, "cannot be read"),
        (lambda cert, key: cert + encrypted(key), "needs a passphrase"),
        (
            lambda cert, key: cert + trustme.CA().issue_cert("x").private_key_pem.bytes(),
            "does not belong to the certificate in",
        ),
    ],
)
def test_unusable_certificate_files(
    prepare: Callable[[bytes, bytes], bytes],
    message: str,
    identity: trustme.LeafCert,
    tmp_path: Path,
) -> None:
    """A file with the wrong things in it is refused by its name; nothing of it is shown."""
    path = tmp_path / "client.pem"
    data = prepare(identity.cert_chain_pems[0].bytes(), identity.private_key_pem.bytes())
    path.write_bytes(data)

    with pytest.raises(ValueError, match="tls client_certificate: ") as raised:
        TLSOptions(client_certificate=path)

    assert message in str(raised.value)
    assert repr(str(path)) in str(raised.value)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_unusable_trust_roots(tmp_path: Path) -> None:
    """What is missing, or is no certificate, is refused by its name."""
    missing = tmp_path / "missing.pem"

    with pytest.raises(ValueError, match=r"tls trust_root: cannot read .*missing.pem' .No such"):
        TLSOptions(trust_root=missing)
    with pytest.raises(ValueError, match=r"tls trust_root: cannot read 'a.x00b' .not a path"):
        TLSOptions(trust_root="a\x00b")
    with pytest.raises(ValueError, match=r"tls trust_root: no PEM certificate .* in <bytes>"):
        TLSOptions(trust_root=b"garbage")
    with pytest.raises(TypeError, match=r"tls trust_root must be .*, not int"):
        TLSOptions(trust_root=7)  # type: ignore[arg-type]


def test_pem_data_in_place_of_a_path(identity: trustme.LeafCert) -> None:
    """A key given where its path belongs is not shown in the error."""
    pem = identity.private_key_pem.bytes().decode()

    with pytest.raises(ValueError, match=r"^tls client_certificate must be the path of a PEM file"):
        TLSOptions(client_certificate=pem)


@pytest.mark.parametrize("value", [7, b"secret", ("a",), ("a", 7), ("a", "b", "c"), ["a", "b"]])
def test_client_certificates_of_the_wrong_kind(value: Any) -> None:
    """Anything else is refused by its type."""
    with pytest.raises(TypeError, match=f"tls client_certificate .*, not {type(value).__name__}$"):
        TLSOptions(client_certificate=value)


def test_other_tls_options(authority: trustme.CA) -> None:
    """The server's name is checked, and so is that the options do not contradict each other."""
    assert TLSOptions(server_name="Inside.Example").server_name == "inside.example"
    with pytest.raises(ValueError, match="tls server_name is not a host name: 'a b'"):
        TLSOptions(server_name="a b")
    with pytest.raises(TypeError, match="tls verify must be True or False, not 0"):
        TLSOptions(verify=0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="tls trust_root has no effect with verify=False"):
        TLSOptions(trust_root=authority.cert_pem.bytes(), verify=False)


def test_repr_of_tls_options(identity: trustme.LeafCert, tmp_path: Path) -> None:
    """Paths are shown, certificates and keys are not."""
    path = tmp_path / "both.pem"
    identity.private_key_and_cert_chain_pem.write_to_path(str(path))
    name = repr(str(path))

    assert repr(TLSOptions()) == "TLSOptions()"
    assert repr(TLSOptions(trust_root=path.read_bytes(), client_certificate=(path, path))) == (
        f"TLSOptions(trust_root=<bytes>, client_certificate=({name}, {name}))"
    )


@pytest.mark.parametrize(
    ("make", "options", "nearest"),
    [
        (WebSocketOptions, {"protocol": "chat"}, "protocols"),
        (WebSocketOptions, {"userAgent": "me"}, "user_agent"),
        (TLSOptions, {"verfy": False}, "verify"),
        (Compression, {"memLevel": 3}, "mem_level"),
        (ProxyOptions, {"host": "h", "port": 1, "usernam": "u"}, "username"),
    ],
)
def test_misspelt_names_of_nested_options_are_refused(
    make: type[Any], options: dict[str, Any], nearest: str
) -> None:
    """The options of the WebSocket, of TLS and so on suggest the nearest right name as well."""
    with pytest.raises(TypeError, match=f"{make.__name__}: did you mean '{nearest}'"):
        make(**options)


def test_an_unknown_nested_option_does_not_tell_its_value() -> None:
    """What it holds may be a secret."""
    with pytest.raises(TypeError) as caught:
        cast("Any", WebSocketOptions)(autorization="Bearer hunter2")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "here"),
    [
        ("rejectUnauthorized", "TLSOptions(verify"),
        ("maxPayload", "max_message_size"),
        ("handshakeTimeout", "open_timeout"),
        ("perMessageDeflate", "compression"),
    ],
)
def test_names_of_the_node_package_are_translated(name: str, here: str) -> None:
    """Who comes from Node is told what an option is called here."""
    with pytest.raises(TypeError) as caught:
        PoolOptions.from_keywords({name: 1})
    assert here in str(caught.value)
