"""
The opening handshake: what the server is asked, what it may answer, and what nobody may learn.
"""

from __future__ import annotations

import logging
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import sha1
from typing import Any

import pytest
import txaio.tx
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, eventAsText, globalLogPublisher
from zope.interface import implementer

from wsmultipool import (
    Compression,
    ConnectionDropped,
    HandshakeInvalid,
    HeadersFailed,
    PooledConnection,
    UpgradeRejected,
    UpgradeRequest,
    UpgradeResponse,
    WebSocketFactory,
    WebSocketOptions,
    noop_logger,
)
from wsmultipool._memory_transport import connect
from wsmultipool.testing import MemoryPool, MemoryServer


class RawPeer(Protocol):
    """
    A server's end that answers whatever the test wants, to the octet.
    """

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.request = b""
        self.after = b""
        self._answer = answer
        self._answered = False

    def dataReceived(self, data: bytes) -> None:
        if self._answered:
            self.after += data
            return
        self.request += data
        if b"\r\n\r\n" in self.request:
            self._answered = True
            self.write(self._answer(self.request))

    def write(self, octets: bytes) -> None:
        assert self.transport is not None
        self.transport.write(octets)

    def lines(self) -> list[str]:
        """The request, line by line."""
        return self.request.decode().split("\r\n")[:-2]

    def header(self, name: str) -> list[str]:
        """All values of a header."""
        found = [line.partition(": ") for line in self.lines()[1:]]
        return [value for key, _, value in found if key.lower() == name.lower()]


@implementer(IStreamClientEndpoint)
class RawServer:
    """
    Connects to peers that answer with these octets.
    """

    def __init__(self, clock: Clock, answer: Callable[[bytes], bytes]) -> None:
        self.peers: list[RawPeer] = []
        self.answer = answer
        self._clock = clock

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        protocol = protocolFactory.buildProtocol(None)  # type: ignore[arg-type]
        assert protocol is not None
        self.peers.append(RawPeer(self.answer))
        connect(self._clock, 0, protocol, self.peers[-1])
        return succeed(protocol)


def accept_key(request: bytes) -> bytes:
    """What proves that the server has read the request (RFC 6455, section 4.2.2)."""
    (line,) = [x for x in request.split(b"\r\n") if x.lower().startswith(b"sec-websocket-key:")]
    key = line.partition(b":")[2].strip()
    return b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def accepting(*more: bytes, after: bytes = b"", status: bytes = b"101 Switching Protocols") -> Any:
    """
    Answer with a valid handshake, more header lines, and octets behind it.
    """

    def answer(request: bytes) -> bytes:
        lines = [
            b"HTTP/1.1 " + status,
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Accept: " + accept_key(request),
            *more,
        ]
        return b"\r\n".join([*lines, b"", b""]) + after

    return answer


def raw(
    answer: Callable[[bytes], bytes], url: str = "ws://memory.test/", **options: Any
) -> tuple[MemoryPool, RawServer, list[Exception]]:
    """
    Start a pool of one connection to a raw server.
    """
    clock = Clock()
    server = RawServer(clock, answer)
    websocket = {**options.pop("websocket", {}), "endpoint": server}
    options = {"logger": noop_logger, **options}
    memory = MemoryPool(
        url,
        clock=clock,
        pool_size=1,
        ws_factory=WebSocketFactory(),
        ws_options=WebSocketOptions(**websocket),
        **options,
    )
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, connection_id: errors.append(error))
    memory.pool.start()
    memory.settle()
    return memory, server, errors


def abandon(memory: MemoryPool) -> None:
    """End a pool whose server answers no Close frame."""
    memory.pool.destroy()
    memory.close()


# What is asked


