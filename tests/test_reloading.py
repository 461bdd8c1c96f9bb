"""
Tests for L{wsmultipool.service.reloading}.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from wsmultipool.service.configuration import Configuration
from wsmultipool.service.reloading import changes

from .integration.certificates import Authority


def configuration(**values: Any) -> Configuration:
    """
    Make one with a URL and a relay.
    """
    return Configuration.of({"url": ["ws://h/"], "listen": "tcp:1", **values})


def test_the_same_again() -> None:
    """Nothing changes when nothing has changed, whether or not a default is written out."""
    assert changes(configuration(), configuration(pool_size=5, drain=10)) == ((), ())


def test_what_changes_at_once() -> None:
    """Size, headers, origins, drain and log level do."""
    after = configuration(
        pool_size=2, header=["X-A: 1"], allow_origin=["http://h"], drain=1, log_level="warn"
    )
    assert changes(configuration(), after).live == (
        *("pool_size", "header", "allow_origin", "drain", "log_level"),
    )
    assert changes(configuration(), after).restart == ()


def test_what_takes_a_restart() -> None:
    """Everything else does, and is told by name."""
    after = configuration(name="other", max_clients=3, drain=1)
    assert changes(configuration(), after) == (("drain",), ("name", "max_clients"))


def test_files_count_by_what_is_in_them(tmp_path: Path) -> None:
    """A file that says something else is a change, though its name is the same."""
    headers, token = tmp_path / "headers", tmp_path / "token"
    headers.write_text("X-A: 1")
    token.write_text("abc")
    files = {"header_file": [str(headers)], "token_file": str(token)}
    before = configuration(**files)
    assert changes(before, configuration(**files)) == ((), ())
    headers.write_text("X-A: 2")
    token.write_text("def")
    assert changes(before, configuration(**files)) == (("header", "token"), ())


def test_a_relay_that_comes_or_goes_takes_a_restart() -> None:
    """A relay with its token is not a change of the token."""
    without = Configuration.of({"url": ["ws://h/"]})
    assert changes(without, configuration()) == ((), ("listen",))


def test_token_and_endpoint_at_once() -> None:
    """A token is for the relay that there is, whatever else waits for a restart."""
    before = configuration()
    assert before.relay is not None
    after = configuration(listen="tcp:2")
    with_token = replace(after, relay=replace(before.relay, token="abc"))
    assert changes(before, with_token) == (("token",), ("listen",))


def test_files_that_other_parts_read(tmp_path: Path) -> None:
    """Certificates and tickets count by what is in them, too, and change at once."""
    names = ("ca", "cert", "key", "wamp_ticket_file", "client_ca", "relay.key", "relay.pem")
    paths = {name: tmp_path / name for name in names}
    authority = Authority(tmp_path)

    def write(number: int) -> Configuration:
        issued = authority.issue("client@feed.test")
        for name in ("key", "relay.key"):
            paths[name].write_bytes(Path(issued.key_file).read_bytes())
        for name in ("cert", "relay.pem"):
            paths[name].write_bytes(Path(issued.certificate_file).read_bytes())
        for name in ("ca", "client_ca"):
            paths[name].write_bytes(Path(authority.file).read_bytes() + b"\n" * number)
        paths["wamp_ticket_file"].write_text(f"ticket {number}")
        return configuration(**said)

    said: dict[str, Any] = {name: str(paths[name]) for name in names if "." not in name}
    tls = f"privateKey={paths['relay.key']}:certKey={paths['relay.pem']}"
    said |= {"url": ["wss://h/"], "listen": f"ssl:1:{tls}", "http": f"ssl:2:{tls}"}
    said |= {"wamp_url": ["ws://r/"], "realm": "r", "wamp_prefix": "p", "wamp_authid": "me"}
    first = write(1)
    assert changes(first, configuration(**said)) == ((), ())
    second = write(2)
    assert set(changes(first, second).live) == {
        *("ca", "cert", "key", "listen", "client_ca", "http", "wamp_ticket_file"),
    }
    assert changes(first, second).restart == ()
    # What is for something else than there is now has to wait for it.
    said |= {"url": ["wss://other/"], "listen": f"ssl:3:{tls}", "http": f"ssl:4:{tls}"}
    said |= {"wamp_authid": "you", "min_ready": 2}
    third = write(3)
    assert changes(second, third).live == ()
    assert set(changes(second, third).restart) == {
        *("url", "ca", "cert", "key", "listen", "client_ca", "http", "min_ready"),
        *("wamp_authid", "wamp_ticket_file"),
    }
    # And is still told of the next time.
    kept = third.keeping(changes(second, third).restart, second)
    assert changes(kept, third) == changes(second, third)
    assert changes(kept, second) == ((), ())
