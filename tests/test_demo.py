"""
The demo: what it shows, and that it notices every message that is missing.
"""

from __future__ import annotations

import io

import pytest
from autobahn.twisted.websocket import WebSocketServerProtocol
from twisted.internet.task import Clock

from wsmultipool import ReconnectingPoolFactory
from wsmultipool._demo import Demo, DemoOptions
from wsmultipool._demo_report import Progress, Screen, missing, table
from wsmultipool._demo_server import DemoServer, numbered
from wsmultipool.stats import ConnectionStats, PoolStats

from .integration.autobahn_server import echo_factory
from .integration.deadline import within
from .integration.listening import listening
from .integration.running_reactor import reactor


class Terminal(io.StringIO):
    """
    A terminal that remembers everything that was drawn.
    """

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def stats(connections: int = 1, dropped: int = 0) -> PoolStats:
    return PoolStats(
        total=connections,
        open=connections,
        connecting=0,
        closed=0,
        queued_messages=0,
        queued_bytes=0,
        sent_messages=0,
        sent_bytes=0,
        received_messages=0,
        received_bytes=0,
        dropped_messages=dropped,
        requeued_messages=7,
        unconfirmed_messages=0,
        unconfirmed_bytes=0,
        resent_messages=0,
        reconnects=3,
        connections=tuple(
            ConnectionStats(
                id=number,
                state="open",
                url="ws://h/",
                uptime=1.0,
                attempts=0,
                buffered_bytes=0,
                latency=None,
                sent_messages=1000,
                sent_bytes=0,
                received_messages=0,
                received_bytes=0,
            )
            for number in range(connections)
        ),
    )


def server_that_got(*numbers: int, messages: int) -> DemoServer:
    server = DemoServer(messages, closes=0)
    for number in numbers:
        server.received(numbered(number, b""))
    return server


def progress_on(stream: io.StringIO, messages: int) -> tuple[Progress, Clock]:
    clock = Clock()
    pool = ReconnectingPoolFactory("ws://h/", reactor=clock, start=False, pool_size=4)
    return Progress(Screen(stream), clock, pool, messages), clock


# The server


def test_server_counts_each_message_once() -> None:
    """Delivered, missing and duplicates are told apart by the numbers in the messages."""
    server = server_that_got(0, 2, 2, 2, messages=4)
    assert (server.delivered, server.missing, server.duplicates) == (2, 2, 2)
    assert server.missing_numbers(10) == [1, 3]
    assert server.missing_numbers(1) == [1]


def test_server_ignores_what_is_not_from_the_demo() -> None:
    """Another program that finds the port does not spoil the counts."""
    server = server_that_got(4, messages=4)
    server.received(b"hello, is this the other server?")
    assert (server.delivered, server.duplicates) == (0, 0)


# What is shown


def test_table() -> None:
    """The table tells all counts, and the round trips of each connection."""
    server = server_that_got(*range(1000), 5, messages=1000)
    lines = table(stats(2), server, 1000, 0.5, {0: 3, 1: 1}, {0: [n / 1000 for n in range(1, 101)]})
    assert lines == [
        "sent                           1,000",
        "delivered                      1,000",
        "duplicates                         1",
        "re-routed                          7",
        "closed by the server               0",
        "reconnects                         3",
        "messages per second            2,000",
        "",
        "connection        sent  reconnects  round trip p50         p99",
        "         0       1,000           2        50.00 ms    99.00 ms",
        "         1       1,000           0               -           -",
    ]


def test_table_without_the_demos_server() -> None:
    """What nobody counted is not shown as a number."""
    lines = table(stats(), None, 10, 1.0, {}, {})
    assert lines[1] == "delivered                not counted"
    assert lines[2] == "duplicates               not counted"
    assert not [line for line in lines if "closed" in line]


def test_table_of_a_large_pool() -> None:
    """Hundreds of connections do not scroll the result away."""
    lines = table(stats(300), None, 10, 1.0, {}, {})
    assert len(lines) < 40
    assert lines[-1] == "       and 280 more"