def test_handshake_request_is_that_of_rfc_6455() -> None:
    """A request line, Host, Upgrade, Connection, a random key, version 13, and our name."""
    memory, server, errors = raw(accepting(), "ws://memory.test/feed/%20?a=1&b=%C3%BC")
    peer = server.peers[0]
    assert errors == []
    assert peer.lines()[0] == "GET /feed/%20?a=1&b=%C3%BC HTTP/1.1"
    assert peer.header("Host") == ["memory.test"]
    assert [value.lower() for value in peer.header("Upgrade")] == ["websocket"]
    assert peer.header("Connection") == ["Upgrade"]
    assert peer.header("Sec-WebSocket-Version") == ["13"]
    assert len(b64decode(peer.header("Sec-WebSocket-Key")[0])) == 16
    assert peer.header("User-Agent")[0].startswith("wsmultipool/")
    for absent in ("Origin", "Authorization", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"):
        assert peer.header(absent) == []
    abandon(memory)


def test_handshake_key_is_fresh_every_time() -> None:
    """No two attempts use the same key."""
    memory, server, _ = raw(lambda request: b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
    memory.advance(200)
    keys = [peer.header("Sec-WebSocket-Key")[0] for peer in server.peers]
    assert len(keys) > 5
    assert len(set(keys)) == len(keys)
    abandon(memory)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("ws://memory.test", "memory.test"),
        ("ws://memory.test:80/", "memory.test"),
        ("ws://memory.test:8080/", "memory.test:8080"),
        ("ws://memory.test:443/", "memory.test:443"),
        ("ws://MEMORY.test/", "memory.test"),
        ("ws://[::1]/", "[::1]"),
        ("ws://[2001:db8::1]:9000/", "[2001:db8::1]:9000"),
        ("ws://127.0.0.1:81/", "127.0.0.1:81"),
    ],
)
def test_handshake_host_has_a_port_only_where_it_matters(url: str, host: str) -> None:
    """Default ports are left out, IPv6 addresses have brackets."""
    memory, server, _ = raw(accepting(), url)
    assert server.peers[0].header("Host") == [host]
    abandon(memory)


def test_handshake_user_and_password_become_authorization() -> None:
    """Credentials in the URL are sent as HTTP basic authentication, decoded, and nowhere else."""
    memory, server, _ = raw(accepting(), "ws://us%20er:pa%3Ass@memory.test/x")
    peer = server.peers[0]
    assert peer.lines()[0] == "GET /x HTTP/1.1"
    (value,) = peer.header("Authorization")
    assert b64decode(value.removeprefix("Basic ")) == b"us er:pa:ss"
    abandon(memory)


def test_handshake_given_headers_replace_made_ones() -> None:
    """Host, Origin, User-Agent and Authorization given as headers win, in whatever case."""
    memory, server, _ = raw(
        accepting(),
        "ws://user:pass@memory.test/",
        websocket={
            "origin": "https://made.test",
            "user_agent": "made/1",
            "headers": {
                "HOST": "given.test:1234",
                "origin": "https://given.test",
                "User-agent": "given/2",
                "authorization": "Bearer token",
                "X-More": "1",
            },
        },
    )
    peer = server.peers[0]
    assert peer.header("Host") == ["given.test:1234"]
    assert peer.header("Origin") == ["https://given.test"]
    assert peer.header("User-Agent") == ["given/2"]
    assert peer.header("Authorization") == ["Bearer token"]
    assert peer.header("X-More") == ["1"]
    abandon(memory)


def test_handshake_origin_and_user_agent_are_options() -> None:
    """origin and user_agent are sent; user_agent=None sends none."""
    memory, server, _ = raw(
        accepting(), websocket={"origin": "https://app.test", "user_agent": "app/1"}
    )
    assert server.peers[0].header("Origin") == ["https://app.test"]
    assert server.peers[0].header("User-Agent") == ["app/1"]
    abandon(memory)
    memory, server, _ = raw(accepting(), websocket={"user_agent": None})
    assert server.peers[0].header("User-Agent") == []
    abandon(memory)


def test_handshake_header_values_are_sent_as_they_are() -> None:
    """A backslash or group reference in a Host or header value is nothing special."""
    memory, server, _ = raw(
        accepting(), websocket={"headers": {"Host": r"a\1\g<0>", "X": r"\1 {x} %s"}}
    )
    assert server.peers[0].header("Host") == [r"a\1\g<0>"]
    assert server.peers[0].header("X") == [r"\1 {x} %s"]
    abandon(memory)


# Headers that are fetched


def as_is(value: Any) -> Any:
    return value


async def as_coroutine(value: Any) -> Any:
    return value


@pytest.mark.parametrize("kind", [as_is, succeed, as_coroutine])
def test_handshake_headers_are_fetched_for_every_attempt(kind: Callable[[Any], Any]) -> None:
    """The callable may return headers, a Deferred or an awaitable, and is asked each time."""
    tokens = iter(range(100))
    memory, server, errors = raw(
        lambda request: b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",
        websocket={"headers": lambda: kind({"Authorization": f"Bearer {next(tokens)}"})},
    )
    memory.advance(3)
    assert [peer.header("Authorization") for peer in server.peers] == [
        ["Bearer 0"],
        ["Bearer 1"],
        ["Bearer 2"],
    ]
    assert [type(error) for error in errors] == [UpgradeRejected] * 3
    abandon(memory)


