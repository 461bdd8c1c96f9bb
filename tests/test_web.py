"""
Tests for L{wsmultipool.service.web}: what a pool's HTTP server answers, and how it ends.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pytest
from twisted.application.service import IService
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory
from twisted.logger import capturedLogs, eventAsText
from zope.interface.verify import verifyObject

from wsmultipool.service.connections import MOST_CONNECTIONS
from wsmultipool.service.web import StatusService
from wsmultipool.testing import MemoryPool

from .http_requests import ServerEndpoint
from .leftovers import LoggedFailures
from .status_pages import Shown
from .support import error_of, outcome, without_prometheus

EVERYWHERE = IPv4Address("TCP", "0.0.0.0", 8080)


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/healthz", "text/plain; charset=utf-8"),
        ("/stats.json", "application/json"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_every_page_is_there_for_get_and_head(path: str, content_type: str) -> None:
    """HEAD gives the same headers without the body."""
    shown = Shown()
    got, head = shown.get(path), shown.get(path, "HEAD")
    assert (got.status, got.headers["content-type"]) == (200, content_type)
    assert (head.status, head.headers["content-type"], head.body) == (200, content_type, b"")
    assert int(head.headers["content-length"]) > 0
    shown.close()


@pytest.mark.parametrize("path", ["/", "/metrics", "/events", "/stats.json", "/healthz", "/readyz"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_nothing_can_be_changed(path: str, method: str) -> None:
    """Other methods than GET and HEAD are refused, wherever."""
    shown = Shown()
    refused = shown.get(path, method)
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
    shown.close()


@pytest.mark.parametrize(
    ("header", "chunk"),
    [
        ({"content_length": "500000"}, b"x" * 10_000),
        ({"transfer_encoding": "chunked"}, b"2710\r\n" + b"x" * 10_000 + b"\r\n"),
    ],
)
def test_what_is_sent_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, header: dict[str, str], chunk: bytes
) -> None:
    """Nothing here takes anything: who sends much of it fills neither the disk nor the memory."""
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    shown = Shown()
    connection = shown.endpoint.connect()
    connection.request("/", "POST", content_type="application/x-www-form-urlencoded", **header)
    for _ in range(50):
        connection.send(chunk)
    if "transfer_encoding" in header:
        connection.send(b"0\r\n\r\n")
    assert connection.response().status == 405
    connection.close()
    shown.close()


def test_connections_are_limited() -> None:
    """Whoever opens many does not take the descriptors that the pool and the relay need."""
    shown = Shown()
    connections = [shown.endpoint.connect() for _ in range(MOST_CONNECTIONS + 10)]
    assert sum(connection.connected for connection in connections) == MOST_CONNECTIONS
    for connection in connections:
        connection.close()
    shown.close()


def test_however_many_are_idle_a_health_check_is_answered() -> None:
    """The oldest of them make room, and what is being answered stays."""
    shown = Shown()
    watching = shown.endpoint.connect()
    watching.request("/events")
    idle = [shown.endpoint.connect() for _ in range(MOST_CONNECTIONS + 50)]
    begun = shown.endpoint.connect()
    begun.send(b"GET /healthz HTTP/1.1\r\n")
    assert shown.get("/healthz").status == 200
    assert [each.connected for each in (watching, idle[0], idle[-1], begun)] == [
        *(True, False, True, True)
    ]
    for connection in (watching, begun, *idle):
        connection.close()
    shown.close()


@pytest.mark.parametrize("path", ["/nothing", "/metrics/x", "/healthz/", "/favicon.ico", "//"])
def test_other_paths_are_not_found(path: str) -> None:
    """The answer does not repeat what was asked for."""
    shown = Shown()
    response = shown.get(path + "?<script>")
    assert (response.status, response.text) == (404, "there is no such page\n")
    shown.close()


@pytest.mark.parametrize("path", ["/", "/metrics", "/stats.json", "/healthz", "/nothing"])
def test_no_answer_is_kept_guessed_or_embedded(path: str) -> None:
    """Browsers and proxies are told to treat everything with care."""
    shown = Shown()
    headers = shown.get(path).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers
    assert headers["server"] == "wsmultipool"
    shown.close()


# Health


def test_it_is_alive_whatever_the_pool_does() -> None:
    """C{/healthz} says that the process answers, so that nobody restarts it for an outage."""
    shown = Shown()
    shown.memory.server.refuse()
    shown.memory.pool.start()
    shown.memory.settle()
    assert (shown.get("/healthz").status, shown.get("/healthz").text) == (200, "alive\n")
    shown.close()


def test_it_is_ready_while_enough_connections_are_open() -> None:
    """C{/readyz} follows the pool, and says how many connections are open."""
    shown = Shown(pool_options={"pool_size": 3}, min_ready=2)
    before = shown.get("/readyz")
    shown.memory.open()
    ready = shown.get("/readyz")
    shown.memory.server.refuse()
    for peer in shown.memory.server.peers[:2]:
        peer.drop()
    shown.memory.settle()
    after = shown.get("/readyz")
    assert (before.status, before.text) == (503, "0 of 3 connections open, at least 2 wanted\n")
    assert (ready.status, ready.text) == (200, "3 of 3 connections open, at least 2 wanted\n")
    assert (after.status, after.text) == (503, "1 of 3 connections open, at least 2 wanted\n")
    shown.close()


# Stats


def test_stats_are_those_of_the_pool_as_json() -> None:
    """Any program can read what C{get_stats()} says."""
    shown = Shown(pool_options={"pool_size": 2, "name": "prices"})
    shown.memory.open()
    stats = json.loads(shown.get("/stats.json").text)
    assert stats == {"name": "prices", **shown.memory.pool.get_stats().as_dict()}
    assert "relay" not in stats
    shown.close()


@dataclass(frozen=True)
class RelayStats:
    """Counters as those of a relay."""

    clients: int = 3
    paused_clients: int = 0
    slow_clients: int = 1
    pending_messages: int = 2
    accepted: int = 5
    refused: Any = field(default_factory=lambda: MappingProxyType({"token": 4}))
    closed: Any = field(default_factory=lambda: MappingProxyType({"too-slow": 1, "client": 1}))
    messages_from_clients: int = 10
    bytes_from_clients: int = 100
    failed_messages: int = 1
    messages_to_clients: int = 20
    bytes_to_clients: int = 200
    unheard_messages: int = 6


class Relay:
    """As much of a relay as is needed to show it."""

    def get_stats(self) -> RelayStats:
        return RelayStats()


def test_a_relay_is_shown_with_the_pool() -> None:
    """Its clients are among the stats, the metrics and the figures of the page."""
    shown = Shown(relay=Relay())
    stats = json.loads(shown.get("/stats.json").text)
    assert stats["relay"]["clients"] == 3
    assert stats["relay"]["refused"] == {"token": 4}
    metrics = shown.get("/metrics").text
    assert 'wsmultipool_relay_clients{pool="memory.test"} 3.0' in metrics
    assert 'wsmultipool_relay_refused_total{pool="memory.test",reason="token"} 4.0' in metrics
    assert 'wsmultipool_relay_closed_total{pool="memory.test",reason="too_slow"} 1.0' in metrics
    assert "Local clients" in shown.get("/").text
    shown.close()


# Metrics


def test_metrics_are_of_the_pool_and_of_the_process() -> None:
    """One scrape tells how the pool is, and how much memory its process takes."""
    shown = Shown()
    shown.memory.open()
    metrics = shown.get("/metrics").text
    assert (
        'wsmultipool_connections{endpoint="memory.test:80",pool="memory.test",state="open"} 2.0'
        in (metrics)
    )
    assert "process_resident_memory_bytes" in metrics
    shown.close()


def test_metrics_come_in_the_format_that_is_asked_for() -> None:
    """Prometheus asks for OpenMetrics, and gets that."""
    shown = Shown()
    response = shown.get("/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")
    shown.close()


@pytest.mark.parametrize("kind", ["text/plain", "application/openmetrics-text"])
@pytest.mark.parametrize("version", ["x", "1.x", "9.9.9", "1" * 500, ""])
def test_metrics_come_in_some_format_whatever_is_asked_for(kind: str, version: str) -> None:
    """A version that is none makes no error of it."""
    shown = Shown()
    assert shown.get("/metrics", accept=f"{kind};version={version}").status == 200
    shown.close()


def test_without_prometheus_client_metrics_say_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rest of the service works, and whoever asks for metrics reads how to get them."""
    without_prometheus(monkeypatch)
    shown = Shown()
    monkeypatch.undo()
    response = shown.get("/metrics")
    assert response.status == 501
    assert "pip install 'wsmultipool[metrics]'" in response.text
    assert shown.get("/").status == 200
    shown.close()


