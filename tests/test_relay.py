"""
A relay in memory: what clients send goes upstream, what comes from there goes to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.error import CannotListenError
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from wsmultipool import BufferFull
from wsmultipool.service._relay_client import why_closed
from wsmultipool.service.access import Exposed
from wsmultipool.service.relay import RelayService
from wsmultipool.service.relay_options import RelayOptions
from wsmultipool.testing import MemoryPool

from .leftovers import LoggedFailures
from .local_client import REQUEST, Endpoint, LocalClient, RelayScene, masked
from .support import error_of, outcome

Scene = Callable[..., RelayScene]


@pytest.fixture
def scene() -> Iterator[Scene]:
    """Makes relays that are stopped, and checked for what they leave, at the end."""
    made: list[RelayScene] = []

    def make(**options: Any) -> RelayScene:
        made.append(RelayScene(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def log() -> Iterator[list[str]]:
    """The lines that the relay logs."""
    lines: list[str] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event["log_namespace"].startswith("wsmultipool") and event.get("log_format"):
            lines.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def close_of(client: LocalClient) -> tuple[int, str]:
    """
    Return the code and reason of the Close frame that a client must have got.
    """
    found = client.close_frame
    assert found is not None
    return found


def deaf(client: LocalClient) -> None:
    """Have a client read nothing any more."""
    client.transport.pauseProducing()


# From clients to upstream


def test_text_stays_text_and_binary_binary(scene: Scene) -> None:
    """What a client sends arrives upstream as it was sent."""
    relay = scene()
    client = relay.connect()
    client.send("grüße", b"\x00\xff", "")
    relay.settle()
    assert client.status == 101
    assert relay.upstream == [("grüße".encode(), False), (b"\x00\xff", True), (b"", False)]


def test_fragments_arrive_as_one_message(scene: Scene) -> None:
    """A message that a client sends in pieces goes upstream whole."""
    relay = scene()
    client = relay.connect()
    client.transport.write(masked(0x01, b"ab") + masked(0x89, b"?") + masked(0x80, b"cd"))
    relay.settle()
    assert relay.upstream == [(b"abcd", False)]
    assert client.frames == [(0xA, b"?")]


def test_messages_of_one_client_keep_their_order(scene: Scene) -> None:
    """They take one connection, so that upstream reads them in the order they were sent."""
    relay = scene(pool={"pool_size": 4})
    client = relay.connect()
    client.send(*[str(number) for number in range(500)])
    relay.settle()
    (peer,) = [peer for peer in relay.memory.server.peers if peer.received]
    assert peer.received == [(str(number).encode(), False) for number in range(500)]


def test_messages_of_one_client_are_spread_if_order_does_not_matter(scene: Scene) -> None:
    """With ordered=False, they have the throughput of all connections."""
    relay = scene(pool={"pool_size": 4}, ordered=False)
    relay.connect().send(*["x"] * 8)
    relay.settle()
    assert [len(peer.received) for peer in relay.memory.server.peers] == [2, 2, 2, 2]


def test_an_oversized_message_closes_its_client_with_1009(scene: Scene, log: list[str]) -> None:
    """Nothing of it goes upstream; the messages before it did."""
    relay = scene(max_message_size=100)
    client = relay.connect()
    client.send("before", b"x" * 101)
    relay.settle()
    assert client.close_frame is not None
    assert client.close_frame[0] == 1009
    assert relay.upstream == [(b"before", False)]
    client.close(1009)
    relay.memory.advance(6)
    assert client.is_lost
    assert relay.relay.get_stats().closed == {"too-big": 1}
    assert any("(1009)" in line for line in log)


def test_text_that_is_not_utf8_closes_its_client_with_1007(scene: Scene) -> None:
    """It could not be passed on as text."""
    relay = scene()
    client = relay.connect()
    client.transport.write(masked(0x81, b"\xff"))
    relay.settle()
    assert client.close_frame is not None
    assert client.close_frame[0] == 1007
    assert relay.upstream == []


def test_an_unmasked_frame_closes_its_client_with_1002(scene: Scene) -> None:
    """Clients must mask (RFC 6455, section 5.1), even those that send to a relay."""
    relay = scene()
    client = relay.connect()
    client.transport.write(b"\x81\x02hi")
    relay.settle()
    assert client.close_frame is not None
    assert client.close_frame[0] == 1002


def test_what_a_client_sent_before_it_closed_is_sent(scene: Scene) -> None:
    """A program may send its messages and end."""
    relay = scene()
    client = relay.connect()
    client.send("last words")
    client.close()
    relay.settle()
    assert relay.upstream == [(b"last words", False)]
    assert client.close_frame == (1000, "")
    assert client.is_lost
    assert relay.relay.get_stats().closed == {"client": 1}


# Backpressure


def test_a_client_is_not_read_from_while_upstream_takes_nothing(scene: Scene) -> None:
    """What it sends stays in its own socket; when upstream reads again, all of it arrives."""
    relay = scene()
    (peer,) = relay.memory.server.peers
    peer.stop_reading()
    client = relay.connect()
    for _ in range(300):
        client.send(b"x" * 1000)
    relay.settle()
    stats = relay.relay.get_stats()
    assert (stats.paused_clients, stats.pending_messages) == (1, 1)
    assert relay.memory.pool.get_stats().queued_messages == 1
    peer.resume_reading()
    relay.settle()
    assert len(relay.upstream) == 300
    assert relay.relay.get_stats().paused_clients == 0


def test_clients_take_turns_when_upstream_is_slow(scene: Scene) -> None:
    """None of them has to wait until another one has sent everything."""
    relay = scene()
    (peer,) = relay.memory.server.peers
    peer.stop_reading()
    clients = [relay.connect() for _ in range(4)]
    for number, client in enumerate(clients):
        for _ in range(400):
            client.send(b"%d" % number * 1000)
    relay.settle()
    peer.resume_reading()
    relay.settle()
    half = [data[:1] for data, _ in relay.upstream[:800]]
    assert len(relay.upstream) == 1600
    assert min(half.count(b"%d" % number) for number in range(4)) > 50


def test_a_client_that_does_not_read_is_closed_with_1013(scene: Scene, log: list[str]) -> None:
    """After what may wait for it; the others get everything, and upstream is not held up."""
    relay = scene(client_buffer_size=200_000)
    slow, quick = relay.connect(), relay.connect()
    deaf(slow)
    (peer,) = relay.memory.server.peers
    for _ in range(60):
        peer.send(b"x" * 10_000)
        relay.settle()
    assert len(quick.messages) == 60
    assert relay.relay.get_stats().closed == {"too-slow": 1}
    assert any("(1013)" in line for line in log)
    slow.transport.resumeProducing()
    relay.settle()
    assert slow.close_frame is not None
    assert slow.close_frame[0] == 1013


def test_a_client_that_reads_late_gets_everything_within_the_limit(scene: Scene) -> None:
    """What waits for it comes in order, when it reads again."""
    relay = scene(client_buffer_size=1_000_000)
    client = relay.connect()
    deaf(client)
    (peer,) = relay.memory.server.peers
    for number in range(50):
        peer.send(b"%05d" % number * 2000)
        relay.settle()
    assert relay.relay.get_stats().slow_clients == 1
    client.transport.resumeProducing()
    relay.settle()
    assert client.messages == [b"%05d" % number * 2000 for number in range(50)]
    assert relay.relay.get_stats().slow_clients == 0


def test_a_client_that_pings_but_does_not_read_takes_no_memory(scene: Scene) -> None:
    """Only its latest ping is answered (RFC 6455, section 5.5.3)."""
    relay = scene()
    client = relay.connect()
    deaf(client)
    relay.memory.server.peers[0].send(b"x" * 100_000)
    relay.settle()
    for number in range(100):
        client.transport.write(masked(0x89, b"%d" % number))
    relay.settle()
    client.transport.resumeProducing()
    relay.settle()
    assert [payload for opcode, payload in client.frames if opcode == 0xA] == [b"99"]


# Upstream is down


def test_clients_wait_while_upstream_is_down(scene: Scene) -> None:
    """They may connect and send; what they sent goes out when a connection opens."""
    relay = scene(is_open=False)
    client = relay.connect()
    client.send("one", "two")
    relay.settle()
    assert client.status == 101
    assert client.close_frame is None
    relay.memory.open()
    relay.settle()
    assert relay.upstream == [(b"one", False), (b"two", False)]


def test_a_full_queue_closes_clients_with_1013(scene: Scene) -> None:
    """Beyond the pool's queue nobody waits in silence; those in the queue go on waiting."""
    relay = scene(is_open=False, pool={"message_queue_size": 2})
    first, second, third = (relay.connect() for _ in range(3))
    for client in (first, second, third):
        client.send("hello")
        relay.settle()
    assert (first.close_frame, second.close_frame) == (None, None)
    reason = "not sent: the message queue is full (message_queue_size=2); 0 sent before"
    assert third.close_frame == (1013, reason)
    relay.memory.open()
    relay.settle()
    assert len(relay.upstream) == 2
    assert relay.relay.get_stats().failed_messages == 1