def test_handshake_waits_for_headers_before_it_connects() -> None:
    """No socket is opened while the token is being fetched; what it waits for is cancelled."""
    cancelled: list[object] = []
    tokens: list[Deferred[dict[str, str]]] = []

    def headers() -> Deferred[dict[str, str]]:
        tokens.append(Deferred(cancelled.append))
        return tokens[-1]

    memory, server, errors = raw(accepting(), websocket={"headers": headers})
    assert server.peers == []
    assert memory.pool.get_stats().connecting == 1
    memory.advance(10)
    assert cancelled == [tokens[0]]
    memory.advance(1)
    tokens[1].callback({"X": "1"})
    memory.settle()
    assert memory.pool.open_connections == 1
    assert server.peers[0].header("X") == ["1"]
    assert len(errors) == 1
    abandon(memory)


def raising() -> Any:
    raise LookupError("secret-token")


async def raising_later() -> Any:
    raise LookupError("secret-token")


@pytest.mark.parametrize(
    ("headers", "cause"),
    [
        (raising, LookupError),
        (raising_later, LookupError),
        (lambda: fail(LookupError("secret-token")), LookupError),
        (lambda: None, TypeError),
        (lambda: "Authorization: secret-token", TypeError),
        (lambda: {"A": "secret-token\r\nB: 1"}, ValueError),
        (lambda: {"A": b"secret-token"}, TypeError),
        (lambda: {"Upgrade": "secret-token"}, ValueError),
        (lambda: {"A": "1", "a": "secret-token"}, ValueError),
        (lambda: {"no token": "secret-token"}, ValueError),
    ],
)
def test_handshake_headers_that_cannot_be_had_fail_the_attempt(
    headers: Any, cause: type[Exception]
) -> None:
    """A callable that fails, or returns garbage, is a failed attempt without a connection."""
    memory, server, errors = raw(accepting(), websocket={"headers": headers})
    memory.advance(1)
    assert [type(error) for error in errors] == [HeadersFailed] * 2
    assert type(errors[0].__cause__) is cause
    assert "secret-token" not in f"{errors[0]} {errors[0]!r}"
    assert server.peers == []
    abandon(memory)


# What is answered


def test_handshake_events_of_an_upgrade() -> None:
    """`upgrade` comes with the response, before on_connect and `open`."""
    events: list[tuple[Any, ...]] = []
    clock = Clock()
    server = RawServer(clock, accepting(b"X-Server: a", b"X-Server: b", b"X-Node:   7  "))
    memory = MemoryPool(
        clock=clock,
        pool_size=1,
        ws_factory=WebSocketFactory(),
        ws_options=WebSocketOptions(endpoint=server),
        on_connect=lambda connection: events.append(("hook", connection.response)),
    )
    memory.pool.on("upgrade", lambda *args: events.append(("upgrade", *args)))
    memory.pool.on("open", lambda *args: events.append(("open", *args)))
    memory.pool.start()
    memory.settle()
    assert [event[0] for event in events] == ["upgrade", "hook", "open"]
    response = events[0][1]
    assert isinstance(response, UpgradeResponse)
    assert events[0][2] == 0
    assert events[1][1] is response
    assert (response.status, response.reason, response.body) == (101, "Switching Protocols", b"")
    assert response.headers["x-node"] == "7"
    assert response.headers["upgrade"] == "websocket"
    assert [part.strip() for part in response.headers["x-server"].split(",")] == ["a", "b"]
    assert (response.protocol, response.extensions) == (None, ())
    abandon(memory)


def test_handshake_events_of_a_rejection() -> None:
    """`unexpected-response` comes with request, response and body, then `error`."""
    events: list[tuple[Any, ...]] = []
    memory = MemoryPool(
        "ws://memory.test/feed",
        pool_size=1,
        logger=noop_logger,
        ws_options=WebSocketOptions(protocols=["a", "b"], headers={"X": "1"}, origin="o"),
    )
    for event in ("unexpected-response", "error", "close", "pool:empty", "upgrade"):
        memory.pool.on(event, lambda *args, event=event: events.append((event, *args)))
    memory.server.reject(403, "Go away", {"X-Why": "because"}, b"not you")
    memory.pool.start()
    memory.settle()
    assert [event[0] for event in events] == ["unexpected-response", "error"]
    _, request, response, connection_id = events[0]
    assert isinstance(request, UpgradeRequest)
    assert isinstance(response, UpgradeResponse)
    assert connection_id == 0
    assert str(request.url) == "ws://memory.test/feed"
    assert (request.host, request.origin) == ("memory.test", "o")
    assert (request.protocols, dict(request.headers)) == (("a", "b"), {"X": "1"})
    assert (response.status, response.reason, response.body) == (403, "Go away", b"not you")
    assert response.headers["x-why"] == "because"
    error = events[1][1]
    assert isinstance(error, UpgradeRejected)
    assert (error.status, error.reason) == (403, "Go away")
    assert not memory.server.peers[0].connected
    memory.close()


