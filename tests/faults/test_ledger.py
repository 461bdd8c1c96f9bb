"""
The ledger counts right: otherwise everything that is said with it is worth nothing.
"""

from __future__ import annotations

import pytest

from .ledger import Account, Ledger


def account_of(ledger: Ledger) -> dict[str, object]:
    """Return the counts that are not zero, and the failures if there are some."""
    return {name: count for name, count in vars(ledger.account()).items() if count}


def test_nothing_sent() -> None:
    """An empty ledger has nothing but zeros."""
    assert Ledger(10).account() == Account(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, {})


def test_delivered_and_confirmed() -> None:
    """A message that succeeded and arrived once is where it should be."""
    ledger = Ledger(10)
    ledger.succeeded(ledger.begin())
    ledger.arrived(0)

    assert account_of(ledger) == {"sent": 1, "succeeded": 1, "delivered": 1}


def test_never_settled() -> None:
    """A message of which the pool said nothing is never settled, whether or not it arrived."""
    ledger = Ledger(10)
    ledger.begin()
    ledger.begin()
    ledger.arrived(1)

    assert account_of(ledger) == {
        "sent": 2,
        "never_settled": 2,
        "delivered": 1,
        "not_delivered": 1,
    }


def test_duplicates() -> None:
    """Each arrival after the first is a duplicate, however many there are."""
    ledger = Ledger(10)
    ledger.succeeded(ledger.begin())
    for _ in range(300):
        ledger.arrived(0)

    assert account_of(ledger) == {"sent": 1, "succeeded": 1, "delivered": 1, "duplicates": 299}


def test_silently_lost() -> None:
    """A message that succeeded and did not arrive is lost silently."""
    ledger = Ledger(10)
    ledger.succeeded(ledger.begin())

    assert account_of(ledger) == {
        "sent": 1,
        "succeeded": 1,
        "not_delivered": 1,
        "silently_lost": 1,
    }


def test_failed_with_what() -> None:
    """Failures are counted by their type; those that arrived all the same, besides."""
    ledger = Ledger(10)
    for error in (KeyError(), ValueError("x"), ValueError("y")):
        ledger.failed(ledger.begin(), error)
    ledger.arrived(1)

    assert account_of(ledger) == {
        "sent": 3,
        "failed": 3,
        "delivered": 1,
        "not_delivered": 2,
        "failed_but_delivered": 1,
        "failures": {"KeyError": 1, "ValueError": 2},
    }


def test_settled_twice() -> None:
    """A second word about one message is an error of whoever says it."""
    ledger = Ledger(10)
    ledger.succeeded(ledger.begin())

    with pytest.raises(ValueError, match="message 0 is settled twice"):
        ledger.failed(0, ValueError())


def test_damaged() -> None:
    """What arrives and was never sent is damaged."""
    ledger = Ledger(10)
    ledger.succeeded(ledger.begin())
    ledger.arrived(None)
    ledger.arrived(1)

    assert ledger.account().damaged == 2
    assert ledger.account().delivered == 0


def test_more_than_there_may_be() -> None:
    """The ledger does not grow."""
    ledger = Ledger(1)
    ledger.begin()

    with pytest.raises(ValueError, match="no more than 1"):
        ledger.begin()


def test_keys_take_turns() -> None:
    """Messages are spread over the keys; without keys they have none."""
    assert [Ledger(4, keys=3).key_of(number) for number in range(4)] == [0, 1, 2, 0]
    assert Ledger(4).key_of(1) is None


@pytest.mark.parametrize(
    ("arrivals", "out_of_order"),
    [
        pytest.param([0, 1, 2, 3, 4, 5], 0, id="in-order"),
        pytest.param([1, 0, 3, 2], 0, id="of-different-keys"),
        pytest.param([0, 4], 0, id="with-a-gap"),
        pytest.param([0, 2, 0, 2, 4], 0, id="repeated"),
        pytest.param([2, 0], 1, id="overtaken"),
        pytest.param([4, 0, 2, 6], 2, id="overtaken-by-one"),
        pytest.param([2, 0, 0], 1, id="overtaken-and-repeated"),
    ],
)
def test_order_of_each_key(arrivals: list[int], out_of_order: int) -> None:
    """Of each key, first arrivals are to be in order; what is repeated does not matter."""
    ledger = Ledger(10, keys=2)
    for _ in range(8):
        ledger.begin()
    for number in arrivals:
        ledger.arrived(number)

    assert ledger.account().out_of_order == out_of_order


def test_order_without_keys() -> None:
    """Messages without a key have no order."""
    ledger = Ledger(10)
    for _ in range(2):
        ledger.begin()
    ledger.arrived(1)
    ledger.arrived(0)

    assert ledger.account().out_of_order == 0
