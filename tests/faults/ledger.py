"""
What became of each message: what the pool said of it, and what the server saw of it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

_PENDING, _SUCCEEDED, _FAILED = range(3)
_MANY = 255


@dataclass(frozen=True)
class Account:
    """
    The counts of one run.

    @ivar sent: messages accepted by C{send}, or refused by it through their Deferred.
    @ivar succeeded: those whose Deferred fired.
    @ivar failed: those whose Deferred failed.
    @ivar never_settled: those whose Deferred did neither.
    @ivar delivered: those that arrived, intact, at least once.
    @ivar not_delivered: those that did not.
    @ivar duplicates: arrivals of messages that had arrived before.
    @ivar silently_lost: those that succeeded and did not arrive.
    @ivar failed_but_delivered: those that failed and arrived all the same.
    @ivar damaged: arrivals of something that was never sent.
    @ivar out_of_order: first arrivals of messages older than one of the same key that had arrived.
    @ivar failures: the failed, by the name of what they failed with.
    """

    sent: int
    succeeded: int
    failed: int
    never_settled: int
    delivered: int
    not_delivered: int
    duplicates: int
    silently_lost: int
    failed_but_delivered: int
    damaged: int
    out_of_order: int
    failures: dict[str, int] = field(default_factory=dict)


class Ledger:
    """
    Keeps two octets for each message, all of them from the beginning: it does not grow.

    @param most: how many messages there may be.
    @param keys: how many keys they are sent with; 0 for none.
    @ivar duplicates: arrivals of messages that had arrived before.
    """

    def __init__(self, most: int, keys: int = 0) -> None:
        self.sent = 0
        self.settled = 0
        self.damaged = 0
        self.failures: Counter[str] = Counter()
        self.most = most
        self._keys = keys
        self._said = bytearray(most)
        self._arrivals = bytearray(most)
        self._latest = [-1] * keys
        self.duplicates = 0
        self._out_of_order = 0

    def begin(self) -> int:
        """Return the number of the next message."""
        if self.sent == self.most:
            raise ValueError(f"there are to be no more than {self.most} messages")
        self.sent += 1
        return self.sent - 1

    def key_of(self, number: int) -> int | None:
        """Return the key to send a message with: the keys take turns."""
        return number % self._keys if self._keys else None

    def succeeded(self, number: int) -> None:
        """The Deferred of a message fired."""
        self._settle(number, _SUCCEEDED)

    def failed(self, number: int, error: BaseException) -> None:
        """The Deferred of a message failed."""
        self._settle(number, _FAILED)
        self.failures[type(error).__name__] += 1

    def _settle(self, number: int, said: int) -> None:
        if self._said[number] != _PENDING:
            raise ValueError(f"message {number} is settled twice")
        self._said[number] = said
        self.settled += 1

    def arrived(self, number: int | None) -> None:
        """
        The server has got a message.

        @param number: C{None} if what it got is none of ours.
        """
        if number is None or number >= self.sent:
            self.damaged += 1
            return
        arrivals = self._arrivals[number]
        if arrivals:
            self.duplicates += 1
        elif self._keys:
            key = number % self._keys
            if number < self._latest[key]:
                self._out_of_order += 1
            else:
                self._latest[key] = number
        self._arrivals[number] = min(arrivals + 1, _MANY)

    def account(self) -> Account:
        """Return the counts so far."""
        pairs = Counter(
            zip(self._said[: self.sent], map(bool, self._arrivals[: self.sent]), strict=True)
        )
        both = {
            said: pairs[said, False] + pairs[said, True] for said in (_PENDING, _SUCCEEDED, _FAILED)
        }
        delivered = sum(count for (_, arrived), count in pairs.items() if arrived)
        return Account(
            sent=self.sent,
            succeeded=both[_SUCCEEDED],
            failed=both[_FAILED],
            never_settled=both[_PENDING],
            delivered=delivered,
            not_delivered=self.sent - delivered,
            duplicates=self.duplicates,
            silently_lost=pairs[_SUCCEEDED, False],
            failed_but_delivered=pairs[_FAILED, True],
            damaged=self.damaged,
            out_of_order=self._out_of_order,
            failures=dict(self.failures),
        )
