"""
The confirmations that a command waits for: how many at once, how long, and what became of them.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from wsmultipool import DeliveryUnknown, PoolClosed
from wsmultipool._commands.confirmations import Confirmations


class Sending:
    """
    Confirmations with a time limit of 4 s, and messages that wait for theirs.
    """

    def __init__(self, messages: int = 0) -> None:
        self.clock = Clock()
        self.reasons: list[str] = []
        self.confirmations = Confirmations(self.clock, 4.0, lambda: False, self.reasons.append)
        self.sent: list[Deferred[int]] = []
        for _ in range(messages):
            self.send()

    def send(self) -> Deferred[None]:
        """
        Send one more as soon as there is room; the Deferred fires when it was sent.
        """

        async def when_there_is_room() -> None:
            await self.confirmations.room()
            message: Deferred[int] = Deferred()
            self.sent.append(message)
            self.confirmations.follow(message)

        return Deferred.fromCoroutine(when_there_is_room())

    def settled(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.confirmations.settled())


def test_everything_confirmed() -> None:
    """When the last one is confirmed, all is settled, and no timer runs."""
    sending = Sending(3)
    settled = sending.settled()
    outcomes = []
    for message in sending.sent:
        outcomes.append(settled.called)
        message.callback(0)
    assert [*outcomes, settled.called] == [False, False, False, True]
    assert str(sending.confirmations) == "3 confirmed, 0 unknown"
    assert not sending.clock.getDelayedCalls()
    assert sending.reasons == []


def test_no_confirmation_comes() -> None:
    """A wait for confirmations ends when none has come for the time given, and says so."""
    sending = Sending(2)
    sending.clock.advance(3.0)
    sending.sent[0].callback(0)
    sending.clock.advance(3.9)
    assert sending.reasons == []
    sending.clock.advance(0.1)
    assert sending.reasons == ["no message was confirmed within 4 s"]


def test_time_without_messages_does_not_count() -> None:
    """While nothing waits for a confirmation, none is late."""
    sending = Sending(1)
    sending.sent[0].callback(0)
    sending.settled()
    sending.clock.advance(100.0)
    assert sending.reasons == []
    Sending(0).clock.advance(100.0)


def test_what_is_left_is_told_apart() -> None:
    """What may have arrived, and what certainly has not, are counted each."""
    sending = Sending(3)
    sending.sent[0].callback(0)
    sending.clock.advance(4.0)
    sending.confirmations.stop()
    sending.sent[1].errback(DeliveryUnknown(1, 2, b"data"))
    sending.sent[2].errback(PoolClosed())
    assert str(sending.confirmations) == "1 confirmed, 1 unknown, 1 not sent"
    assert sending.reasons == ["no message was confirmed within 4 s"]


def test_a_message_that_will_not_be_confirmed() -> None:
    """The first that fails is reported at once; of the others it is enough to count them."""
    sending = Sending(2)
    for message in sending.sent:
        message.errback(DeliveryUnknown(1, 3, b"data"))
    assert sending.reasons == [
        "a message was not confirmed: "
        "a message of 4 bytes was written 3 times and may have arrived, or not"
    ]
    assert sending.confirmations.unknown == 2
    assert not sending.clock.getDelayedCalls()


def test_a_thousand_at_once() -> None:
    """So many may wait for their confirmation; the next one goes when one of them has it."""
    sending = Sending(1000)
    sending.send()
    assert len(sending.sent) == 1000
    sending.sent[500].callback(0)
    assert len(sending.sent) == 1001
