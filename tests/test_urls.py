"""
URLs of servers and proxies: what is accepted, what is made of it, and what is never shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsmultipool._urls import (
    basic_authorization,
    check_host,
    endpoint_label,
    parse_urls,
    redact,
)
from wsmultipool.options import ProxyOptions, ServerURL


def test_plain_url_has_the_default_port() -> None:
    """C{ws://} without a port means port 80, and the root when there is no path."""
    url = ServerURL.parse("ws://example.com")

    assert (url.secure, url.host, url.port, url.resource) == (False, "example.com", 80, "/")
    assert url.credentials is None
    assert url.label == "ws://example.com/"
    assert url.host_header == "example.com"
    assert url.endpoint_label == "example.com:80"


def test_every_part_is_taken_apart() -> None:
    """Scheme, credentials, host, port, path and query each end up in their place."""
    url = ServerURL.parse("WSS://us%40er:p%3Aw@Example.COM:8443/a/b?token=secret&x=1")

    assert (url.secure, url.host, url.port) == (True, "example.com", 8443)
    assert url.resource == "/a/b?token=secret&x=1"
    assert url.credentials == ("us@er", "p:w")
    assert url.label == "wss://example.com:8443/a/b"
    assert url.host_header == url.endpoint_label == "example.com:8443"


def test_neither_str_nor_repr_shows_secrets() -> None:
    """Credentials and the query string stay out of logs."""
    url = ServerURL.parse("wss://user:hunter2@example.com/feed?token=secret")

    assert str(url) == "wss://example.com/feed"
    assert repr(url) == "<ServerURL wss://example.com/feed>"


@pytest.mark.parametrize(
    ("text", "host", "host_header", "label"),
    [
        ("ws://[::1]/", "::1", "[::1]", "ws://[::1]/"),
        ("wss://[2001:DB8:0::1]:443/", "2001:db8::1", "[2001:db8::1]", "wss://[2001:db8::1]/"),
        ("ws://[::1]:443", "::1", "[::1]:443", "ws://[::1]:443/"),
        ("ws://192.0.2.1:80/x", "192.0.2.1", "192.0.2.1", "ws://192.0.2.1/x"),
        ("ws://my_service/", "my_service", "my_service", "ws://my_service/"),
        ("ws://example.com./", "example.com.", "example.com.", "ws://example.com./"),
        ("ws://münchen.de", "xn--mnchen-3ya.de", "xn--mnchen-3ya.de", "ws://xn--mnchen-3ya.de/"),
        ("ws://host:/", "host", "host", "ws://host/"),
    ],
)
def test_hosts(text: str, host: str, host_header: str, label: str) -> None:
    """Names and addresses are brought into one form, brackets only where they are shown."""
    url = ServerURL.parse(text)

    assert (url.host, url.host_header, url.label) == (host, host_header, label)


@pytest.mark.parametrize(
    ("text", "resource"),
    [
        ("ws://h?x=1", "/?x=1"),
        ("ws://h/?", "/?"),
        ("ws://h/%20a", "/%20a"),
        ("ws://h/ü?ü", "/%C3%BC?%C3%BC"),
        ('ws://h/"<>\\^`{|}', "/%22%3C%3E%5C%5E%60%7B%7C%7D"),
        ("ws://h/a?b=c/d?e@f", "/a?b=c/d?e@f"),
    ],
)
def test_resource_is_fit_for_a_request_line(text: str, resource: str) -> None:
    """What a request line cannot contain is percent-encoded; what was encoded stays so."""
    assert ServerURL.parse(text).resource == resource


@pytest.mark.parametrize(
    ("text", "credentials"),
    [
        ("ws://user@h", ("user", "")),
        ("ws://:pw@h", ("", "pw")),
        ("ws://@h", None),
        ("ws://u:p@q:r@h", ("u", "p@q:r")),
    ],
)
def test_credentials(text: str, credentials: tuple[str, str] | None) -> None:
    """User name and password are each optional; the last @ ends them."""
    assert ServerURL.parse(text).credentials == credentials


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "http://h/",
            "url must begin with ws:// or wss:// (ws:// is its counterpart): 'http://h/'",
        ),
        ("https://h/", "(wss:// is its counterpart)"),
        ("ftp://h/", "url must begin with ws:// or wss://: 'ftp://h/'"),
        ("example.com", "url must begin with ws:// or wss://: 'example.com'"),
        ("", "url must begin with"),
        ("ws://", "url has no host: 'ws://'"),
        ("ws:///path", "url has no host"),
        ("ws://[]/", "url has no host"),
        ("ws://:80/", "url has no host"),
        ("ws://h:0/", "url has a port outside of 1 to 65535: 'ws://h:0/'"),
        ("ws://h:65536/", "url has a port outside"),
        ("ws://h:999999999999/", "url has a port outside"),
        ("ws://h:8o/", "url has a malformed host or port"),
        ("ws://h:+80/", "url has a malformed host or port"),
        ("ws://::1/", "url has a malformed host or port"),
        ("ws://[::1/", "url has a malformed host or port"),
        ("ws://[::1]x/", "url has a malformed host or port"),
        ("ws://[1.2.3.4]/", "url has a host that is not an IPv6 address"),
        ("ws://[::g]/", "url has a host that is not an IPv6 address"),
        ("ws://[fe80::1%25eth0]/", "is an IPv6 address with a zone"),
        ("ws://1.2.3/", "url has a host that is not an IPv4 address"),
        ("ws://256.1.1.1/", "url has a host that is not an IPv4 address"),
        ("ws://a..b/", "url has a host that is not a host name"),
        ("ws://-a/", "url has a host that is not a host name"),
        ("ws://a%41/", "url has a host that is not a host name"),
        (f"ws://{'a' * 64}/", "url has a host that is not a host name"),
        (f"ws://{'a.' * 127}a/", "url has a host that is not a host name"),
        ("ws://faß.de/", "url has a host that is not ASCII (write it as xn--...)"),
        ("ws://ü..de/", "url has a host that is not ASCII"),
        (f"ws://{'ü' * 300}/", "url has a host that is not ASCII"),
        ("ws://h/#top", "url must not have a fragment (RFC 6455, section 3)"),
        (" ws://h/", "url must not contain spaces, line breaks or control characters"),
        ("ws://h/a b", "url must not contain spaces"),
        ("ws://h/\r\nX: y", "url must not contain spaces"),
        ("ws://h/\x00", "url must not contain spaces"),
        ("ws://h/\ud800", "url must not contain spaces"),
        ("ws://h/\u2028", "url must not contain spaces"),
        ("ws://u%3Ax:p@h/", "url has a user name with a colon in it"),
        ("ws://%ff@h/", "url has credentials that are not UTF-8"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    """Each URL that is not one for a WebSocket is refused, with a message that says why."""
    with pytest.raises(ValueError, match="url ") as raised:
        ServerURL.parse(text)

    assert message in str(raised.value)


@pytest.mark.parametrize("value", [None, 1, b"ws://secret@h/", ["ws://h/"]])
def test_url_must_be_text(value: object) -> None:
    """Anything but a C{str} is a C{TypeError} that names the type, not the value."""
    with pytest.raises(TypeError, match=f"url must be a str, not {type(value).__name__}"):
        ServerURL.parse(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ws://u:secret@h/p?secret#secret", "'ws://***@h/p?***'"),
        ("ws://u:secret/x@h/", "'ws://***@h/'"),
        ("ws://u:sec?ret@h/", "'ws://***'"),
        ("ws://u:sec#ret@h/", "'ws://***'"),
        ("ws://h/?mail=secret@h", "'ws://***'"),
        ("ws:/u:secret@h", "'***@h'"),
        ("secret?://h", "'***://h'"),
        ("ws://h/", "'ws://h/'"),
    ],
)
def test_redacted_urls(text: str, shown: str) -> None:
    """However broken a URL is, what may be a secret in it is not shown."""
    assert redact(text) == shown


