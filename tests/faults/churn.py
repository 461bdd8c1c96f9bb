"""
One run: numbered messages through a pool, while connections are broken, and the account of it.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import Any

from ..integration.certificates import Authority
from ..integration.processes import PeerProcess
from ..integration.running_reactor import reactor
from .breaker import breaking
from .ledger import Account, Ledger
from .numbered import number_of
from .scene import scene
from .sender import Sender

SEED = "WSMULTIPOOL_FAULT_SEED"


def seed_of(default: int = 1) -> int:
    """
    Return the seed to use: that of the environment, to run something again.
    """
    return int(os.environ.get(SEED, default))


@dataclass(frozen=True)
class Churn:
    """
    What to send, how, and what to break meanwhile.

    @ivar kinds: names of L{tests.faults.plan.KINDS}, of which one is drawn each time.
    @ivar seed: what they are drawn with.
    @ivar confirm: send with C{confirm=True}.
    @ivar max_deliveries: the pool's; the default is high enough not to matter.
    @ivar keys: how many keys the messages have; 0 for none.
    @ivar rate: messages a second.
    @ivar period: seconds between two faults, on the average.
    @ivar drain: C{None}: faults end with the last message, and the pool is closed when everything
        is settled.  Seconds: the pool is closed behind the last message, with C{drain}, and faults
        go on meanwhile.
    @ivar server: one of L{tests.faults.servers.SERVERS}.
    @ivar chatter: the server says something on each connection every so many milliseconds.
    @ivar authority: who issues the server's certificate; C{None} for C{ws}.
    @ivar pool_options: more of them.
    """

    kinds: tuple[str, ...]
    seed: int
    messages: int = 100_000
    confirm: bool = False
    max_deliveries: int = 1_000_000
    keys: int = 0
    rate: float = 20_000.0
    period: float = 0.05
    drain: float | None = None
    server: str = "node"
    chatter: int = 0
    authority: Authority | None = None
    pool_options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """
    What came of a run.

    @ivar faults: how many faults there were, by kind.
    @ivar seconds: from the first message to the last that was settled.
    """

    churn: Churn
    account: Account
    faults: dict[str, int]
    seconds: float

    def __str__(self) -> str:
        """What a test says that fails."""
        counts = ", ".join(f"{name}: {count}" for name, count in asdict(self.account).items())
        again = f"to run it again, set {SEED}={self.churn.seed} in the environment"
        return f"{counts}; faults: {self.faults}; {again}"


async def run(churn: Churn, proxy: PeerProcess) -> Outcome:
    """
    Do it.

    @param proxy: a proxy that nobody else uses meanwhile.
    """
    ledger = Ledger(churn.messages, churn.keys)
    pool_options = {"message_queue_size": churn.messages, **churn.pool_options}
    if churn.confirm:
        pool_options["max_deliveries"] = churn.max_deliveries
    async with scene(
        proxy,
        churn.kinds,
        server=churn.server,
        authority=churn.authority,
        server_options={"chatter": churn.chatter},
        pool_options=pool_options,
    ) as here:
        sender = Sender(here.pool, ledger, **({"confirm": True} if churn.confirm else {}))
        begun = reactor.seconds()
        async with breaking(here, churn.kinds, churn.seed, churn.period) as breaker:
            await sender.send(churn.messages, churn.rate)
            if churn.drain is not None:
                await here.pool.close(drain=churn.drain)
        await sender.all_settled()
        seconds = reactor.seconds() - begun
        await here.quiet()
        for payload in here.record.news():
            ledger.arrived(number_of(payload))
    return Outcome(churn, ledger.account(), dict(breaker.faults), seconds)
