"""
The TestSuite itself, served by its C{wstest}; run as a process by Python 2.7.

It takes options as JSON: C{cases}, and C{reports}, the directory to write to when a client asks for
C{/updateReports}.  It reports C{listening} as the servers of the integration tests do.
"""

# Python 2.7 has no annotations.
# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs

from __future__ import print_function  # noqa: UP010

import json
import os
import sys

# First of all, as it wants to choose the reactor.
from autobahntestsuite import wstest  # type: ignore[import-not-found]  # isort: skip
from autobahntestsuite import fuzzing  # isort: skip
from twisted.internet import reactor, stdio
from twisted.internet.protocol import Protocol


class Lifeline(Protocol):
    """
    Ends this process when the one that has started it is gone.
    """

    def connectionLost(self, _):
        reactor.stop()


def start(options, events):
    """
    Do what C{wstest -m fuzzingserver} does, on any free port, and on loopback only.
    """

    def listen_on_loopback(factory, _):
        port = reactor.listenTCP(0, factory, 50, "127.0.0.1").getHost().port
        # It compares the request's Host header with these.
        factory.port = factory.externalPort = port
        print(json.dumps({"event": "listening", "port": port}), file=events)
        events.flush()

    stdio.StandardIO(Lifeline())
    fuzzing.listenWS = listen_on_loopback
    wstest.start(
        {"mode": "fuzzingserver", "webport": 0},
        {
            "url": "ws://127.0.0.1:9001",
            "outdir": options["reports"],
            "cases": options["cases"],
            "exclude-cases": [],
            "exclude-agent-cases": {},
        },
    )


if __name__ == "__main__":
    # What it prints itself is not for who reads the events.
    events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    start(json.loads(sys.argv[1]), events)
