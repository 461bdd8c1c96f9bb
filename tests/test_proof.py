"""
Tests for L{wsmultipool._proof}.
"""

from __future__ import annotations

from typing import cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wsmultipool._confirmation import Confirmation
from wsmultipool._message_kinds import ConfirmedMessage, payload_size
from wsmultipool._proof import ProofOfReceipt, Unconfirmed
from wsmultipool.interfaces import IWebSocketWire
from wsmultipool.messages import AnyMessage, Message


def confirmed(message: AnyMessage) -> bool:
    """
    Whether a message is to be confirmed.
    """
    return message[3] is not None if isinstance(message, tuple) else message.confirm


class Wire:
    """
    As much of a wire as its account needs: what it has taken and not written.

    @ivar total: the account of the pool.
    @ivar proof: the account of this one.
    """

    def __init__(self, total: Unconfirmed | None = None) -> None:
        self.total = total or Unconfirmed()
        self.proof = ProofOfReceipt(self.total, cast(IWebSocketWire, self))
        self.queue: list[AnyMessage] = []

    @property
    def queued_messages(self) -> int:
        return len(self.queue)

    @property
    def queued_confirmed(self) -> int:
        return sum(map(confirmed, self.queue))

    def take(self, message: AnyMessage) -> AnyMessage:
        """Queue a message."""
        if confirmed(message):
            self.total.messages += 1
            self.total.size += payload_size(message)
        self.queue.append(message)
        return message

    def plain(self) -> AnyMessage:
        """Queue a message of which nothing special is asked."""
        return self.take((b"plain", True, 1, None, None))

    def confirmed(self, payload: bytes) -> AnyMessage:
        """Queue a message of which nothing but a confirmation is asked."""
        return self.take((payload, True, 1, Confirmation(), None))

    def special(self, payload: bytes) -> Message:
        """Queue one of which more is asked."""
        message = ConfirmedMessage(payload, True, key="key")
        self.take(message)
        return message

    def write(self) -> None:
        """Write what is queued."""
        messages, self.queue = self.queue, []
        count = sum(map(confirmed, messages))
        self.proof.writes(messages, sum(map(payload_size, messages)), count)

    def unconfirmed(self) -> tuple[int, int]:
        """Return what the pool has unconfirmed: messages, and bytes."""
        return self.total.messages, self.total.size


def test_a_new_websocket_has_nothing_to_prove() -> None:
    """Nothing was taken, nothing is unconfirmed, and no ping is due."""
    wire = Wire()
    for proof in (wire.proof, ProofOfReceipt(wire.total)):
        assert (proof.taken, proof.proven, proof.unconfirmed, proof.unknown) == (0, 0, 0, 0)
        assert not proof.ping_due
        assert proof.proved(0) == []
        assert proof.give_up() == []
    assert wire.unconfirmed() == (0, 0)


def test_a_plain_message_is_unknown_until_a_pong() -> None:
    """Nobody asked for its confirmation, so no ping is due; a pong proves it all the same."""
    wire = Wire()
    wire.plain()
    wire.write()
    proof = wire.proof
    assert not proof.ping_due
    assert (proof.unknown, proof.unconfirmed, wire.unconfirmed()) == (1, 0, (0, 0))
    assert proof.proved(proof.mark()) == []
    assert (proof.unknown, proof.proven) == (0, 1)


def test_a_confirmed_message_wants_a_ping() -> None:
    """Until one was sent behind it; the pong of that one confirms it."""
    wire = Wire()
    message = wire.confirmed(b"abc")
    due = [wire.proof.ping_due]
    mark = wire.proof.mark()
    due.append(wire.proof.ping_due)
    wire.write()
    due.append(wire.proof.ping_due)
    assert due == [True, False, False]
    proof = wire.proof
    assert (proof.unconfirmed, proof.unknown, wire.unconfirmed()) == (1, 0, (1, 3))
    assert proof.unconfirmed_size == 3
    assert proof.proved(mark) == [message]
    assert (proof.unconfirmed, proof.unknown, wire.unconfirmed()) == (0, 0, (0, 0))
    assert proof.unconfirmed_size == 0


