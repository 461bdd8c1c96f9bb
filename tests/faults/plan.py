"""
What breaks, and when: drawn from a seed, so that it can be drawn again.

The seed decides about faults, their details, and the pauses between them.  At which message they
strike is decided by the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, Literal

Party = Literal["proxy", "server", "process"]
_MANY = 1 << 30


@dataclass(frozen=True)
class Kind:
    """
    One kind of fault.

    @ivar name: what tables call it.
    @ivar party: who does it: the proxy to one of its links, the server to one of its connections,
        or whoever runs the server to the whole process.
    @ivar do: the command for it.
    @ivar details: draws the rest of the command.
    @ivar silent: nobody is told, so that the pool needs its heartbeat to find out.
    @ivar slowly: how many times rarer it is than others, because it takes so much longer.
    """

    name: str
    party: Party
    do: str
    details: Callable[[Random], dict[str, Any]] = field(default=lambda _: {})
    silent: bool = False
    slowly: int = 1


@dataclass(frozen=True)
class Fault:
    """
    One fault.

    @ivar pause: seconds between the fault before and this one.
    @ivar which: a number, which chooses the connection when there is one.
    """

    kind: Kind
    pause: float
    which: int
    details: dict[str, Any]


def _cut(direction: str, end: str) -> Callable[[Random], dict[str, Any]]:
    return lambda random: {
        "direction": direction,
        "after": random.randrange(1, 2000),
        "end": end,
    }


def _corrupt(direction: str) -> Callable[[Random], dict[str, Any]]:
    return lambda random: {
        "direction": direction,
        "octet": random.randrange(_MANY),
        "bit": random.randrange(8),
    }


def _constant(**details: Any) -> Callable[[Random], dict[str, Any]]:
    return lambda _: details


KINDS = {
    kind.name: kind
    for kind in (
        Kind("reset", "proxy", "reset"),
        Kind("half-close to client", "proxy", "half_close", _constant(direction="to_client")),
        Kind("half-close to server", "proxy", "half_close", _constant(direction="to_server")),
        Kind("cut and reset", "proxy", "cut", _cut("to_server", "reset")),
        Kind("cut and close", "proxy", "cut", _cut("to_server", "close")),
        Kind("cut to client", "proxy", "cut", _cut("to_client", "reset"), silent=True),
        Kind(
            "black hole to server",
            "proxy",
            "black_hole",
            _constant(directions=["to_server"]),
            silent=True,
        ),
        Kind(
            "black hole to client",
            "proxy",
            "black_hole",
            _constant(directions=["to_client"]),
            silent=True,
        ),
        Kind(
            "black hole",
            "proxy",
            "black_hole",
            _constant(directions=["to_server", "to_client"]),
            silent=True,
        ),
        Kind(
            "delay",
            "proxy",
            "delay",
            lambda random: {
                "by": random.uniform(0.02, 0.1),
                "seconds": random.uniform(0.1, 0.3),
            },
        ),
        Kind(
            "throttle",
            "proxy",
            "throttle",
            lambda random: {
                "rate": random.uniform(20_000, 200_000),
                "seconds": random.uniform(0.1, 0.3),
            },
        ),
        Kind("corrupt to server", "proxy", "corrupt", _corrupt("to_server"), silent=True),
        Kind("corrupt to client", "proxy", "corrupt", _corrupt("to_client"), silent=True),
        Kind("terminate", "server", "terminate"),
        Kind("close 1001", "server", "close", _constant(code=1001)),
        Kind("close 1012", "server", "close", _constant(code=1012)),
        Kind("stall", "server", "stall", lambda random: {"seconds": random.uniform(0.05, 0.3)}),
        Kind("restart", "process", "restart", slowly=8),
    )
}


def drawn(seed: int, kinds: Sequence[Kind], period: float) -> Iterator[Fault]:
    """
    Yield faults without end.

    @param period: seconds between two of them, on the average; none comes at twice the beat of
        anything else in the program, as it would if this were a fixed time.
    """
    random = Random(seed)
    for _ in count():
        kind = random.choice(kinds)
        yield Fault(
            kind,
            random.uniform(0.5, 1.5) * period * kind.slowly,
            random.randrange(_MANY),
            kind.details(random),
        )
