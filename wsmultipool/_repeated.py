"""
What happens again and again, and often to several connections at once, as one thing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Repeated"]

_MOST_CONNECTIONS = 8


@dataclass(slots=True)
class Repeated:
    """
    One thing that happened, perhaps several times.

    @ivar at: when it did last.
    @ivar text: what it is.
    @ivar times: how often it happened.
    @ivar connections: the first of those that it happened to; empty for the pool as a whole.
    """

    at: float
    text: str
    times: int = 0
    connections: list[int] = field(default_factory=list)

    def again(self, now: float, connection_id: int | None) -> None:
        """It happens."""
        self.at = now
        self.times += 1
        named = self.connections
        if connection_id is not None and connection_id not in named:
            named[_MOST_CONNECTIONS:] = [connection_id]

    @property
    def subject(self) -> str:
        """The connections that it happened to, in words; empty for the pool as a whole."""
        named = self.connections[:_MOST_CONNECTIONS]
        if len(named) <= 1:
            return "".join(f"connection {each}" for each in named)
        more = "\u2026" if len(self.connections) > _MOST_CONNECTIONS else ""
        return f"connections {', '.join(map(str, sorted(named)))}{more}"
