"""
Peers that answer pings wrongly, late, twice, unasked or not at all, and what is confirmed by that.
"""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from wsmultipool import FlushTimeout, noop_logger
from wsmultipool.testing import MemoryPool

from .fuzzing.examples import hold
from .fuzzing.pongs import pongs
from .support import error_of, outcome


def unanswered() -> tuple[MemoryPool, Deferred[int]]:
    """
    A pool with a confirmed message under way to a peer that does not read any more.
    """
    memory = MemoryPool(pool_size=1, logger=noop_logger)
    memory.open()
    memory.server.peers[0].stop_reading()
    sent = memory.pool.send("nobody answers", confirm=True)
    memory.settle()
    return memory, sent


def test_nothing_is_confirmed_without_the_pong_to_a_ping_behind_it() -> None:
    """Whatever peers do with pings, who is told that a message arrived is told the truth."""
    hold(pongs, 80, shrink=False)


@pytest.mark.parametrize("guess", [b"", b"\x00" * 8, b"nobody answers", b"wsmultipool 1"])
def test_pongs_that_nobody_asked_for_confirm_nothing(guess: bytes) -> None:
    """A peer that sends pongs at random has proven nothing, not even of a user's own ping."""
    memory, sent = unanswered()
    settled = outcome(sent)
    flushed = outcome(memory.pool.flush())
    memory.pool.ping(guess).addErrback(lambda _: None)
    memory.server.peers[0].pong(guess)
    memory.settle()
    assert not settled
    assert not flushed
    memory.pool.destroy()
    memory.settle()


def test_flush_gives_up_in_time_when_no_pong_comes() -> None:
    """The timeout of a flush holds while it waits for a pong, too."""
    memory, sent = unanswered()
    flushed = memory.pool.flush(timeout=2)
    memory.advance(2)
    assert isinstance(error_of(flushed), FlushTimeout)
    memory.pool.destroy()
    memory.settle()
    assert isinstance(outcome(sent)[0], Failure)


def test_flush_can_be_cancelled_while_no_pong_comes() -> None:
    """Who does not want to wait any longer need not."""
    memory, sent = unanswered()
    flushed = memory.pool.flush()
    flushed.cancel()
    assert isinstance(error_of(flushed), CancelledError)
    memory.pool.destroy()
    memory.settle()
    assert isinstance(outcome(sent)[0], Failure)