def test_missing() -> None:
    """Nothing missing, nothing said; otherwise how many, and which."""
    assert missing(server_that_got(0, 1, messages=2), 2, 0, 2) == []
    assert missing(server_that_got(1, messages=3), 3, 0, 3) == [
        "2 of 3 messages were not delivered.",
        "Missing, counted from 0: 0, 2",
    ]
    assert missing(server_that_got(1, messages=1000), 1000, 0, 1000) == [
        "999 of 1,000 messages were not delivered.",
        "Missing, counted from 0: 0, 2, 3, 4, 5, ...",
    ]


def test_missing_without_the_demos_server() -> None:
    """Where nobody counts arrivals, what the pool did not take or had to drop is missing."""
    assert missing(None, 10, 0, 10) == []
    assert missing(None, 9, 2, 10) == ["3 of 10 messages were not sent."]


@pytest.mark.parametrize(("messages", "lines"), [(1, 1), (3, 3), (10, 10), (99, 10), (1000, 10)])
def test_progress_in_a_file(messages: int, lines: int) -> None:
    """Where lines cannot be drawn again there is one per ten percent, and no control codes."""
    stream = io.StringIO()
    progress, clock = progress_on(stream, messages)
    progress.start()
    progress.began()
    for _ in range(messages):
        clock.advance(0.5)
        progress.count()
    progress.stop()
    written = stream.getvalue().splitlines()
    assert len(written) == lines
    assert written[-1] == f"100 %  {messages:,} of {messages:,}  2/s  oooo"
    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal one line is drawn again as time passes; it has a bar, and ends at the end."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    progress, clock = progress_on(stream, 10)
    progress.start()
    progress.began()
    for _ in range(5):
        progress.count()
    clock.advance(0.2)
    progress.stop()
    assert stream.getvalue().splitlines(keepends=False) == [
        "",
        "  0 %  ░░░░░░░░░░░░░░░░░░░░  0 of 10  0/s  ○○○○\x1b[K",
        " 50 %  ██████████░░░░░░░░░░  5 of 10  25/s  ○○○○\x1b[K",
        " 50 %  ██████████░░░░░░░░░░  5 of 10  25/s  ○○○○\x1b[K",
    ]
    assert clock.getDelayedCalls() == []