def test_without_a_queue_clients_are_closed_at_once(scene: Scene) -> None:
    """A pool with message_queue_size=0 holds nothing."""
    relay = scene(is_open=False, pool={"message_queue_size": 0})
    client = relay.connect()
    client.send("hello")
    relay.settle()
    assert client.close_frame == (1013, "not sent: no connection is open; 0 sent before")


def test_nobody_waits_for_longer_than_the_timeout(scene: Scene) -> None:
    """A client whose message no connection takes gets 1013, and the message is not sent later."""
    relay = scene(is_open=False, send_timeout=30.0)
    client = relay.connect()
    client.send("hello")
    relay.memory.advance(29)
    assert not client.is_told_to_go
    relay.memory.advance(2)
    code, reason = close_of(client)
    assert code == 1013
    assert "within 30 s" in reason
    relay.memory.open()
    relay.settle()
    assert relay.upstream == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {"send_timeout": 5.0},
            "not sent: no connection took the message within 5 s:"
            ' the peer closed the connection: 1008 "no such key"; 0 sent before',
        ),
        (
            {"pool": {"message_queue_size": 0}},
            "not sent: no connection is open:"
            ' the peer closed the connection: 1008 "no such key"; 0 sent before',
        ),
        (
            {"pool": {"max_reconnect_attempts": 1}},
            "not sent: every connection of the pool has given up:"
            ' the peer closed the connection: 1008 "no such key"; 0 sent before',
        ),
    ],
)
def test_a_client_is_told_why_upstream_is_away(
    scene: Scene, options: dict[str, Any], reason: str
) -> None:
    """What upstream has said reaches the program whose message it did not take; the count too."""
    relay = scene(**options)
    relay.memory.server.peers[0].close(1008, "no such key")
    relay.settle()
    client = relay.connect()
    client.send("hello")
    relay.memory.server.be_silent()
    relay.memory.advance(6)
    assert close_of(client) == (1013, reason)


