"""
C{wsmultipool cat}: against a server in this process, with pipes in place of the standard streams.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import LoopingCall, deferLater

from wsmultipool._commands import cat
from wsmultipool._commands.cat_session import Cat, CatOptions
from wsmultipool.service.configuration import Configuration

from .integration.autobahn_server import Echo, echo_factory
from .integration.deadline import within
from .integration.listening import Server, listening, unused_port
from .integration.running_reactor import reactor


class Run:
    """
    One run: what goes in, and what comes out.
    """

    def __init__(self) -> None:
        self.err = io.StringIO()
        self.descriptors = {}
        self.descriptors["input"], self.descriptors["send"] = os.pipe()
        self.descriptors["receive"], self.descriptors["output"] = os.pipe()
        os.set_blocking(self.descriptors["receive"], False)

    def begin(self, url: str, **options: Any) -> Deferred[int]:
        """
        Begin; the Deferred fires with the exit status.
        """
        configuration = Configuration.of({"url": [url], "pool_size": 1, **options.pop("pool", {})})
        session = Cat(
            reactor,
            CatOptions(configuration=configuration, **options),
            self.err,
            self.descriptors["input"],
            self.descriptors["output"],
        )
        return Deferred.fromCoroutine(session.run())

    async def whole(self, url: str, data: bytes, **options: Any) -> tuple[int, bytes]:
        """
        Run with this input and no more; return the status and the output.
        """
        os.write(self.descriptors["send"], data)
        self.close("send")
        status = await self.begin(url, **options)
        return status, self.output()

    def output(self) -> bytes:
        """
        Read what has been written by now.
        """
        try:
            return os.read(self.descriptors["receive"], 1_000_000)
        except BlockingIOError:
            return b""

    def close(self, name: str) -> None:
        os.close(self.descriptors.pop(name))


@pytest.fixture
def run() -> Iterator[Run]:
    """
    A run to begin.
    """
    made = Run()
    yield made
    for name in list(made.descriptors):
        made.close(name)


class Greeting(WebSocketServerProtocol):
    """
    Sends three messages to whoever comes, one of them binary.
    """

    def onOpen(self) -> None:
        for number in range(3):
            self.sendMessage(b"greeting %d" % number, number == 1)  # type: ignore[no-untyped-call]


class Deaf(WebSocketServerProtocol):
    """
    Ends the connection at the first message.
    """

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        cast(ITCPTransport, self.transport).abortConnection()


def server_of(protocol: type[WebSocketServerProtocol]) -> Any:
    """
    A context with a server that speaks so.
    """
    factory = echo_factory()
    factory.protocol = protocol
    return listening(factory)


@within(20)
async def test_lines(run: Run) -> None:
    """Each line is a message, and each message that arrives is a line."""
    async with listening(echo_factory()) as server:
        assert await run.whole(server.url, b"one\ntwo\nthree") == (0, b"one\ntwo\nthree\n")
    assert run.err.getvalue() == ""


@within(20)
async def test_length_prefixed(run: Run) -> None:
    """Messages with their length before them may have anything in them."""
    data = b"\0\0\0\x05on\ne\xff\0\0\0\0"
    async with listening(echo_factory()) as server:
        assert await run.whole(server.url, data, binary=True, length_prefixed=True) == (0, data)


class Kinds(Echo):
    """
    Answers with the kind of each message.
    """

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        super().onMessage(b"binary" if isBinary else b"text", False)


@within(20)
@pytest.mark.parametrize("binary", [False, True])
async def test_kind(run: Run, binary: bool) -> None:
    """Messages are text, or binary if so told."""
    async with server_of(Kinds) as server:
        status, output = await run.whole(server.url, b"a\n", binary=binary)
    assert (status, output) == (0, b"binary\n" if binary else b"text\n")


@pytest.mark.parametrize(("binary", "echoed"), [(False, b"a\n"), (True, b"a\r\n")])
@within(10)
async def test_carriage_return(run: Run, binary: bool, echoed: bytes) -> None:
    """In text it is a part of the line break; of what is not text every byte arrives."""
    async with listening(echo_factory()) as server:
        assert await run.whole(server.url, b"a\r\n", binary=binary, expect=1) == (0, echoed)


@within(20)
async def test_what_is_not_text(run: Run) -> None:
    """A line that is not UTF-8 can't be sent as text, and the number of the message is told."""
    async with listening(echo_factory()) as server:
        assert (await run.whole(server.url, b"a\n\xff\n"))[0] == 1
    assert run.err.getvalue() == (
        "wsmultipool cat: message 2 is not UTF-8: --binary sends what is not text\n"
    )