# Who may ask


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example"])
@pytest.mark.parametrize("path", ["/", "/metrics", "/events", "/stats.json"])
def test_on_loopback_strange_host_names_are_refused(host: str, path: str) -> None:
    """A web page whose name was made to resolve to 127.0.0.1 reads nothing."""
    shown = Shown()
    refused = shown.get(path, host=host)
    assert refused.status == 403
    assert "evil" not in refused.text
    shown.close()


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:8080", "status.test", ""])
def test_on_loopback_its_own_names_and_those_allowed_are_served(host: str) -> None:
    """Also a request without C{Host}, which no browser makes."""
    shown = Shown(hosts=["status.test"])
    assert shown.get("/healthz", host=host).status == 200
    shown.close()


@pytest.mark.parametrize("address", [IPv4Address("TCP", "127.0.0.1", 80), EVERYWHERE])
@pytest.mark.parametrize(
    "head",
    [
        *(b"Host: \xff\xfe", b"Host: localhost\r\nAccept: \xff", b"Host: localhost\xe9"),
        *(b"Host: localhost\r\nHost: localhost", b"Host: localhost\r\nHost: evil.com", b"X: y"),
    ],
)
def test_a_request_that_is_not_as_it_should_be_is_answered_with_400(
    head: bytes, address: IAddress, logged_failures: LoggedFailures
) -> None:
    """Headers that are not ASCII, no C{Host} or two: the log has no traceback of that."""
    shown = Shown(ServerEndpoint(address))
    connection = shown.endpoint.connect()
    connection.send(b"GET /metrics HTTP/1.1\r\n" + head + b"\r\n\r\n")
    response = connection.response()
    assert response.status == 400
    assert "evil" not in response.text
    assert logged_failures.flush() == []
    connection.close()
    shown.close()


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /?\xff HTTP/1.1",
        b"GET /\xff HTTP/1.1",
        b"G\xff / HTTP/1.1",
        b"GET / HTTP/\xff",
        b"\xff",
    ],
)
def test_a_request_line_that_is_not_ascii_is_refused_by_twisted(
    request_line: bytes, logged_failures: LoggedFailures
) -> None:
    """It answers with 400 and closes the connection."""
    shown = Shown()
    connection = shown.endpoint.connect()
    connection.send(request_line + b"\r\nHost: localhost\r\n\r\n")
    assert connection.received().startswith(b"HTTP/1.1 400 ")
    assert not connection.connected
    assert logged_failures.flush() == []
    shown.close()


