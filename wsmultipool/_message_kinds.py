"""
Messages of which more is asked than that a connection takes them: to be confirmed, or to be on many
connections at once.
"""

from __future__ import annotations

from .messages import AnyMessage, Message, PlainMessage


class ConfirmedMessage(Message):
    """
    A message whose Deferred waits for the proof that the peer has received it.  Until then it is
    kept, to be sent again.
    """

    __slots__ = ()

    confirm = True

    @property
    def undecided(self) -> bool:
        """It is accepted for good once it was taken, and only its confirmation is still open."""
        return self.deferred is not None and not self.was_taken

    @property
    def settles_when_taken(self) -> bool:
        """Never: a pong settles it, or the loss of its connection."""
        return False


class SharedMessage(Message):
    """
    One message on many connections at once, by a broadcast: what can be done once for all of them
    is kept here.

    @ivar prepared: its payload, compressed, by the size of the window (RFC 7692, section 7.1.2).
    """

    __slots__ = ("prepared",)

    shared = True

    def __init__(self, payload: bytes, is_binary: bool, compress: bool | None, mask: bool) -> None:
        super().__init__(payload, is_binary, compress, mask)
        self.prepared: dict[int, bytes] = {}

    @property
    def is_for_pool(self) -> bool:
        """No: every connection has it already."""
        return False


def payload_size(message: AnyMessage) -> int:
    """How many bytes its payload has."""
    return len(message[0] if isinstance(message, tuple) else message.payload)


def to_message(plain: PlainMessage, deliveries: int = 0) -> Message:
    """
    Make of a plain message one that can wait for another connection, or be given up.

    @param deliveries: how often it was written.
    """
    payload, is_binary, sequence, confirmation, key = plain
    if sequence is None:
        return SharedMessage(payload, is_binary, None, True)
    if confirmation is None:
        return Message(payload, is_binary, key=key, sequence=sequence)
    message = ConfirmedMessage(payload, is_binary, key=key, sequence=sequence)
    message.was_taken = True
    message.deliveries = deliveries
    if not confirmation.called:  # else it was cancelled
        message.deferred = confirmation
        confirmation.message = message
    return message
