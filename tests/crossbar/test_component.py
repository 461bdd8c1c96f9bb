"""
Two component processes, each with a pool of 4 to a Node C{ws} server, behind one router worker.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from autobahn.wamp.exception import ApplicationError
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults

from wsmultipool.wamp import CallRefused, InvalidArgument, PayloadTooLarge, PoolClient

from ..faults.record import Record
from ..faults.servers import FaultyServer, faulty_server
from ..integration.deadline import within
from ..integration.peers import node_server
from ..integration.starting import Start
from .callers import both_offered, calling, component_process
from .node import PREFIX, TICKETS, Node

pytestmark = pytest.mark.usefixtures("node")


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """
    The file in which the server writes down what it receives.
    """
    return tmp_path / "record"


def server_url(server: FaultyServer) -> str:
    """
    Return where a server is.
    """
    return f"ws://127.0.0.1:{server.port}/"


async def send_all(client: PoolClient, numbers: range, batch: int, at_once: int = 8) -> list[Any]:
    """
    Send numbers, confirmed, a batch in each call; return the failures.
    """
    failures: list[Any] = []
    places = DeferredSemaphore(at_once)
    calls = []

    def call(first: int) -> Deferred[Any]:
        batched = [b"%d" % number for number in range(first, first + batch)]
        return client.send_many(batched, confirm=True)

    def ended(results: list[tuple[bool, Any]]) -> None:
        failures.extend(result for succeeded, result in results if not succeeded)

    for first in range(numbers.start, numbers.stop, batch):
        calls.append(places.run(call, first).addCallback(ended))
    await gatherResults(calls)
    return failures


class Arrived:
    """
    The numbers that a server has received by now.
    """

    def __init__(self, record: Path) -> None:
        self._record = Record(record)
        self._numbers: set[int] = set()

    def now(self) -> set[int]:
        """Look again."""
        self._numbers.update(int(payload) for payload in self._record.news())
        return self._numbers


@within(60)
async def test_calls_are_spread_evenly(crossbar: Node, record: Path, start: Start) -> None:
    """Round robin: each of two components gets half of the calls, and each connection its share."""
    server = await start(faulty_server("node", record))
    for _ in range(2):
        await start(component_process(crossbar, server_url(server)))
    _, client = await start(calling(crossbar, retry=True))
    await both_offered(client)
    before = {}
    for _ in range(2):
        stats = await client.get_stats()
        before[stats["wamp"]["session"]] = stats["wamp"]["calls"]
    for _ in range(20):
        await gatherResults([client.send(b"1") for _ in range(20)])
    spread = Counter[int]()
    shares = []
    for _ in range(2):
        stats = await client.get_stats()
        spread[stats["wamp"]["session"]] = stats["wamp"]["calls"]
        shares += [connection["sent_messages"] for connection in stats["connections"]]
    assert sum(shares) == 400
    assert shares == [50] * 8
    assert len(spread) == 2


@within(120)
async def test_killed_components_lose_no_confirmed_message(
    crossbar: Node, record: Path, start: Start
) -> None:
    """20,000 confirmed messages, and both components killed, one after the other: all arrive."""
    server = await start(faulty_server("node", record))
    _, client = await start(calling(crossbar, retry=True))
    numbers = range(20_000)
    arrived = Arrived(record)
    async with component_process(crossbar, server_url(server)):
        async with component_process(crossbar, server_url(server)):
            await both_offered(client)
            sending = Deferred.fromCoroutine(send_all(client, numbers, 10))
            await client.send(b"0", confirm=True)
            while len(arrived.now()) < 5000:
                await client.ping()
        # The second is killed now, in the middle of its calls.
        await start(component_process(crossbar, server_url(server)))
        while len(arrived.now()) < 11_000:
            await client.ping()
        assert not sending.called
    # And now the first.
    assert await sending == []
    assert arrived.now() == set(numbers)


@within(120)
async def test_restarted_router_loses_no_confirmed_message(
    tmp_path: Path, record: Path, start: Start
) -> None:
    """The router is killed under load and comes back: components and callers join again."""
    router = Node(tmp_path / "crossbar")
    router.start()
    try:
        router.wait()
        server = await start(faulty_server("node", record))
        for _ in range(2):
            await start(component_process(router, server_url(server)))
        async with calling(router, retry=True) as (_, client):
            await both_offered(client)
            numbers = range(5000)
            arrived = Arrived(record)
            sending = Deferred.fromCoroutine(send_all(client, numbers, 10))
            while len(arrived.now()) < 1000:
                await client.ping()
            router.kill()
            assert not sending.called
            router.start()
            assert await sending == []
            assert arrived.now() == set(numbers)
            stats = await client.get_stats()
            assert stats["wamp"]["sessions"] == 2
            # The pool has not noticed.
            assert (stats["open"], stats["reconnects"]) == (4, 0)
    finally:
        router.kill()


@pytest.mark.parametrize("serializer", ["cbor", "msgpack", "json"])
@within(60)
async def test_payloads_through_each_serializer(
    crossbar: Node, start: Start, serializer: str
) -> None:
    """
    Binary and text come back as they went, each published once, and to every subscriber, whatever
    the serializers of component, caller and subscriber are.
    """
    server = await start(node_server())
    offer = {"publish": ["message"]}
    await start(component_process(crossbar, server.url, serializer=serializer, offer=offer))
    payloads: list[str | bytes] = [bytes(range(256)) * 40, b"", b"\0", "\0text", "plain", "🙂"]
    arrived: dict[str, list[tuple[Any, ...]]] = {}
    for subscriber in ("cbor", "msgpack", "json"):
        caller, client = await start(calling(crossbar, subscriber, retry=True))
        events = arrived.setdefault(subscriber, [])
        await caller.session.subscribe(lambda *event, to=events: to.append(event), ON_MESSAGE)
    for payload in payloads:
        await client.send(payload, confirm=True)
    while any(len(events) < len(payloads) for events in arrived.values()):
        await client.ping()
    expected = sorted((_octets(payload), isinstance(payload, bytes)) for payload in payloads)
    for events in arrived.values():
        assert sorted((_octets(data), is_binary) for data, is_binary, _ in events) == expected
        assert all(isinstance(data, bytes) for data, is_binary, _ in events if is_binary)


ON_MESSAGE = f"{PREFIX}.on_message"


def _octets(payload: str | bytes) -> bytes:
    return payload if isinstance(payload, bytes) else payload.encode()


@within(60)
async def test_messages_are_published_once(crossbar: Node, start: Start) -> None:
    """Of two components, the one that receives a message publishes it, and the other does not."""
    server = await start(node_server())
    for _ in range(2):
        await start(component_process(crossbar, server.url, offer={"publish": ["message"]}))
    caller, client = await start(calling(crossbar, retry=True))
    await both_offered(client)
    events = Counter[str]()
    await caller.session.subscribe(lambda data, *_: events.update([data]), ON_MESSAGE)
    await client.send_many([f"{number}" for number in range(500)], confirm=True)
    await client.send_many([f"{number}" for number in range(500, 1000)], confirm=True)
    while len(events) < 1000:
        await client.ping()
    published = 0
    for _ in range(2):
        published += (await client.get_stats())["wamp"]["events_published"]
    assert set(events.values()) == {1}
    assert published == 1000


@within(60)
async def test_rights_follow_from_the_ticket(crossbar: Node, start: Start) -> None:
    """A wrong ticket is refused by name; the caller's ticket does not let it offer anything."""
    refused = await start(component_process(crossbar, "ws://127.0.0.1:1/", ticket="wrong"))
    reason = (await refused.event("refused"))["reason"]
    assert reason.startswith("authentication: the router refused it (wamp.error.")
    assert "wrong" not in reason
    elsewhere = await start(component_process(crossbar, "ws://127.0.0.1:1/", realm="realm2"))
    assert (await elsewhere.event("refused"))["reason"].startswith("realm: the router refused it")
    caller, _ = await start(calling(crossbar))
    with pytest.raises(ApplicationError) as raised:
        await caller.session.register(lambda: None, f"{PREFIX}.send")
    assert raised.value.error == "wamp.error.not_authorized"
    other = PoolClient(caller.session, "com.example.other")
    with pytest.raises(CallRefused) as not_allowed:
        await other.send("x")
    assert not_allowed.value.uri == "wamp.error.not_authorized"
    assert TICKETS["app"] not in str(not_allowed.value)


