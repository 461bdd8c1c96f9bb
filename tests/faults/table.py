"""
The figures by hand: 100,000 messages for each kind of fault, each way of sending, and each seed.

C{python -m tests.faults.table} prints a table in reStructuredText, and exits with 1 if something is
not as promised.  C{--json} writes all counts to a file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from ..integration.certificates import Authority
from ..integration.peers import install_node_server
from .churn import Churn, Outcome, run
from .ledger import Account
from .plan import KINDS
from .servers import SERVERS, proxy_process

# Of 100,000 plain messages, those that the kernel had taken when their connection was killed.
SILENTLY_LOST_AT_MOST = 1000
KILLED = ("reset", "terminate")
LOSSLESS = ("close 1001", "close 1012", "delay", "throttle", "stall")


@dataclass(frozen=True)
class Way:
    """
    One way of sending.

    @ivar options: of L{Churn}.
    @ivar columns: what of the account the table shows.
    """

    name: str
    options: dict[str, Any]
    columns: tuple[str, ...]


WAYS = (
    Way("plain", {}, ("silently_lost", "failed_but_delivered", "duplicates", "never_settled")),
    Way("confirmed", {"confirm": True}, ("not_delivered", "duplicates", "never_settled")),
    Way(
        "at most once",
        {"confirm": True, "max_deliveries": 1},
        ("failed", "failed_but_delivered", "silently_lost", "duplicates", "never_settled"),
    ),
)


def broken_promises(way: str, kind: str, tls: bool, account: Account) -> list[str]:
    """
    Return what is not as promised: the name of a count, with what it is.
    """
    counts = asdict(account)
    limits = {"never_settled": 0, "duplicates": 0, "failed_but_delivered": 0, "damaged": 0}
    if way == "plain":
        if kind in KILLED:
            limits["silently_lost"] = SILENTLY_LOST_AT_MOST * account.sent // 100_000
        elif kind in LOSSLESS:
            limits["not_delivered"] = 0
    elif way == "confirmed":
        del limits["duplicates"]
        limits["not_delivered"] = 0
    else:
        del limits["failed_but_delivered"]
        limits["silently_lost"] = 0
    if kind == "corrupt to server" and not tls:
        # A changed payload is not WebSocket's to notice.
        limits = {"never_settled": 0}
    return [f"{name}: {counts[name]}" for name, most in limits.items() if counts[name] > most]


def row(cells: Iterable[object]) -> str:
    """Return one row of a list-table."""
    first, *others = cells
    return "\n".join([f"   * - {first}", *(f"     - {cell}" for cell in others)])


def table(way: Way, outcomes: list[Outcome]) -> str:
    """
    Return one table in reStructuredText: for each kind of fault the worst of all seeds.
    """
    heads = ["fault", "faults", *(name.replace("_", " ") for name in way.columns)]
    lines = [f".. list-table:: {way.name}", "   :header-rows: 1", "", row(heads)]
    by_kind: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_kind.setdefault(outcome.churn.kinds[0], []).append(outcome)
    for kind, of_kind in by_kind.items():
        faults = " / ".join(str(sum(outcome.faults.values())) for outcome in of_kind)
        worst = [
            f"{max(getattr(outcome.account, name) for outcome in of_kind):,}"
            for name in way.columns
        ]
        lines.append(row([kind, faults, *worst]))
    return "\n".join(lines) + "\n"


async def measure(options: argparse.Namespace, report: Callable[[str], None]) -> int:
    """
    Run everything that was asked for.

    @param report: told of each run.
    @return: how many runs were not as promised.
    """
    results: list[dict[str, Any]] = []
    tables: list[str] = []
    failed = 0
    async with AsyncExitStack() as stack:
        authority = None
        if options.tls:
            authority = Authority(Path(stack.enter_context(TemporaryDirectory())))
        proxy = await stack.enter_async_context(proxy_process())
        for way in (way for way in WAYS if way.name in options.way):
            outcomes = []
            for kind in options.kind:
                for seed in options.seed:
                    churn = Churn(
                        (kind,),
                        seed,
                        messages=options.messages,
                        rate=options.rate,
                        server=options.server,
                        authority=authority,
                        chatter=20 if kind == "corrupt to client" else 0,
                        **way.options,
                    )
                    outcome = await run(churn, proxy)
                    outcomes.append(outcome)
                    broken = broken_promises(way.name, kind, options.tls, outcome.account)
                    failed += bool(broken)
                    report(f"{way.name}, {kind}, seed {seed}: {'; '.join(broken) or 'as promised'}")
                    results.append(
                        {
                            "way": way.name,
                            "kind": kind,
                            "seed": seed,
                            "seconds": round(outcome.seconds, 2),
                            "faults": outcome.faults,
                            "broken": broken,
                            **asdict(outcome.account),
                        }
                    )
            tables.append(table(way, outcomes))
    if options.json is not None:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write("\n".join(tables))
    return failed


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.table", description=__doc__)
    ways = [way.name for way in WAYS]
    parser.add_argument("--way", action="append", choices=ways, help="only this one; repeatable")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only this one; repeatable")
    parser.add_argument("--seed", action="append", type=int, help="1, 2 and 3; repeatable")
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=20_000, help="messages a second")
    parser.add_argument("--server", choices=SERVERS, default="node")
    parser.add_argument("--tls", action="store_true", help="wss instead of ws")
    parser.add_argument("--json", metavar="FILE", help="write all counts to a file")
    options = parser.parse_args(arguments)
    options.way = options.way or ways
    options.kind = options.kind or list(KINDS)
    options.seed = options.seed or [1, 2, 3]
    return options


def main() -> None:
    """Measure, and say whether everything is as promised."""
    options = parse(sys.argv[1:])
    install_node_server()

    async def measured() -> None:
        if await measure(options, lambda line: print(line, file=sys.stderr, flush=True)):
            sys.exit(1)

    react(lambda _: Deferred.fromCoroutine(measured()))


if __name__ == "__main__":
    main()
