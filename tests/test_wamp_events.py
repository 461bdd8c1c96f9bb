"""
What a component publishes, and what becomes of it while the router is away.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.logger import ILogObserver, globalLogPublisher
from zope.interface import implementer

from wsmultipool.testing import MemoryPool
from wsmultipool.wamp._event_buffer import Event, EventBuffer

from .wamp_router import MemoryRouter
from .wamp_support import PREFIX, Offered, Scene


@implementer(ILogObserver)
class Warnings:
    """
    What C{wsmultipool.wamp} logs as a warning or worse.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, event: Any) -> None:
        if event.get("log_namespace") == "wsmultipool.wamp" and event["log_level"].name in (
            "warn",
            "error",
        ):
            self.texts.append(event["log_format"].format(**event))

    def __enter__(self) -> Warnings:
        globalLogPublisher.addObserver(self)
        return self

    def __exit__(self, *_: object) -> None:
        globalLogPublisher.removeObserver(self)


def published(scene: Scene) -> list[tuple[Any, ...]]:
    """
    Return what was published, by the last component of its topic.
    """
    return [(topic.removeprefix(f"{PREFIX}."), *rest) for topic, *rest in scene.router.published]


@pytest.mark.parametrize("serializer", ["cbor", "msgpack", "json"])
def test_every_message_is_published_once(serializer: str) -> None:
    """Text arrives as text and binary as binary, with the number of the connection."""
    scene = Scene(serializer=serializer, publish=["message"])
    received: list[Any] = []
    scene.session.subscribe(lambda *event: received.append(event), f"{PREFIX}.on_message")
    for data in ("text", b"\x00\xff", "\0text", "🙂"):
        scene.memory.server.peers[1].send(data)
    scene.memory.settle()
    assert received == [
        ("text", False, 1),
        (b"\x00\xff", True, 1),
        (b"\0text", False, 1),  # as WAMP's JSON takes such text for binary, it is sent as such
        ("🙂", False, 1),
    ]
    scene.close()


def test_connections_are_published() -> None:
    """Opening, closing, a full pool and an empty one each have a topic."""
    scene = Scene()
    assert published(scene) == [("on_open", 0), ("on_open", 1), ("on_ready",)]
    scene.router.published.clear()
    for peer in scene.memory.server.open_peers:
        peer.close(4001, "enough")
    scene.memory.settle()
    assert published(scene) == [
        ("on_close", 0, 4001, "enough"),
        ("on_close", 1, 4001, "enough"),
        ("on_empty",),
    ]
    scene.close()


@pytest.mark.parametrize("serializer", ["cbor", "json"])
def test_any_reason_for_closing_can_be_published(serializer: str) -> None:
    """A server that closes for a reason that JSON can't carry as text does not end the session."""
    scene = Scene(serializer=serializer, publish=["close"])
    scene.memory.server.peers[0].close(4001, "\0enough")
    scene.memory.settle()
    assert published(scene) == [("on_close", 0, 4001, b"\0enough")]
    assert scene.offered.session.is_attached()
    scene.close()


def test_a_message_that_is_too_large_is_not_published() -> None:
    """It would have the router end the session, and the next one: it is counted and logged."""
    scene = Scene(publish=["message"], max_payload_size=10)
    with Warnings() as warnings:
        for text in ("x" * 11, "x" * 10, "y" * 11):
            scene.memory.server.peers[0].send(text)
        scene.memory.settle()
    assert published(scene) == [("on_message", "x" * 10, False, 0)]
    assert warnings.texts == [
        "memory.test: an event for on_message was not published: larger than max_payload_size"
    ]
    assert scene.result(scene.client.get_stats())["wamp"]["events_refused"] == 2
    scene.close()


def test_only_the_events_asked_for_are_published() -> None:
    """A pool whose messages nobody wants to have published does not burden the router."""
    scene = Scene(publish=["ready", "empty"])
    scene.memory.server.peers[0].send("x")
    scene.memory.settle()
    assert published(scene) == [("on_ready",)]
    scene.close()


def test_the_pool_stays_open_while_the_router_is_away() -> None:
    """What arrives meanwhile is published after the next session has begun, in order."""
    scene = Scene(publish=["message"])
    scene.offered.lose()
    for number in range(5):
        scene.memory.server.peers[0].send(f"{number}")
    scene.memory.settle()
    assert published(scene) == []
    assert scene.memory.pool.open_connections == 2
    scene.offered.join()
    assert [event[1] for event in published(scene)] == ["0", "1", "2", "3", "4"]
    assert scene.router.offers(f"{PREFIX}.send") == 1
    assert scene.result(scene.client.send("x")) in (0, 1)
    assert scene.result(scene.client.get_stats())["wamp"]["sessions"] == 2
    scene.close()