@pytest.mark.parametrize(
    "headers",
    [
        *(b"Cookie: \xff=\xfe", b"User-Agent: \xff", b"Accept-Encoding: \xff", b"Referer: \xff"),
        *(b"Connection: \xff", b"If-Modified-Since: \xff", b"If-None-Match: \xff", b"Cookie: \xff"),
        b"Content-Type: multipart/form-data; boundary=\xff",
    ],
)
def test_headers_that_nobody_looks_at_may_be_anything(
    headers: bytes, logged_failures: LoggedFailures
) -> None:
    """As a cookie of another program on this machine, which browsers send as well."""
    shown = Shown()
    connection = shown.endpoint.connect()
    connection.send(b"GET /stats.json HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n\r\n")
    assert connection.response().status == 200
    assert logged_failures.flush() == []
    connection.close()
    shown.close()


@pytest.mark.parametrize("address", [EVERYWHERE, UNIXAddress("/run/pool.sock")])
def test_elsewhere_every_host_name_is_served(address: Any) -> None:
    """Who listens on a network, or behind a proxy, may have any name."""
    shown = Shown(ServerEndpoint(address))
    assert shown.get("/healthz", host="pool.example").status == 200
    shown.close()


# Secrets


@pytest.mark.parametrize("path", ["/", "/metrics", "/stats.json"])
def test_no_secret_is_shown(path: str) -> None:
    """Neither credentials and query string of the URL, nor what a server repeats of them."""
    url = "ws://user:s3cret1@memory.test/feed?token=s3cret2"
    memory = MemoryPool(url, pool_size=1)
    endpoint = ServerEndpoint()
    service = StatusService(memory.pool, endpoint, reactor=memory.clock)
    service.startService()
    memory.server.reject(403, "token=s3cret2 is not valid", body=b"s3cret2")
    memory.pool.start()
    memory.settle()
    text = endpoint.get(path).text
    assert "s3cret" not in text
    assert "memory.test" in text
    memory.result(service.stopService())
    memory.close()


# Listening, and the end


def test_it_is_a_service() -> None:
    """It may be part of any Twisted application."""
    shown = Shown()
    assert verifyObject(IService, shown.service)
    shown.close()