def test_an_outage_that_is_over_is_no_reason(scene: Scene) -> None:
    """A message that is not sent for another reason has that one alone."""
    relay = scene(pool={"max_buffered_bytes": 100})
    relay.memory.server.peers[0].close(1008, "no such key")
    relay.memory.advance(10)
    client = relay.connect()
    client.send("c" * 101)
    relay.settle()
    assert "no such key" not in close_of(client)[1]


def test_a_client_is_told_how_many_of_its_messages_were_sent(scene: Scene) -> None:
    """Those behind the one that failed are withdrawn, so that it can send the rest again."""
    relay = scene(confirm=True, send_timeout=5.0)
    client = relay.connect()
    client.send("a", "b")
    relay.settle()
    relay.memory.server.refuse()
    relay.memory.server.peers[0].drop()
    relay.settle()
    client.send("c", "d", "e")
    relay.memory.advance(6)
    code, reason = close_of(client)
    assert (code, reason.rpartition("; ")[2]) == (1013, "2 sent before")
    assert relay.relay.get_stats().failed_messages == 3
    assert relay.memory.pool.get_stats().queued_messages == 0


def test_messages_that_went_with_the_one_that_failed_are_counted(scene: Scene) -> None:
    """Or the client would send them once more."""
    relay = scene(pool={"max_buffered_bytes": 100})
    client = relay.connect()
    client.send("a", "b", "c" * 101)
    relay.settle()
    code, reason = close_of(client)
    assert (code, reason.rpartition("; ")[2]) == (1013, "2 sent before")
    assert relay.upstream == [(b"a", False), (b"b", False)]


