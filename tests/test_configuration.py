"""
Tests for L{wsmultipool.service.configuration}.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from wsmultipool import PoolOptions, TLSOptions
from wsmultipool.service.configuration import Configuration, Source
from wsmultipool.service.option_values import ConfigurationError, Values

from .integration.certificates import Authority

URL = "ws://127.0.0.1:9000/"


def configuration(**values: Any) -> Configuration:
    """
    Make one with a URL.
    """
    return Configuration.of({"url": [URL], **values})


def refusal(values: Values) -> str:
    """
    Return what is said about a mistake.
    """
    with pytest.raises(ConfigurationError) as raised:
        Configuration.of(values)
    return str(raised.value)


def secret_file(tmp_path: Path, text: str, mode: int = 0o600) -> str:
    """
    Write a file that others may not read.
    """
    path = tmp_path / "secret"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_a_url_is_enough() -> None:
    """Everything else has a default."""
    made = configuration()
    assert made.urls == (URL,)
    assert made.pool["pool_size"] == PoolOptions().pool_size
    assert made.pool["overflow"] == "drop_newest"
    assert (made.relay, made.http, made.drain, made.log_level) == (None, None, 10.0, "info")


def test_options_reach_what_they_are_for() -> None:
    """An option of the pool, one of its WebSockets and one of the relay each find their way."""
    made = configuration(
        pool_size=2,
        max_message_size=1000,
        subprotocol=["a", "b"],
        listen="unix:/run/relay",
        client_max_message_size=2000,
        http="tcp:9100",
        min_ready=2,
    )
    assert made.pool["pool_size"] == 2
    assert made.pool["max_message_size"] == 1000
    assert made.websocket["protocols"] == ["a", "b"]
    assert made.listen == "unix:/run/relay"
    assert made.relay is not None
    assert made.relay.max_message_size == 2000
    assert made.http == "tcp:9100:interface=127.0.0.1"
    assert made.min_ready == 2


def test_clients_may_ask_for_what_upstream_speaks() -> None:
    """The subprotocols of the pool are those of the relay, unless it has its own."""
    made = configuration(subprotocol=["a"], listen="tcp:1")
    assert made.relay is not None
    assert made.relay.protocols == ("a",)
    made = configuration(subprotocol=["a"], listen="tcp:1", client_subprotocol=["b"])
    assert made.relay is not None
    assert made.relay.protocols == ("b",)


def test_what_clients_have_sent_may_take_as_long_as_the_end() -> None:
    """The relay waits for what is under way as long as the service drains."""
    made = configuration(listen="tcp:1", drain=3.0)
    assert made.relay is not None
    assert made.relay.settle_timeout == 3.0
    assert configuration(listen="tcp:1", drain=0).drain == 0


def test_headers_of_options_and_files(tmp_path: Path) -> None:
    """Headers come from both, and are asked for at every attempt to connect."""
    path = secret_file(tmp_path, "Authorization: Bearer secret\n")
    made = configuration(header=["X-A: 1"], header_file=[path])
    assert made.headers == {"X-A": "1", "Authorization": "Bearer secret"}
    ask: Any = made.websocket_options(lambda: {"X-B": "2"}).headers
    assert ask() == {"X-B": "2"}


def test_nothing_secret_is_shown(tmp_path: Path) -> None:
    """The repr of a configuration, and of where it comes from, can be logged."""
    path = secret_file(tmp_path, "secret")
    values: Values = {
        "url": ["ws://user:secret@h/?secret"],
        "header": ["Cookie: secret"],
        "proxy": "http://user:secret@h/",
        "listen": "tcp:1",
        "token_file": path,
    }
    assert "secret" not in repr(Configuration.of(values)).replace("'secret'", "")
    assert "secret" not in repr(Source(values, None))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "url is missing: give --url, or a --config file that has it"),
        ({"url": []}, "url is missing: give --url, or a --config file that has it"),
        ({"url": ["h:80"]}, "url must begin with ws:// or wss://: 'h:80'"),
        ({"url": [URL], "pool_size": 0}, "pool_size must be at least 1, not 0"),
        ({"url": [URL], "origin": ""}, "origin must not be empty or contain control characters"),
        ({"url": [URL], "drain": -1}, "drain must be at least 0, and finite, not -1"),
        ({"url": [URL], "drain": float("inf")}, "drain must be at least 0, and finite, not inf"),
        ({"url": [URL], "drain": float("nan")}, "drain must be at least 0, and finite, not nan"),
        ({"url": [URL], "ca": "f"}, "ca is for a url that begins with wss://"),
        ({"url": [URL], "insecure": True}, "insecure is for a url that begins with wss://"),
        ({"url": ["wss://h"], "ca": "f", "insecure": True}, "ca and insecure contradict each"),
        ({"url": ["wss://h"], "key": "f"}, "key needs the certificate that it belongs to"),
        ({"url": ["wss://h"], "cert": "f"}, "tls client_certificate"),
        ({"url": [URL], "compression_threshold": 9}, "compression_threshold needs compression"),
        ({"url": [URL], "fanout": "all"}, "fanout needs listen"),
        ({"url": [URL], "token_file": "f"}, "token_file needs listen"),
        ({"url": [URL], "client_ca": "f"}, "client_ca needs listen"),
        (
            {"url": [URL], "listen": "tcp:1", "client_ca": "f"},
            "client_ca needs a listen that begins with ssl:",
        ),
        ({"url": [URL], "listen": ""}, "listen is empty: it is an endpoint such as tcp:9000"),
        ({"url": [URL], "listen": "tcp:1", "max_clients": 0}, "max_clients must be at least 1"),
        ({"url": [URL], "listen": "tcp:1:interface=0.0.0.0"}, "listening on tcp:1:interface="),
        ({"url": [URL], "listen": "tcp:1", "confirm_window": 9}, "confirm_window needs confirm"),
        ({"url": [URL], "min_ready": 2}, "min_ready needs http"),
        ({"url": [URL], "http": "tcp:1", "min_ready": -1}, "min_ready must be at least 0, not -1"),
        ({"url": [URL], "http": "tcp:1", "min_ready": 6}, "min_ready (6) is more than pool_size"),
        ({"url": [URL], "header": ["Upgrade: x"]}, "header: 'Upgrade' is part of the handshake"),
    ],
)
def test_mistakes_are_told_by_name(values: Values, message: str) -> None:
    """A mistake, or a contradiction, is told in one line with the name of the option."""
    said = refusal(values)
    assert said.startswith(message)
    assert "\n" not in said


@pytest.mark.parametrize("option", ["ca", "cert", "key", "client_ca"])
def test_keys_and_certificates_are_no_pipes(tmp_path: Path, option: str) -> None:
    """They are read more than once, and by others, who would wait for ever."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ConfigurationError) as raised:
        Configuration.of({"url": ["wss://h"], option: str(pipe)})
    assert str(raised.value) == f"{option} {str(pipe)!r} is not a regular file"