@pytest.mark.parametrize(("policy", "kept"), [("drop_oldest", "345"), ("drop_newest", "012")])
def test_what_is_too_much_is_dropped_counted_and_logged(policy: str, kept: str) -> None:
    """The buffer is bounded; the log says when it begins to drop, and how many it has dropped."""
    scene = Scene(publish=["message"], event_buffer_size=3, event_overflow=policy)
    with Warnings() as warnings:
        scene.offered.lose()
        for number in range(6):
            scene.memory.server.peers[0].send(f"{number}")
        scene.memory.settle()
        assert warnings.texts == ["memory.test: the router is away, or slow: events are dropped"]
        scene.offered.join()
    assert "".join(event[1] for event in published(scene)) == kept
    assert warnings.texts[1:] == [
        "memory.test: 3 events dropped while the router was away, or slow"
    ]
    assert scene.result(scene.client.get_stats())["wamp"]["events_dropped"] == 3
    scene.close()


def test_the_buffer_has_a_limit_in_bytes() -> None:
    """Few large messages are too much as well."""
    buffer = EventBuffer(10, 100, True)
    for number in range(3):
        buffer.add(Event("on_message", (number,), 40))
    buffer.drop()
    assert (len(buffer), buffer.size, buffer.dropped) == (2, 80, 1)
    buffer.put_back([Event("on_message", (-2,), 5), Event("on_message", (-1,), 5)])
    buffer.drop()
    assert [buffer.take().arguments[0] for _ in range(4)] == [-2, -1, 1, 2]
    assert (len(buffer), buffer.size) == (0, 0)
    buffer.add(Event("on_message", (9,), 101))
    buffer.drop()
    assert (len(buffer), buffer.size, buffer.dropped) == (0, 0, 2)


def test_without_a_buffer_only_what_can_be_published_at_once_is() -> None:
    """A size of 0 keeps nothing for later, and takes nothing from a router that is there."""
    scene = Scene(publish=["message"], event_buffer_size=0)
    scene.memory.server.peers[0].send("now")
    scene.memory.settle()
    scene.offered.lose()
    scene.memory.server.peers[0].send("while it is away")
    scene.memory.settle()
    scene.offered.join()
    assert published(scene) == [("on_message", "now", False, 0)]
    scene.close()


def test_what_was_not_acknowledged_is_published_again() -> None:
    """An event on its way when the router is lost is not lost with it; it may arrive twice."""
    from autobahn.wamp.message import Publish

    scene = Scene(publish=["message"], publish_window=2)
    scene.router.holding = (Publish,)
    for number in range(4):
        scene.memory.server.peers[0].send(f"{number}")
    scene.memory.settle()
    waiting = scene.offered.offering.publisher.waiting
    assert waiting == 4
    scene.offered.lose()
    scene.router.release()
    scene.offered.join()
    assert [event[1] for event in published(scene)] == ["0", "1", "2", "3"]
    assert scene.offered.offering.publisher.waiting == 0
    assert scene.offered.offering.publisher.published == 4
    scene.close()


def test_no_more_is_under_way_than_the_window() -> None:
    """A slow router is not flooded: what it has not acknowledged is limited."""
    from autobahn.wamp.message import Publish

    scene = Scene(publish=["message"], publish_window=2)
    scene.router.holding = (Publish,)
    for number in range(5):
        scene.memory.server.peers[0].send(f"{number}")
    scene.memory.settle()
    assert len(scene.router._held) == 2
    scene.router.release()
    assert [event[1] for event in published(scene)] == ["0", "1", "2", "3", "4"]
    scene.close()


def test_an_event_that_the_router_refuses_is_counted_and_logged() -> None:
    """Missing rights are reported once for each session, without the message; calls go on."""
    scene = Scene(publish=["message"])
    scene.router.refused[f"{PREFIX}.on_message"] = "wamp.error.not_authorized"
    with Warnings() as warnings:
        for _ in range(3):
            scene.memory.server.peers[0].send("secret")
        scene.memory.settle()
    (text,) = warnings.texts
    assert text == (
        "memory.test: an event for on_message was not published: wamp.error.not_authorized"
    )
    assert scene.result(scene.client.get_stats())["wamp"]["events_refused"] == 3
    scene.close()


def test_what_waits_at_the_end_is_not_dropped_in_silence() -> None:
    """A component that ends while the router is away says what it has not published, once."""
    scene = Scene(publish=["message"])
    scene.offered.lose()
    for _ in range(3):
        scene.memory.server.peers[0].send("x")
    scene.memory.settle()
    publisher = scene.offered.offering.publisher
    with Warnings() as warnings:
        publisher.stop()
        publisher.stop()
    assert warnings.texts == ["memory.test: 3 events not published before the end"]
    assert (publisher.waiting, publisher.dropped) == (0, 3)
    scene.close()


def test_thousands_of_events_wait_without_trouble() -> None:
    """However many wait when the router comes back, none of them is lost."""
    router = MemoryRouter()
    memory = MemoryPool(pool_size=1, logger=False)
    offered = Offered(router, memory, {"publish": ["message"]})
    memory.open()
    for number in range(5000):
        memory.server.peers[0].send(f"{number}")
    memory.settle()
    offered.join()
    assert [int(arguments[0]) for _, *arguments in router.published] == list(range(5000))
    memory.close()