def test_nothing_behind_a_message_that_failed_is_sent(scene: Scene) -> None:
    """Though it came with it, and there would be room for it."""
    relay = scene(confirm=True, pool={"max_buffered_bytes": 100})
    client = relay.connect()
    client.send("c" * 101, "d")
    relay.settle()
    assert close_of(client)[0] == 1013
    assert relay.upstream == []


def test_a_long_reason_leaves_room_for_the_count() -> None:
    """A Close frame takes 123 octets of text (RFC 6455, section 5.5): the count is not cut off."""
    error = BufferFull(16_777_216, 67_108_864, 67_108_864)
    text = why_closed("not sent", error, 1_234_567)
    assert len(text.encode()) == 123
    assert text.startswith("not sent: a message of 16777216 bytes does not fit: 67108864 bytes")
    assert text.endswith("; 1234567 sent before")
    assert why_closed("not sent", ValueError("\u20ac" * 100), 5).endswith("\u20ac; 5 sent before")


def test_a_pool_that_is_closed_closes_clients_with_1001(scene: Scene) -> None:
    """The next message can't be sent any more, and won't be later."""
    relay = scene()
    client = relay.connect()
    relay.memory.result(relay.memory.pool.close())
    client.send("hello")
    relay.settle()
    assert client.close_frame == (1001, "not sent: the pool is closed; 0 sent before")


def test_what_a_client_sent_goes_out_after_it_is_gone(scene: Scene) -> None:
    """It was taken from it: it does not matter that nobody waits for it any more."""
    relay = scene(is_open=False)
    client = relay.connect()
    client.send("hello")
    relay.settle()
    client.transport.abortConnection()
    relay.settle()
    relay.memory.open()
    relay.settle()
    assert relay.upstream == [(b"hello", False)]


# Confirmation


def test_confirmed_messages_survive_a_lost_connection(scene: Scene) -> None:
    """Each counts as sent when upstream has answered; what was lost is sent again."""
    relay = scene(confirm=True)
    client = relay.connect()
    (first,) = relay.memory.server.peers
    first.stop_reading()
    client.send(*[str(number) for number in range(50)])
    relay.settle()
    assert relay.relay.get_stats().pending_messages == 50
    assert relay.relay.get_stats().messages_from_clients == 0
    first.drop()
    relay.memory.advance(2)
    second = relay.memory.server.peers[-1]
    assert second.received == [(str(number).encode(), False) for number in range(50)]
    assert relay.relay.get_stats().messages_from_clients == 50
    assert relay.relay.get_stats().pending_messages == 0


def test_what_was_not_confirmed_in_time_may_have_arrived(scene: Scene) -> None:
    """The client is not told that it was not sent, for upstream may just be slow to answer."""
    relay = scene(confirm=True, send_timeout=5.0)
    relay.memory.server.peers[0].stop_reading()
    client = relay.connect()
    client.send("hello")
    relay.memory.advance(6)
    reason = "not confirmed: nothing was confirmed for 5 s; 0 sent before"
    assert close_of(client) == (1013, reason)
    relay.memory.server.peers[0].resume_reading()
    relay.settle()
    assert relay.upstream == [(b"hello", False)]


def test_a_client_with_too_much_unconfirmed_is_not_read_from(scene: Scene) -> None:
    """Its window is full; it goes on when confirmations come."""
    relay = scene(confirm=True, confirm_window=10)
    (peer,) = relay.memory.server.peers
    peer.stop_reading()
    client = relay.connect()
    client.send(*["x"] * 25)
    relay.settle()
    stats = relay.relay.get_stats()
    assert (stats.pending_messages, stats.paused_clients) == (10, 1)
    peer.drop()
    relay.memory.advance(2)
    assert relay.relay.get_stats().messages_from_clients == 25


# From upstream to clients


def test_everybody_gets_what_arrives(scene: Scene) -> None:
    """With fanout="all", which is the default; text and binary are kept."""
    relay = scene()
    clients = [relay.connect() for _ in range(3)]
    (peer,) = relay.memory.server.peers
    peer.send("text")
    peer.send(b"x" * 70_000)
    peer.send(b"y" * 300)
    relay.settle()
    for client in clients:
        assert client.messages == ["text", b"x" * 70_000, b"y" * 300]
    assert relay.relay.get_stats().messages_to_clients == 9


