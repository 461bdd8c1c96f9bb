"""
Tests for L{wsmultipool._proof}.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wsmultipool._message_kinds import ConfirmedMessage
from wsmultipool._proof import ProofOfReceipt, Unconfirmed
from wsmultipool.messages import Message


def account() -> tuple[ProofOfReceipt, Unconfirmed]:
    """
    Open the account of one WebSocket, and that of its pool.
    """
    total = Unconfirmed()
    return ProofOfReceipt(total), total


def take(proof: ProofOfReceipt, payload: bytes | None = None) -> Message:
    """
    Let a message be taken: one to be confirmed if it has a payload.
    """
    message = Message(b"plain", True)
    if payload is not None:
        message = confirmed = ConfirmedMessage(payload, True)
        proof.takes(confirmed)
    proof.written += 1
    return message


def give_back(proof: ProofOfReceipt, count: int) -> None:
    """
    Let so many messages, the latest, have been queued only, and be taken back.
    """
    proof.written -= count
    proof.give_back()


def sums(total: Unconfirmed) -> tuple[int, int]:
    """
    Return what a pool has unconfirmed: messages, and bytes.
    """
    return total.messages, total.size


def test_a_new_websocket_has_nothing_to_prove() -> None:
    """Nothing was taken, nothing is unconfirmed, and no ping is due."""
    proof, total = account()
    assert (proof.taken, proof.proven, proof.unconfirmed, proof.unknown) == (0, 0, 0, 0)
    assert not proof.ping_due
    assert sums(total) == (0, 0)
    assert proof.proved(0) == []
    assert proof.give_up() == []


def test_a_plain_message_is_unknown_until_a_pong() -> None:
    """Nobody asked for its confirmation, so no ping is due; a pong proves it all the same."""
    proof, total = account()
    take(proof)
    assert not proof.ping_due
    assert (proof.unknown, proof.unconfirmed, sums(total)) == (1, 0, (0, 0))
    assert proof.proved(proof.mark()) == []
    assert (proof.unknown, proof.proven) == (0, 1)


def test_a_confirmed_message_wants_a_ping() -> None:
    """Until one was sent behind it; the pong of that one confirms it."""
    proof, total = account()
    message = take(proof, b"abc")
    due = [proof.ping_due]
    mark = proof.mark()
    due.append(proof.ping_due)
    assert due == [True, False]
    assert (proof.unconfirmed, proof.unknown, sums(total)) == (1, 0, (1, 3))
    assert proof.unconfirmed_size == 3
    assert proof.proved(mark) == [message]
    assert (proof.unconfirmed, proof.unknown, sums(total)) == (0, 0, (0, 0))


def test_a_pong_confirms_only_what_was_taken_before_its_ping() -> None:
    """Messages behind the ping wait for another one."""
    proof, total = account()
    first, second = take(proof, b"1"), take(proof, b"22")
    mark = proof.mark()
    third = take(proof, b"333")
    assert proof.ping_due
    assert proof.proved(mark) == [first, second]
    assert (proof.unconfirmed, sums(total)) == (1, (1, 3))
    assert proof.proved(proof.mark()) == [third]


def test_the_pong_of_an_older_ping_takes_nothing_back() -> None:
    """Pongs in the wrong order, or twice, confirm each message once."""
    proof, _ = account()
    take(proof, b"1")
    first = proof.mark()
    take(proof, b"2")
    second = proof.mark()
    assert len(proof.proved(second)) == 2
    assert proof.proved(first) == []
    assert proof.proved(second) == []
    assert proof.proven == 2


def test_what_is_queued_is_taken() -> None:
    """A message has its place among those taken before it is written."""
    queued = 2
    proof = ProofOfReceipt(Unconfirmed(), lambda: queued)
    proof.written = 3
    message = ConfirmedMessage(b"third in the queue", True)
    proof.takes(message)
    queued += 1
    assert (message.position, proof.taken, proof.unknown) == (6, 6, 5)
    assert proof.mark() == 6


def test_what_was_not_written_is_given_back() -> None:
    """It counts as not taken, and is not unconfirmed any more."""
    proof, total = account()
    written = take(proof, b"1")
    mark = proof.mark()
    unwritten = [take(proof), take(proof, b"22"), take(proof, b"333")]
    give_back(proof, len(unwritten))
    assert (proof.taken, proof.unconfirmed, sums(total)) == (1, 1, (1, 1))
    assert proof.proved(mark) == [written]
    assert proof.unknown == 0


def test_giving_nothing_back_changes_nothing() -> None:
    """A connection may have written all that it took."""
    proof, total = account()
    take(proof, b"1")
    give_back(proof, 0)
    assert (proof.taken, proof.unconfirmed, sums(total)) == (1, 1, (1, 1))


def test_what_nobody_knows_of_is_returned_at_the_end() -> None:
    """The confirmed messages without a pong, oldest first; plain ones are only counted."""
    proof, total = account()
    take(proof, b"confirmed")
    take(proof)
    proof.proved(proof.mark())
    lost = [take(proof, b"1"), take(proof, b"22")]
    take(proof)
    assert proof.unknown == 1
    assert proof.give_up() == lost
    assert (proof.unconfirmed, sums(total)) == (0, (0, 0))


def test_the_websockets_of_a_pool_share_one_sum() -> None:
    """The limit is on what the whole pool keeps."""
    total = Unconfirmed()
    one, two = ProofOfReceipt(total), ProofOfReceipt(total)
    take(one, b"1")
    take(two, b"22")
    assert sums(total) == (2, 3)
    one.give_up()
    assert sums(total) == (1, 2)


class Account(RuleBasedStateMachine):
    """
    An account, beside a plain list of what was taken.
    """

    def __init__(self) -> None:
        super().__init__()
        self.proof, self.total = account()
        self.taken: list[Message] = []
        self.marks: list[int] = []
        self.proven = 0
        self.confirmed: list[Message] = []
        self.written = 0

    @rule(payload=st.one_of(st.none(), st.binary(max_size=4)))
    def take(self, payload: bytes | None) -> None:
        """A message is taken, plain or confirmed."""
        self.taken.append(take(self.proof, payload))

    @rule()
    def ping(self) -> None:
        """A ping is written behind everything."""
        self.marks.append(self.proof.mark())
        assert self.marks[-1] == len(self.taken)
        self.written = len(self.taken)

    @precondition(lambda self: self.marks)
    @rule(data=st.data())
    def pong(self, data: st.DataObject) -> None:
        """Any ping is answered, perhaps again."""
        mark = data.draw(st.sampled_from(self.marks))
        expected = self.waiting(mark)
        self.proven = max(self.proven, mark)
        assert self.proof.proved(mark) == expected
        self.confirmed += expected

    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        """What was not written, all or the latest of it, goes elsewhere."""
        kept = data.draw(st.integers(self.written, len(self.taken)))
        self.taken, unwritten = self.taken[:kept], self.taken[kept:]
        give_back(self.proof, len(unwritten))

    def waiting(self, end: int | None = None) -> list[Message]:
        """What the list says waits for a pong."""
        return [m for m in self.taken[self.proven : end] if m.confirm]

    @invariant()
    def counts_are_right(self) -> None:
        """The counts are those of the list."""
        waiting = self.waiting()
        plain = len(self.taken) - self.proven - len(waiting)
        assert self.proof.unconfirmed == self.total.messages == len(waiting)
        size = sum(len(message.payload) for message in waiting)
        assert self.total.size == self.proof.unconfirmed_size == size
        assert (self.proof.taken, self.proof.proven) == (len(self.taken), self.proven)
        assert self.proof.unknown == plain
        assert len(set(self.confirmed)) == len(self.confirmed)

    def teardown(self) -> None:
        """What is left at the end is what no pong has confirmed."""
        assert self.proof.give_up() == self.waiting()
        assert sums(self.total) == (0, 0)


Account.TestCase.settings = settings(derandomize=True, deadline=None, stateful_step_count=40)


class TestAccount(Account.TestCase):  # type: ignore[misc, valid-type]
    """
    Whatever is taken, answered and given back: each message is confirmed once, or left at the end.
    """