@settings(derandomize=True)
@given(st.text(max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """No text makes the parser fail in another way than it says."""
    for url in (text, f"ws://{text}", f"wss://h/{text}", f"ws://{text}@h/"):
        try:
            parsed = ServerURL.parse(url)
        except ValueError:
            continue
        assert parsed.resource.startswith("/")
        assert (parsed.resource + parsed.host_header).isascii()
        assert ServerURL.parse(parsed.label).host == parsed.host


@settings(derandomize=True)
@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_credentials_never_appear_in_an_error(username: str, password: str) -> None:
    """Credentials survive percent-encoding, and are in no message when the rest is wrong."""
    marked = f"<<{password}>>"
    userinfo = f"{quote(username, safe='', errors='replace')}:{quote(marked, errors='replace')}"

    with pytest.raises(ValueError, match="url ") as raised:
        ServerURL.parse(f"ws://{userinfo}@host:port/")

    assert quote(marked, errors="replace") not in str(raised.value)
    assert "<<" not in str(raised.value)


def test_proxy_url() -> None:
    """The URL of a proxy may carry credentials and a port."""
    proxy = ProxyOptions.parse("http://us%20er:p%40w@Proxy.Example:3128/")

    assert proxy == ProxyOptions("proxy.example", 3128, "us er", "p@w")
    assert proxy.credentials == ("us er", "p@w")
    assert repr(proxy) == "ProxyOptions(host='proxy.example', port=3128, username='us er')"


def test_proxy_defaults() -> None:
    """Without a port it is 80, without credentials there is no authentication."""
    proxy = ProxyOptions.parse("http://[::1]")

    assert (proxy.host, proxy.port, proxy.credentials) == ("::1", 80, None)
    assert ProxyOptions("h", 1, "user").credentials == ("user", "")


def test_proxy_option_is_a_url_or_options() -> None:
    """Both forms of the C{proxy} option mean the same."""
    proxy = ProxyOptions("h", 3128)

    assert ProxyOptions.of(proxy) is proxy
    assert ProxyOptions.of("http://h:3128") == proxy
    with pytest.raises(TypeError, match="proxy must be a URL or ProxyOptions, not int"):
        ProxyOptions.of(3128)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://user:secret@h", "TLS to the proxy itself is not supported: 'https://***@h'"),
        ("socks5://h", "proxy must begin with http://: 'socks5://h'"),
        ("ws://h", "proxy must begin with http://: 'ws://h'"),
        ("h:3128", "proxy must begin with"),
        ("http://h/path", "proxy must have nothing after host and port"),
        ("http://h?secret", "proxy must have nothing after host and port: 'http://h?***'"),
        ("http://h#f", "proxy must have nothing after host and port"),
    ],
)
def test_mistakes_in_a_proxy_url_are_named(url: str, message: str) -> None:
    """What is no URL of an HTTP proxy is refused, without showing its credentials."""
    with pytest.raises(ValueError, match="proxy ") as raised:
        ProxyOptions.parse(url)

    assert message in str(raised.value)
    assert "secret" not in str(raised.value)