REJECTIONS = {
    "length": b"HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\nsee later",
    "chunked": (
        b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"4\r\nsee \r\n5\r\nlater\r\n0\r\n\r\n"
    ),
    "padded chunks": (
        b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0004\r\nsee \r\n0005\r\nlater\r\n0\r\n\r\n"
    ),
    "HTTP/1.0": b"HTTP/1.0 503 Busy\r\nContent-Length: 9\r\n\r\nsee later",
}


@pytest.mark.parametrize("octets", REJECTIONS.values(), ids=REJECTIONS)
@pytest.mark.parametrize("pace", ["at once", "octet by octet"])
def test_handshake_rejections_are_read_to_their_end(octets: bytes, pace: str) -> None:
    """The body is complete, however it is delimited, and however it arrives."""
    memory, server, errors = raw(lambda request: b"")
    bodies: list[bytes] = []
    memory.pool.on("unexpected-response", lambda request, r, i: bodies.append(r.body))
    peer = server.peers[0]
    for part in [octets] if pace == "at once" else [bytes([octet]) for octet in octets]:
        peer.write(part)
        memory.settle()
    assert bodies == [b"see later"]
    assert [type(error) for error in errors] == [UpgradeRejected]
    abandon(memory)


def test_handshake_rejection_without_a_length_ends_with_the_connection() -> None:
    """A body that only the end of the connection ends is told then, if that is soon."""
    memory, server, errors = raw(lambda request: b"HTTP/1.1 500 Oops\r\n\r\nstack ")
    bodies: list[bytes] = []
    memory.pool.on("unexpected-response", lambda request, r, i: bodies.append(r.body))
    server.peers[0].write(b"trace")
    memory.settle()
    assert bodies == []
    transport = server.peers[0].transport
    assert transport is not None
    transport.loseConnection()
    memory.settle()
    assert bodies == [b"stack trace"]
    assert [type(error) for error in errors] == [UpgradeRejected]
    abandon(memory)


ENDLESS = {
    "stream": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hello\n\n",
    "short": b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\nhello",
    "chunks": b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "nothing": b"HTTP/1.1 403 Forbidden\r\n\r\n",
}


@pytest.mark.parametrize("octets", ENDLESS.values(), ids=ENDLESS)
def test_handshake_a_rejection_is_known_by_its_head(octets: bytes) -> None:
    """Whatever its body does, a rejection is told within a second, with what came of it."""
    memory, _, errors = raw(lambda request: octets, open_timeout=30)
    responses: list[UpgradeResponse] = []
    memory.pool.on("unexpected-response", lambda request, r, i: responses.append(r))
    memory.advance(0.9)
    assert errors == []
    memory.advance(0.1)
    [error] = errors
    [response] = responses
    assert isinstance(error, UpgradeRejected)
    assert (error.status, error.stage) == (int(octets.split()[1]), "upgrade")
    assert (b"hello" in response.body) == (b"hello" in octets)
    assert str(error).endswith("hello") == (b"hello" in octets)
    abandon(memory)


def test_handshake_a_rejection_is_not_longer_under_way_than_an_attempt_may_be() -> None:
    """When C{open_timeout} ends before that second, the rejection is told then, as what it is."""
    memory, _, errors = raw(lambda request: ENDLESS["short"], open_timeout=0.5)
    memory.advance(0.5)
    assert [type(error) for error in errors] == [UpgradeRejected]
    abandon(memory)


def test_handshake_a_body_that_goes_on_does_not_put_off_its_rejection() -> None:
    """A server that sends a little now and then is not waited for any longer."""
    memory, server, errors = raw(lambda request: ENDLESS["stream"], open_timeout=30)
    bodies: list[bytes] = []
    memory.pool.on("unexpected-response", lambda request, r, i: bodies.append(r.body))
    for _ in range(10):
        memory.advance(0.09)
        server.peers[0].write(b".")
    memory.advance(0.2)
    assert bodies == [b": hello\n\n" + b"." * 10]
    assert [type(error) for error in errors] == [UpgradeRejected]
    abandon(memory)


def test_handshake_a_pool_that_closes_does_not_wait_for_the_body_of_a_rejection() -> None:
    """Neither does the second that was left to it keep anything alive."""
    memory, _, _ = raw(lambda request: ENDLESS["stream"], open_timeout=30)
    closing = memory.pool.close()
    memory.settle()
    memory.settle()
    assert closing.called
    assert memory.clock.getDelayedCalls() == []


INTERIM = {
    "100": b"HTTP/1.1 100 Continue\r\n\r\n",
    "103": b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n",
    "several": b"HTTP/1.1 102 Processing\r\n\r\n" * 16,
}


