"""
The options of an offer, and those of a container's C{extra}: mistakes are named, and start nothing.
"""

from __future__ import annotations

from typing import Any

import pytest

from wsmultipool import PoolOptions
from wsmultipool.wamp import PoolSession, WampOptions, pool_component
from wsmultipool.wamp._extra import offer_of

from .support import Pool
from .wamp_support import PREFIX

WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"prefix": ""}, ValueError, "prefix must be words"),
    ({"prefix": "com..feed"}, ValueError, "prefix must be words"),
    ({"prefix": "com.example feed"}, ValueError, "prefix must be words"),
    ({"prefix": "crossbar.feed"}, ValueError, "prefix must be words"),
    ({"prefix": 7}, TypeError, "prefix must be a str, not 7"),
    ({"invoke": "load"}, ValueError, "invoke must be one of .*'random', not 'load'"),
    ({"invoke": "roundrobbin"}, ValueError, "did you mean 'roundrobin'"),
    ({"invoke": None}, TypeError, "invoke must be a str"),
    ({"concurrency": 0}, ValueError, "concurrency must be at least 1, not 0"),
    ({"concurrency": "8"}, TypeError, "concurrency must be an integer, not '8'"),
    ({"shards": 3}, TypeError, "shards must be a sequence, not 3"),
    ({"shards": "01"}, TypeError, "shards must be a sequence"),
    ({"shards": [-1]}, ValueError, "shards must be at least 0, not -1"),
    ({"shards": [1, 1]}, ValueError, "shards must not name a shard twice"),
    ({"max_payload_size": 0}, ValueError, "max_payload_size must be at least 1"),
    ({"max_batch_size": 1.5}, TypeError, "max_batch_size must be an integer"),
    ({"publish": ["messages"]}, ValueError, "did you mean 'message'"),
    ({"publish": "message"}, TypeError, "publish must be a sequence"),
    ({"event_buffer_size": -1}, ValueError, "event_buffer_size must be at least 0"),
    ({"event_buffer_bytes": True}, TypeError, "event_buffer_bytes must be an integer"),
    ({"event_overflow": "wait"}, ValueError, "event_overflow must be one of"),
    ({"publish_window": 0}, ValueError, "publish_window must be at least 1"),
    ({"max_batchsize": 5}, TypeError, "unknown option 'max_batchsize': did you mean"),
]


