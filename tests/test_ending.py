"""
Tests for L{wsmultipool._ending}.
"""

from __future__ import annotations

import pytest

from wsmultipool._ending import Ending
from wsmultipool.errors import CloseTimeout, ConnectionClosed, ConnectionDropped


def ending(
    cause: Exception,
    *,
    open: bool = True,
    lasted: bool = True,
    wanted: bool = False,
    begun_here: bool = False,
) -> Ending:
    """
    Make the end of a connection that was open for long, unless told otherwise.
    """
    begun_here = begun_here or (isinstance(cause, ConnectionClosed) and not cause.by_peer)
    code = cause.code if isinstance(cause, ConnectionClosed) and cause.by_peer else 1006
    return Ending(
        cause, code, "", was_open=open, lasted=lasted, wanted=wanted, begun_here=begun_here
    )


DROPPED = ConnectionDropped("reset by peer")
BY_PEER = ConnectionClosed(1000)
BY_US = ConnectionClosed(1000, by_peer=False)
LATE = CloseTimeout(5)


@pytest.mark.parametrize(
    ("end", "is_error"),
    [
        (ending(BY_PEER), False),
        (ending(BY_US), False),
        (ending(DROPPED), True),
        (ending(LATE), True),
        (ending(BY_PEER, open=False), True),
        (ending(BY_US, open=False), True),
        (ending(BY_US, open=False, wanted=True), False),
        (ending(DROPPED, wanted=True), False),
        (ending(LATE, wanted=True), True),
    ],
)
def test_the_end_is_an_error_unless_it_was_in_order_or_wanted(end: Ending, is_error: bool) -> None:
    """An open connection may be closed; an attempt has failed; the pool may end either."""
    assert end.error is (end.cause if is_error else None)


def test_a_closing_handshake_is_told_from_other_ends() -> None:
    """What ended the connection, if that was one, and who began it."""
    assert ending(BY_PEER).closed is BY_PEER
    assert ending(BY_PEER).closed_by_peer
    assert ending(BY_US).closed is BY_US
    assert not ending(BY_US).closed_by_peer
    assert ending(DROPPED).closed is None
    assert not ending(DROPPED).closed_by_peer


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1012])
def test_a_server_that_is_through_or_restarts_is_no_trouble(code: int) -> None:
    """Such a close is read about only by those who read everything."""
    assert not ending(ConnectionClosed(code)).is_trouble


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1008, 1009, 1010, 1011, 1013, 3000, 4001])
def test_a_server_that_does_not_want_the_client_is_trouble(code: int) -> None:
    """However long it has taken to find that out."""
    assert ending(ConnectionClosed(code)).is_trouble


@pytest.mark.parametrize(
    ("end", "is_trouble"),
    [
        (ending(BY_PEER, lasted=False), True),
        (ending(BY_US, lasted=False), False),
        (ending(ConnectionClosed(4001), wanted=True), False),
        (ending(ConnectionClosed(4001, by_peer=False)), False),
        (ending(DROPPED), True),
        (ending(DROPPED, wanted=True), False),
        (ending(DROPPED, open=False, begun_here=True), False),
        (ending(LATE, begun_here=True), True),
    ],
)
def test_whether_the_end_is_trouble(end: Ending, is_trouble: bool) -> None:
    """What has failed is, and what ended at once; what this side wanted is not."""
    assert end.is_trouble is is_trouble
