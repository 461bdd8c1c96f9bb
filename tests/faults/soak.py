"""
Everything breaks at random, for minutes, under a steady stream of confirmed messages.

C{python -m tests.faults.soak --minutes 10} prints one line a minute, and in the end a summary; it
exits with 1 if a message was lost or never settled, or if something was left behind.  It says with
which seed the faults were drawn, and takes it with C{--seed}.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import SystemRandom

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from ..integration.peers import install_node_server
from ..integration.processes import PeerProcess
from ..integration.resident_memory import resident_bytes
from ..integration.running_reactor import reactor
from .breaker import breaking
from .ledger import Account, Ledger
from .numbered import number_of
from .plan import KINDS
from .scene import Scene, scene
from .sender import Sender
from .servers import proxy_process

# Without TLS nobody can notice all of this kind.
KINDS_OF_SOAK = tuple(name for name in KINDS if name != "corrupt to server")
_READ_EVERY = 0.25


@dataclass(frozen=True)
class Sample:
    """
    The state of the process at one time.

    @ivar second: since the beginning.
    @ivar resident: bytes of memory in use.
    @ivar descriptors: open file descriptors.
    @ivar delayed_calls: what is scheduled on the reactor.
    """

    second: float
    sent: int
    confirmed: int
    duplicates: int
    faults: int
    resident: int
    descriptors: int
    delayed_calls: int

    def __str__(self) -> str:
        """One line of the report."""
        return (
            f"{self.second:6.0f} s: sent {self.sent:,}, confirmed {self.confirmed:,},"
            f" duplicates {self.duplicates:,}, faults {self.faults:,},"
            f" RSS {self.resident / 2**20:.1f} MiB, descriptors {self.descriptors},"
            f" delayed calls {self.delayed_calls}"
        )


@dataclass(frozen=True)
class Soaked:
    """
    What came of it.

    @ivar left_descriptors: how many more there are afterwards than there were before.
    @ivar left_calls: the same of delayed calls.
    """

    seed: int
    account: Account
    faults: dict[str, int]
    samples: list[Sample] = field(default_factory=list)
    left_descriptors: int = 0
    left_calls: int = 0

    def problems(self) -> list[str]:
        """Return what is not as it should be; how memory develops is for the reader to judge."""
        account = self.account
        counts = {
            "not delivered": account.not_delivered,
            "failed": account.failed,
            "never settled": account.never_settled,
            "damaged": account.damaged,
            "descriptors left": max(0, self.left_descriptors),
            "delayed calls left": max(0, self.left_calls),
        }
        return [f"{name}: {count}" for name, count in counts.items() if count]


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0


class Soak:
    """
    One soak, on a scene.

    @param messages: how many to send.
    @param every: seconds between two samples.
    @param report: told of each sample.
    """

    def __init__(
        self, here: Scene, messages: int, every: float, report: Callable[[str], None]
    ) -> None:
        self.ledger = Ledger(messages)
        self.samples: list[Sample] = []
        self._here = here
        self._every = every
        self._report = report
        self._begun = reactor.seconds()

    async def run(self, rate: float, seed: int, period: float) -> Counter[str]:
        """Send everything, and return the faults that struck meanwhile."""
        sender = Sender(self._here.pool, self.ledger, confirm=True)
        async with breaking(self._here, KINDS_OF_SOAK, seed, period) as breaker:
            sending = Deferred.fromCoroutine(sender.send(self.ledger.most, rate))
            while not sending.called:
                await deferLater(reactor, _READ_EVERY)
                self._read()
                if reactor.seconds() - self._begun >= self._every * (len(self.samples) + 1):
                    await breaker.count()
                    self._sample(breaker.faults.total())
            await sending
        await sender.all_settled()
        return breaker.faults

    def _read(self) -> None:
        for payload in self._here.record.news():
            self.ledger.arrived(number_of(payload))

    def _sample(self, faults: int) -> None:
        sample = Sample(
            reactor.seconds() - self._begun,
            self.ledger.sent,
            self.ledger.settled - self.ledger.failures.total(),
            self.ledger.duplicates,
            faults,
            resident_bytes(),
            _descriptors(),
            len(reactor.getDelayedCalls()),
        )
        self.samples.append(sample)
        self._report(str(sample))

    async def account(self) -> Account:
        """Wait until nothing more can arrive."""
        await self._here.quiet()
        self._read()
        return self.ledger.account()


async def soak(
    proxy: PeerProcess,
    *,
    minutes: float,
    seed: int,
    rate: float = 5000.0,
    connections: int = 8,
    period: float = 0.1,
    server: str = "node",
    patient: bool = False,
    report: Callable[[str], None] = lambda _: None,
) -> Soaked:
    """
    Do it.

    @param rate: messages a second.
    @param period: seconds between two faults, on the average.
    @param patient: whether it may take seconds to find out about silence, so that on a busy machine
        none is found where there is just no processor to be had.
    """
    await deferLater(reactor, 0)  # what began before this has begun
    messages = int(minutes * 60 * rate)
    options = {
        "pool_size": connections,
        "message_queue_size": messages,
        "max_deliveries": 1_000_000,
        **({"heartbeat_timeout": 2.0, "open_timeout": 10.0} if patient else {}),
    }
    calls, descriptors = len(reactor.getDelayedCalls()), _descriptors()
    async with scene(proxy, KINDS_OF_SOAK, server=server, pool_options=options) as here:
        run = Soak(here, messages, min(60.0, minutes * 30), report)
        faults = await run.run(rate, seed, period)
        account = await run.account()
    gc.collect()
    return Soaked(
        seed,
        account,
        dict(sorted(faults.items())),
        run.samples,
        _descriptors() - descriptors,
        len(reactor.getDelayedCalls()) - calls,
    )


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1 << 32))
    parser.add_argument("--rate", type=float, default=5000.0, help="messages a second")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--period", type=float, default=0.1, help="seconds between two faults")
    parser.add_argument("--json", metavar="FILE", help="write everything to a file")
    return parser.parse_args(arguments)


def main() -> None:
    """Soak, and say whether everything is as it should be."""
    options = parse(sys.argv[1:])
    install_node_server()

    def say(line: str) -> None:
        print(line, flush=True)

    async def soaked() -> None:
        say(f"seed {options.seed}")
        async with proxy_process() as proxy:
            result = await soak(
                proxy,
                minutes=options.minutes,
                seed=options.seed,
                rate=options.rate,
                connections=options.connections,
                period=options.period,
                report=say,
            )
        say(json.dumps({**asdict(result.account), "faults": result.faults}, indent=1))
        if options.json is not None:
            Path(options.json).write_text(json.dumps(asdict(result), indent=1), encoding="utf-8")
        problems = result.problems()
        say("; ".join(problems) or "nothing lost, nothing left behind")
        if problems:
            sys.exit(1)

    react(lambda _: Deferred.fromCoroutine(soaked()))


if __name__ == "__main__":
    main()