@within(20)
async def test_no_input(run: Run) -> None:
    """Without input nothing is sent; what arrives until the count is reached is written."""
    async with server_of(Greeting) as server:
        assert await run.whole(server.url, b"", expect=3) == (
            0,
            b"greeting 0\ngreeting 1\ngreeting 2\n",
        )


@within(20)
async def test_expecting_what_has_arrived_already(run: Run) -> None:
    """Answers that came before the end of the input count as well."""
    async with listening(echo_factory()) as server:
        status = run.begin(server.url, expect=1)
        os.write(run.descriptors["send"], b"one\n")
        while not (output := run.output()):
            await deferLater(reactor, 0)
        run.close("send")
        assert (await status, output) == (0, b"one\n")


@within(20)
async def test_too_few_arrive(run: Run) -> None:
    """Who expects more than arrives in the time given hears of it, and the status is 1."""
    async with server_of(Greeting) as server:
        status, output = await run.whole(server.url, b"", expect=4, linger=0.1)
    assert status == 1
    assert len(output.splitlines()) == 3
    assert run.err.getvalue() == "wsmultipool cat: 3 of 4 expected messages arrived\n"


@within(20)
async def test_lingering(run: Run) -> None:
    """Lingering is receiving for some time after the end of the input."""
    async with server_of(Greeting) as server:
        status, output = await run.whole(server.url, b"", linger=0.1)
    assert (status, len(output.splitlines())) == (0, 3)


@within(20)
async def test_no_server(run: Run) -> None:
    """Where nobody listens, that is told, and nothing is sent."""
    url = f"ws://127.0.0.1:{unused_port()}/?token=secret"
    assert await run.whole(url, b"one\n", timeout=0.1) == (1, b"")
    reason, verdict = run.err.getvalue().splitlines()
    assert "Connection was refused" in reason
    assert verdict.endswith("/ opened within 0.1 s")
    assert "secret" not in run.err.getvalue()


@within(20)
async def test_connections_that_give_up(run: Run) -> None:
    """A pool that tries no more is told of at once."""
    url = f"ws://127.0.0.1:{unused_port()}/"
    pool = {"max_reconnect_attempts": 1}
    assert (await run.whole(url, b"one\n", timeout=10, pool=pool))[0] == 1


@within(20)
@pytest.mark.parametrize("confirm", [False, True])
async def test_messages_that_may_be_lost(run: Run, confirm: bool) -> None:
    """When nobody knows whether a message was received, the status is 1."""
    pool = {"reconnect_interval": 0.01, "min_uptime": 0}
    async with server_of(Deaf) as server:
        status, output = await run.whole(server.url, b"one\n", confirm=confirm, pool=pool)
    assert (status, output) == (1, b"")
    assert "may have arrived, or not" in run.err.getvalue()


class DiesOnce(Deaf):
    """
    Ends the first connection at its first message; whoever comes back is not let in.
    """

    came = 0

    def onConnect(self, request: Any) -> None:
        type(self).came += 1
        if self.came > 1:
            raise ConnectionDeny(503)


class Mute(WebSocketServerProtocol):
    """
    Takes messages, and never answers a ping.
    """

    def onPing(self, payload: bytes) -> None:
        pass


@within(20)
@pytest.mark.parametrize("protocol", [DiesOnce, Mute])
@pytest.mark.parametrize("ends", [False, True])
async def test_every_wait_for_a_confirmation_ends(
    run: Run, protocol: type[WebSocketServerProtocol], ends: bool
) -> None:
    """
    A server that dies and does not come back, or that never confirms, ends the run when its time is
    up, be it that there is more input to wait for; and it is told how many messages are unknown.
    """
    async with server_of(type("Fresh", (protocol,), {})) as server:
        status = run.begin(server.url, confirm=True, timeout=0.3, pool={"reconnect_interval": 0.01})
        os.write(run.descriptors["send"], b"one\ntwo\n")
        if ends:
            run.close("send")
        assert await status == 1
    verdict = run.err.getvalue().splitlines()[-1]
    assert verdict.startswith("wsmultipool cat: no message was confirmed within 0.3 s (0 confirmed")
    assert verdict.endswith(" 2 unknown)")