def test_a_client_that_has_said_goodbye_gets_nothing_more(scene: Scene) -> None:
    """Nor does it count as one that was there, however long it takes to go."""
    relay = scene()
    client = relay.connect()
    client.transport.pauseProducing()
    client.close()
    relay.settle()
    relay.memory.server.peers[0].send("late")
    relay.settle()
    stats = relay.relay.get_stats()
    assert (stats.clients, stats.messages_to_clients, stats.unheard_messages) == (1, 0, 1)
    client.transport.resumeProducing()
    relay.settle()
    assert client.frames == [(8, b"\x03\xe8")]


def test_a_client_gets_nothing_from_before_it_came(scene: Scene) -> None:
    """What arrives while nobody is there is counted, and gone."""
    relay = scene()
    relay.memory.server.peers[0].send("early")
    relay.settle()
    client = relay.connect()
    assert client.messages == []
    assert relay.relay.get_stats().unheard_messages == 1


# Coming and going


def test_one_client_too_many_is_refused_with_503(scene: Scene, log: list[str]) -> None:
    """Before the upgrade, and with words; when one goes, another may come."""
    relay = scene(max_clients=1)
    first, second = relay.connect(), relay.connect()
    assert (first.status, second.status) == (101, 503)
    assert second.is_lost
    first.close()
    relay.settle()
    assert relay.connect().status == 101
    assert relay.relay.get_stats().refused == {"full": 1}
    assert any("503" in line for line in log)


def test_connections_that_say_nothing_are_limited(scene: Scene) -> None:
    """They hold no place for long, and never keep out whoever has something to say."""
    relay = scene(max_clients=1, handshake_timeout=3.0)
    silent = [relay.raw(b"") for _ in range(100)]
    assert sum(client.is_lost for client in silent) == 100 - 66
    client = relay.connect()
    assert client.status == 101
    relay.memory.advance(3.1)
    assert [silent[0].received, silent[-1].status] == [b"", 408]
    assert not client.is_lost
    assert all(client.is_lost for client in silent)


