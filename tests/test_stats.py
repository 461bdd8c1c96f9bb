"""
Tests for L{wsmultipool.stats}.
"""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from wsmultipool.stats import ConnectionStats, PoolStats

OPEN = ConnectionStats(
    id=0,
    state="open",
    url="wss://example.com/feed",
    uptime=12.5,
    attempts=0,
    buffered_bytes=64,
    latency=0.02,
    sent_messages=10,
    sent_bytes=1000,
    received_messages=20,
    received_bytes=2000,
)

CONNECTING = ConnectionStats(
    id=1,
    state="connecting",
    url="wss://example.com/feed",
    uptime=None,
    attempts=3,
    buffered_bytes=0,
    latency=None,
    sent_messages=0,
    sent_bytes=0,
    received_messages=0,
    received_bytes=0,
)

POOL = PoolStats(
    total=2,
    open=1,
    connecting=1,
    closed=0,
    queued_messages=5,
    queued_bytes=500,
    sent_messages=10,
    sent_bytes=1000,
    received_messages=20,
    received_bytes=2000,
    dropped_messages=1,
    requeued_messages=2,
    unconfirmed_messages=3,
    unconfirmed_bytes=300,
    resent_messages=1,
    reconnects=4,
    connections=(OPEN, CONNECTING),
)


def test_stats_go_through_json_unchanged() -> None:
    """
    C{as_dict} holds only what JSON has, so that it comes back equal.
    """
    copy = POOL.as_dict()
    assert json.loads(json.dumps(copy)) == copy


def test_as_dict_has_every_field() -> None:
    """
    No field of the pool or of a connection is missing in C{as_dict}, and their order is kept.
    """
    copy = POOL.as_dict()
    assert list(copy) == [field.name for field in fields(PoolStats)]
    assert copy["queued_bytes"] == 500
    assert [list(each) for each in copy["connections"]] == [
        [field.name for field in fields(ConnectionStats)]
    ] * 2
    assert copy["connections"][0]["latency"] == 0.02
    assert copy["connections"][1]["uptime"] is None


def test_as_dict_is_a_copy() -> None:
    """
    Changing the dict does not change the snapshot.
    """
    copy = POOL.as_dict()
    copy["connections"][0]["id"] = 7
    copy["connections"].clear()
    assert POOL.connections == (OPEN, CONNECTING)
    assert OPEN.id == 0


@pytest.mark.parametrize("snapshot", [OPEN, POOL])
def test_snapshots_cannot_be_changed(snapshot: Any) -> None:
    """
    A snapshot stays what it was: no field can be set.
    """
    with pytest.raises(FrozenInstanceError):
        snapshot.sent_messages = 0


@pytest.mark.parametrize("snapshot", [OPEN, POOL])
def test_snapshots_are_compact(snapshot: Any) -> None:
    """
    A snapshot has slots and no dict, as programs may keep many of them.
    """
    assert not hasattr(snapshot, "__dict__")


def test_equal_snapshots_are_equal() -> None:
    """
    Two snapshots of the same moment compare equal, and may be kept in a set.
    """
    assert len({OPEN, ConnectionStats(**POOL.as_dict()["connections"][0])}) == 1


@pytest.mark.parametrize("kind", [ConnectionStats, PoolStats])
def test_fields_are_given_by_name(kind: Any) -> None:
    """
    So many numbers in a row would be mixed up: positional arguments are refused.
    """
    with pytest.raises(TypeError):
        kind(*range(len(fields(kind))))


@pytest.mark.parametrize("kind", [ConnectionStats, PoolStats])
def test_every_field_is_documented(kind: Any) -> None:
    """
    The docstring of each class has a line for each of its fields.
    """
    documented = [
        line.split(":")[0].removeprefix("@ivar ")
        for line in map(str.strip, kind.__doc__.splitlines())
        if line.startswith("@ivar ")
    ]
    assert documented == [field.name for field in fields(kind)]
