"""
Tests for L{wsmultipool._message_batch}.
"""

from __future__ import annotations

from wsmultipool._message_batch import MessageBatch


def test_payloads_are_handed_out_in_order() -> None:
    """Who iterates gets all messages, once, and what was taken is counted at any time."""
    batch = MessageBatch([b"a", b"bc", b""], True)
    assert (batch.messages_taken, batch.bytes_taken) == (0, 0)
    taken = []
    for number, payload in enumerate(batch, 1):
        taken.append(payload)
        assert batch.messages_taken == number
        assert batch.bytes_taken == sum(map(len, taken))
    assert taken == [b"a", b"bc", b""]
    assert list(batch) == []
    assert batch.is_binary


def test_what_is_withdrawn_is_not_handed_out() -> None:
    """A withdrawal in the middle ends the iteration, and what was taken stays counted."""
    batch = MessageBatch([b"1", b"22", b"333", b"4444"], False)
    taken = []
    for payload in batch:
        taken.append(payload)
        if payload == b"22":
            assert batch.withdraw() == [b"333", b"4444"]
    assert taken == [b"1", b"22"]
    assert (batch.messages_taken, batch.bytes_taken) == (2, 3)
    assert batch.withdraw() == []
    assert not batch.is_binary