@within(20)
async def test_a_message_that_is_lost_ends_the_wait_for_more_input(run: Run) -> None:
    """That a message will not be confirmed is told at once, and not when the next one is there."""
    pool = {"reconnect_interval": 0.01, "min_uptime": 0}
    async with server_of(Deaf) as server:
        status = run.begin(server.url, confirm=True, timeout=20.0, pool=pool)
        os.write(run.descriptors["send"], b"one\n")
        assert await status == 1
    assert "may have arrived, or not: the connection was dropped" in run.err.getvalue()
    assert run.err.getvalue().endswith(" (0 confirmed, 1 unknown)\n")


@within(20)
async def test_the_wait_for_expected_messages_ends(run: Run) -> None:
    """When none arrives for the time given, nothing more is expected; and that is told."""
    async with server_of(Greeting) as server:
        status, output = await run.whole(server.url, b"", expect=4, timeout=0.3)
    assert (status, len(output.splitlines())) == (1, 3)
    assert run.err.getvalue() == (
        "wsmultipool cat: 3 of 4 expected messages arrived, and none for 0.3 s\n"
    )


class TurnsAway(WebSocketServerProtocol):
    """
    Accepts, and then does not want us; its words would colour the terminal.
    """

    code = 4001

    def onOpen(self) -> None:
        # Not sendClose, which lets only 1000 and private codes pass.
        self.sendCloseFrame(self.code, b"invalid \x1b[31mtoken=seeecret")


@within(20)
async def test_lingering_at_a_server_that_turns_us_away(run: Run) -> None:
    """That is no success; its words are told, without a secret, and can't control a terminal."""
    async with server_of(TurnsAway) as server:
        status, _ = await run.whole(f"{server.url}?token=seeecret", b"", linger=0.3)
    assert status == 1
    words = 'the peer closed the connection: 4001 "invalid ?[31m***"'
    assert run.err.getvalue().splitlines() == [
        f"wsmultipool cat: {words}",
        f"wsmultipool cat: the server turns us away: {words}",
    ]


@within(20)
async def test_waiting_for_input_while_the_server_turns_us_away(run: Run) -> None:
    """A server that goes on turning us away ends the run, be it that the input goes on."""
    pool = {"reconnect_interval": 0.01}
    async with server_of(TurnsAway) as server:
        assert await run.begin(server.url, timeout=0.3, pool=pool) == 1
    assert "the server turns us away: " in run.err.getvalue()


class SaysGoodbye(TurnsAway):
    """
    Accepts, and is through.
    """

    code = 1000


@within(20)
async def test_lingering_at_a_server_that_is_through(run: Run) -> None:
    """A normal end is none of the run's: it goes on, and is a success."""
    async with server_of(SaysGoodbye) as server:
        assert (await run.whole(server.url, b"", linger=0.3))[0] == 0


class Talking(WebSocketServerProtocol):
    """
    Sends a message every 50 ms.
    """

    def onOpen(self) -> None:
        self._talk = LoopingCall(self.sendMessage, b"still here")
        self._talk.start(0.05)

    def onClose(self, *_: object) -> None:
        self._talk.stop()


@within(20)
async def test_expected_messages_have_their_time_each(run: Run) -> None:
    """A server that goes on sending is waited for, however long all of it takes."""
    async with server_of(Talking) as server:
        status, output = await run.whole(server.url, b"", expect=20, timeout=0.5)
    assert (status, len(output.splitlines()) >= 20) == (0, True)


@within(20)
async def test_confirmed(run: Run) -> None:
    """Confirmed messages arrive, many more of them than may be unconfirmed at a time."""
    data = b"".join(b"%d\n" % number for number in range(3000))
    async with listening(echo_factory()) as server:
        status, output = await run.whole(server.url, data, confirm=True)
    assert status == 0
    assert output == data


