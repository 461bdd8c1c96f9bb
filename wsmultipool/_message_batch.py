"""
Messages that arrived together, handed out one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import length_hint


class MessageBatch:
    """
    Iterate over it to take the payloads, each once.

    That messages must stop in the middle of a batch, because a handler paused the pool or closed
    the connection, is nothing that who takes them has to look for, which would cost time for each:
    the rest is withdrawn, and the iteration ends.

    @ivar is_binary: whether they are binary or text.
    """

    __slots__ = ("_payloads", "_rest", "is_binary")

    def __init__(self, payloads: list[bytes], is_binary: bool) -> None:
        self.is_binary = is_binary
        self._payloads = payloads
        self._rest = iter(payloads)

    def __iter__(self) -> Iterator[bytes]:
        return self._rest

    @property
    def messages_taken(self) -> int:
        """How many were taken so far."""
        return len(self._payloads) - length_hint(self._rest)

    @property
    def bytes_taken(self) -> int:
        """How many bytes these have."""
        return sum(map(len, self._payloads[: self.messages_taken]))

    def withdraw(self) -> list[bytes]:
        """
        Let no more be taken.

        @return: what was not.
        """
        taken = self.messages_taken
        rest = list(self._rest)
        del self._payloads[taken:]
        return rest
