"""
Tests for L{wsmultipool.service.program}, with a server in memory.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, LogEvent, eventAsText, globalLogPublisher
from zope.interface import implementer

from wsmultipool import PoolClosed, ReconnectingPoolFactory, TLSOptions
from wsmultipool._memory_transport import connect
from wsmultipool.service import bounded_read
from wsmultipool.service.configuration import Configuration, Source
from wsmultipool.service.log_level import set_log_level
from wsmultipool.service.option_table import OPTIONS, Option
from wsmultipool.service.option_values import ConfigurationError
from wsmultipool.service.program import CannotStart, Program
from wsmultipool.testing import MemoryPool

from .integration.certificates import Authority
from .local_client import REQUEST, LocalClient, Port
from .support import error_of, outcome


class Reactor(MemoryReactorClock):
    """
    A reactor whose ports say where they listen.

    @param taken: ports that others have.
    """

    def __init__(self, *taken: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.hasStopped = False  # Twisted 24.7 says that it has, before it runs
        self._taken = taken
        self.ports: list[Port] = []

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        if port in self._taken:
            raise CannotListenError(interface, port, OSError("in use"))
        super().listenTCP(port, factory, backlog, interface)  # type: ignore[no-untyped-call]
        self.ports.append(Port(interface))
        return self.ports[-1]

    def iterate(self, delay: float = 0) -> None:
        self.advance(delay)


class InMemory(Program):
    """
    A program that connects to a server in memory.
    """

    memory: MemoryPool

    def _build_pool(self, configuration: Configuration) -> ReconnectingPoolFactory:
        self.memory = MemoryPool(
            clock=self._reactor,
            logger=False,
            ws_options=configuration.websocket_options(self._current_headers),
            **configuration.pool,
        )
        return self.memory.pool


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """
    What the program logs in the test.
    """
    logged: list[str] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event["log_namespace"] == "wsmultipool":
            level = event["log_level"].name
            text = eventAsText(event, includeTimestamp=False, includeSystem=False)
            logged.append(f"{level}: {text}")

    globalLogPublisher.addObserver(observe)
    yield logged
    globalLogPublisher.removeObserver(observe)
    set_log_level("info")


def built(config: Path | None = None, **said: Any) -> InMemory:
    """
    Build a program.
    """
    if config is None:
        said.setdefault("url", ["ws://memory.test/"])
    return InMemory(Reactor(), Source(said, None if config is None else str(config)))


def started(config: Path | None = None, **said: Any) -> InMemory:
    """
    Start a program, and let its pool open.
    """
    program = built(config, **said)
    program.privilegedStartService()
    program.startService()
    program.memory.settle()
    return program


def connected(program: InMemory) -> LocalClient:
    """
    Connect a client to the relay.
    """
    head = "\r\n".join(f"{name}: {value}" for name, value in REQUEST.items())
    client = LocalClient(f"GET / HTTP/1.1\r\n{head}\r\n\r\n".encode())
    server = program._reactor.tcpServers[0][1].buildProtocol(None)
    connect(program.memory.clock, 0.0, client, server)
    program.memory.settle()
    return client


def stop(program: InMemory, seconds: float = 0) -> None:
    """
    Stop a program, which takes so long at most.
    """
    stopped = outcome(program.stopService())
    program.memory.settle()
    program.memory.advance(seconds)
    assert stopped == [None]
    program.memory.settle()
    assert program.memory.clock.getDelayedCalls() == []


# Beginning


def test_it_starts_and_stops(lines: list[str]) -> None:
    """A program connects when it is started, and ends without a word when nothing is left."""
    program = started()
    assert program.pool.open_connections == 5
    stop(program)
    assert (program.status, lines) == (0, [])


def test_warnings_are_logged(tmp_path: Path, lines: list[str]) -> None:
    """The operator reads what could be done better."""
    token = tmp_path / "headers"
    token.write_text("X-A: 1")
    token.chmod(0o644)
    program = started(header_file=[str(token)])
    assert lines == [f"warn: everybody on this machine may read the secrets in {str(token)!r}"]
    stop(program)


def test_a_port_in_use_ends_the_program_under_twistd(lines: list[str]) -> None:
    """twistd listens while it has the privileges, and there is nothing to do without a port."""
    program = InMemory(Reactor(9000), Source({"url": ["ws://h/"], "listen": "tcp:9000"}))
    program.privilegedStartService()
    program.startService()
    assert program.pool.get_stats().connecting == 0
    program._reactor.run()
    assert program._reactor.hasStopped
    stop(program)
    assert program.status == 1
    assert lines == ["critical: listen: Couldn't listen on 127.0.0.1:9000: in use."]


def test_a_port_in_use_is_told_to_who_has_started_a_daemon(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    As a daemon, twistd hands an error on to the process that waits; there is no traceback, and what
    listens already stops to.
    """
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    reactor: Any = Reactor(9100)
    said: dict[str, Any] = {"url": ["ws://h/"], "listen": "tcp:9000", "http": "tcp:9100"}
    program = InMemory(reactor, Source(said))
    program.daemon = True
    with pytest.raises(CannotStart, match=r"^http: Couldn't listen on 127\.0\.0\.1:9100: in use"):
        program.privilegedStartService()
    assert [port.listening for port in reactor.ports] == [False]
    sys.excepthook(CannotStart, CannotStart("text"), None)
    assert capsys.readouterr().err == ""