@within(20)
async def test_nobody_reads_the_output(run: Run) -> None:
    """A reader that has read enough ends the program, with the status of a broken pipe."""
    async with listening(echo_factory()) as server:
        status = run.begin(server.url)
        run.close("receive")
        os.write(run.descriptors["send"], b"one\n")
        assert await status == 141
    assert run.err.getvalue() == ""


@within(20)
async def test_input_waits_for_the_server(run: Run) -> None:
    """While the server does not read, the input is read no further than buffers go."""
    async with listening(echo_factory()) as server:
        os.set_blocking(run.descriptors["send"], False)
        status = run.begin(server.url)
        await server.journal.when(lambda: server.accepted == 1)
        line = b"x" * 9_999 + b"\n"
        os.write(run.descriptors["send"], line)
        while not run.output():
            await deferLater(reactor, 0)
        _pause(server, True)
        taken = 0
        refused = 0
        while refused < 200:
            try:
                taken += os.write(run.descriptors["send"], line)
                refused = 0
            except BlockingIOError:
                refused += 1
            await deferLater(reactor, 0)
        _pause(server, False)
        run.close("send")
        while not status.called:
            run.output()
            await deferLater(reactor, 0)
        assert await status == 0
    # The buffers of two sockets, which the kernel makes larger as it likes, and of a pipe.
    assert taken < 32 * 1024 * 1024


def _pause(server: Server, paused: bool) -> None:
    transport: Any = server.connections[0].transport
    (transport.pauseProducing if paused else transport.resumeProducing)()


# The command line


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """
    Run with arguments that have a mistake.

    @return: what was said about it.
    """
    with pytest.raises(SystemExit) as exited:
        cat.main(arguments)
    assert exited.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("wsmultipool cat: error: ").removesuffix(" (see --help)")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: URL"),
        (["h:80"], "argument URL: url must begin with ws:// or wss://: 'h:80'"),
        (["ws://h", "--lingr", "3"], "unknown argument: '--lingr': did you mean '--linger'?"),
        (["ws://h", "--linger", "no"], "argument --linger: must be a number greater than 0, not"),
        (["ws://h", "--timeout=0"], "argument --timeout: must be a number greater than 0, not '0'"),
        (["ws://h", "--timeout=nan"], "argument --timeout: must be a number greater than 0, not"),
        (["ws://h", "--expect=0"], "argument --expect: must be an integer from 1 on, not '0'"),
        (["ws://h", "--expect=x"], "argument --expect: must be an integer from 1 on, not 'x'"),
        (["ws://h", "--pool-size=0"], "pool_size must be at least 1, not 0"),
        (["ws://h", "--ca=f"], "ca is for a url that begins with wss://"),
        (["ws://h", "--header-file=/no/h"], "header_file '/no/h': No such file or directory"),
    ],
)
def test_mistakes(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    """A mistake is one line that says what would be right, and the status 2."""
    assert refusal(capsys, *arguments).startswith(message)


def test_mistakes_show_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    """A second URL, or one with a mistake, is shown without credentials and query."""
    for arguments in (["ws://h", "ws://user:word@h/?secret"], ["http://user:word@h/?secret"]):
        message = refusal(capsys, *arguments)
        assert "word" not in message
        assert "secret" not in message


def test_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The help has examples, and every exit status, in 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as exited:
        cat.main(["--help"])
    assert exited.value.code == 0
    text = capsys.readouterr().out
    for part in ("--length-prefixed", "--header-file", "(default: 1)", "130", "141", "examples:"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 80


def test_arguments_reach_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said on the command line is what the session is told."""
    told: list[CatOptions] = []

    class Session:
        def __init__(self, reactor: object, options: CatOptions, err: object) -> None:
            told.append(options)

        def run(self) -> None:
            pass

    def run_at_once(command: Callable[[Any], Any]) -> int:
        command(reactor)
        return 7

    monkeypatch.setattr(cat, "run", run_at_once)
    monkeypatch.setattr(cat, "Cat", Session)
    assert cat.main(["ws://h", "--expect", "3", "--binary", "--header", "X-A: 1"]) == 7
    (options,) = told
    assert (options.expect, options.binary, options.linger) == (3, True, 0)
    assert options.configuration.urls == ("ws://h",)
    assert options.configuration.headers == {"X-A": "1"}
    assert options.configuration.pool["pool_size"] == 1
