"""
The TestSuite's cases, served by C{kosoku}; run as a process by the tests.

It takes options as JSON, C{cases} among them, and reports as the other servers of the integration
tests do: C{listening}, and C{verdicts} when a client has asked for C{/updateReports}.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import threading
from typing import Any

import kosoku
from kosoku._caseindex import initialize_shims

# A case gives its peer one second, mostly, and then fails.  A busy machine can take that long for
# anything, and no test may fail because of that: what depends on the clock is slowed down.
PATIENCE = 20
# This is a pause, which costs its time whatever the peer does.  Another peer than one which fails
# fast, as the four cases with invalid UTF-8 want it, is told from it by this.
LONGER_PAUSE = 3


class Patient:
    """
    Stands between a case and the connection it runs on, and slows its clock down.
    """

    def __init__(self, connection: Any) -> None:
        vars(self)["connection"] = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.connection, name, value)

    def killAfter(self, seconds: float) -> None:
        self.connection.killAfter(seconds * PATIENCE)

    def closeAfter(self, seconds: float) -> None:
        self.connection.closeAfter(seconds * PATIENCE)

    def continueLater(self, seconds: float, *what: object) -> None:
        self.connection.continueLater(seconds * LONGER_PAUSE, *what)


def be_patient() -> None:
    """
    Let every case run on a L{Patient} connection.
    """
    initialize_shims()  # now "case" can be imported
    case = importlib.import_module("case").Case
    original = case.__init__

    def __init__(self: Any, connection: Any) -> None:
        original(self, Patient(connection))

    case.__init__ = __init__


def report(event: str, **details: object) -> None:
    print(json.dumps({"event": event, **details}), flush=True)


def end_with_parent() -> None:
    """
    End this process when the one that has started it, and has its standard input, is gone.
    """
    while os.read(0, 1024):
        pass
    os._exit(1)


async def main(options: dict[str, Any]) -> None:
    be_patient()
    serving = kosoku.run_fuzzingserver(options["cases"], host="127.0.0.1", port=0)
    async with serving as server:
        report("listening", port=server.port)
        try:
            results = await server.get_result()
        except kosoku.FailureError as failure:
            results = failure.results
    verdicts = {
        result.case_id: (result.behavior.value, result.behavior_close.value) for result in results
    }
    report("verdicts", verdicts=verdicts)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    asyncio.run(main(json.loads(sys.argv[1])))