def test_tls(tmp_path: Path) -> None:
    """Authority, certificate and key come from files."""
    authority = Authority(tmp_path)
    client = authority.issue("client@feed.test")
    made = Configuration.of(
        {
            "url": ["wss://h/"],
            "ca": str(authority.file),
            "cert": str(client.certificate_file),
            "key": str(client.key_file),
            "server_name": "feed.test",
        }
    )
    tls = made.websocket["tls"]
    assert isinstance(tls, TLSOptions)
    assert tls.server_name == "feed.test"
    assert tls.verify
    assert tls.loaded_client_certificate is not None
    insecure = Configuration.of({"url": ["wss://h/"], "insecure": True})
    assert insecure.websocket["tls"] == TLSOptions(verify=False)
    assert Configuration.of({"url": ["wss://h/"]}).websocket["tls"] is None


def test_token(tmp_path: Path) -> None:
    """A token is what a file has in it; with one, a relay may listen everywhere."""
    path = secret_file(tmp_path, "abc123\n")
    made = configuration(listen="tcp:1:interface=0.0.0.0", token_file=path)
    assert made.relay is not None
    assert made.relay.token == "abc123"


def test_client_certificates() -> None:
    """With an authority for certificates of clients, a relay may listen everywhere as well."""
    made = configuration(listen="ssl:1:interface=0.0.0.0", client_ca="ca.pem")
    assert made.client_ca == "ca.pem"
    assert made.relay is not None
    assert made.relay.client_certificates
    assert made.relay.token is None


def test_bad_token(tmp_path: Path) -> None:
    """A token that no client could present is refused, and not shown."""
    path = secret_file(tmp_path, "two words\n")
    said = refusal({"url": [URL], "listen": "tcp:1", "token_file": path})
    assert said.startswith(f"token_file {path!r}: token must not be empty")
    assert "two" not in said


def test_source_of_a_command_line_and_a_file(tmp_path: Path) -> None:
    """What is on the command line and in the file make one configuration."""
    path = tmp_path / "config.toml"
    path.write_text(f'url = "{URL}"\npool_size = 3\n')
    made = Source({"drain": 1.0}, str(path)).read()
    assert (made.pool["pool_size"], made.drain, made.warnings) == (3, 1.0, ())
    with pytest.raises(ConfigurationError, match="give it once"):
        Source({"pool_size": 1}, str(path)).read()


