"""
Answers of HTTP proxies of any kind, and proxies that never stop.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer

from wsmultipool import ProxyRefused, TransportFailed, WebSocketOptions, noop_logger
from wsmultipool.testing import MemoryPool

from .fuzzing import surfaces
from .fuzzing.case import Case
from .fuzzing.examples import hold, hold_with_user_code
from .fuzzing.floods import KIB, MIB, endless, peak_of
from .fuzzing.peers import Request, Script
from .leftovers import LoggedFailures


def test_any_answer_is_a_tunnel_or_an_error() -> None:
    """A proxy that grants the tunnel gets the upgrade; any other, the next attempt."""
    hold(surfaces.proxy, 100)


def test_user_code_may_do_anything_meanwhile(logged_failures: LoggedFailures) -> None:
    """Handlers that raise, close and send while a proxy talks nonsense break nothing."""
    hold_with_user_code(surfaces.proxy_with_user_code, 40, logged_failures)


def test_an_endless_head_costs_no_memory() -> None:
    """A proxy whose headers never end is given up."""
    flood = endless(lambda _: b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"x" * 990 + b"\r\n", 4 * MIB)
    assert peak_of(flood, proxied=True) < 700 * KIB


def test_endless_interim_responses_cost_no_memory() -> None:
    """Neither does one that always says it is about to answer."""
    interim = b"HTTP/1.1 102 Processing\r\nX: " + b"x" * 970 + b"\r\n\r\n"
    assert peak_of(endless(lambda _: b"", interim, 4 * MIB), proxied=True) < 700 * KIB


def test_an_endless_refusal_costs_no_memory() -> None:
    """The body of a refusal is not read."""
    flood = endless(lambda _: b"HTTP/1.1 403 No\r\n\r\n", b"x" * KIB, 4 * MIB)
    assert peak_of(flood, proxied=True) < 700 * KIB


def test_a_proxy_that_repeats_the_request_reveals_no_credentials() -> None:
    """Credentials stay out of errors and logs, even where the proxy's own words hold them."""

    def answer(request: Request) -> list[bytes]:
        return [b"HTTP/1.1 407 " + b" ".join(request.head.split()) + b"\r\n\r\n"]

    heard = Case([Script(answer)], proxied=True).run()
    [error] = heard.errors
    assert isinstance(error, ProxyRefused)


@implementer(IStreamClientEndpoint)
class SecondThoughts:
    """
    An endpoint of the user's, to some kind of proxy, that fails when it has built the protocol.
    """

    def __init__(self) -> None:
        self.attempts = 0

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        self.attempts += 1
        protocolFactory.buildProtocol(None)  # type: ignore[arg-type]
        return fail(ConnectionRefusedError())


def test_an_endpoint_that_fails_late_is_tried_again() -> None:
    """A protocol that never got a transport is forgotten, and the next attempt comes."""
    endpoint = SecondThoughts()
    memory = MemoryPool(
        ws_factory=None,
        ws_options=WebSocketOptions(endpoint=endpoint),
        pool_size=1,
        logger=noop_logger,
    )
    errors: list[Exception] = []
    memory.pool.on("error", lambda error, _: errors.append(error))
    memory.pool.start()
    memory.advance(2)
    assert endpoint.attempts > 1
    assert all(isinstance(error, TransportFailed) for error in errors)
    memory.close()