@within(60)
async def test_wrong_calls_disturb_nobody(crossbar: Node, start: Start) -> None:
    """Wrong arguments and large payloads get their own errors, in the middle of good calls."""
    server = await start(node_server())
    offer = {"max_payload_size": 100_000}
    await start(component_process(crossbar, server.url, offer=offer))
    caller, client = await start(calling(crossbar, retry=True))
    await client.send("first", confirm=True)
    good = gatherResults([client.send(b"x" * 1000, confirm=True) for _ in range(50)])
    with pytest.raises(PayloadTooLarge):
        await client.send(b"x" * 100_001)
    with pytest.raises(InvalidArgument):
        await client.send("x", timeout=-1)
    with pytest.raises(ApplicationError) as raised:
        await caller.session.call(f"{PREFIX}.send", 1, 2, 3)
    assert raised.value.error == f"{PREFIX}.error.invalid_argument"
    assert len(await good) == 50
    stats = await client.get_stats()
    assert (stats["open"], stats["reconnects"]) == (4, 0)


@within(60)
async def test_callers_that_vanish_do_not_use_the_component_up(
    crossbar: Node, start: Start
) -> None:
    """
    The router goes on counting the calls of callers that are gone; the component registers anew
    before that leaves no room for others.
    """
    # Nothing listens there: calls stay in the pool's queue.
    await start(component_process(crossbar, "ws://127.0.0.1:1/", offer={"concurrency": 4}))
    for _ in range(4):
        async with calling(crossbar, retry=True) as (caller, client):
            await client.get_stats()
            for _ in range(3):
                client.send("x").addErrback(lambda _: None)
            # Answered after the calls before it have reached the component.
            while (await client.get_stats())["wamp"]["calls_under_way"] < 3:
                pass
            caller.session._transport.abort()
            await client.get_stats()  # in another session
    async with calling(crossbar, retry=True) as (_, client):
        stats = await client.get_stats()
        while stats["queued_messages"]:
            stats = await client.get_stats()
        client.send("x").addErrback(lambda _: None)
        while (await client.get_stats())["wamp"]["calls_under_way"] < 1:
            pass
