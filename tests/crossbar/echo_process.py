"""
What a pool behind a router is measured against: a procedure that returns its argument.

Its one argument is a JSON object: C{router} and C{ticket}.  It ends with its standard input.
"""

from __future__ import annotations

import json
import sys

from autobahn.twisted.component import Component
from autobahn.wamp.types import RegisterOptions
from twisted.internet import reactor as _installed
from twisted.internet.interfaces import IReactorCore
from twisted.internet.protocol import Protocol
from twisted.internet.stdio import StandardIO

reactor = IReactorCore(_installed)


class EndOfInput(Protocol):
    """
    Ends the process when nobody is there any more to tell it anything.
    """

    def connectionLost(self, reason: object = None) -> None:
        if reactor.running:
            reactor.stop()


def main() -> None:
    """
    Offer the procedure until told to end.
    """
    given = json.loads(sys.argv[1])
    component = Component(
        transports=given["router"],
        realm="realm1",
        authentication={"ticket": {"authid": "feed", "ticket": given["ticket"]}},
    )

    def echo(data: bytes) -> bytes:
        return data

    def ready(*_: object) -> None:
        print(json.dumps({"event": "listening", "port": 0}), flush=True)

    component.register("com.example.feed.echo", RegisterOptions(invoke="roundrobin"))(echo)
    component.on("ready", ready)
    component.start(_installed)
    StandardIO(EndOfInput())
    reactor.run()


main()