@pytest.mark.parametrize("interim", INTERIM.values(), ids=INTERIM)
@pytest.mark.parametrize("pace", ["at once", "octet by octet"])
def test_handshake_interim_responses_are_read_over(interim: bytes, pace: str) -> None:
    """A server may say something before its 101; the connection opens, and loses no message."""
    memory, server, errors = raw(lambda request: b"")
    received: list[bytes] = []
    memory.pool.on("message", lambda data, *_: received.append(data))
    peer = server.peers[0]
    octets = interim + accepting(after=b"\x81\x05hello")(peer.request)
    for part in [octets] if pace == "at once" else [bytes([octet]) for octet in octets]:
        peer.write(part)
        memory.settle()
    assert (errors, received) == ([], [b"hello"])
    abandon(memory)


def test_handshake_interim_responses_have_a_limit() -> None:
    """A server that never comes to its answer fails the attempt."""
    memory, _, errors = raw(lambda request: b"HTTP/1.1 102 Processing\r\n\r\n" * 17)
    memory.settle()
    [error] = errors
    assert isinstance(error, HandshakeInvalid)
    assert "interim" in str(error)
    abandon(memory)


def test_handshake_headers_that_occur_several_times_can_be_had_one_by_one() -> None:
    """Cookies cannot be told apart once they are joined, as their dates have commas."""
    memory, _, _ = raw(accepting(b"Set-Cookie: a=1; Expires=Mon, 1 Jan\r\nX: y\r\nSet-Cookie: b=2"))
    response = memory.pool._supervisor.connections[0].response
    assert response is not None
    assert response.get_all("Set-Cookie") == ["a=1; Expires=Mon, 1 Jan", "b=2"]
    assert response.get_all("set-cookie") == response.get_all("SET-COOKIE")
    assert response.get_all("link") == []
    assert response.headers["set-cookie"] == "a=1; Expires=Mon, 1 Jan, b=2"
    abandon(memory)


def test_handshake_rejection_body_is_cut_at_64_kib() -> None:
    """A rejection may be of any size: the first 64 KiB are kept, the rest is not waited for."""
    memory, _, errors = raw(
        lambda request: b"HTTP/1.1 500 Oops\r\nContent-Length: 1000000\r\n\r\n" + bytes(70_000)
    )
    bodies: list[bytes] = []
    memory.pool.on("unexpected-response", lambda request, r, i: bodies.append(r.body))
    memory.settle()
    memory.settle()
    assert [type(error) for error in errors] == [UpgradeRejected]
    memory.advance(1)
    assert [len(body) for body in bodies] == [65536]
    abandon(memory)


@pytest.mark.parametrize("status", [200, 204, 301, 302, 307, 400, 401, 404, 407, 426, 500, 599])
def test_handshake_any_other_status_is_a_rejection(status: int) -> None:
    """Redirects are not followed; whatever is not 101 is told and tried again."""
    memory = MemoryPool(pool_size=1, logger=noop_logger)
    memory.server.reject(status, "Other", {"Location": "ws://elsewhere.test/"})
    statuses: list[int] = []
    memory.pool.on("unexpected-response", lambda request, r, i: statuses.append(r.status))
    memory.pool.start()
    memory.advance(1)
    assert statuses == [status] * 2
    memory.close()


GARBAGE = {
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "binary": bytes(range(256)),
    "almost HTTP": b"HTTQ/1.1 101 Switching Protocols\r\n\r\n",
    "no status": b"HTTP/1.1\r\n\r\n",
    "bad status": b"HTTP/1.1 abc def\r\n\r\n",
    "101 alone": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "101 in HTTP/1.0": b"HTTP/1.0 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    "no connection": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    "wrong key": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
    ),
}


@pytest.mark.parametrize("octets", GARBAGE.values(), ids=GARBAGE)
def test_handshake_garbage_fails_the_attempt(octets: bytes) -> None:
    """What is no valid handshake is an error that says so, and is tried again."""
    memory, server, errors = raw(lambda request: octets)
    memory.advance(1)
    assert [type(error) for error in errors] == [HandshakeInvalid] * 2
    assert str(errors[0]).startswith("not a valid WebSocket handshake: ")
    assert len(server.peers) == 2
    abandon(memory)


@pytest.mark.parametrize("complete", [False, True])
def test_handshake_endless_head_is_cut_off(complete: bool) -> None:
    """A response head beyond 64 KiB is not collected any further."""
    line = b"X-Filler: " + b"x" * 1000 + b"\r\n"
    memory, _, errors = raw(
        lambda request: b"HTTP/1.1 101 Switching Protocols\r\n" + line * 80 + b"\r\n" * complete
    )
    memory.settle()
    memory.settle()
    assert [type(error) for error in errors] == [HandshakeInvalid]
    assert "65536" in str(errors[0])
    abandon(memory)