def test_a_pong_confirms_only_what_was_taken_before_its_ping() -> None:
    """Messages behind the ping wait for another one, though one write took all of them."""
    wire = Wire()
    first, second = wire.confirmed(b"1"), wire.confirmed(b"22")
    mark = wire.proof.mark()
    third = wire.confirmed(b"333")
    assert wire.proof.ping_due
    wire.write()
    assert wire.proof.proved(mark) == [first, second]
    assert (wire.proof.unconfirmed, wire.unconfirmed()) == (1, (1, 3))
    assert wire.proof.proved(wire.proof.mark()) == [third]


def test_a_pong_confirms_what_several_writes_took() -> None:
    """Oldest first, whatever was asked of them, and with others between them."""
    wire = Wire()
    first = wire.confirmed(b"1")
    wire.write()
    wire.plain()
    second, third = wire.special(b"22"), wire.confirmed(b"333")
    wire.plain()
    wire.write()
    assert wire.proof.unconfirmed_size == 6
    assert wire.proof.proved(3) == [first, second]
    assert (wire.proof.unconfirmed_size, wire.unconfirmed()) == (3, (1, 3))
    assert wire.proof.proved(5) == [third]
    assert wire.unconfirmed() == (0, 0)


def test_the_pong_of_an_older_ping_takes_nothing_back() -> None:
    """Pongs in the wrong order, or twice, confirm each message once."""
    wire = Wire()
    wire.confirmed(b"1")
    first = wire.proof.mark()
    wire.confirmed(b"2")
    second = wire.proof.mark()
    wire.write()
    assert len(wire.proof.proved(second)) == 2
    assert wire.proof.proved(first) == []
    assert wire.proof.proved(second) == []
    assert wire.proof.proven == 2


def test_what_is_queued_is_taken() -> None:
    """A ping behind it comes behind it."""
    wire = Wire()
    wire.plain()
    wire.write()
    wire.plain()
    wire.confirmed(b"third")
    assert (wire.proof.taken, wire.proof.unconfirmed, wire.proof.unknown) == (3, 1, 2)
    assert wire.proof.mark() == 3


def test_what_was_not_written_is_given_back() -> None:
    """It counts as not taken, and is not unconfirmed any more."""
    wire = Wire()
    written = wire.confirmed(b"1")
    mark = wire.proof.mark()
    wire.write()
    unwritten = [Message(b"plain", True), ConfirmedMessage(b"22", True)]
    for message in unwritten:
        wire.take(message)
    wire.queue.clear()
    wire.total.give_back(unwritten)
    assert (wire.proof.taken, wire.proof.unconfirmed, wire.unconfirmed()) == (1, 1, (1, 1))
    assert wire.proof.proved(mark) == [written]
    assert wire.proof.unknown == 0


def test_what_nobody_knows_of_is_returned_at_the_end() -> None:
    """The confirmed messages without a pong, oldest first; plain ones are only counted."""
    wire = Wire()
    wire.confirmed(b"confirmed")
    wire.plain()
    mark = wire.proof.mark()
    wire.write()
    wire.proof.proved(mark)
    confirmation = Confirmation()
    wire.take((b"1", False, 7, confirmation, None))
    special = wire.special(b"22")
    wire.plain()
    wire.write()
    assert wire.proof.unknown == 1
    lost, also_lost = wire.proof.give_up()
    assert (lost.payload, lost.is_binary, lost.sequence) == (b"1", False, 7)
    assert (lost.deferred, lost.deliveries) == (confirmation, 1)
    assert also_lost is special
    assert (wire.proof.unconfirmed, wire.proof.unconfirmed_size) == (0, 0)
    assert wire.unconfirmed() == (0, 0)


