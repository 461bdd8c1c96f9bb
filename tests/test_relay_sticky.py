"""
A relay with C{fanout="sticky"}: each client has one upstream connection for itself, as it seems.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .local_client import LocalClient, RelayScene


@pytest.fixture
def relay() -> Iterator[RelayScene]:
    """A relay to 4 connections."""
    scene = RelayScene(fanout="sticky", pool={"pool_size": 4})
    yield scene
    scene.close()


def place_of(relay: RelayScene, client: LocalClient, mark: bytes) -> int:
    """Return the number of the server's peer that a client's message arrives at."""
    client.send(mark)
    relay.settle()
    (number,) = [
        number
        for number, peer in enumerate(relay.memory.server.peers)
        if (mark, True) in peer.received
    ]
    return number


def test_a_client_gets_only_what_arrives_on_its_connection(relay: RelayScene) -> None:
    """What it sends goes there as well: it looks like a connection of its own."""
    clients = [relay.connect() for _ in range(12)]
    places = [place_of(relay, client, b"%d" % n) for n, client in enumerate(clients)]
    for number, peer in enumerate(relay.memory.server.peers):
        peer.send(f"on {number}")
    relay.settle()
    assert len(set(places)) > 1
    assert [client.messages for client in clients] == [[f"on {place}"] for place in places]


def test_a_client_that_only_listens_is_pinned_too(relay: RelayScene) -> None:
    """To exactly one connection, from the moment it is connected."""
    client = relay.connect()
    for number, peer in enumerate(relay.memory.server.peers):
        peer.send(str(number))
    relay.settle()
    assert len(client.messages) == 1
    assert relay.relay.get_stats().unheard_messages == 3


def test_a_client_stays_when_other_connections_open(relay: RelayScene) -> None:
    """An answer that takes long still comes to who has asked."""
    clients = [relay.connect() for _ in range(20)]
    places = [place_of(relay, client, b"%d" % n) for n, client in enumerate(clients)]
    lost = next(n for n in range(4) if n != places[0])
    relay.memory.server.peers[lost].drop()
    relay.memory.advance(3)
    assert relay.memory.pool.open_connections == 4
    for n, (client, place) in enumerate(zip(clients, places, strict=True)):
        if place != lost:
            assert place_of(relay, client, b"again %d" % n) == place


def test_clients_of_a_lost_connection_get_another_one(relay: RelayScene) -> None:
    """With all that was not written yet; from then on they get what arrives there."""
    clients = [relay.connect() for _ in range(8)]
    places = [place_of(relay, client, b"%d" % n) for n, client in enumerate(clients)]
    lost = places[0]
    relay.memory.server.peers[lost].drop()
    relay.settle()
    new = place_of(relay, clients[0], b"moved")
    assert new != lost
    relay.memory.server.peers[new].send("welcome")
    relay.settle()
    assert clients[0].messages == ["welcome"]


def test_clients_are_placed_when_upstream_comes_back(relay: RelayScene) -> None:
    """Those who came, or were left behind, while nothing was open."""
    before = relay.connect()
    relay.memory.server.refuse()
    for peer in relay.memory.server.open_peers:
        peer.drop()
    relay.settle()
    during = relay.connect()
    during.send(b"waiting")
    relay.settle()
    relay.memory.server.accept()
    relay.memory.advance(40)
    for peer in relay.memory.server.open_peers:
        peer.send("back")
    relay.settle()
    assert before.messages == ["back"]
    assert during.messages == ["back"]
    assert (b"waiting", True) in relay.upstream


def test_a_key_is_used_again(relay: RelayScene) -> None:
    """Clients that come and go leave nothing in the pool."""
    for number in range(50):
        client = relay.connect()
        client.send(b"%d" % number)
        client.close()
        relay.settle()
    assert len({id(key) for key in relay.relay._clients._free_keys}) == 1