@pytest.mark.parametrize("octet", [0x80, 0xE4, 0xFF])
def test_handshake_non_ascii_octet_in_a_header_is_no_harm(octet: int) -> None:
    """A stray octet in a header that does not matter loses no connection."""
    memory, _, errors = raw(accepting(b"X-Name: M" + bytes([octet]) + b"ller"))
    assert errors == []
    assert memory.pool.open_connections == 1
    abandon(memory)


def test_handshake_status_line_without_a_reason_is_fine() -> None:
    """A server that leaves out the reason phrase, and the space before it, is accepted."""
    memory, _, errors = raw(accepting(status=b"101"))
    assert errors == []
    assert memory.pool.open_connections == 1
    abandon(memory)


def test_handshake_empty_reason_is_fine() -> None:
    """A server that leaves out the reason phrase only is accepted, too."""
    memory, _, errors = raw(accepting(status=b"101 "))
    assert errors == []
    assert memory.pool.open_connections == 1
    abandon(memory)


def test_handshake_may_arrive_octet_by_octet() -> None:
    """However the response is split, the connection opens, and what follows is not lost."""
    answers: list[bytes] = []

    def remember(request: bytes) -> bytes:
        answers.append(accepting(after=b"\x81\x05hello")(request))
        return b""

    for split in range(1, 140):
        answers.clear()
        memory, server, errors = raw(remember)
        messages: list[bytes] = []
        memory.pool.on("message", lambda data, *_, messages=messages: messages.append(data))
        octets = answers[0]
        for part in (octets[:split], octets[split:]):
            server.peers[0].write(part)
            memory.settle()
        assert (errors, messages) == ([], [b"hello"]), f"split after {split} octets"
        abandon(memory)
    answers.clear()
    memory, server, errors = raw(remember)
    received: list[bytes] = []
    memory.pool.on("message", lambda data, *_: received.append(data))
    for octet in answers[0]:
        server.peers[0].write(bytes([octet]))
        memory.settle()
    assert (errors, received) == ([], [b"hello"])
    abandon(memory)


def test_handshake_message_in_the_same_read_comes_after_open() -> None:
    """A message that arrives together with the response is delivered, and after `open`."""
    events: list[object] = []
    memory, server, _ = raw(lambda request: b"")
    memory.pool.on("open", events.append)
    memory.pool.on("message", lambda data, is_binary, i: events.append((data, is_binary)))
    peer = server.peers[0]
    peer.write(accepting(after=b"\x81\x02hi\x82\x01\x00")(peer.request))
    memory.settle()
    assert events == [0, (b"hi", False), (b"\x00", True)]
    abandon(memory)


def test_handshake_connection_lost_without_an_answer() -> None:
    """A server that hangs up instead of answering is a dropped connection."""
    memory, server, errors = raw(lambda request: b"HTTP/1.1 10")
    transport = server.peers[0].transport
    assert transport is not None
    transport.loseConnection()
    memory.settle()
    assert [type(error) for error in errors] == [ConnectionDropped]
    abandon(memory)


# Subprotocols and compression


@pytest.mark.parametrize(
    ("offered", "spoken", "chosen"),
    [
        (["a", "b"], ["b"], "b"),
        (["a", "b"], ["b", "a"], "b"),
        (["a"], ["c"], None),
        ([], ["a"], None),
        ("a", ["a"], "a"),
    ],
)
def test_handshake_negotiates_a_subprotocol(
    offered: Any, spoken: list[str], chosen: str | None
) -> None:
    """The server chooses among what is offered, in its own order, or nothing."""
    connections: list[PooledConnection] = []
    clock = Clock()
    memory = MemoryPool(
        clock=clock,
        server=MemoryServer(clock, protocols=spoken),
        pool_size=1,
        on_connect=connections.append,
        ws_options=offered,
    )
    memory.open()
    assert connections[0].protocol == chosen
    header = memory.server.peers[0].headers.get("sec-websocket-protocol", "")
    assert [p for p in header.replace(" ", "").split(",") if p] == list(offered)
    memory.close()


def test_handshake_subprotocol_that_was_not_offered_is_refused() -> None:
    """A server that chooses what nobody offered has failed the handshake."""
    memory, _, errors = raw(
        accepting(b"Sec-WebSocket-Protocol: c"), websocket={"protocols": ["a", "b"]}
    )
    assert [type(error) for error in errors] == [HandshakeInvalid]
    abandon(memory)


