"""
What the library ships provides the interfaces it says it does.
"""

from __future__ import annotations

import ast
import inspect
import logging
import textwrap
from collections.abc import Callable, Iterator

import pytest
from twisted.application.service import IService
from twisted.internet.interfaces import IProtocol, IPushProducer
from twisted.logger import Logger
from zope.interface import Attribute
from zope.interface.interface import InterfaceClass, Method
from zope.interface.verify import verifyClass, verifyObject

from wsmultipool import interfaces
from wsmultipool._autobahn import PoolProtocol, WebSocketFactory
from wsmultipool._connection import PooledConnection
from wsmultipool._pool_logger import as_pool_logger, guarded
from wsmultipool._write_queue import WriteQueue
from wsmultipool.balancers import RoundRobin
from wsmultipool.handshake import UpgradeRequest
from wsmultipool.interfaces import (
    IBalancer,
    IPooledConnection,
    IPoolLogger,
    IPoolObserver,
    IWebSocketFactory,
    IWebSocketPool,
    IWebSocketWire,
    IWireListener,
)
from wsmultipool.loggers import (
    StandardLibraryLogger,
    TwistedLogger,
    create_console_logger,
    noop_logger,
)
from wsmultipool.options import PoolOptions, ServerURL
from wsmultipool.pool import ReconnectingPoolFactory
from wsmultipool.service import PoolService
from wsmultipool.service.measurements import Measurements

from .support import Listener, Pool

INTERFACES = [getattr(interfaces, name) for name in interfaces.__all__]


def wire() -> IWebSocketWire:
    """
    Build a protocol as a connection does, before it has a transport.
    """
    url = ServerURL.parse("ws://example.com")
    request = UpgradeRequest(url=url, host="example.com")
    built = WebSocketFactory().build_protocol(request, PoolOptions())
    built.listener = Listener()
    return built


def annotated(method: Callable[..., object]) -> str:
    """
    Return the arguments of a method, without C{self}, and what it returns, as they are written.
    """
    (function,) = ast.parse(textwrap.dedent(inspect.getsource(method))).body
    assert isinstance(function, ast.FunctionDef)
    del function.args.args[0]
    # "*others: Never", which is there to refuse them with words of its own, takes none.
    return written(function).replace("*others: Never", "*")


def signatures(interface: InterfaceClass) -> Iterator[tuple[str, str]]:
    """
    Return the same of the methods of an interface, which zope does not tell.
    """
    for each in ast.parse(inspect.getsource(interfaces)).body:
        if isinstance(each, ast.ClassDef) and each.name == interface.__name__:
            for method in each.body:
                if isinstance(method, ast.FunctionDef):
                    yield method.name, written(method)


def written(function: ast.FunctionDef) -> str:
    """
    Write a signature in one way.
    """
    assert function.returns is not None
    return f"({ast.unparse(function.args)}) -> {ast.unparse(function.returns)}"


@pytest.mark.parametrize(
    ("interface", "provider"),
    [
        (IBalancer, RoundRobin()),
        (IPoolLogger, StandardLibraryLogger(logging.getLogger("wsmultipool.test"))),
        (IPoolLogger, TwistedLogger(Logger())),
        (IPoolLogger, as_pool_logger(None)),
        (IPoolLogger, create_console_logger()),
        (IPoolLogger, guarded(noop_logger)),
        (IPoolLogger, noop_logger),
        (IPushProducer, WriteQueue(lambda entries, only_plain: b"")),
        (IPoolObserver, Measurements()),
        (IService, PoolService(Pool())),
        (IWebSocketFactory, WebSocketFactory()),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_shipped_objects_provide_their_interfaces(
    interface: InterfaceClass, provider: object
) -> None:
    """Every method is there, with a signature that fits."""
    assert verifyObject(interface, provider)


@pytest.mark.parametrize("interface", [IWebSocketWire, IProtocol])
def test_the_protocol_provides_its_interfaces(interface: InterfaceClass) -> None:
    """What the factory builds is a wire to its connection, and a protocol to Twisted."""
    assert verifyObject(interface, wire())


@pytest.mark.parametrize(
    ("interface", "implementation"),
    [
        (IPooledConnection, PooledConnection),
        (IWireListener, PooledConnection),
        (IWebSocketPool, ReconnectingPoolFactory),
    ],
)
def test_what_a_pool_consists_of_implements_its_interfaces(
    interface: InterfaceClass, implementation: type
) -> None:
    """The pool and its connections have every method, with a signature that fits."""
    assert verifyClass(interface, implementation)


@pytest.mark.parametrize(
    ("interface", "implementation"),
    [
        (IBalancer, RoundRobin),
        (IPoolLogger, StandardLibraryLogger),
        (IPoolLogger, TwistedLogger),
        (IPoolObserver, Measurements),
        (IPooledConnection, PooledConnection),
        (IWebSocketFactory, WebSocketFactory),
        (IWebSocketPool, ReconnectingPoolFactory),
        (IWebSocketPool, Pool),
        (IWebSocketWire, PoolProtocol),
        (IWireListener, Listener),
        (IWireListener, PooledConnection),
    ],
)
def test_interfaces_are_typed_as_what_implements_them(
    interface: InterfaceClass, implementation: type
) -> None:
    """
    Code that is given an interface may pass what the implementation takes: C{str} to C{ping}, for
    instance.
    """
    typed = dict(signatures(interface))
    methods = {name: getattr(implementation, name, None) for name in typed}
    implemented = {
        name: annotated(method) for name, method in methods.items() if inspect.isfunction(method)
    }
    assert implemented
    assert implemented == {name: typed[name] for name in implemented}


@pytest.mark.parametrize("interface", INTERFACES, ids=lambda interface: interface.__name__)
def test_interfaces_are_documented_throughout(interface: InterfaceClass) -> None:
    """Each interface, each of its methods and each of its attributes says what it is for."""
    assert (interface.__doc__ or "").strip()
    for name, element in interface.namesAndDescriptions():
        assert (element.__doc__ or "").strip(), name


@pytest.mark.parametrize("interface", INTERFACES, ids=lambda interface: interface.__name__)
def test_interfaces_say_who_implements_and_who_calls(interface: InterfaceClass) -> None:
    """Whoever reads an interface learns on which side of it they are."""
    text = " ".join((interface.__doc__ or "").split())
    assert "Implemented by" in text or "Provided" in text
    assert "called by" in text


def test_methods_have_no_self() -> None:
    """An interface is written as it is called."""
    for interface in INTERFACES:
        for name, element in interface.namesAndDescriptions():
            if isinstance(element, Method):
                signature = element.getSignatureInfo()  # type: ignore[no-untyped-call]
                assert "self" not in signature["positional"], name
            else:
                assert isinstance(element, Attribute), name


def test_all_interfaces_are_exported() -> None:
    """The module lists every interface that it defines."""
    defined = {
        name
        for name, value in inspect.getmembers(interfaces)
        if isinstance(value, InterfaceClass) and value.__module__ == interfaces.__name__
    }
    assert defined == set(interfaces.__all__)


def test_what_does_not_provide_an_interface_is_told_apart() -> None:
    """Looking alike is not enough: an object must declare what it provides."""

    class Lookalike:
        def debug(self, message: str, *args: object) -> None: ...

        info = warn = error = debug

    assert not IPoolLogger.providedBy(Lookalike())