@pytest.mark.parametrize(
    ("said", "flag"),
    [
        ({"url": ["ws://user:word@h/"]}, "--url"),
        ({"url": ["ws://h/?token"]}, "--url"),
        *(
            ({"url": [URL], "header": [f"{name}: word"]}, "--header")
            for name in (
                *("authorization", "Cookie", "Proxy-Authorization", "X-Api-Key", "apikey"),
                *("X-Auth", "X_Access_Token", "X-AuthToken", "Client-Secret", "X-Session-Id"),
                *("X-Password", "X-Credentials"),
            )
        ),
        ({"url": [URL], "header": ["Cookie: word", "X-Token: word"]}, "--header"),
        ({"url": [URL], "proxy": "http://user:word@h/"}, "--proxy"),
    ],
)
def test_secrets_on_the_command_line_are_warned_of(said: Values, flag: str) -> None:
    """Whoever shows a secret to everybody on the machine is told so."""
    (warning,) = Source(said).read().warnings
    assert warning.startswith(f"{flag} has a secret in it")
    assert "word" not in warning


def test_what_is_no_secret_is_not_warned_of(tmp_path: Path) -> None:
    """There are no warnings to get used to: neither of options nor of files that only one reads."""
    files = [secret_file(tmp_path, "Authorization: secret")]
    plain = ["X-A: 1", "X-Author: me", "X-Keyword: a", "Accept-Language: en"]
    said: Values = {"url": [URL], "header": plain, "proxy": "http://h/", "header_file": files}
    source = Source(said)
    assert source.read().warnings == ()


def test_files_that_everybody_may_read_are_warned_of(tmp_path: Path) -> None:
    """A file with secrets is for one user."""
    headers = secret_file(tmp_path, "X-A: 1", 0o644)
    config = tmp_path / "config.toml"
    config.write_text(f'url = "ws://user:word@h/"\nheader_file = "{headers}"\n')
    config.chmod(0o644)
    assert Source({}, str(config)).read().warnings == (
        f"everybody on this machine may read the secrets in {headers!r}",
        f"everybody on this machine may read the secrets in {str(config)!r}",
    )
    token = tmp_path / "token"
    token.write_text("abc")
    token.chmod(0o644)
    source = Source({"url": [URL], "listen": "tcp:1", "token_file": str(token)})
    assert source.read().warnings == (
        f"everybody on this machine may read the secrets in {str(token)!r}",
    )


def test_keeping() -> None:
    """What takes a restart is still what it was, for the next comparison."""
    present, following = configuration(name="a", drain=1.0), configuration(drain=2.0, origin="o")
    kept = following.keeping(["name", "origin"], present)
    assert kept.values == {"url": [URL], "name": "a", "drain": 2.0}
    assert kept.drain == 2.0


# A WAMP router

ROUTER = {"url": [URL], "wamp_url": ["ws://router.test/"], "realm": "realm1"}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"url": [URL], "realm": "realm1"}, "realm needs wamp_url"),
        ({"url": [URL], "wamp_shard": [1]}, "wamp_shard needs wamp_url"),
        ({"url": [URL], "wamp_url": ["ws://router.test/"]}, "realm is missing: wamp_url needs it"),
        (ROUTER, "wamp_prefix is missing: wamp_url needs it"),
        (
            {**ROUTER, "wamp_prefix": "feed", "wamp_authid": "feed"},
            "wamp_authid and wamp_ticket_file need each other",
        ),
    ],
)
def test_what_a_router_needs(values: Values, text: str) -> None:
    """An option for a router that is missing, or makes no sense without one, is named."""
    assert refusal(values) == text


def test_a_router_with_a_ticket(tmp_path: Path) -> None:
    """The ticket comes from a file, and is shown nowhere."""
    path = secret_file(tmp_path, "secret\n")
    ticket = {"wamp_authid": "me", "wamp_ticket_file": path}
    given: Values = {**ROUTER, "wamp_prefix": "feed", **ticket}
    made = Configuration.of(given)
    assert made.wamp is not None
    assert made.wamp["authentication"] == {"ticket": {"authid": "me", "ticket": "secret"}}
    assert (made.wamp["url"], made.wamp["invoke"]) == (["ws://router.test/"], "roundrobin")
    assert "secret" not in repr(made)


def test_a_router_without_a_ticket() -> None:
    """Nothing to authenticate with is anonymous; what is published can be chosen."""
    made = Configuration.of({**ROUTER, "wamp_prefix": "feed", "wamp_publish": ["open", "close"]})
    assert made.wamp is not None
    assert made.wamp["authentication"] is None
    assert made.wamp["publish"] == ["open", "close"]
    everything = Configuration.of({**ROUTER, "wamp_prefix": "feed"})
    assert everything.wamp is not None
    assert "publish" not in everything.wamp


def test_a_mistake_in_the_file_is_told_with_the_file_and_without_the_value(tmp_path: Path) -> None:
    """A password may stand where something else should."""
    config = tmp_path / "wsmultipool.toml"
    config.write_text('url = "wss://h/"\nserver_name = "s3cret!"\n')
    with pytest.raises(ConfigurationError) as raised:
        Source({}, str(config)).read()
    assert str(raised.value).startswith(f"config {str(config)!r}: tls server_name ")
    assert "s3cret" not in str(raised.value)