@pytest.mark.parametrize("offered", [False, True])
@pytest.mark.parametrize("accepted", [False, True])
def test_handshake_negotiates_compression(offered: bool, accepted: bool) -> None:
    """permessage-deflate is in use if it was offered and accepted; messages arrive either way."""
    connections: list[PooledConnection] = []
    received: list[bytes] = []
    clock = Clock()
    memory = MemoryPool(
        clock=clock,
        server=MemoryServer(clock, compression=accepted),
        pool_size=1,
        on_connect=connections.append,
        ws_options=WebSocketOptions(compression=offered, compression_threshold=10),
    )
    memory.pool.on("message", lambda data, *_: received.append(data))
    memory.open()
    response = connections[0].response
    assert response is not None
    expected = ("permessage-deflate",) if offered and accepted else ()
    assert response.extensions == expected
    texts = ["short", "long enough " * 20, "", "again long enough " * 500]
    for text in texts:
        memory.pool.send(text)
        memory.server.peers[0].send(text)
    memory.settle()
    assert [data.decode() for data, _ in memory.server.peers[0].received] == texts
    assert [data.decode() for data in received] == texts
    memory.close()


@pytest.mark.parametrize("bits", [8, 10, 15])
def test_handshake_offers_compression_as_configured(bits: int) -> None:
    """The parameters of Compression are in the offer."""
    memory, server, _ = raw(
        accepting(),
        websocket={
            "compression": Compression(server_no_context_takeover=True, server_max_window_bits=bits)
        },
    )
    (offer,) = server.peers[0].header("Sec-WebSocket-Extensions")
    assert {part.strip() for part in offer.split(";")} >= {
        "permessage-deflate",
        "server_no_context_takeover",
        f"server_max_window_bits={bits}",
    }
    abandon(memory)


@pytest.mark.parametrize(
    ("parameters", "answer"),
    [
        (Compression(), b"permessage-deflate"),
        (Compression(), b"permessage-deflate; client_max_window_bits=9"),
        (Compression(client_max_window_bits=12), b"permessage-deflate; client_max_window_bits=9"),
        (Compression(client_max_window_bits=9), b"permessage-deflate; client_max_window_bits=12"),
        (
            Compression(client_no_context_takeover=True, mem_level=1),
            b"permessage-deflate; server_no_context_takeover",
        ),
    ],
)
def test_handshake_accepts_what_a_server_makes_of_the_offer(
    parameters: Compression, answer: bytes
) -> None:
    """A window that the server limits, and one that we limit ourselves, go together."""
    memory, _, errors = raw(
        accepting(b"Sec-WebSocket-Extensions: " + answer), websocket={"compression": parameters}
    )
    assert errors == []
    assert memory.pool.open_connections == 1
    memory.result(memory.pool.send("compress me " * 200, compress=True))
    abandon(memory)


