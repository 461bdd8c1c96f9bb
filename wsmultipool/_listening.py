"""
Who listens to a pool by iterating, and who wants nothing to be read from its sockets.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

from ._streams import Inbox, MessageStream

if TYPE_CHECKING:
    from .events import EventEmitter


class Listening:
    """
    The iterators over received messages of one pool, and the holds on reading.

    @param events: where messages come from.
    @param set_reading: called with false when somebody begins to hold reading, and with true when
        nobody does any more.
    @param call: called in any thread, has a function called in the reactor's.
    @param left: called when an iterator has ended because nobody refers to it any more.
    """

    def __init__(
        self,
        events: EventEmitter,
        set_reading: Callable[[bool], None],
        call: Callable[[Callable[[], None]], None],
        left: Callable[[], None],
    ) -> None:
        self._events = events
        self._set_reading = set_reading
        self._call = call
        self._left = left
        # Weak: an iterator that nobody but the pool refers to is not used any more.
        self._iterators: dict[Inbox, ref[MessageStream]] = {}
        self._holders: set[object] = set()
        self._ended = False

    def stream(self) -> MessageStream:
        """
        @return: an iterator over what arrives from now on; one that is at its end, after L{end}.
        """
        inbox = Inbox(self._events, self.hold, self._forget)
        stream = MessageStream(inbox)
        self._iterators[inbox] = ref(stream, partial(self._collected, inbox))
        if self._ended:
            inbox.end()
        return stream

    def _forget(self, inbox: Inbox) -> None:
        del self._iterators[inbox]

    def _collected(self, inbox: Inbox, _: ref[MessageStream]) -> None:
        """
        Its iterator is gone.  Python says so in whatever thread, at whatever moment it noticed.
        """
        if not sys.is_finalizing():
            self._call(partial(self._close, inbox))

    def _close(self, inbox: Inbox) -> None:
        if not inbox.ended:
            inbox.discard()
            self._left()

    def end(self) -> None:
        """Nothing will arrive any more."""
        self._ended = True
        for inbox in list(self._iterators):
            inbox.end()

    def hold(self, holder: object, hold: bool) -> None:
        """Begin or cease to hold reading, which goes on when nobody holds it any more."""
        before = bool(self._holders)
        (self._holders.add if hold else self._holders.discard)(holder)
        if bool(self._holders) != before:
            self._set_reading(not self._holders)
