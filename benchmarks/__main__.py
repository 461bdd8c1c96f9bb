"""
The command line of the benchmarks.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from random import Random
from time import monotonic

from . import arguments, certificate, documentation, machine, server, tables, text
from .peers import PEERS, install_node_packages
from .plan import Plan
from .progress import Progress
from .results import Results
from .running import Laboratory, raise_descriptor_limit
from .samples import Sample, Samples


def measure(plan: Plan) -> Results:
    """
    Carry out a plan.
    """
    raise_descriptor_limit()
    if any(PEERS[name].module is None for name in plan.peers):
        install_node_packages()
    started = monotonic()
    context = {**machine.described(), "options": asdict(plan)}
    runs = list(plan.runs(Random(1)))
    progress = Progress(sys.stderr, len(runs))
    samples = []
    with tempfile.TemporaryDirectory() as directory:
        program = server.build(Path(directory))
        laboratory = Laboratory(program, certificate.issue(Path(directory)), plan.seconds)
        try:
            for sample in laboratory.samples(runs):
                samples.append(sample)
                progress.step(f"{sample.cell}, {sample.peer}")
                if sample.error is not None:
                    progress.say(f"{sample.cell}, {sample.peer}: {sample.error}")
        except KeyboardInterrupt:
            progress.say(f"interrupted: {len(samples)} of {len(runs)} measurements")
    progress.end()
    context["server"] = program.kind
    context["minutes"] = round((monotonic() - started) / 60, 1)
    context["load_after"] = machine.load()
    context["speedups"] = _speedups(samples)
    return Results(context, Samples(samples))


def _speedups(samples: Iterable[Sample]) -> dict[str, str]:
    """
    Return by peer what wsmultipool said that it masks with.
    """
    return {
        PEERS[sample.peer].title: sample.result["speedups"]
        for sample in samples
        if sample.result is not None and "speedups" in sample.result
    }


def main() -> int:
    """
    Measure, or read what was measured; show it, and write it where it is wanted.
    """
    plan, options = arguments.parse(None)
    results = Results.read(options.read) if options.read else measure(plan)
    for table in [*tables.all_tables(results.samples), tables.machine(results.context)]:
        sys.stdout.write(text.render(table) + "\n")
    if options.json:
        options.json.write_text(results.to_json(), encoding="utf-8")
    if options.plot:
        from .plot import draw

        draw(results.samples, options.plot)
    errors = results.samples.errors()
    for sample in errors:
        sys.stdout.write(f"FAILED: {sample.cell}, {sample.peer}: {sample.error}\n")
    if options.docs and errors:
        sys.stdout.write("The documentation stays as it was: it has no gaps.\n")
    elif options.docs:
        documentation.write(results)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
