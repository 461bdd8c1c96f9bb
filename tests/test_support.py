"""
The doubles of L{tests.support} have what the interfaces they stand in for ask for.
"""

from __future__ import annotations

import pytest
from twisted.internet.interfaces import IConsumer
from zope.interface.interface import InterfaceClass
from zope.interface.verify import verifyObject

from wsmultipool.interfaces import IWebSocketPool, IWireListener

from .support import BusyClock, Listener, Pool, Transport


@pytest.mark.parametrize(
    ("interface", "double"),
    [(IConsumer, Transport()), (IWireListener, Listener()), (IWebSocketPool, Pool())],
)
def test_doubles_provide_their_interfaces(interface: InterfaceClass, double: object) -> None:
    """What a test hands to the library is as complete as what a user would."""
    assert verifyObject(interface, double)


def test_a_clock_that_stands_still_is_noticed() -> None:
    """A call that is due again at once, for ever, fails its test instead of hanging it."""
    clock = BusyClock(most=10)

    def again() -> None:
        clock.callLater(0, again)

    again()
    with pytest.raises(AssertionError, match="any further"):
        clock.advance(1)
