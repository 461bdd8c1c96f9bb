"""
Who listens to a pool by iterating, and who wants nothing to be read from its sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ._streams import MessageStream

if TYPE_CHECKING:
    from .events import EventEmitter


class Listening:
    """
    The iterators over received messages of one pool, and the holds on reading.

    @param events: where messages come from.
    @param set_reading: called with false when somebody begins to hold reading, and with true when
        nobody does any more.
    """

    def __init__(self, events: EventEmitter, set_reading: Callable[[bool], None]) -> None:
        self._events = events
        self._set_reading = set_reading
        self._streams: set[MessageStream] = set()
        self._holders: set[object] = set()
        self._ended = False

    def stream(self) -> MessageStream:
        """
        @return: an iterator over what arrives from now on; one that is at its end, after L{end}.
        """
        stream = MessageStream(self._events, self.hold, self._streams.discard)
        self._streams.add(stream)
        if self._ended:
            stream.end()
        return stream

    def end(self) -> None:
        """Nothing will arrive any more."""
        self._ended = True
        for stream in list(self._streams):
            stream.end()

    def hold(self, holder: object, hold: bool) -> None:
        """Begin or cease to hold reading, which goes on when nobody holds it any more."""
        before = bool(self._holders)
        (self._holders.add if hold else self._holders.discard)(holder)
        if bool(self._holders) != before:
            self._set_reading(not self._holders)
