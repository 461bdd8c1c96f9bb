"""
Tests for L{wsmultipool.service.pool_service}.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.application.service import Application, IService, MultiService, Service
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from wsmultipool.service import PoolService

from .support import Pool, outcome


def attach(service: Service, application: Any, *, name: str | None = None) -> None:
    """
    Make a service part of an application.
    """
    if name is not None:
        service.setName(name)
    service.setServiceParent(application)


def detach(service: Service) -> Deferred[None]:
    """
    Take a service out of its application.
    """
    stopped: Deferred[None] = service.disownServiceParent()
    return stopped


def test_it_is_a_service() -> None:
    """A pool may be part of any Twisted application."""
    assert verifyObject(IService, PoolService(Pool()))


def test_starting_the_service_starts_the_pool() -> None:
    """The pool does not connect before its service is started."""
    pool = Pool()
    service = PoolService(pool)
    pools: list[object] = [service.pool]
    calls_before = list(pool.calls)
    service.startService()
    assert pools == [pool]
    assert (calls_before, pool.calls) == ([], [("start",)])
    assert service.running == 1


@pytest.mark.parametrize("drain", [None, 0, 2.5])
def test_stopping_the_service_closes_the_pool(drain: float | None) -> None:
    """The pool is closed, draining for as long as the service was told, and that is waited for."""
    pool = Pool()
    service = PoolService(pool, drain=drain)
    service.startService()
    stopped = outcome(service.stopService())
    assert pool.calls == [("start",), ("close", 1000, "", drain)]
    assert service.running == 0
    assert stopped == []
    pool.closing.callback(None)
    assert stopped == [None]


def test_a_service_that_was_never_started_can_be_stopped() -> None:
    """An application that fails while it starts stops what it has, started or not."""
    pool = Pool()
    pool.closing.callback(None)
    service = PoolService(pool)
    assert outcome(service.stopService()) == [None]
    assert pool.calls == [("close", 1000, "", None)]


def test_it_starts_and_stops_with_its_parent() -> None:
    """In an application, the pool lives as long as that, which waits for it to be closed."""
    pool = Pool()
    application = MultiService()
    attach(PoolService(pool), application)
    assert pool.calls == []
    application.startService()
    assert pool.calls == [("start",)]
    stopped = outcome(application.stopService())
    assert pool.calls[1:] == [("close", 1000, "", None)]
    assert stopped == []
    pool.closing.callback(None)
    assert len(stopped) == 1


def test_added_to_a_running_application_it_starts_at_once() -> None:
    """A pool may be added later; taken out of the application again, it is closed."""
    pool = Pool()
    pool.closing.callback(None)
    application = MultiService()
    application.startService()
    service = PoolService(pool)
    attach(service, application)
    assert pool.calls == [("start",)]
    assert outcome(detach(service)) == [None]
    assert pool.calls == [("start",), ("close", 1000, "", None)]


def test_it_has_a_name_if_it_is_given_one() -> None:
    """An application can find the service by a name."""
    application = Application("test")
    service = PoolService(Pool())
    attach(service, application, name="feed")
    parent = IService(application)
    assert isinstance(parent, MultiService)
    assert parent.getServiceNamed("feed") is service
