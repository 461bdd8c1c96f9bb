"""
The proxy as a process of its own, so that it does not stop whenever the pool is busy.

Its one argument is a JSON object with the C{port} of the server.  It writes one JSON object per
line to stdout, each with an C{event}, and obeys one JSON object per line from stdin, each with a
C{do}: C{target} sends new connections to another C{port}, C{idle} is answered when no whole link is
left, C{count} is answered by how many faults of each C{kind} have struck since the last time.
Whatever else is done is done to one link, by the method of that name of L{Link}: to the C{which}-th
of those that are whole, if there are any.  The end of stdin ends it.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any

from twisted.internet import reactor as _installed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import connectionDone
from twisted.internet.stdio import StandardIO
from twisted.internet.task import LoopingCall
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from .proxy import FaultProxy

reactor: Any = _installed


class Commands(LineOnlyReceiver):
    """
    What is said to the proxy, and what it says.
    """

    delimiter = b"\n"
    transport: Any

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy
        self._struck: Counter[str] = Counter()
        self._until_idle = LoopingCall(self._look_whether_idle)

    def lineReceived(self, line: bytes) -> None:
        command = json.loads(line)
        match command.pop("do"):
            case "target":
                self._proxy.port = command["port"]
                self.report("targeted")
            case "idle":
                self._until_idle.start(0.01)
            case "count":
                self.report("counted", struck=self._struck)
                self._struck.clear()
            case fault:
                kind = command.pop("kind")
                link = self._proxy.whole_link(command.pop("which"))
                if link is not None:
                    self._struck[kind] += 1
                    getattr(link, fault)(**command)

    def _look_whether_idle(self) -> None:
        links = list(self._proxy.links.values())
        if all(link.broken for link in links):
            # Nothing more comes through these, and of a black hole neither end may ever hear.
            for link in links:
                link.reset()
        if not self._proxy.links:
            self._until_idle.stop()
            self.report("idle")

    def report(self, event: str, **details: Any) -> None:
        self.transport.write(json.dumps({"event": event, **details}).encode("ascii") + b"\n")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if reactor.running:
            reactor.stop()


def main(options: dict[str, Any]) -> None:
    """
    Run until the end of stdin.
    """
    proxy = FaultProxy(reactor, options["port"])
    commands = Commands(proxy)
    StandardIO(commands)

    def listening(port: IListeningPort) -> None:
        commands.report("listening", port=port.getHost().port)  # type: ignore[attr-defined]

    TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(proxy).addCallback(listening)
    reactor.run()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