def test_colors_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colors appear on terminals only, and not where the user does not want them."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert Screen(Terminal()).colored("text", 31) == "\x1b[31mtext\x1b[m"
    assert Screen(io.StringIO()).colored("text", 31) == "text"
    monkeypatch.setenv("NO_COLOR", "1")
    assert Screen(Terminal()).colored("text", 31) == "text"


def test_note_does_not_let_the_server_control_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a server says is shown, and that is all it can do."""
    stream = io.StringIO()
    progress, _ = progress_on(stream, 10)
    progress.note("because \x1b[2J\r\nof that")
    assert stream.getvalue() == "because \\x1b[2J\\r\\nof that\n"


# Runs


@within(30)
async def test_run_with_closes() -> None:
    """While the server closes connections, every message arrives, exactly once."""
    out, err = io.StringIO(), io.StringIO()
    options = DemoOptions(messages=2000, size=16)
    server = DemoServer(2000, closes=5, kept=1)
    demo = Demo(reactor, options, out, err, server)
    demo.to_ping = 0.2
    assert await demo.run() == 0
    assert (server.delivered, server.duplicates, server.missing) == (2000, 0, 0)
    assert server.closed >= 3  # all but the one that it keeps, and some of those that came back
    assert out.getvalue().splitlines()[-1] == "Every message was delivered."


@within(30)
async def test_run_with_confirmation() -> None:
    """Connections that are reset lose no message that waits for its confirmation."""
    out, err = io.StringIO(), io.StringIO()
    options = DemoOptions(messages=2000, size=16, confirm=True)
    server = DemoServer(2000, closes=5, kept=1, resets=True)
    demo = Demo(reactor, options, out, err, server)
    demo.to_ping = 0.2
    assert await demo.run() == 0
    assert (server.delivered, server.missing) == (2000, 0)
    assert server.closed >= 3
    assert "The server closes and resets one connection after another." in out.getvalue()
    assert out.getvalue().splitlines()[-1] == "Every message was delivered."


class _Forgetful(DemoServer):
    def received(self, payload: bytes) -> None:
        if payload != numbered(7, bytes(8)):
            super().received(payload)


@within(30)
async def test_run_with_a_loss() -> None:
    """When a message has not arrived at the end, the demo says which, and fails."""
    out, err = io.StringIO(), io.StringIO()
    server = _Forgetful(100, closes=0)
    demo = Demo(reactor, DemoOptions(messages=100, size=16), out, err, server)
    demo.to_ping = demo.to_arrive = 0.1
    assert await demo.run() == 1
    assert out.getvalue().splitlines()[-2:] == [
        "1 of 100 messages were not delivered.",
        "Missing, counted from 0: 7",
    ]


@within(30)
async def test_run_with_a_url() -> None:
    """With the URL of a server the messages go there; the query, maybe a secret, is not shown."""
    server = DemoServer(50, closes=0)
    url = server.listen(reactor)
    out, err = io.StringIO(), io.StringIO()
    demo = Demo(reactor, DemoOptions(messages=50, url=f"{url}path?token=secret"), out, err)
    demo.to_ping = 0.1
    try:
        assert await demo.run() == 0
    finally:
        await server.stop()
    assert server.delivered == 50
    assert f"to {url}path\n" in out.getvalue()
    assert "secret" not in out.getvalue() + err.getvalue()
    assert out.getvalue().splitlines()[-1] == "Every message was sent."


@within(30)
async def test_run_without_a_server() -> None:
    """Where nobody listens, the demo says why, once, and gives up."""
    server = DemoServer(1, closes=0)
    url = server.listen(reactor)
    await server.stop()
    out, err = io.StringIO(), io.StringIO()
    demo = Demo(reactor, DemoOptions(messages=50, url=f"{url}?token=secret"), out, err)
    demo.to_open = 0.3
    assert await demo.run() == 1
    reason, verdict = err.getvalue().splitlines()
    assert reason.startswith("no connection could be made (stage: TCP): ")
    assert verdict == f"none of 4 connections to {url} opened within 0.3 s"


@within(30)
async def test_run_against_a_server_that_closes() -> None:
    """What a server of the user's says when it closes a connection is shown, once."""
    server = DemoServer(2000, closes=5, kept=1)
    url = server.listen(reactor)
    out, err = io.StringIO(), io.StringIO()
    demo = Demo(reactor, DemoOptions(messages=2000, url=url), out, err)
    demo.to_ping = 0.1
    try:
        assert await demo.run() == 0
    finally:
        await server.stop()
    assert server.missing == 0
    said = [line for line in err.getvalue().splitlines() if "%" not in line]
    assert said == ['the peer closed the connection: 1012 "service restart"']


class TurnsAway(WebSocketServerProtocol):
    """
    Reads messages, and then says that it does not want them.
    """

    def onPing(self, payload: bytes) -> None:
        self.sendClose(4001, "invalid token")


@within(30)
async def test_run_against_a_server_that_turns_us_away() -> None:
    """That every message was written is no success when the server has refused them."""
    factory = echo_factory()
    factory.protocol = TurnsAway
    out, err = io.StringIO(), io.StringIO()
    async with listening(factory) as server:
        demo = Demo(reactor, DemoOptions(messages=5, url=server.url), out, err)
        demo.to_ping = 0.1
        assert await demo.run() == 1
    words = 'the peer closed the connection: 4001 "invalid token"'
    assert words in err.getvalue().splitlines()
    assert out.getvalue().splitlines()[-1] == f"The server turns us away: {words}"


class Mute(WebSocketServerProtocol):
    """
    Never answers a ping.
    """

    def onPing(self, payload: bytes) -> None:
        pass


@within(30)
async def test_run_against_a_server_that_confirms_nothing() -> None:
    """The wait for confirmations ends, and the demo says so, and fails."""
    factory = echo_factory()
    factory.protocol = Mute
    out, err = io.StringIO(), io.StringIO()
    async with listening(factory) as server:
        demo = Demo(reactor, DemoOptions(messages=5, confirm=True, url=server.url), out, err)
        demo.to_send, demo.to_ping = 0.3, 0.1
        assert await demo.run() == 1
    assert "stopped: no message was confirmed within 0.3 s" in err.getvalue().splitlines()
    assert out.getvalue().splitlines()[-1] == "5 of 5 messages were not sent."
