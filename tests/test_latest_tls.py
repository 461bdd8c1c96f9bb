"""
Tests for L{wsmultipool.service.latest_tls}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import MemoryReactorClock
from zope.interface.verify import verifyObject

from wsmultipool import PoolOptions, ServerURL, TLSOptions, WebSocketOptions
from wsmultipool.interfaces import IWebSocketFactory
from wsmultipool.service.latest_tls import LatestTLS

URL = ServerURL.parse("wss://127.0.0.1/")


def creator_of(factory: LatestTLS, options: PoolOptions) -> Any:
    """
    Build an endpoint, and return what makes its TLS.
    """
    reactor: Any = MemoryReactorClock()
    endpoint: Any = factory.build_endpoint(reactor, URL, options)
    return endpoint._creator


def test_attempts_take_the_latest_options() -> None:
    """Those of the pool at first, and then the ones that replace them, made into TLS once."""
    factory = LatestTLS()
    assert verifyObject(IWebSocketFactory, factory)
    present = WebSocketOptions(tls=TLSOptions(server_name="first.test"))
    options = PoolOptions(ws_options=present)
    first = creator_of(factory, options)
    assert creator_of(factory, options) is first
    factory.use(present, TLSOptions(server_name="second.test"))
    second = creator_of(factory, options)
    assert second is not first
    assert creator_of(factory, options) is second
    factory.use(present, None)
    assert creator_of(factory, options) not in (first, second)
