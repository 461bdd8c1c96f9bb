"""
A component in a process of its own.

Its one argument is a JSON object: C{server}, C{router}, C{ticket}, C{serializer}, C{pool} for the
options of the pool, and C{offer} for those of the component.  It ends with its standard input.
"""

from __future__ import annotations

import json
import sys

from twisted.internet import reactor as _installed
from twisted.internet.interfaces import IReactorCore
from twisted.internet.protocol import Protocol
from twisted.internet.stdio import StandardIO
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.python.failure import Failure

from wsmultipool import ReconnectingPoolFactory
from wsmultipool.wamp import pool_component

reactor = IReactorCore(_installed)


class EndOfInput(Protocol):
    """
    Ends the process when nobody is there any more to tell it anything.
    """

    def connectionLost(self, reason: object = None) -> None:
        if reactor.running:
            reactor.stop()


def report(event: str, **details: object) -> None:
    """
    Tell the tests.
    """
    print(json.dumps({"event": event, **details}), flush=True)


def main() -> None:
    """
    Offer a pool until told to end.
    """
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    given = json.loads(sys.argv[1])
    pool = ReconnectingPoolFactory(given["server"], **{"pool_size": 4, **given.get("pool", {})})
    component = pool_component(
        pool,
        {"url": given["router"], "serializers": [given.get("serializer", "cbor")]},
        realm=given.get("realm", "realm1"),
        authentication={"ticket": {"authid": "feed", "ticket": given["ticket"]}},
        max_rejoin_delay=1.0,
        **given.get("offer", {}),
    )

    def ended(failure: Failure) -> None:
        report("refused", reason=str(failure.value))
        report("listening", port=0)

    component.start().addErrback(ended)
    component.on("join", lambda *_: report("listening", port=0))  # type: ignore[no-untyped-call]
    StandardIO(EndOfInput())
    reactor.run()


main()