def test_a_port_in_use_ends_the_program_under_twist(lines: list[str]) -> None:
    """twist has no log before the reactor runs: the program ends as soon as it does."""
    program = InMemory(Reactor(9000), Source({"url": ["ws://h/"], "http": "tcp:9000"}))
    program.startService()
    assert program.pool.get_stats().connecting == 0
    reactor = program._reactor
    assert not reactor.hasStopped
    reactor.run()
    assert reactor.hasStopped
    assert program.status == 1
    assert lines == ["critical: http: Couldn't listen on 127.0.0.1:9000: in use."]
    stop(program)


@pytest.mark.parametrize("under_twist", [False, True])
def test_a_port_in_use_for_the_page_ends_the_program(lines: list[str], under_twist: bool) -> None:
    """The relay listens already, and stops, so that no unix socket is left; nothing connects."""
    reactor: Any = Reactor(9100)
    said: dict[str, Any] = {"url": ["ws://h/"], "listen": "tcp:9000", "http": "tcp:9100"}
    program = InMemory(reactor, Source(said))
    if not under_twist:
        program.privilegedStartService()
    program.startService()
    assert lines[0].startswith("critical: http: Couldn't listen on 127.0.0.1:9100")
    assert len(lines) == 1
    assert [server[0] for server in reactor.tcpServers] == [9000]
    stop(program)
    assert program.relay.address is None
    assert program.memory.server.peers == []
    assert isinstance(error_of(program.pool.send("x")), PoolClosed)
    assert program.status == 1


def test_a_pool_that_tries_no_more_ends_the_program(lines: list[str]) -> None:
    """When every connection has given up, the program says so, and ends with 1."""
    program = built(max_reconnect_attempts=1, pool_size=1)
    program.memory.server.refuse()
    program.startService()
    program.memory.advance(5)
    assert program.status == 1
    assert len(lines) == 1
    assert lines[0].startswith("critical: ")
    stop(program)


# In between


def write(config: Path, text: str) -> Path:
    config.write_text('url = "ws://memory.test/"\n' + text)
    return config


def test_reloading_resizes_the_pool(tmp_path: Path, lines: list[str]) -> None:
    """A new size takes effect at once; what takes a restart is told of, each time."""
    config = write(tmp_path / "config", "pool_size = 2\n")
    program = started(config)
    write(config, 'pool_size = 3\nname = "other"\n')
    program.reload()
    program.memory.settle()
    assert program.pool.open_connections == 3
    expected = ["info: Changed: pool_size", "warn: Changes with a restart: name"]
    assert lines == expected
    lines.clear()
    program.reload()
    assert lines == ["info: Changed: nothing", "warn: Changes with a restart: name"]
    write(config, 'name = "other"\n')
    program.reload()
    program.memory.settle()
    assert program.pool.open_connections == 5
    stop(program)