def test_listening_before_the_start_tells_the_caller() -> None:
    """A program can listen first, and end with an error when that fails."""
    memory = MemoryPool()
    endpoint = ServerEndpoint()
    service = StatusService(memory.pool, endpoint, reactor=memory.clock)
    listens: object = memory.result(service.listen())
    assert listens is endpoint.port
    port = endpoint.port
    service.startService()
    assert endpoint.port is port
    assert endpoint.get("/healthz").status == 200
    memory.result(service.stopService())
    memory.close()


def test_a_port_in_use_fails_the_deferred() -> None:
    """C{listen()} hands on what the endpoint says, and may be called again."""
    memory = MemoryPool()
    endpoint = ServerEndpoint()
    endpoint.listening = Deferred()
    service = StatusService(memory.pool, endpoint, reactor=memory.clock)
    listening = outcome(service.listen())
    endpoint.listening.errback(CannotListenError("127.0.0.1", 8080, OSError("in use")))
    assert listening[0].check(CannotListenError)
    endpoint.listening = None
    listens: object = memory.result(service.listen())
    assert listens is endpoint.port
    service.startService()
    memory.result(service.stopService())
    memory.close()


def test_an_endpoint_that_raises_fails_the_deferred() -> None:
    """Not every endpoint does as it should, and whoever asks it looks at the Deferred."""

    class Raising(ServerEndpoint):
        def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
            raise CannotListenError("127.0.0.1", 8080, OSError("no"))

    memory = MemoryPool()
    service = StatusService(memory.pool, Raising(), reactor=memory.clock)
    assert isinstance(error_of(service.listen()), CannotListenError)
    memory.result(service.stopService())
    memory.close()


def test_a_port_in_use_at_the_start_is_logged() -> None:
    """Who just starts the service finds it in the log; the pool is not disturbed."""
    memory = MemoryPool()
    endpoint = ServerEndpoint()
    endpoint.listening = Deferred()
    service = StatusService(memory.pool, endpoint, reactor=memory.clock)
    service.startService()
    with capturedLogs() as events:
        endpoint.listening.errback(CannotListenError("127.0.0.1", 8080, OSError("in use")))
    assert any("The status page can't be had: " in (eventAsText(event)) for event in events)
    memory.result(service.stopService())
    memory.close()


@pytest.mark.parametrize(
    ("address", "text"), [(EVERYWHERE, "0.0.0.0:8080"), (UNIXAddress(b"/run/web"), "a unix socket")]
)
def test_it_says_where_it_listens(address: IAddress, text: str) -> None:
    """An operator reads in the log where the page is."""
    with capturedLogs() as events:
        shown = Shown(ServerEndpoint(address))
    wanted = f"The status page of memory.test listens on {text}"
    assert wanted in [
        eventAsText(each, includeTimestamp=False, includeSystem=False) for each in events
    ]
    shown.close()


def test_stopping_before_it_listens_gives_that_up() -> None:
    """Nothing listens afterwards, and nothing is logged as an error."""
    memory = MemoryPool()
    endpoint = ServerEndpoint()
    cancelled: list[object] = []
    endpoint.listening = Deferred[IListeningPort](cancelled.append)
    service = StatusService(memory.pool, endpoint, reactor=memory.clock)
    service.startService()
    memory.result(service.stopService())
    assert len(cancelled) == 1
    memory.close()


def test_stopping_leaves_no_port_no_connection_no_timer() -> None:
    """Streams end in good order, idle connections are closed, and the port is free."""
    shown = Shown()
    idle, streaming = shown.endpoint.connect(), shown.endpoint.connect()
    streaming.request("/events")
    shown.memory.result(shown.service.stopService())
    assert streaming.transport.value().endswith(b"0\r\n\r\n")
    assert not idle.connected
    assert not streaming.connected
    assert shown.endpoint.port is not None
    assert not shown.endpoint.port.listening
    assert shown.memory.clock.getDelayedCalls() == []
    shown.memory.close()


def test_a_page_that_fails_is_an_error_without_details(logged_failures: LoggedFailures) -> None:
    """The traceback goes to the log, and not to whoever asked."""
    shown = Shown()

    def broken() -> None:
        raise ZeroDivisionError

    shown.memory.pool.get_stats = broken  # type: ignore[assignment, method-assign]
    response = shown.get("/stats.json")
    del shown.memory.pool.get_stats
    assert response.status == 500
    assert "ZeroDivision" not in response.text
    assert len(logged_failures.flush(ZeroDivisionError)) == 1
    shown.close()
