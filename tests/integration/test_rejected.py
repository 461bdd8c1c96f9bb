"""
Servers that do not let the pool in: another status than 101, no HTTP, or no answer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import chain, repeat
from typing import cast

import pytest
from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from wsmultipool.errors import (
    HandshakeInvalid,
    NotConnected,
    OpenTimeout,
    UpgradeRejected,
)

from .deadline import within
from .listening import listening
from .misbehaving import EndlessHead, Garbage, Silent, WrongAccept
from .peers import websockets_server
from .rejecting import Rejects
from .running_reactor import reactor
from .starting import Start, StartPool
from .upgrade import UpgradeServer

LIMIT = 64 * 1024


def first(one: Callable[[], Protocol], then: Callable[[], Protocol]) -> Callable[[], Protocol]:
    """
    Build the first connection's protocol with C{one}, and all others with C{then}.
    """
    builders = chain([one], repeat(then))
    return lambda: next(builders)()


@pytest.mark.parametrize("framing", ["length", "chunked", "eof"])
@pytest.mark.parametrize(
    ("status", "header"),
    [
        ("301 Moved Permanently", "Location: ws://127.0.0.1:9/"),
        ("401 Unauthorized", 'WWW-Authenticate: Basic realm="tests"'),
        ("429 Too Many Requests", "Retry-After: 0"),
        ("503 Service Unavailable", "Content-Type: text/plain"),
    ],
)
@within(30)
async def test_rejection_is_shown_and_retried(
    status: str, header: str, framing: str, start: Start, start_pool: StartPool
) -> None:
    """Status, headers and body of a rejection reach the listener; then the pool tries again."""
    rejecting = partial(Rejects, status, header, body=b"not now" * 500, framing=framing)
    server = await start(listening(first(rejecting, UpgradeServer)))

    pool, journal = start_pool(server.url)
    await pool.when_ready()

    ((request, response, connection_id),) = journal.of("unexpected-response")
    code, _, reason = status.partition(" ")
    name, _, value = header.partition(": ")
    assert str(request.url).startswith(server.url)
    assert (response.status, response.reason) == (int(code), reason)
    assert response.headers[name.lower()] == value
    assert response.body == b"not now" * 500
    assert connection_id == 0
    ((error, _),) = journal.of("error")
    assert isinstance(error, UpgradeRejected)
    assert (error.status, error.reason) == (int(code), reason)
    assert journal.count("close") == journal.count("pool:empty") == 0
    assert server.accepted == 2


@pytest.mark.parametrize("framing", ["length", "chunked", "eof"])
@within(30)
async def test_long_body_is_cut(framing: str, start: Start, start_pool: StartPool) -> None:
    """Of a body above 64 KiB the first 64 KiB are kept."""
    body = bytes(range(256)) * 1024
    server = await start(listening(partial(Rejects, "403 No", body=body, framing=framing)))

    _, journal = start_pool(server.url)

    (_, response, _) = await journal.nth("unexpected-response")
    assert response.body == body[:LIMIT]


@within(30)
async def test_body_that_never_ends_is_given_up(start: Start, start_pool: StartPool) -> None:
    """A body shorter than announced is waited for no longer than C{open_timeout}, either."""

    class Stingy(UpgradeServer):
        def requested(self) -> None:
            self.respond(b"503 Later", b"Content-Length: 100", body=b"half")

    server = await start(listening(Stingy))

    _, journal = start_pool(server.url, open_timeout=0.1)

    (_, response, _) = await journal.nth("unexpected-response", 2)
    assert response.status == 503
    assert response.body == b"half"


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "503 Service Unavailable"])
@within(30)
async def test_stream_that_never_ends(status: str, start: Start, start_pool: StartPool) -> None:
    """A server that goes on talking is told as what its head said, long before C{open_timeout}."""

    class Talkative(UpgradeServer):
        def requested(self) -> None:
            self.respond(status.encode(), b"Content-Type: text/event-stream", body=b": hello")
            self._talking = LoopingCall(cast(ITransport, self.transport).write, b".")
            self._talking.start(0.05, now=False)

        def connectionLost(self, reason: Failure = connectionDone) -> None:
            if self.headers:
                self._talking.stop()

    server = await start(listening(Talkative))

    _, journal = start_pool(server.url, open_timeout=25)

    (error, _) = await journal.nth("error", 2)
    assert isinstance(error, UpgradeRejected)
    assert str(error).startswith(f"the server rejected the upgrade: {status}: : hello")
    (_, response, _) = await journal.nth("unexpected-response")
    assert response.body.startswith(b": hello..")


@within(30)
async def test_the_words_of_a_server_that_rejects(start: Start, start_pool: StartPool) -> None:
    """What a server says of why is in the text of the error."""
    server = await start(websockets_server(reject="no such channel: \x1b[31mred\n"))

    _, journal = start_pool(server.url)

    (error, _) = await journal.nth("error")
    assert isinstance(error, UpgradeRejected)
    text = "the server rejected the upgrade: 403 Forbidden: no such channel: ?[31mred"
    assert str(error) == text


@within(30)
async def test_empty_body(start: Start, start_pool: StartPool) -> None:
    """A rejection without a body does not have to wait for one."""
    server = await start(listening(partial(Rejects, "404 Not Found")))

    _, journal = start_pool(server.url, open_timeout=20)

    (_, response, _) = await journal.nth("unexpected-response", 2)
    assert response.body == b""


@within(30)
async def test_retry_after_is_a_lower_bound(start: Start, start_pool: StartPool) -> None:
    """A server that asks for a second of patience is not asked again before it has passed."""
    times = []

    class Rejecting(Rejects):
        def requested(self) -> None:
            times.append(reactor.seconds())
            super().requested()

    rejecting = partial(Rejecting, "429 Too Many Requests", "Retry-After: 1")
    server = await start(listening(first(rejecting, UpgradeServer)))

    pool, journal = start_pool(server.url)
    (error, _) = await journal.nth("error")
    await pool.when_ready()
    times.append(reactor.seconds())

    # Seen from the server: the pool counts from when it has read the answer.
    rejected, admitted = times
    assert admitted - rejected >= 1.0
    assert error.retry_after == 1.0
    assert server.accepted == 2


@within(30)
async def test_silent_server_times_out(start: Start, start_pool: StartPool) -> None:
    """A server that takes the connection and says nothing is given up after C{open_timeout}."""
    server = await start(listening(first(Silent, UpgradeServer)))

    pool, journal = start_pool(server.url, open_timeout=0.2)
    await pool.when_ready()

    ((error, _),) = journal.of("error")
    assert isinstance(error, OpenTimeout)
    assert error.timeout == 0.2
    assert server.accepted == 2


@pytest.mark.parametrize("misbehaving", [Garbage, EndlessHead, WrongAccept])
@within(30)
async def test_invalid_answer_costs_one_attempt(
    misbehaving: type[Protocol], start: Start, start_pool: StartPool
) -> None:
    """No HTTP, a response head without end, or the wrong accept key: an error, and a retry."""
    server = await start(listening(first(misbehaving, UpgradeServer)))

    pool, journal = start_pool(server.url, open_timeout=20)
    await pool.when_ready()

    ((error, _),) = journal.of("error")
    assert isinstance(error, HandshakeInvalid)
    assert journal.count("unexpected-response") == journal.count("close") == 0


@within(30)
async def test_endless_head_is_cut_early(start: Start, start_pool: StartPool) -> None:
    """A response head is not read without a bound: the server gets rid of a few MiB at most."""
    servers: list[EndlessHead] = []

    def build() -> EndlessHead:
        servers.append(EndlessHead())
        return servers[-1]

    server = await start(listening(build))

    _, journal = start_pool(server.url, open_timeout=20)
    await journal.nth("error")

    # What the kernel buffers on both sides is part of it.
    assert servers[0].written < 16 * 1024 * 1024
    assert server.accepted >= 1


@pytest.mark.parametrize("name", ["X-Plain", "X-Gr\xfc\xdfe"])
@within(30)
async def test_non_ascii_response_header(name: str, start: Start, start_pool: StartPool) -> None:
    """A header of the server's with bytes beyond ASCII neither crashes nor hangs the attempt."""

    class Umlaut(UpgradeServer):
        def requested(self) -> None:
            self.accept(name.encode("latin-1") + b": caf\xe9 \xff")

    server = await start(listening(Umlaut))

    _, journal = start_pool(server.url)
    await journal.when(lambda: journal.count("open") + journal.count("error") > 0)

    assert server.accepted >= 1
    if name.isascii():  # RFC 9110, section 5.5: an opaque value is no reason to refuse
        assert journal.count("open") == 1


@within(30)
async def test_subprotocol_that_was_not_offered(start: Start, start_pool: StartPool) -> None:
    """A server that picks a subprotocol nobody offered is not accepted (RFC 6455, 4.1)."""

    class Pushy(UpgradeServer):
        def requested(self) -> None:
            self.accept(b"Sec-WebSocket-Protocol: other")

    server = await start(listening(Pushy))

    _, journal = start_pool(server.url, ws_options="mine")

    (error, _) = await journal.nth("error")
    assert isinstance(error, HandshakeInvalid)
    assert journal.count("open") == 0
    assert server.accepted >= 1


@within(30)
async def test_nothing_waits_for_a_server_that_rejects(start: Start, start_pool: StartPool) -> None:
    """While the server rejects, a pool without a queue fails its sends at once."""
    server = await start(listening(partial(Rejects, "503 Later")))
    pool, journal = start_pool(server.url, message_queue_size=0)
    await journal.nth("error")

    with pytest.raises(NotConnected):
        await pool.send("anyone?")