def test_reloading_changes_the_headers(tmp_path: Path) -> None:
    """The next attempt to connect sends the new headers."""
    config = write(tmp_path / "config", 'pool_size = 1\nheader = ["X-A: 1"]\n')
    program = started(config)
    write(config, 'pool_size = 1\nheader = ["X-A: 2"]\n')
    program.reload()
    program.memory.server.peers[0].drop()
    program.memory.advance(2)
    sent = [peer.headers["x-a"] for peer in program.memory.server.peers]
    assert sent == ["1", "2"]
    stop(program)


def test_reloading_a_mistake_changes_nothing(tmp_path: Path, lines: list[str]) -> None:
    """A mistake is logged, and nothing is changed, not even what has no mistake in it."""
    config = write(tmp_path / "config", "pool_size = 2\n")
    program = started(config)
    write(config, "pool_size = 3\nmin_uptime = -1\n")
    program.reload()
    program.memory.settle()
    assert program.pool.open_connections == 2
    (line,) = lines
    mistake = f"config {str(config)!r}: min_uptime must be"
    assert line.startswith(f"error: Nothing is changed, as there is a mistake: {mistake}")
    stop(program)


def test_reloading_does_not_wait_for_ever(
    tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that nobody writes to has taken the place of a file: that is a mistake like others."""
    monkeypatch.setattr(bounded_read, "SECONDS", 0.05)
    headers = tmp_path / "headers"
    config = write(tmp_path / "config", f'pool_size = 1\nheader_file = ["{headers}"]\n')
    headers.write_text("X-A: 1")
    program = started(config)
    headers.unlink()
    os.mkfifo(headers)
    program.reload()
    (line,) = [line for line in lines if line.startswith("error")]
    assert line.endswith(f"header_file {str(headers)!r}: nothing to read for 0.05 s")
    program.memory.server.peers[0].drop()
    program.memory.advance(2)
    assert program.memory.server.peers[1].headers["x-a"] == "1"
    stop(program)


def test_reloading_changes_when_it_is_ready(tmp_path: Path, lines: list[str]) -> None:
    """How many connections are enough can be changed while they are counted."""
    config = write(tmp_path / "config", 'http = "tcp:9100"\n')
    program = started(config)
    write(config, 'http = "tcp:9100"\nmin_ready = 3\n')
    program.reload()
    assert lines == ["info: Changed: min_ready"]
    assert program.web.min_ready == 3
    stop(program)


def test_reloading_reads_the_certificates_of_ports(tmp_path: Path, lines: list[str]) -> None:
    """New ones are shown to those who connect from then on; with a mistake, the old ones are."""
    authority = Authority(tmp_path)
    shown, new = authority.issue("relay.test"), authority.issue("relay.test")
    tls = f"privateKey={shown.key_file}:certKey={shown.certificate_file}"
    said = f'listen = "ssl:9443:{tls}"\nclient_ca = "{authority.file}"\nhttp = "ssl:9100:{tls}"\n'
    config = write(tmp_path / "config", said)
    program = started(config)
    ports = [server[2] for server in program._reactor.sslServers]

    def contexts() -> list[SSL.Context]:
        return [creator.serverConnectionForTLS(None).get_context() for creator in ports]

    before = contexts()
    Path(shown.certificate_file).write_bytes(Path(new.certificate_file).read_bytes())
    program.reload()
    assert contexts() == before
    assert lines.pop().startswith("error: Nothing is changed, as there is a mistake: ")
    Path(shown.key_file).write_bytes(Path(new.key_file).read_bytes())
    program.reload()
    assert lines == ["info: Changed: listen, http"]
    assert not set(contexts()) & set(before)
    stop(program)


def test_reloading_changes_tls_with_the_server(tmp_path: Path, lines: list[str]) -> None:
    """Whom to trust is read again for the next attempts; who trusts everybody is told so."""
    authority = Authority(tmp_path)
    config = tmp_path / "config"
    config.write_text(f'url = "wss://memory.test/"\nca = "{authority.file}"\n')
    program = Program(Reactor(), Source({}, str(config)))
    config.write_text('url = "wss://memory.test/"\ninsecure = true\n')
    program.reload()
    assert program._tls._latest is not None
    assert program._tls._latest.tls == TLSOptions(verify=False)
    assert lines == [
        "warn: insecure: the server's certificate is not checked",
        "info: Changed: ca, insecure",
    ]


def test_reloading_changes_the_ticket(tmp_path: Path, lines: list[str]) -> None:
    """The router is shown the new one the next time."""
    ticket = tmp_path / "ticket"
    ticket.write_text("one")
    ticket.chmod(0o600)
    said: dict[str, Any] = {"wamp_url": ["ws://127.0.0.1:1/"], "realm": "r", "wamp_prefix": "p"}
    program = built(**said, wamp_authid="me", wamp_ticket_file=str(ticket))
    assert program.wamp is not None
    shown = program.wamp._authentication
    assert shown == {"ticket": {"authid": "me", "ticket": "one"}}
    ticket.write_text("two")
    program.reload()
    assert shown == {"ticket": {"authid": "me", "ticket": "two"}}
    assert lines == ["info: Changed: wamp_ticket_file"]


# The end


def test_what_is_queued_at_the_end_is_delivered() -> None:
    """A server that comes back within the time to drain gets what waited for it."""
    program = started(pool_size=1, drain=5.0)
    server = program.memory.server
    server.refuse()
    server.peers[0].drop()
    program.memory.settle()
    program.pool.send("late")
    server.accept()
    stop(program, 5)
    assert server.peers[-1].received == [(b"late", False)]
    assert program.status == 0


def test_what_is_not_delivered_at_the_end_is_counted(lines: list[str]) -> None:
    """A server that does not come back gets nothing, and the status says so."""
    program = started(pool_size=1, drain=2.0)
    program.memory.server.refuse()
    program.memory.server.peers[0].drop()
    program.memory.settle()
    sent = [outcome(program.pool.send("left")) for _ in range(3)]
    stop(program, 2)
    assert all(len(results) == 1 for results in sent)
    assert program.status == 1
    assert lines == [
        "error: Not everything was delivered within 2.0 s",
        "error: 3 messages were not delivered",
    ]


def test_without_time_to_drain_what_is_queued_is_left(lines: list[str]) -> None:
    """With --drain 0 the end is at once."""
    program = started(pool_size=1, drain=0)
    program.memory.server.refuse()
    program.memory.server.peers[0].drop()
    program.memory.settle()
    outcome(program.pool.send("left"))
    stop(program)
    assert (program.status, lines) == (1, ["error: 1 message was not delivered"])


@pytest.mark.parametrize("reloaded", [False, True])
def test_without_time_to_drain_clients_are_not_waited_for(tmp_path: Path, reloaded: bool) -> None:
    """What they have sent is given up at once, whether drain was 0 from the beginning or later."""
    text = 'listen = "tcp:9000"\npool_size = 1\ndrain = {}\n'
    config = write(tmp_path / "config", text.format(5 if reloaded else 0))
    program = started(config)
    program.memory.server.peers[0].stop_reading()
    program.pool.send(b"x" * 100_000)
    program.memory.settle()
    client = connected(program)
    client.send("unread")
    program.memory.settle()
    assert program.relay.get_stats().pending_messages == 1
    write(config, text.format(0))
    program.reload()
    outcome(program.stopService())
    program.memory.settle()
    assert client.close_frame is not None
    assert client.close_frame[0] == 1001
    client.close()
    program.memory.advance(10)


def test_a_server_that_does_not_read_at_the_end(lines: list[str]) -> None:
    """What is not proven to have arrived counts as left."""
    program = started(pool_size=1, drain=2.0)
    program.memory.server.peers[0].stop_reading()
    program.pool.send("unread")
    program.memory.settle()
    stop(program, 10)
    assert program.status == 1
    assert lines[0] == "error: Not everything was delivered within 2.0 s"


def test_a_server_that_is_lost_at_the_end(lines: list[str]) -> None:
    """What was written to a connection that is lost while the program ends counts as left."""
    program = started(pool_size=1, drain=2.0)
    program.memory.server.peers[0].stop_reading()
    program.pool.send("unread")
    program.memory.settle()
    stopped = outcome(program.stopService())
    program.memory.server.peers[0].drop()
    program.memory.advance(10)
    assert stopped == [None]
    assert program.status == 1
    (line,) = lines
    assert line.startswith("error: 1 message was written once and may have arrived, or not: ")
    assert "the connection was dropped" in line


def test_a_second_interrupt_ends_at_once(lines: list[str]) -> None:
    """Whoever presses Ctrl-C twice does not want to wait; a second SIGTERM changes nothing."""
    program = started(pool_size=1, drain=60.0)
    program.memory.server.peers[0].stop_reading()
    program.pool.send("unread")
    program.memory.settle()
    program._told_to_end(True)
    assert program._reactor.hasStopped
    stopped = outcome(program.stopService())
    program._told_to_end(False)
    program.memory.settle()
    assert stopped == []
    program._told_to_end(True)
    program.memory.settle()
    assert stopped == [None]
    assert lines[0] == "error: Told to end at once"
    assert program.status == 1


def test_a_second_interrupt_does_not_wait_for_clients() -> None:
    """Not even for one that does not take part in the closing handshake."""
    program = started(listen="tcp:9000", drain=60.0)
    client = connected(program)
    stopped = outcome(program.stopService())
    program.memory.settle()
    assert stopped == []
    program._told_to_end(True)
    program.memory.settle()
    assert stopped == [None]
    assert client.is_lost


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("wamp_prefix", "no prefix", "wamp_prefix must be words"),
        ("wamp_url", ["http://router.test/"], "wamp_url must"),
        ("wamp_url", ["ws://router.test/?token=secret"], "wamp_url must have neither credentials"),
        ("realm", " ", "realm must not be empty"),
        ("wamp_concurrency", 0, "wamp_concurrency must be at least 1"),
    ],
)
def test_a_mistake_about_the_router_is_named(option: str, value: object, text: str) -> None:
    """A mistake that only the component can see is told by the name the operator knows."""
    said = {
        **{"url": ["ws://feed.test/"], "wamp_url": ["ws://router.test/"], "realm": "realm1"},
        **{"wamp_prefix": "feed", option: value},
    }
    with pytest.raises(ConfigurationError, match=text) as raised:
        InMemory(Reactor(), Source(said))
    assert "secret" not in str(raised.value)


SECRET = "correct horse, s3cret!"
NEEDED = {
    "url": '["wss://memory.test/"]',
    "listen": '"tcp:9000"',
    "http": '"tcp:9001"',
    "confirm": "true",
    "compression": "true",
    "wamp_url": '["ws://127.0.0.1:1/"]',
    "realm": '"realm1"',
    "wamp_prefix": '"com.example"',
}
# Any text is right for them, and no message shows it.
TAKE_ANY_TEXT = {"name", "user_agent", "origin", "realm"}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: str(option.name))
def test_a_secret_in_the_wrong_place_is_not_shown(tmp_path: Path, option: Option) -> None:
    """Given for whatever option, in a file: the error names option and file, and what is wanted."""
    config = tmp_path / "wsmultipool.toml"
    others = {name: value for name, value in NEEDED.items() if name != option.name}
    if option.name == "wamp_ticket_file":
        others["wamp_authid"] = '"me"'
    value = f'["{SECRET}"]' if option.repeatable else f'"{SECRET}"'
    lines = [f"{name} = {text}" for name, text in {**others, option.name: value}.items()]
    config.write_text("\n".join(lines) + "\n")
    if option.name in TAKE_ANY_TEXT:
        Source({}, str(config)).read()
        return
    with pytest.raises(ConfigurationError) as raised:
        Program(Reactor(), Source({}, str(config)))
    message = str(raised.value)
    assert "s3cret" not in message
    assert "horse" not in message
    assert message.startswith(f"config {str(config)!r}: ")
    assert {"ca": "trust_root", "cert": "certificate", "key": "cert"}.get(
        option.name, option.name.removeprefix("client_")
    ) in message


def test_a_token_in_a_header_file_is_not_shown(tmp_path: Path) -> None:
    """The line is told, wherever in it the token stands."""
    headers = tmp_path / "headers"
    for line in ("Bearer s3cret: x", "Bearer s3cret", "X: s3cret\0", "X-A: 1\nx-a: s3cret"):
        headers.write_text(line + "\n")
        said: Any = {"url": ["ws://h/"], "header_file": [str(headers)]}
        with pytest.raises(ConfigurationError) as raised:
            Source(said).read()
        message = str(raised.value)
        assert message.startswith(f"header_file {str(headers)!r}, line {1 + line.count(chr(10))}")
        assert "s3cret" not in message