def test_the_websockets_of_a_pool_share_one_sum() -> None:
    """The limit is on what the whole pool keeps."""
    one = Wire()
    two = Wire(one.total)
    one.confirmed(b"1")
    two.confirmed(b"22")
    one.write()
    two.write()
    assert one.unconfirmed() == (2, 3)
    one.proof.give_up()
    assert one.unconfirmed() == (1, 2)


def test_the_oldest_message_without_its_pong() -> None:
    """Its place among all that were written, as long as there is one to be confirmed."""
    wire = Wire()
    wire.plain()
    wire.confirmed(b"1")
    oldest = [wire.proof.oldest_unconfirmed]
    mark = wire.proof.mark()
    wire.write()
    wire.confirmed(b"2")
    wire.write()
    oldest.append(wire.proof.oldest_unconfirmed)
    wire.proof.proved(mark)
    oldest.append(wire.proof.oldest_unconfirmed)
    wire.proof.give_up()
    oldest.append(wire.proof.oldest_unconfirmed)
    assert oldest == [None, 2, 3, None]


class Account(RuleBasedStateMachine):
    """
    An account, beside a plain list of what was taken.
    """

    def __init__(self) -> None:
        super().__init__()
        self.wire = Wire()
        self.taken: list[AnyMessage] = []
        self.marks: list[int] = []
        self.proven = 0
        self.confirmed: list[AnyMessage] = []

    @rule(payload=st.binary(max_size=4), kind=st.sampled_from(["plain", "confirmed", "special"]))
    def take(self, payload: bytes, kind: str) -> None:
        """A message is taken, plain or confirmed."""
        wire = self.wire
        message = wire.plain() if kind == "plain" else getattr(wire, kind)(payload)
        self.taken.append(message)

    @rule()
    def write(self) -> None:
        """What is queued is written."""
        self.wire.write()

    @rule()
    def ping(self) -> None:
        """A ping is queued behind everything."""
        self.marks.append(self.wire.proof.mark())
        assert self.marks[-1] == len(self.taken)

    @precondition(lambda self: self.answerable())
    @rule(data=st.data())
    def pong(self, data: st.DataObject) -> None:
        """Any ping that was written is answered, perhaps again."""
        mark = data.draw(st.sampled_from(self.answerable()))
        expected = self.waiting(mark)
        self.proven = max(self.proven, mark)
        assert self.wire.proof.proved(mark) == expected
        self.confirmed += expected

    def answerable(self) -> list[int]:
        """The marks of the pings that may have been written."""
        return [mark for mark in self.marks if mark <= self.wire.proof.written]

    def waiting(self, end: int | None = None) -> list[AnyMessage]:
        """What the list says waits for a pong."""
        return [m for m in self.taken[self.proven : end] if confirmed(m)]

    @invariant()
    def counts_are_right(self) -> None:
        """The counts are those of the list."""
        proof, waiting = self.wire.proof, self.waiting()
        assert proof.unconfirmed == len(waiting)
        assert self.wire.unconfirmed() == (len(waiting), sum(map(payload_size, waiting)))
        written = self.waiting(proof.written)
        assert proof.unconfirmed_size == sum(map(payload_size, written))
        assert (proof.taken, proof.proven) == (len(self.taken), self.proven)
        assert proof.unknown == len(self.taken) - self.proven - len(waiting)
        marked = max(self.marks, default=0)
        assert proof.ping_due == any(map(confirmed, self.taken[marked:]))
        assert len(set(map(id, self.confirmed))) == len(self.confirmed)

    def teardown(self) -> None:
        """What is left at the end is what no pong has confirmed."""
        self.wire.write()
        payloads = [m[0] if isinstance(m, tuple) else m.payload for m in self.waiting()]
        assert [message.payload for message in self.wire.proof.give_up()] == payloads
        assert self.wire.unconfirmed() == (0, 0)


Account.TestCase.settings = settings(derandomize=True, deadline=None, stateful_step_count=40)


class TestAccount(Account.TestCase):  # type: ignore[misc, valid-type]
    """
    Whatever is taken, written and answered: each message is confirmed once, or left at the end.
    """
