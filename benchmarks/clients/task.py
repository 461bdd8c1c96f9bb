"""
What one client process is told to do: one JSON object, the same for clients in Python and in Node.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Task:
    """
    @ivar client: which client, by the name of its module or class.
    @ivar measure: what to measure, by the name in L{benchmarks.clients.measures}.
    @ivar url: the server.
    @ivar authority: path of the certificate to trust, in PEM; C{None} without TLS.
    @ivar payload: bytes per message.
    @ivar connections: how many to open.
    @ivar seconds: how long to measure, about.
    @ivar plain: hide from wsmultipool what its extra C{fast} installs.
    """

    client: str
    measure: str
    url: str
    authority: str | None
    payload: int
    connections: int
    seconds: float
    plain: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Task:
        return cls(**json.loads(text))
