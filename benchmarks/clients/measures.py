"""
What is measured, with any client: how much work is done in how much time, wall clock and processor.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Awaitable, Callable
from time import perf_counter, process_time
from typing import Any

from .client import Client
from .task import Task

Result = dict[str, Any]
Work = Callable[[int], Awaitable[None]]

# Before what is measured, caches and just-in-time compilers get warm: for this share of its time,
# in processor time, since a process that is kept waiting gets no warmer; but for no longer than so
# many times as long by the clock.
_WARM_UP = 0.5
_LONGEST_WARM_UP = 3
# A run that took less says too little about how long a longer one will take.
_SHORTEST_TELLING = 0.005
_LARGEST_STEP = 50


class WrongCount(Exception):
    """
    The server did not get what was sent.
    """


async def run(task: Task, make: Callable[[], Client]) -> Result:
    """
    Measure.

    @param make: makes a client that has no connection yet.
    @return: C{messages} in C{seconds}, which took C{cpu_seconds} of processor time of this process
        (or the relay's) and C{server_cpu_seconds} of the server's; C{p50} and C{p99},
        C{bytes_per_connection} and C{speedups} where they apply.
    """
    if task.measure == "connect":
        return await _connect(task, make)
    client = make()
    await client.open(task.url, task.authority, task.connections)
    if task.measure == "echo":
        result = await _echo(client, task)
    else:
        work, per_count, sent = _work(client, task)
        result = await _adaptive(client, task, work, per_count, sent)
    return {**result, **client.notes()}


def _work(client: Client, task: Task) -> tuple[Work, int, bool]:
    """
    Return what to do, how many messages that are for a count of 1, and whether they are sent.
    """
    connections = task.connections
    match task.measure:
        case "send":
            return client.send, 1, True
        case "confirm":
            return client.confirm, 1, True
        case "broadcast":
            return client.broadcast, connections, True
        case "receive":
            return lambda count: client.receive(count, connections), connections, False
    raise ValueError(f"no such measure: {task.measure}")


async def _adaptive(client: Client, task: Task, work: Work, per_count: int, sent: bool) -> Result:
    """
    Work for about as long as the task says, after a warm-up that tells how much that is.
    """
    started, processor = perf_counter(), process_time()
    count, seconds, warm = 1, 0.0, False
    while not warm or seconds < task.seconds * _WARM_UP / 2:
        if seconds < _SHORTEST_TELLING:
            count *= 4
        else:
            wanted = task.seconds * _WARM_UP / seconds
            count = max(1, int(count * min(wanted, _LARGEST_STEP)))
        result = await _timed(client, task, work, count, per_count, sent)
        seconds = result["seconds"]
        warm = (
            process_time() - processor >= task.seconds * _WARM_UP
            or perf_counter() - started >= task.seconds * _LONGEST_WARM_UP
        )
    count = max(1, int(count * task.seconds / seconds))
    return await _timed(client, task, work, count, per_count, sent)


async def _timed(
    client: Client, task: Task, work: Work, count: int, per_count: int, sent: bool
) -> Result:
    """
    Time one run, until the last message was received by the other side.
    """
    before = await client.counted(0)
    messages = count * per_count
    arriving = messages if sent else 0
    started, processor = perf_counter(), client.processor()
    await work(count)
    after = await client.counted(before.messages + arriving)
    ended, processor_ended = perf_counter(), client.processor()
    if (
        after.messages - before.messages != arriving
        or after.bytes - before.bytes != arriving * task.payload
    ):
        raise WrongCount(f"sent {arriving} messages of {task.payload}: {before}, {after}")
    return {
        "messages": messages,
        "seconds": ended - started,
        "cpu_seconds": processor_ended - processor,
        "server_cpu_seconds": after.processor - before.processor,
    }


async def _echo(client: Client, task: Task) -> Result:
    """
    Time round trips, one message at a time.
    """
    await client.tell_all("echo")
    await _round_trips(client, task.seconds * _WARM_UP)
    before = await client.counted(0)
    started, processor = perf_counter(), client.processor()
    times = sorted(await _round_trips(client, task.seconds))
    ended, processor_ended = perf_counter(), client.processor()
    after = await client.counted(0)
    return {
        "messages": len(times),
        "seconds": ended - started,
        "cpu_seconds": processor_ended - processor,
        "server_cpu_seconds": after.processor - before.processor,
        "p50": times[len(times) // 2],
        "p99": times[len(times) * 99 // 100],
    }


async def _round_trips(client: Client, seconds: float) -> list[float]:
    times = []
    end = perf_counter() + seconds
    started = 0.0
    while started < end:
        started = perf_counter()
        returned = client.when_received(1)
        await client.send(1)
        await returned
        times.append(perf_counter() - started)
    return times


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def _connect(task: Task, make: Callable[[], Client]) -> Result:
    """
    Time opening all connections at once, and see what memory they take.
    """
    # What is loaded and cached on first use is not a cost of connections.
    warm_up = make()
    await warm_up.open(task.url, task.authority, 2)
    before = await warm_up.counted(0)
    client = make()
    gc.collect()
    resident = _resident()
    started, processor = perf_counter(), process_time()
    await client.open(task.url, task.authority, task.connections)
    ended, processor_ended = perf_counter(), process_time()
    after = await warm_up.counted(0)
    gc.collect()
    return {
        "messages": task.connections,
        "seconds": ended - started,
        "cpu_seconds": processor_ended - processor,
        "server_cpu_seconds": after.processor - before.processor,
        "bytes_per_connection": (_resident() - resident) / task.connections,
        **client.notes(),
    }