@pytest.mark.parametrize(("options", "error", "text"), WRONG)
def test_a_wrong_option_is_named(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    """The message says which option, and what was wrong with it; also in a container."""
    with pytest.raises(error, match=text):
        WampOptions.from_keywords({"prefix": PREFIX, **options})
    with pytest.raises(error, match=text):
        PoolSession.check_config(None, {"url": "ws://feed.test/", "prefix": PREFIX, **options})


def test_a_prefix_is_needed() -> None:
    """Nothing is offered under no name."""
    with pytest.raises(TypeError, match="prefix is missing"):
        WampOptions.from_keywords({})
    with pytest.raises(TypeError, match="prefix is missing"):
        offer_of({"url": "ws://feed.test/"})


@pytest.mark.parametrize(
    ("extra", "error", "text"),
    [
        (None, TypeError, "extra: url is missing"),
        ({"prefix": PREFIX}, TypeError, "extra: url is missing"),
        ({"poolsize": 4}, TypeError, "extra: unknown option 'poolsize': did you mean 'pool_size'"),
        ({"password": "secret"}, TypeError, "extra: unknown option 'password'"),
        ({"logger": "x"}, TypeError, "extra: logger is an object of Python"),
        ({"pool_size": "4"}, TypeError, "pool_size must be an integer"),
        ({"url": "http://feed.test/"}, ValueError, "url"),
        ({"ws_options": {"headres": {"a": "secret"}}}, TypeError, "headers"),
    ],
)
def test_a_wrong_extra_is_named(
    extra: dict[str, Any] | None, error: type[Exception], text: str
) -> None:
    """A container does not start with it, and says why, without the value of what may be secret."""
    if extra is not None and "prefix" not in extra:
        extra = {"url": "ws://feed.test/", "prefix": PREFIX, **extra}
    with pytest.raises(error, match=text) as raised:
        PoolSession.check_config(None, extra)  # type: ignore[arg-type]
    assert "secret" not in str(raised.value)


def test_extra_has_all_that_json_can_say() -> None:
    """Options of the pool and of the offer stand side by side; Crossbar adds its directory."""
    pool, options = offer_of(
        {
            "url": "ws://feed.test/",
            "pool_size": 3,
            "overflow": "wait",
            "ws_options": {"headers": {"X-Token": "secret"}, "protocols": ["v1"]},
            "prefix": PREFIX,
            "shards": [0, 2],
            "cbdir": "/somewhere",
        }
    )
    assert pool.total_connections == 3
    assert pool.options.overflow == "wait"
    assert pool.options.ws_options.protocols == ("v1",)
    assert options.shards == (0, 2)
    pool.destroy()


@pytest.mark.parametrize(
    ("pool", "offer", "messages", "expected"),
    [
        ({}, {}, 1, 64),  # 64 MiB, 1 MiB each
        ({}, {"max_payload_size": 1024}, 1, 100),  # the queue
        ({}, {"max_payload_size": 1024}, 50, 5),  # batches: one for each connection
        ({"message_queue_size": 1000}, {"max_payload_size": 1024}, 50, 20),
        ({"overflow": "wait"}, {"max_payload_size": 65536}, 50, 1024),
        ({"pool_size": 200}, {}, 1, 200),
        ({}, {"concurrency": 7}, 1, 7),
    ],
)
def test_concurrency_follows_from_the_bounds_of_the_pool(
    pool: dict[str, Any], offer: dict[str, Any], messages: int, expected: int
) -> None:
    """No more calls are let in than the pool can hold, and at least one for each connection."""
    options = WampOptions(prefix=PREFIX, **offer)
    assert options.concurrency_for(PoolOptions(**pool), messages) == expected


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"realm": ""}, ValueError, "realm must not be empty"),
        ({"realm": 5}, TypeError, "realm must be a str"),
        ({"prefix": "no prefix"}, ValueError, "prefix must be words"),
        ({"url": "http://router.test/"}, ValueError, "url must"),
        ({"url": "ws://router.test/?token=secret"}, ValueError, "neither credentials nor a query"),
        ({"url": "ws://user:secret@router.test/"}, ValueError, "neither credentials nor a query"),
        ({"url": {"url": "ws://u:secret@router.test/"}}, ValueError, "neither credentials nor"),
        ({"url": {"url": "ws://router.test/?t=secret"}}, ValueError, "neither credentials nor"),
        ({"url": {"type": "websocket"}}, TypeError, "url: a transport needs a url"),
        ({"url": []}, ValueError, "url must not be empty"),
        ({"authentication": "secret"}, TypeError, "authentication must be a mapping, not str"),
        ({"authentication": {"ticket": "secret"}}, TypeError, "authentication: ticket must be a"),
        (
            {"authentication": {"tickets": {"ticket": "secret"}}},
            ValueError,
            "authentication: .*tic",
        ),
        (
            {"authentication": {"ticket": {"authid": "a"}}},
            ValueError,
            "authentication: .*'ticket='",
        ),
        ({"url": [5]}, TypeError, "url must be a str or a mapping"),
        ({"max_rejoin_delay": 0}, ValueError, "max_rejoin_delay must be finite"),
        ({"invok": "first"}, TypeError, "unknown option 'invok': did you mean 'invoke'"),
    ],
)
def test_a_component_is_not_made_of_mistakes(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    """What is wrong is named, and no secret is shown."""
    pool: Any = Pool()
    with pytest.raises(error, match=text) as raised:
        pool_component(pool, **{"realm": "realm1", "prefix": PREFIX, **options})
    assert "secret" not in str(raised.value)
