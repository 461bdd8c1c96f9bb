"""
Running what is planned: for each run a new server and a new client, each a process of its own.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from .cells import MEASURES
from .certificate import Certificate
from .clients.task import Task
from .peers import PEERS
from .plan import Run
from .processes import ProcessFailed, last_line, server
from .samples import Sample
from .server import PICOWS_SERVER, ServerProgram

# A client has this long, and so many times what the measurement should take.
_STARTING = 30.0
_PATIENCE = 30.0

# A thousand connections want more than the usual 1,024 descriptors; children inherit this.
_DESCRIPTORS = 65536


def raise_descriptor_limit() -> None:
    """
    Allow as many open files as a thousand connections need, if that is permitted.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@dataclass(frozen=True)
class Laboratory:
    """
    What all runs need.

    @ivar server: the fast server.
    @ivar certificate: the servers', for TLS.
    @ivar seconds: how long one measurement takes, about.
    """

    server: ServerProgram
    certificate: Certificate
    seconds: float

    def samples(self, runs: Iterable[Run]) -> Iterator[Sample]:
        """
        Run one after the other.  A peer that fails is not asked again for the same.
        """
        failed: dict[tuple[object, str], str] = {}
        for run in runs:
            key = (run.cell, run.peer)
            if key in failed:
                continue
            try:
                yield Sample(*run, result=self._measure(run))
            except ProcessFailed as error:
                failed[key] = str(error)
                yield Sample(*run, error=str(error))

    def _measure(self, run: Run) -> dict[str, float]:
        trouble = PEERS[run.peer].missing()
        if trouble is not None:
            raise ProcessFailed(trouble)
        measure = MEASURES[run.cell.measure]
        seconds = self.seconds * measure.longer
        with ExitStack() as stack:
            program = PICOWS_SERVER if measure.on_picows else self.server
            command = [*program.command]
            if measure.secure:
                command += [self.certificate.certificate, self.certificate.key]
            port = stack.enter_context(server(command))
            if measure.limited:
                port = stack.enter_context(
                    server([sys.executable, "-m", "benchmarks.link", str(port)])
                )
            return self._client(run, port, seconds)

    def _client(self, run: Run, port: int, seconds: float) -> dict[str, float]:
        peer, measure = PEERS[run.peer], MEASURES[run.cell.measure]
        task = Task(
            client=peer.client,
            measure=measure.task,
            url=f"{'wss' if measure.secure else 'ws'}://127.0.0.1:{port}/",
            authority=self.certificate.certificate if measure.secure else None,
            payload=run.cell.payload,
            connections=1 if peer.single else run.cell.connections,
            seconds=seconds,
            plain=peer.plain,
        )
        environment = {**os.environ, **peer.environment}
        line = last_line(peer.command(task), environment, _STARTING + _PATIENCE * seconds)
        try:
            result: dict[str, float] = json.loads(line)
        except ValueError:
            raise ProcessFailed(f"not a result: {line[:200]}") from None
        return result