@pytest.mark.parametrize(
    "headers",
    [
        *({"Host": "localhost\xff"}, {"Origin": "http://\xff"}, {"Host": "\xfflocalhost"}),
        *({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZ\xff=="}, {"Sec-WebSocket-Protocol": "\xff"}),
        *({"Sec-WebSocket-Version": "\xff13"}, {"Sec-WebSocket-Extensions": "\xff"}),
        *({"Host": "localhost\r\nHost: localhost"}, {"Host": None}, {"Host": "localhost:x"}),
        *({"X": "\x0bOrigin: http://a"}, {"X": "\0"}, {"sec-websocket-key": "\xff"}),
    ],
)
def test_a_handshake_that_is_not_as_it_should_be_is_refused(
    scene: Scene, log: list[str], headers: dict[str, str | None], logged_failures: LoggedFailures
) -> None:
    """With 400, one line in the log, and no traceback: octets beyond ASCII, no Host, or two."""
    relay = scene()
    assert relay.connect(headers).status == 400
    assert len([line for line in log if "400" in line]) == 1
    assert logged_failures.flush() == []


@pytest.mark.parametrize("host", ["[::1]evil.com", "[127.0.0.1]evil.com", "127.0.0.1%evil.com"])
def test_a_host_that_only_looks_like_loopback_is_refused(scene: Scene, host: str) -> None:
    """A web page may have such a name."""
    assert scene().connect({"Host": host}).status in (400, 403)


@pytest.mark.parametrize("line", ["GET /\xff HTTP/1.1", "GET /?\xff HTTP/1.1", "\xff / HTTP/1.1"])
def test_a_request_line_beyond_ascii_is_refused(
    scene: Scene, line: str, logged_failures: LoggedFailures
) -> None:
    """With 400, whatever else stands in the request."""
    relay = scene()
    head = "".join(f"{name}: {value}\r\n" for name, value in REQUEST.items())
    assert relay.raw(f"{line}\r\n{head}\r\n".encode("latin-1")).status == 400
    assert logged_failures.flush() == []


def test_headers_that_nobody_reads_may_be_anything(scene: Scene) -> None:
    """As cookies of other programs on this machine, which browsers send as well."""
    relay = scene()
    assert relay.connect({"Cookie": "a=\xff", "User-Agent": "\xe9"}).status == 101


def test_an_http_request_gets_a_clear_answer(scene: Scene, log: list[str]) -> None:
    """Somebody who opens the relay in a browser reads what it is; so does the log."""
    relay = scene()
    client = relay.raw(b"GET /?token=sesame HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert client.status == 426
    assert "Upgrade: websocket" in client.head
    assert "ws://" in client.body
    assert client.is_lost
    assert any("426" in line and "127.0.0.1" in line for line in log)
    assert not any("sesame" in line for line in log)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n", 505),
        (b"\x16\x03\x01\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nH\xff\xfest: x\r\n\r\n", 400),
        (b"GET /" + b"x" * 20_000, 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\n\r\n", 400),
    ],
)
def test_what_is_no_handshake_is_refused(scene: Scene, request_: bytes, status: int) -> None:
    """With a status that says what is wrong, whatever the octets."""
    relay = scene()
    client = relay.raw(request_)
    assert client.status == status
    assert client.is_lost
    assert relay.relay.get_stats().refused == {"http": 1}


def test_a_wrong_token_is_refused_with_401(scene: Scene, log: list[str]) -> None:
    """No text anywhere contains the right one, nor the wrong one."""
    relay = scene(token="sesame-1234")
    for value in (None, "Bearer sesame-1235", "Basic sesame-1234", "Bearer s\xe9same"):
        client = relay.connect({"Authorization": value})
        assert client.status == 401
        assert "WWW-Authenticate: Bearer" in client.head
        assert "sesame" not in client.received.decode()
    assert relay.connect({"Authorization": "Bearer sesame-1234"}).status == 101
    assert relay.relay.get_stats().refused == {"token": 4}
    assert not any("sesame" in line for line in log)
    assert "sesame" not in repr(relay.relay.options)


def test_web_pages_are_refused_unless_allowed(scene: Scene) -> None:
    """A page on the Internet must not be able to drive a relay on this machine."""
    relay = scene(allow_origins=("https://good.example",))
    assert relay.connect({"Origin": "https://evil.example"}).status == 403
    assert relay.connect({"Origin": "null"}).status == 403
    assert relay.connect({"Origin": "https://good.example"}).status == 101
    assert relay.connect().status == 101
    assert relay.relay.get_stats().refused == {"origin": 2}


def test_a_name_that_was_pointed_at_loopback_is_refused(scene: Scene) -> None:
    """DNS rebinding: the browser believes that it talks to another host."""
    relay = scene(allow_hosts=("relay.internal",))
    assert relay.connect({"Host": "evil.example:8080"}).status == 403
    for host in ("localhost", "[::1]:8080", "127.0.0.1:8080", "relay.internal:80"):
        assert relay.connect({"Host": host}).status == 101


def test_a_subprotocol_is_agreed_on_if_it_is_known(scene: Scene) -> None:
    """The first that the client names of those that the relay speaks."""
    relay = scene(protocols=("mqtt", "v2"))
    assert "Protocol: v2" in relay.connect({"Sec-WebSocket-Protocol": "v3, v2, mqtt"}).head
    assert "WebSocket-Protocol" not in relay.connect({"Sec-WebSocket-Protocol": "v3"}).head


# Listening


def test_a_port_in_use_reaches_the_caller() -> None:
    """listen() fails, each time it is asked; the command line exits with that."""
    memory = MemoryPool()
    endpoint = Endpoint()
    endpoint.failure = CannotListenError("127.0.0.1", 8080, OSError("Address already in use"))
    relay = RelayService(memory.pool, endpoint, RelayOptions(), reactor=memory.clock)
    for _ in range(2):
        assert error_of(relay.listen()) is endpoint.failure
    relay.startService()
    memory.result(relay.stopService())
    memory.close()


def test_a_service_that_can_not_listen_logs_why(log: list[str]) -> None:
    """Started by an application, it has nobody else to tell."""
    memory = MemoryPool()
    endpoint = Endpoint()
    endpoint.failure = CannotListenError("127.0.0.1", 8080, OSError("Address already in use"))
    relay = RelayService(memory.pool, endpoint, RelayOptions(), reactor=memory.clock)
    relay.startService()
    assert any("Address already in use" in line for line in log)
    memory.result(relay.stopService())
    memory.close()


@pytest.mark.parametrize("options", [{"token": "sesame"}, {"client_certificates": True}])
def test_beyond_loopback_something_must_guard_it(scene: Scene, options: dict[str, Any]) -> None:
    """Without a token or client certificates the relay does not listen."""
    memory = MemoryPool()
    endpoint = Endpoint("0.0.0.0")
    relay = RelayService(memory.pool, endpoint, RelayOptions(), reactor=memory.clock)
    assert isinstance(error_of(relay.listen()), Exposed)
    assert not endpoint.port.listening
    memory.close()
    assert scene(host="0.0.0.0", **options).relay.address is not None


# The end


def test_stopping_closes_clients_with_1001(scene: Scene) -> None:
    """Nobody new comes in; clients hear how many of their messages were sent."""
    relay = scene()
    client = relay.connect()
    client.send("one", "two")
    relay.settle()
    stopped = outcome(relay.relay.stopService())
    relay.settle()
    assert not relay.endpoint.port.listening
    assert client.close_frame == (1001, "the relay is being stopped; 2 sent before")
    client.close(1001)
    relay.settle()
    assert client.is_lost
    assert stopped == [None]


def test_stopping_leaves_no_timer_for_those_who_are_gone(scene: Scene) -> None:
    """What they have sent may wait in the pool for longer than the relay does."""
    relay = scene(is_open=False)
    client = relay.connect()
    client.send("hello")
    relay.settle()
    client.transport.abortConnection()
    relay.settle()
    stopped = outcome(relay.relay.stopService())
    relay.memory.advance(relay.relay.options.settle_timeout)
    assert stopped == [None]
    assert relay.relay.get_stats().pending_messages == 1
    relay.memory.pool.destroy()
    assert relay.memory.clock.getDelayedCalls() == []


def test_stopping_waits_until_what_was_taken_is_sent(scene: Scene) -> None:
    """A message that the pool has accepted is not lost because the relay stops."""
    relay = scene(is_open=False)
    client = relay.connect()
    client.send("hello")
    relay.settle()
    relay.relay.stopService()
    relay.memory.advance(1)
    assert not client.is_told_to_go
    relay.memory.open()
    relay.settle()
    assert close_of(client) == (1001, "the relay is being stopped; 1 sent before")
    assert relay.upstream == [(b"hello", False)]


def test_stopping_in_the_middle_of_a_message_counts_it(scene: Scene) -> None:
    """Somebody may stop the relay on hearing what became of another message because of this one."""
    relay = scene(
        is_open=False, confirm=True, pool={"message_queue_size": 2, "overflow": "drop_oldest"}
    )
    client = relay.connect()
    dropped, _ = (relay.memory.pool.send("not a client's") for _ in range(2))
    dropped.addErrback(lambda _: relay.relay.stopService())
    client.send("one")
    relay.settle()
    assert not client.is_told_to_go
    relay.memory.open()
    relay.settle()
    assert close_of(client) == (1001, "the relay is being stopped; 1 sent before")
    assert relay.upstream == [(b"not a client's", False), (b"one", False)]


def test_stopping_has_a_deadline(scene: Scene) -> None:
    """With upstream down and clients that answer nothing, it ends all the same."""
    relay = scene(is_open=False, settle_timeout=3.0, close_timeout=2.0)
    client = relay.connect()
    relay.raw(b"")
    client.send("hello")
    relay.settle()
    stopped = outcome(relay.relay.stopService())
    relay.memory.advance(3.1)
    assert client.close_frame == (1001, "the relay is being stopped; 0 sent before")
    assert stopped == []
    relay.memory.advance(2.1)
    assert stopped == [None]
    assert client.is_lost
    assert relay.memory.pool.get_stats().queued_messages == 0
    assert outcome(relay.relay.stopService()) == [None]


def test_a_client_that_does_not_answer_a_close_is_dropped(scene: Scene) -> None:
    """After close_timeout."""
    relay = scene(is_open=False, pool={"message_queue_size": 0}, close_timeout=2.0)
    client = relay.connect()
    client.send("hello")
    relay.settle()
    assert client.close_frame is not None
    assert not client.is_lost
    relay.memory.advance(2.1)
    assert client.is_lost