@pytest.mark.parametrize("bits", range(8, 16))
def test_handshake_a_server_may_compress_with_a_window_of_any_size(bits: int) -> None:
    """From 8 bits (RFC 7692, section 7.1.2.1) to 15: what it sends is read."""
    compressor = zlib.compressobj(wbits=-max(bits, 9))
    data = b"again and again " * 1000
    payload = (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    assert len(payload) < 126
    frame = b"\xc1" + bytes([len(payload)]) + payload
    extension = b"permessage-deflate; server_max_window_bits=%d" % bits
    memory, server, errors = raw(lambda request: b"", websocket={"compression": True})
    received: list[bytes] = []
    memory.pool.on("message", lambda data, *_: received.append(data))
    peer = server.peers[0]
    accept = accepting(b"Sec-WebSocket-Extensions: " + extension, after=frame)
    peer.write(accept(peer.request))
    memory.settle()
    assert (errors, received) == ([], [data])
    abandon(memory)


@pytest.mark.parametrize("bits", [b"7", b"16", b"08", b"-8", b"8.0", b"eight"])
def test_handshake_a_window_of_no_size_is_refused(bits: bytes) -> None:
    """What is no number from 8 to 15, without leading zeros, is a mistake of the server."""
    extension = b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=" + bits
    memory, _, errors = raw(accepting(extension), websocket={"compression": True})
    assert [type(error) for error in errors] == [HandshakeInvalid]
    abandon(memory)


@pytest.mark.parametrize("compress", [None, True])
def test_handshake_with_a_window_too_small_to_compress_messages_go_as_they_are(
    compress: bool | None,
) -> None:
    """zlib has no window of 8 bits to compress with; a sender may leave messages as they are."""
    extension = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=8"
    memory, server, errors = raw(
        accepting(extension), websocket={"compression": True, "compression_threshold": 0}
    )
    assert errors == []
    before = len(server.peers[0].after)
    memory.result(memory.pool.send("compress me " * 9, compress=compress))
    memory.settle()
    frame = server.peers[0].after[before:]
    assert frame[0] == 0x81
    assert len(frame) == 2 + 4 + 108
    abandon(memory)


@pytest.mark.parametrize("offered", [False, True])
@pytest.mark.parametrize("extension", [b"x-unknown", b"permessage-bzip2", b"permessage-deflate"])
def test_handshake_extension_that_was_not_offered_is_refused(
    extension: bytes, offered: bool
) -> None:
    """A server that uses an extension nobody offered has failed the handshake."""
    if offered and extension == b"permessage-deflate":
        extension += b"; x=1"
    memory, _, errors = raw(
        accepting(b"Sec-WebSocket-Extensions: " + extension), websocket={"compression": offered}
    )
    assert [type(error) for error in errors] == [HandshakeInvalid]
    abandon(memory)


# What nobody may learn


SECRETS = ["s3cret-query", "s3cret-header", "s3cret-cookie", "s3cret-pass", "s3cret-token"]


@pytest.fixture
def everything_logged() -> Any:
    """
    All that is logged, at every level, by Autobahn, Twisted and the pool.
    """
    events: list[LogEvent] = []
    records: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(self.format(record))

    handler = Handler()
    logging.getLogger().addHandler(handler)
    before = logging.getLogger().level
    logging.getLogger().setLevel(logging.DEBUG)
    autobahn_log: Any = txaio.tx
    level = autobahn_log.get_global_log_level()
    autobahn_log.set_global_log_level("trace")

    @implementer(ILogObserver)
    class Observer:
        def __call__(self, event: LogEvent) -> None:
            events.append(event)

    observer = Observer()
    globalLogPublisher.addObserver(observer)

    def text() -> str:
        return "\n".join([*(f"{eventAsText(e)} {e!r}" for e in events), *records])

    yield text
    globalLogPublisher.removeObserver(observer)
    autobahn_log.set_global_log_level(level)
    logging.getLogger().setLevel(before)
    logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize("logger", [None, logging.getLogger("pool")])
@pytest.mark.parametrize(
    "answer", ["accept", "reject", "garbage", "wrong", "silent", "wrong headers", "wrong hook"]
)
def test_handshake_secrets_are_told_to_nobody_but_the_server(
    answer: str, logger: Any, everything_logged: Callable[[], str]
) -> None:
    """No query string, header value or credential is in any log, error or repr, at any level."""
    shown: list[str] = []
    answers: dict[str, Callable[[bytes], bytes]] = {
        "reject": lambda request: b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",
        "garbage": lambda request: b"nonsense",
        "wrong": lambda request: accepting(b"Sec-WebSocket-Protocol: x")(request),
        "silent": lambda request: b"",
    }

    def headers() -> dict[str, str]:
        if answer == "wrong headers":
            raise ValueError("s3cret-token")
        return {"X-Api-Key": "s3cret-header", "Cookie": "s3cret-cookie"}

    def on_connect(connection: PooledConnection) -> None:
        shown.append(repr(connection))
        if answer == "wrong hook":
            raise ValueError("s3cret-token")

    memory, server, _ = raw(
        answers.get(answer, accepting(after=b"\x89\x01?\x81\x02hi")),
        "ws://user:s3cret-pass@memory.test/feed?token=s3cret-query",
        open_timeout=2,
        close_timeout=1,
        logger=logger,
        on_connect=on_connect,
        websocket={"headers": headers},
    )
    memory.pool.on("error", lambda *args: shown.append(f"{args} {args[0]}"))
    memory.pool.on("unexpected-response", lambda *args: shown.append(f"{args}"))
    memory.pool.on("upgrade", lambda *args: shown.append(f"{args}"))
    memory.advance(20)
    for peer in server.peers:
        assert "s3cret-query" in peer.lines()[0]
        assert peer.header("X-Api-Key") == ["s3cret-header"]
        assert peer.transport is not None
        peer.transport.loseConnection()
    memory.advance(40)
    shown += [repr(memory.pool), repr(memory.pool.options), repr(memory.pool.get_stats())]
    memory.close()
    told = everything_logged() + "\n".join(shown)
    assert "memory.test" in told
    basic = b64encode(b"user:s3cret-pass").decode()
    for secret in [*SECRETS, basic, "user:"]:
        assert secret not in told


def test_handshake_secrets_would_be_seen(everything_logged: Callable[[], str]) -> None:
    """The test above looks at what it is meant to: Autobahn's own server does log requests."""
    memory = MemoryPool("ws://memory.test/?token=s3cret-query", pool_size=1)
    memory.open()
    memory.close()
    assert "s3cret-query" in everything_logged()