def test_mistakes_in_proxy_options_are_named() -> None:
    """Host, port and credentials of a proxy are checked, and passwords not shown."""
    with pytest.raises(ValueError, match="proxy host is not a host name: 'a b'"):
        ProxyOptions("a b", 1)
    with pytest.raises(TypeError, match="proxy host must be a str, not NoneType"):
        ProxyOptions(None, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="proxy port must be from 1 to 65535, not 0"):
        ProxyOptions("h", 0)
    with pytest.raises(TypeError, match=r"proxy port must be an integer, not '3128'"):
        ProxyOptions("h", "3128")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^proxy password must be a str, not bytes$"):
        ProxyOptions("h", 1, "u", b"secret")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^proxy password was given without a username$"):
        ProxyOptions("h", 1, password="secret")
    with pytest.raises(ValueError, match="proxy username must not contain a colon"):
        ProxyOptions("h", 1, "u:secret")


def test_basic_authorization() -> None:
    """Credentials are encoded as in RFC 7617, as UTF-8."""
    assert basic_authorization(("Aladdin", "open sesame")) == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert basic_authorization(("test", "123£")) == "Basic dGVzdDoxMjPCow=="


def test_endpoint_labels() -> None:
    """An IPv6 address is written in brackets before its port, a name is not."""
    assert endpoint_label("::1", 80) == "[::1]:80"
    assert endpoint_label("h", 80) == "h:80"


def test_bare_hosts() -> None:
    """A host by itself may be an IPv6 address without brackets."""
    assert check_host("x", "2001:DB8::0:1") == "2001:db8::1"
    with pytest.raises(ValueError, match="x is not an IPv6 address: 'a:80'"):
        check_host("x", "a:80")


def test_several_urls() -> None:
    """One URL or a sequence of them, in its order; a str is one URL."""
    assert parse_urls("ws://a/") == (ServerURL.parse("ws://a/"),)
    urls = ["wss://b/", "ws://b/", "ws://b:81/", "ws://b/?1", "ws://u@b/"]
    assert parse_urls(urls) == parse_urls(tuple(urls)) == tuple(map(ServerURL.parse, urls))


def some_urls() -> Iterator[str]:
    """A generator of good URLs."""
    yield "ws://a"


@pytest.mark.parametrize(
    ("urls", "error", "message"),
    [
        ([], ValueError, r"^url must be a URL or a sequence of URLs, not an empty \[\]$"),
        ((), ValueError, r"^url must be a URL or a sequence of URLs, not an empty \(\)$"),
        ({"ws://a"}, TypeError, "^url must be a URL or a sequence of URLs, not set$"),
        ({"ws://a": 1}, TypeError, "^url must be a URL or a sequence of URLs, not dict$"),
        (some_urls(), TypeError, "^url must be a URL or a sequence of URLs, not generator$"),
        (None, TypeError, "^url must be a URL or a sequence of URLs, not NoneType$"),
        (b"ws://a", TypeError, "^url must be a URL or a sequence of URLs, not bytes$"),
        (ServerURL.parse("ws://a"), TypeError, "not ServerURL$"),
        (["ws://a", 5], TypeError, r"^url\[1\] must be a str, not int$"),
        (["ws://a", ""], ValueError, r"^url\[1\] must begin with ws:// or wss://: ''$"),
        (
            ["ws://a", "http://u:secret@b/?secret"],
            ValueError,
            r"^url\[1\] must begin with ws:// .*: 'http://\*\*\*@b/\?\*\*\*'$",
        ),
        (["ws://a", "ws://b#secret"], ValueError, r"^url\[1\] must not have a fragment .*'$"),
        (
            ["ws://a:80/?secret", "wss://a/", "ws://A?secret"],
            ValueError,
            r"^url\[2\] is the same as url\[0\]: 'ws://A\?\*\*\*'$",
        ),
    ],
)
def test_what_is_no_sequence_of_urls(urls: Any, error: type[Exception], message: str) -> None:
    """The error names the option, which of the URLs, and its value without secrets."""
    with pytest.raises(error, match=message) as raised:
        parse_urls(urls)
    assert "secret" not in str(raised.value)
